"""Several processes that answer on one port: starting, replacing and ending them, and asking all of them."""

import asyncio
import itertools
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from spacy_domain_ner.cores import shared_cores
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.app import Service
from spacy_domain_ner.serving.group import Reloaded
from spacy_domain_ner.serving.metrics import Metrics, counters, merged
from spacy_domain_ner.serving.server import LINGER, bind_again, run_server
from spacy_domain_ner.serving.settings import Settings

# The longest pause, in seconds, before a process is started again that fails again and again.
LONGEST_PAUSE = 30.0


def supervise(
    model: str | Path, settings: Settings, listener: socket.socket, workers: int, started: Callable[[str], object]
) -> None:
    """Answer with several processes until a signal ends them. One that dies is replaced.

    Args:
        model: A trained model's folder, or the name of its package.
        settings: What the server was told.
        listener: A socket that is bound.
        workers: The number of processes.
        started: Called when all of them answer, with the model.

    Raises:
        UserError: The model can't be loaded.
    """
    _Supervisor(model, settings, listener, workers, started).run()


@dataclass
class _Round:
    """One question to all processes.

    Attributes:
        kind: What is asked: "prepare", "finish" or "metrics".
        asker: The process that wants to know, and its key; None for a signal.
        missing: The processes that have not replied.
        replies: What the others replied.
    """

    kind: str
    asker: "tuple[_Worker, int] | None"
    missing: "set[_Worker]"
    replies: list[Any] = field(default_factory=list)


class _Worker:
    """A process, and the pipe to it."""

    def __init__(self, model: str | Path, settings: Settings, listener: socket.socket) -> None:
        # spawn: a forked copy of a process that has threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(listener, theirs, model, settings))
        self.process.start()
        theirs.close()
        self.is_ready = False
        self.counted = Metrics()

    def send(self, *message: object) -> None:
        # What has died is noticed elsewhere.
        with suppress(OSError):
            self.connection.send(message)


