"""The processes of a server as one: replacing the model in all of them, and adding up what they count."""

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.engine import Engine
from spacy_domain_ner.serving.metrics import Metrics
from spacy_domain_ner.serving.model import ServedModel
from spacy_domain_ner.serving.settings import Settings


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


class Group(Protocol):
    """What the routes ask of all processes together."""

    async def reload(self) -> Reloaded:
        """Replace the model in all processes, or in none."""

    async def metrics(self) -> list[Metrics]:
        """What each process has counted."""


class Replacement:
    """The two steps of replacing the model of one process: load the new one beside the old one, and exchange them."""

    def __init__(self, engine: Engine, source: str | Path | Language, settings: Settings) -> None:
        """Name the model.

        Args:
            engine: What reads with it.
            source: What it was loaded from, and is loaded from again.
            settings: What the server was told.
        """
        self._engine = engine
        self._source = source
        self._settings = settings
        self._new: ServedModel | None = None

    def prepare(self) -> str:
        """Load the new model and let it read a passage, while the old one answers.

        Returns:
            Why that can't be done; "" where it is done.
        """
        if isinstance(self._source, Language):
            return "The model was given as a pipeline, and not as the name of a folder or package"
        try:
            self._new = ServedModel(self._source, self._settings)
        except UserError as error:
            return error.what
        except Exception as error:  # of a library that met a damaged file
            return f"The model can't be loaded: {type(error).__name__}"
        return ""

    def finish(self, use: bool) -> dict[str, str]:
        """Exchange the models between two batches, or forget the new one.

        Args:
            use: Whether the new one is used.

        Returns:
            The identity of the model that answers from now on.
        """
        if use and self._new is not None:
            self._engine.exchange(self._new)
        self._new = None
        gc.collect()
        return self._engine.model.identity


class Alone:
    """A group of one process."""

    def __init__(self, engine: Engine, replacement: Replacement, count: Callable[[], Metrics]) -> None:
        """Make the group.

        Args:
            engine: What reads.
            replacement: What replaces its model.
            count: Gives what the process has counted.
        """
        self._engine = engine
        self._replacement = replacement
        self._count = count
        self._busy = asyncio.Lock()

    async def reload(self) -> Reloaded:
        """Replace the model."""
        async with self._busy:
            before = self._engine.model.identity
            problem = await asyncio.to_thread(self._replacement.prepare)
            return Reloaded(self._replacement.finish(not problem), before, problem)

    async def metrics(self) -> list[Metrics]:
        """What the process has counted."""
        return [self._count()]
