"""Work on batches in several processes at once."""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

from spacy_domain_ner.cores import shared_cores

Batch = TypeVar("Batch")
Result = TypeVar("Result")


def in_processes(
    make: Callable[[], Callable[[Batch], Result]], batches: Iterable[Batch], workers: int
) -> Iterator[tuple[Batch, Result]]:
    """Work on batches, several at once, each in a process of its own.

    Only batches and results pass between the processes: sending a Doc takes longer than making it.

    Args:
        make: Called once in each process; what it gives works on one batch after the other. It must be possible to
            pickle it, as it is for functions of modules and partial ones of these.
        batches: The input, which may be a stream: only a few batches are in memory at a time.
        workers: The number of processes.

    Yields:
        Each batch and its result, in the order of the batches.

    Raises:
        BrokenProcessPool: A process was killed.
    """
    free: SimpleQueue[_Worker[Batch, Result]] = SimpleQueue()
    with shared_cores(workers):
        with _ctrl_c_held_back():
            processes = [_Worker(make) for _ in range(workers)]
        for worker in processes:
            free.put(worker)

        def work(batch: Batch) -> Result:
            worker = free.get()
            try:
                return worker.work(batch)
            finally:
                free.put(worker)

        pending: deque[tuple[Batch, Future[Result]]] = deque()
        pool = ThreadPoolExecutor(workers)
        try:
            for batch in batches:
                pending.append((batch, pool.submit(work, batch)))
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


class _Worker(Generic[Batch, Result]):
    """A process that is ready to work, and a pipe to it alone.

    Python's own ProcessPoolExecutor shares one pipe for all results: a process that is killed while it writes there
    leaves half a message and a lock, and the parent waits for ever. Here the pipe just ends.
    """

    def __init__(self, make: Callable[[], Callable[[Batch], Result]]) -> None:
        # spawn: a forked copy of a process that has threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, make), daemon=True)
        self.process.start()
        theirs.close()

    def work(self, batch: Batch) -> Result:
        try:
            self._connection.send(batch)
            result: Any = self._connection.recv()
        except (EOFError, OSError):
            raise BrokenProcessPool("a worker process was killed") from None
        if isinstance(result, Exception):
            raise result
        found: Result = result
        return found


def _work(connection: Connection, make: Callable[[], Callable[[Any], Any]]) -> None:
    # Where Ctrl-C can't be held back (Windows) it is ignored from here on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    work = make()
    # Without a parent the pipe has ended, and so does this process.
    with suppress(EOFError, OSError):
        while True:
            batch = connection.recv()
            try:
                result = work(batch)
            except Exception as error:  # for the parent to raise
                result = error
            connection.send(result)


def _end_with_parent() -> None:
    """End this process when its parent has ended, also while it loads a model or reads a long batch."""
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