class _Supervisor:
    """The parent: it reads what its processes send, and notices which of them has died."""

    def __init__(
        self,
        model: str | Path,
        settings: Settings,
        listener: socket.socket,
        workers: int,
        started: Callable[[str], object],
    ) -> None:
        self._model, self._settings, self._listener = model, settings, listener
        self._count = workers
        self._tell_started: Callable[[str], object] | None = started
        self._workers: list[_Worker] = []
        self._rounds: dict[int, _Round] = {}
        self._keys = itertools.count()
        # Of the reload that is under way: the model before, and what is wrong with the new one.
        self._before: dict[str, str] = {}
        self._problem = ""
        # What processes that have died had counted.
        self._retired = Metrics()
        self._failures = 0
        self._start_after = 0.0
        self._ends = False

    def run(self) -> None:
        """Run until a signal comes."""
        signals, written = os.pipe()
        os.set_blocking(written, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        before = signal.set_wakeup_fd(written)
        try:
            while not self._ends:
                while len(self._workers) < self._count and time.monotonic() >= self._start_after:
                    # Answering takes time, too, and not that of the model's threads.
                    with shared_cores(self._count, kept=1):
                        self._workers.append(_Worker(self._model, self._settings, self._listener))
                self._step(signals)
        finally:
            self._end()
            signal.set_wakeup_fd(before)
            os.close(signals)
            os.close(written)

    def _step(self, signals: int) -> None:
        """Wait until something happens, and see to it."""
        connections = {worker.connection: worker for worker in self._workers}
        sentinels = {worker.process.sentinel: worker for worker in self._workers}
        pause = self._start_after - time.monotonic()
        happened = wait([signals, *connections, *sentinels], pause if len(self._workers) < self._count else None)
        for one in happened:
            if one is signals:
                self._handle_signals(os.read(signals, 64))
            elif isinstance(one, Connection) and connections[one] in self._workers:
                worker = connections[one]
                try:
                    self._handle(worker, *one.recv())
                except (EOFError, OSError):
                    self._bury(worker)
            elif one in sentinels and sentinels[one] in self._workers and not sentinels[one].connection.poll():
                # One that was buried by what its pipe said is gone, with the pipe.
                self._bury(sentinels[one])

    def _handle_signals(self, numbers: bytes) -> None:
        if signal.SIGTERM in numbers or signal.SIGINT in numbers:
            self._ends = True
        elif signal.SIGHUP in numbers:
            self._ask_all("prepare", None)

    def _handle(self, worker: _Worker, kind: str, *rest: Any) -> None:
        if kind == "ready":
            worker.is_ready = True
            self._failures = 0
            if self._tell_started is not None and sum(each.is_ready for each in self._workers) == self._count:
                self._tell_started(rest[0])
                self._tell_started = None
        elif kind == "failed":
            if self._tell_started is not None:
                raise UserError(*rest)
            print(f"A process could not be started again: {rest[0]}", file=sys.stderr, flush=True)
        elif kind == "ask":
            key, what = rest
            if what == "prepare" and any(each.kind in ("prepare", "finish") for each in self._rounds.values()):
                worker.send("answer", key, Reloaded({}, {}, "another reload is under way"))
            else:
                self._ask_all(what, (worker, key))
        elif kind == "reply":
            key, value = rest
            found = self._rounds.get(key)
            if found is not None and worker in found.missing:
                found.missing.discard(worker)
                found.replies.append(value)
                if found.kind == "metrics":
                    worker.counted = value
            self._close_rounds()

    def _ask_all(self, kind: str, asker: "tuple[_Worker, int] | None", *rest: object) -> None:
        key = next(self._keys)
        asked = {worker for worker in self._workers if worker.is_ready}
        self._rounds[key] = _Round(kind, asker, asked)
        for worker in asked:
            worker.send(kind, key, *rest)
        self._close_rounds()

    def _close_rounds(self) -> None:
        for key, done in list(self._rounds.items()):
            if not done.missing and key in self._rounds:
                del self._rounds[key]
                self._conclude(done)

    def _conclude(self, done: _Round) -> None:
        if done.kind == "metrics":
            self._answer(done, [self._retired, *done.replies])
        elif done.kind == "prepare":
            # All processes exchange the model, or none does.
            problem = next((problem for problem, _ in done.replies if problem), "")
            if not done.replies:
                problem = "no process answers"
            self._before = done.replies[0][1] if done.replies else {}
            self._problem = problem
            self._ask_all("finish", done.asker, not problem)
        else:
            model = done.replies[0] if done.replies else {}
            self._answer(done, Reloaded(model, self._before, self._problem))

    def _answer(self, done: _Round, value: Any) -> None:
        if done.asker is not None:
            worker, key = done.asker
            worker.send("answer", key, value)
        elif isinstance(value, Reloaded):
            print(value.in_words(), file=sys.stderr, flush=True)

    def _bury(self, worker: _Worker) -> None:
        """Forget a process that has died, so that another one is started."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join()
        if self._tell_started is not None:
            raise UserError(
                f"A process of the server ended before it was ready (exit code {worker.process.exitcode})",
                "If memory is short, start fewer with `workers`.",
            )
        self._retired = merged([self._retired, counters(worker.counted)])
        if not worker.is_ready:
            self._failures += 1
        self._start_after = time.monotonic() + (min(LONGEST_PAUSE, 2.0**self._failures) if self._failures else 0)
        print(
            f"A process ended (exit code {worker.process.exitcode}); another one is started.",
            file=sys.stderr,
            flush=True,
        )
        for each in self._rounds.values():
            each.missing.discard(worker)
        self._close_rounds()

    def _end(self) -> None:
        """End all processes; they finish what they have taken."""
        for worker in self._workers:
            worker.process.terminate()
        # New connections are refused when no process accepts any more.
        self._listener.close()
        ends_at = time.monotonic() + LINGER + 2 * self._settings.timeout + 5
        for worker in self._workers:
            worker.process.join(max(0.0, ends_at - time.monotonic()))
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()


def _work(listener: socket.socket, connection: Connection, model: str | Path, settings: Settings) -> None:
    """A process: it answers, and does what the parent says."""
    # Ctrl-C comes to all processes of a terminal; the parent sees to it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        service = Service(model, settings)
    except UserError as error:
        connection.send(("failed", error.what, error.hint))
        sys.exit(1)
    member = Member(connection, service)
    service.group = member

    def started() -> None:
        member.start()
        member.send("ready", str(service.engine.model))

    run_server(service, bind_again(listener), started)
    # All is done and written, and taking the interpreter apart takes seconds.
    os._exit(0)


class Member:
    """A process as part of a group: it asks its parent, who asks all."""

    def __init__(self, connection: Connection, service: Service) -> None:
        """Make the member.

        Args:
            connection: The pipe to the parent.
            service: What answers in this process.
        """
        self._connection = connection
        self._service = service
        self._sending = threading.Lock()
        self._keys = itertools.count()
        self._asked: dict[int, asyncio.Future[Any]] = {}

    def start(self) -> None:
        """Begin to listen to the parent, in the event loop's thread."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, name="parent", daemon=True).start()

    async def reload(self) -> Reloaded:
        """Replace the model in all processes, or in none."""
        done: Reloaded = await self._ask("prepare")
        return done

    async def metrics(self) -> list[Metrics]:
        """What each process has counted."""
        counted: list[Metrics] = await self._ask("metrics")
        return counted

    def send(self, *message: object) -> None:
        """Send a message to the parent; one that has gone gets none."""
        with self._sending, suppress(OSError):
            self._connection.send(message)

    async def _ask(self, what: str) -> Any:
        key = next(self._keys)
        self._asked[key] = asyncio.get_running_loop().create_future()
        self.send("ask", key, what)
        try:
            return await self._asked[key]
        finally:
            del self._asked[key]

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                kind, key, *rest = self._connection.recv()
                if kind == "prepare":
                    # Takes a while, and the parent may ask something else meanwhile.
                    threading.Thread(target=self._prepare, args=(key,), daemon=True).start()
                else:
                    self._loop.call_soon_threadsafe(self._do, kind, key, *rest)
        # Without a parent, nobody would end this process.
        os.kill(os.getpid(), signal.SIGTERM)

    def _prepare(self, key: int) -> None:
        before = self._service.engine.model.identity
        self.send("reply", key, (self._service.replacement.prepare(), before))

    def _do(self, kind: str, key: int, *rest: Any) -> None:
        if kind == "finish":
            self.send("reply", key, self._service.replacement.finish(rest[0]))
        elif kind == "metrics":
            self.send("reply", key, self._service.count())
        elif key in self._asked and not self._asked[key].done():
            self._asked[key].set_result(rest[0])
