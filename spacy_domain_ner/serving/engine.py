"""One thread that lets the model read, and a queue in which requests wait for it and share its batches."""

import asyncio
import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.model import ServedModel
from spacy_domain_ner.serving.settings import Settings

# A batch ends after so many characters, however few passages it has: others wait while the model reads it.
BATCH_CHARACTERS = 25_000


class QueueFullError(Exception):
    """There is no room for the passages of a request.

    Attributes:
        seconds: How long what is there is likely to take.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("the queue is full")
        self.seconds = seconds


class Answer(NamedTuple):
    """What the model found in the passages of one request.

    Attributes:
        model: The model that read them, all of them.
        found: For each passage its entities, or why the model failed on it.
        expected: For each passage the expected number of entities by type, where that was asked.
    """

    model: ServedModel
    found: list[list[Entity] | str]
    expected: list[dict[str, float]]


class Job:
    """The passages of one request.

    Attributes:
        texts: The passages.
        expects: Whether the expected numbers of entities are asked, too.
        answer: What is awaited.
    """

    def __init__(self, texts: Sequence[str], expects: bool = False) -> None:
        self.texts = texts
        self.expects = expects
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Answer] = self.loop.create_future()
        self.arrived = time.monotonic()
        # The model that has read the first passage reads them all.
        self.model: ServedModel | None = None
        self.found: list[list[Entity] | str] = [[] for _ in texts]
        self.expected: list[dict[str, float]] = [{} for _ in texts] if expects else []
        self.taken = 0
        self.read = 0
        self.is_gone = False

    def give_up(self, error: Exception) -> None:
        """Wait no longer: what the model has not read yet is left out. Called in the event loop's thread."""
        if not self.answer.done():
            self.is_gone = True
            self.answer.set_exception(error)

    def deliver(self) -> None:
        """Give the answer to whoever waits for it; called in the event loop's thread."""
        if not self.answer.done() and self.model is not None:
            self.answer.set_result(Answer(self.model, self.found, self.expected))


class Engine:
    """Lets one thread do the work of all requests: neither spaCy's vocabulary nor its memory zones take more.

    The thread takes what waits: the passages of different requests in turn, so that a large request does not make the
    small ones wait for its end. While it reads a batch, the next one gathers.

    Attributes:
        model: The model that reads the requests that come next.
        is_ending: Whether the server is about to end; what comes is still read.
        batches: How many batches were read.
    """

    def __init__(self, model: ServedModel, settings: Settings) -> None:
        """Prepare the thread, which starts with the first request.

        Args:
            model: The model.
            settings: What the server was told.
        """
        self.model = model
        self._settings = settings
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._ends = False
        self.is_ending = False
        # Seconds per passage, for what a full queue says.
        self._pace = 0.001
        # How many passages the last batch had, and how many the thread waits for.
        self._last = self._wanted = 0
        self.batches = 0

    @property
    def waiting(self) -> int:
        """How many passages wait for the model."""
        return self._waiting

    def submit(self, texts: Sequence[str], expects: bool = False) -> Job:
        """Queue the passages of one request, in the event loop's thread.

        Args:
            texts: The passages, at least one.
            expects: Whether the expected numbers of entities are asked, too; the model reads the passages once more.

        Returns:
            The job, whose `answer` can be awaited.

        Raises:
            QueueFullError: There is no room for them.
        """
        job = Job(texts, expects)
        with self._changed:
            if self._waiting + len(texts) > self._settings.queue or self._ends:
                raise QueueFullError(self._waiting * self._pace)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="model", daemon=True)
                self._thread.start()
            self._jobs.append(job)
            self._waiting += len(texts)
            if self._waiting >= self._wanted:
                self._changed.notify()
        return job

    def exchange(self, model: ServedModel) -> None:
        """Let another model read the requests that come next. What was begun is finished by the model that began it."""
        with self._changed:
            self.model = model

    def close(self) -> None:
        """Finish what waits, and end the thread."""
        with self._changed:
            self._ends = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while batch := self._gather():
            started = time.monotonic()
            # Two models take part while one is exchanged for the other.
            for model, items in itertools.groupby(batch, key=lambda item: item[0].model or self.model):
                self._read(model, list(items))
            self._pace += 0.1 * ((time.monotonic() - started) / len(batch) - self._pace)
            self.batches += 1
            done = [job for job in dict.fromkeys(job for job, _ in batch) if job.read == len(job.texts)]
            for loop, jobs in itertools.groupby(done, key=lambda job: job.loop):
                # One call wakes the loop for all of them. A loop that was closed has nobody who waits.
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(_deliver, list(jobs))
            # Nothing of them stays while the thread waits.
            del batch, done

    def _gather(self) -> list[tuple[Job, int]]:
        """Wait for passages and take a batch of them; an empty one means that the thread is to end."""
        settings, free = self._settings, time.monotonic()
        with self._changed:
            while True:
                while not self._jobs and not self._ends:
                    self._changed.wait()
                if not self._jobs:
                    return []
                # Where many have just got their answers, the next requests of some are under way.
                self._wanted = (self._last + 1) // 2
                ready = max(self._jobs[0].arrived, free) + settings.max_wait_ms / 1_000
                while self._waiting < self._wanted and not self._ends:
                    if (left := ready - time.monotonic()) <= 0:
                        break
                    self._changed.wait(left)
                self._wanted = 0
                if batch := self._take(settings.max_batch):
                    self._last = len(batch)
                    return batch

    def _take(self, most: int) -> list[tuple[Job, int]]:
        batch: list[tuple[Job, int]] = []
        characters = 0
        while self._jobs and len(batch) < most and characters < BATCH_CHARACTERS:
            job = self._jobs.popleft()
            if job.is_gone:
                self._waiting -= len(job.texts) - job.taken
                continue
            job.model = job.model or self.model
            batch.append((job, job.taken))
            characters += len(job.texts[job.taken])
            job.taken += 1
            self._waiting -= 1
            if job.taken < len(job.texts):
                self._jobs.append(job)
        # Models side by side, in the order in which they came.
        return sorted(batch, key=lambda item: item[0].model is self.model)

    def _read(self, model: ServedModel, items: list[tuple[Job, int]]) -> None:
        texts = [job.texts[number] for job, number in items]
        expecting = [(job, number) for job, number in items if job.expects]
        try:
            found: list[Any] = list(model.extractor(texts))
            expected = list(
                model.extractor.expected([job.texts[number] for job, number in expecting]) if expecting else ()
            )
        except Exception as error:  # of any component, on any text
            if len(items) > 1:
                for item in items:
                    self._read(model, [item])
                return
            # Its message may quote the text.
            found, expected = [f"the model failed on this passage ({type(error).__name__})"], [{} for _ in expecting]
        for (job, number), counts in zip(expecting, expected, strict=True):
            job.expected[number] = counts
        for (job, number), entities in zip(items, found, strict=True):
            job.found[number] = entities
            job.read += 1


def _deliver(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.deliver()
