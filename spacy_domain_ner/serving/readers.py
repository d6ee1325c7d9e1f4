"""What reads with a model: a thread of this process, or a process of its own.

Python runs one thread at a time. A model in the process that answers requests would take turns with it; in a process of
its own it has a core to itself.
"""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from spacy_domain_ner.cores import shared_cores
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Thresholds
from spacy_domain_ner.serving.batches import BATCH_CHARACTERS, Asked, answer_messages
from spacy_domain_ner.serving.model import Found, KnownModel, ServedModel
from spacy_domain_ner.serving.settings import Settings

# How long, in seconds, a process that was told to end may take.
PATIENCE = 5.0
# Bytes on the way to a process, which takes them between two batches: more than a batch has. macOS keeps 8,192.
ON_THE_WAY = 8 * BATCH_CHARACTERS


# What was found in the passages of a batch, each with its number.
Answers = list[tuple[int, Found]]


class DeadReaderError(Exception):
    """The process that was reading has died."""


class Reader:
    """What reads with a model that is loaded in this process, in a thread.

    Attributes:
        model: What is known of the model.
        pid: The process in which it is.
        is_dead: Whether that process has ended.
        is_worn: Whether that process has met so many words that a new one is to take its place.
    """

    model: KnownModel
    pid: int
    is_dead = False
    is_worn = False

    def __init__(self, served: ServedModel, settings: Settings) -> None:
        """Take a model, which belongs to the reader from now on: neither spaCy's vocabulary nor its memory zones take
        more than one thread."""
        self._prepare()
        self.model, self.pid = served.known, os.getpid()
        self._messages: SimpleQueue[Any] = SimpleQueue()
        Thread(target=self._read, args=(served, settings), name="model", daemon=True).start()

    def _prepare(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: deque[asyncio.Future[Any]] = deque()

    def attach(self, found: Callable[[Answers], object], died: Callable[[], object]) -> None:
        """Begin to work in this event loop.

        Args:
            found: Called with what was found in the passages of a batch, each with its number.
            died: Called when the reader dies.
        """
        self._loop, self._found, self._died = asyncio.get_running_loop(), found, died

    def send(self, passages: Sequence[Asked]) -> None:
        """Let passages be read, together with others that wait here: what was found comes to `found` of `attach`.

        Args:
            passages: The passages.
        """
        self._put(("read", passages))

    async def thresholds(
        self, min_confidence: float | Mapping[str, float] | None, precision: float | None, keep_unproven: bool
    ) -> Thresholds:
        """Find how sure the model must be of an entity, as `ServedModel.thresholds` does.

        Raises:
            UserError: A value does not fit, or the model has no confidence or no thresholds.
            DeadReaderError: The reader died.
        """
        if self.is_dead:
            raise DeadReaderError
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._put(("thresholds", min_confidence, precision, keep_unproven))
        found: Thresholds = await answer
        return found

    def close(self) -> None:
        """End, after what it is asked at present."""
        self._messages.put(None)

    def _put(self, message: tuple[Any, ...]) -> None:
        self._messages.put(message)

    def _answered(self, what: str, answer: Any, about: Any) -> None:
        """Hand an answer on; it is `about` whether the model is worn, or about what is wrong with a question."""
        if what == "read":
            self.is_worn = about
            self._found(answer)
        elif not (asked := self._asked.popleft()).done():
            if about is None:
                asked.set_result(answer)
            else:
                asked.set_exception(UserError(*about))

    def _read(self, served: ServedModel, settings: Settings) -> None:
        """The thread."""

        def receive(seconds: float | None) -> Any:
            try:
                message = self._messages.get(timeout=seconds) if seconds != 0 else self._messages.get_nowait()
            except Empty:
                return None
            if message is None:
                raise EOFError
            return message

        def send(answer: tuple[Any, ...]) -> None:
            # The loop may have ended meanwhile, as that of a test does.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answered, *answer)  # type: ignore[union-attr]

        with suppress(EOFError):
            answer_messages(served, settings, receive, send)


class ProcessReader(Reader):
    """What reads with a model in a process of its own, which ends with this one, however this one ends."""

    def __init__(self, model: str | Path, settings: Settings, processes: int) -> None:
        """Start the process. `wait` tells when it is ready, so that several can start side by side.

        Args:
            model: A trained model's folder, or the name of its package.
            settings: What the server was told.
            processes: Among how many processes the cores are shared.
        """
        self._prepare()
        self._connection, theirs = _connected()
        # Modules are found where this process finds them.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import _work; _work({theirs.fileno()})"
        # Answering takes time, too, and not that of the model's threads.
        with shared_cores(processes, kept=1):
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        theirs.close()
        self.pid = self._process.pid
        self._connection.send((model, settings))

    def wait(self) -> None:
        """Wait until the model is loaded and warm.

        Raises:
            UserError: It can't be loaded.
        """
        try:
            self.model, problem = self._connection.recv()
        except (OSError, EOFError):
            problem = (
                f"The process that loaded the model has ended (exit code {self._process.wait()})",
                "If memory is short, start fewer with `workers`.",
            )
        if problem is not None:
            raise UserError(*problem)

    @property
    def exit_code(self) -> int:
        """How the process has ended."""
        return self._process.wait()

    def attach(self, found: Callable[[Answers], object], died: Callable[[], object]) -> None:
        """Begin to work in this event loop.

        Args:
            found: Called with what was found in the passages of a batch, each with its number.
            died: Called when the process ends.
        """
        super().attach(found, died)
        asyncio.get_running_loop().add_reader(self._connection.fileno(), self._receive)
        # uvloop makes it one that does not block, and then half of a message could not be read.
        os.set_blocking(self._connection.fileno(), True)

    def close(self) -> None:
        """End, after what it is asked at present."""
        self._detach()
        self._connection.close()
        Thread(target=self._end, name="ending").start()

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._connection.fileno())

    def _end(self) -> None:
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _put(self, message: tuple[Any, ...]) -> None:
        try:
            self._connection.send(message)
        except OSError:
            self._die()

    def _receive(self) -> None:
        try:
            answer = self._connection.recv()
        except (OSError, EOFError):
            self._die()
            return
        self._answered(*answer)

    def _die(self) -> None:
        if self.is_dead:
            return
        self.is_dead = True
        self._process.kill()
        self._detach()
        while self._asked:
            if not (asked := self._asked.popleft()).done():
                asked.set_exception(DeadReaderError())
        # Not before whoever is sending has done so.
        asyncio.get_running_loop().call_soon(self._died)


