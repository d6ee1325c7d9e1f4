"""The readers of a server: replacing one that has died or is worn, and all of them by those of a new model."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.engine import Engine
from spacy_domain_ner.serving.readers import ProcessReader, Reader

# The longest pause, in seconds, before a process is started again that fails again and again.
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Reloaded:
    """How replacing the model went.

    Attributes:
        model: The identity of the model that answers now.
        before: The identity of the one that answered before.
        problem: Why that one still answers; "" where the new one does.
    """

    model: dict[str, str]
    before: dict[str, str]
    problem: str = ""

    def in_words(self) -> str:
        """The result, for a log."""
        if self.problem:
            return f"The old model stays: {self.problem}"
        return f"The model was loaded again: {self.model['name']} {self.model['version']} ({self.model['digest']})"


class Crew:
    """Keeps readers at work: as many as there were at the beginning, all with the same model."""

    def __init__(self, engine: Engine, start: Callable[[int], list[Reader]], count: int) -> None:
        """Take over the readers of an engine.

        Args:
            engine: The engine.
            start: Starts so many readers with the model as it is on disk now. It raises a `UserError` where it can't.
            count: How many readers there are to be.
        """
        self._engine = engine
        self._start = start
        self._count = count
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        # Those that are being replaced while they read.
        self._leaving: set[Reader] = set()
        engine.died, engine.worn = self._died, self._worn

    async def reload(self) -> Reloaded:
        """Load the model again in new readers, while the old ones read, and exchange them between two batches."""
        async with self._busy:
            before = self._engine.model.identity
            try:
                readers = await asyncio.to_thread(self._start, self._count)
            except UserError as error:
                return Reloaded(before, before, error.what)
            except Exception as error:  # of a library that met a damaged file
                return Reloaded(before, before, f"The model can't be loaded: {type(error).__name__}")
            self._engine.exchange(readers)
            return Reloaded(self._engine.model.identity, before)

    def _died(self, reader: Reader) -> None:
        code = reader.exit_code if isinstance(reader, ProcessReader) else None
        _say(f"A process ended (exit code {code}); another one is started.")
        self._begin(self._replace())

    def _worn(self, reader: Reader) -> None:
        if reader not in self._leaving:
            self._leaving.add(reader)
            self._begin(self._renew(reader))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, worn: Reader) -> None:
        """Start a reader in the place of one that has met many words, which reads until then."""
        async with self._busy:
            try:
                if worn in self._engine.readers:
                    await self._fill(worn)
            except UserError as error:
                _say(f"A process that takes much memory could not be started anew: {error.what}")
        if worn in self._engine.readers:
            await asyncio.sleep(LONGEST_PAUSE)
        self._leaving.discard(worn)

    async def _replace(self) -> None:
        """Start a reader in place of one that has died."""
        pause = 1.0
        while True:
            async with self._busy:
                if len(self._engine.readers) >= self._count:
                    return
                try:
                    await self._fill()
                    return
                except UserError as error:
                    _say(f"A process could not be started again: {error.what}")
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _fill(self, worn: Reader | None = None) -> None:
        [reader] = await asyncio.to_thread(self._start, 1)
        if reader.model == self._engine.model:
            if worn is not None and worn in self._engine.readers:
                self._engine.replace(worn, reader)
            else:
                self._engine.add(reader)
            return
        # There is another model by now, and all readers are to have the same.
        reader.close()
        self._engine.exchange(await asyncio.to_thread(self._start, self._count))
        _say(f"All processes have the model that is there now: {self._engine.model}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
