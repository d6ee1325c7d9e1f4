"""Finding entities in several processes at once."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

from spacy_domain_ner.cores import shared_cores
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.extraction.lines import Extracted, extract_batch
from spacy_domain_ner.reading.texts import Line


def extract_in_workers(
    model: str | Path,
    batches: Iterable[list[Line]],
    workers: int,
    text_key: str = "text",
    expected: bool = False,
    **settings: Any,
) -> Iterator[tuple[list[Line], Extracted]]:
    """Find the entities in batches of lines, several at once, each in a process of its own.

    Only lines and rows pass between the processes: sending a Doc takes longer than making it.

    Args:
        model: A trained model's folder or package, which each process loads once.
        batches: The input.
        workers: The number of processes.
        text_key: The key of the text in JSON records.
        expected: As for `extract_batch`.
        settings: What else `Extractor` takes.

    Yields:
        Each batch and its result, in the order of the batches.

    Raises:
        BrokenProcessPool: A process was killed.
    """
    free: SimpleQueue[_Worker] = SimpleQueue()
    with shared_cores(workers):
        with _ctrl_c_held_back():
            processes = [_Worker(model, settings) for _ in range(workers)]
        for worker in processes:
            free.put(worker)

        def extract(batch: list[Line]) -> Extracted:
            worker = free.get()
            try:
                return worker.extract(batch, text_key, expected)
            finally:
                free.put(worker)

        pending: deque[tuple[list[Line], Future[Extracted]]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for batch in batches:
                pending.append((batch, pool.submit(extract, batch)))
                if len(pending) >= 2 * workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            for done, future in pending:
                yield done, future.result()
        finally:
            # After an error or Ctrl-C nobody waits for what has not begun.
            for worker in processes:
                worker.process.terminate()
            pool.shutdown(cancel_futures=True)


class _Worker:
    """A process that has loaded the model, and a pipe to it alone.

    Python's own ProcessPoolExecutor shares one pipe for all results: a process that is killed while it writes there
    leaves half a message and a lock, and the parent waits for ever. Here the pipe just ends.
    """

    def __init__(self, model: str | Path, settings: dict[str, Any]) -> None:
        # spawn: a forked copy of a process that has threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, model, settings), daemon=True)
        self.process.start()
        theirs.close()

    def extract(self, lines: list[Line], text_key: str, expected: bool) -> Extracted:
        try:
            self._connection.send((lines, text_key, expected))
            result = self._connection.recv()
        except (EOFError, OSError):
            raise BrokenProcessPool("a worker process was killed") from None
        if isinstance(result, Exception):
            raise result
        return result


def _work(connection: Connection, model: str | Path, settings: dict[str, Any]) -> None:
    # Where Ctrl-C can't be held back (Windows) it is ignored from here on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    extractor = Extractor(model, **settings)
    # Without a parent the pipe has ended, and so does this process.
    with suppress(EOFError, OSError):
        while True:
            lines, text_key, expected = connection.recv()
            try:
                result: Extracted | Exception = extract_batch(extractor, lines, text_key, expected)
            except Exception as error:  # for the parent to raise
                result = error
            connection.send(result)


def _end_with_parent() -> None:
    """End this process when its parent has ended, also while it loads the model or reads a long batch."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Ctrl-C waits for the end of the block; a process that is started in it never gets one: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Python starts this process with the first other one, and lets Ctrl-C through then.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