def start_processes(model: str | Path, settings: Settings, count: int, processes: int) -> list[Reader]:
    """Start processes side by side, and wait until each has the model.

    Args:
        model: A trained model's folder, or the name of its package.
        settings: What the server was told.
        count: How many are started.
        processes: Among how many the cores are shared.

    Raises:
        UserError: One of them can't load it; then the others are ended.
    """
    readers = [ProcessReader(model, settings, processes) for _ in range(count)]
    try:
        for reader in readers:
            reader.wait()
        if any(reader.model != readers[0].model for reader in readers):
            raise UserError("The model was changed while it was loaded", "Reload it when it is whole.")
    except BaseException:
        for reader in readers:
            reader.close()
        raise
    return [*readers]


def _connected() -> tuple[Connection, Connection]:
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ON_THE_WAY)
    ours, theirs = (Connection(end.detach()) for end in ends)
    return ours, theirs


def _work(handle: int) -> None:
    """The process: it answers questions until nobody can ask any more."""
    # Signals come to all processes of a terminal or a service; the one that answers requests sees to them.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    connection = Connection(handle)
    poll = select.poll()
    poll.register(handle, select.POLLIN)

    def receive(seconds: float | None) -> Any:
        return connection.recv() if poll.poll(None if seconds is None else 1_000 * seconds) else None

    with suppress(OSError, EOFError):
        model, settings = connection.recv()
        try:
            served = ServedModel(model, settings)
        except UserError as error:
            connection.send((None, (error.what, error.hint)))
            return
        except Exception as error:  # of a library that met a damaged file
            connection.send((None, (f"The model can't be loaded: {type(error).__name__}", "")))
            return
        connection.send((served.known, None))
        answer_messages(served, settings, receive, connection.send)
    # All is done, and taking the interpreter apart takes seconds.
    os._exit(0)
