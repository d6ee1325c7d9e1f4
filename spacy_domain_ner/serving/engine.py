"""The queue in which requests wait for the model, and share its batches."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.model import KnownModel
from spacy_domain_ner.serving.readers import DeadReaderError, Reader
from spacy_domain_ner.serving.settings import Settings

# A batch ends after so many characters, however few passages it has: others wait while the model reads it.
BATCH_CHARACTERS = 25_000
# A request during which so many processes have died gets no other one.
DEATHS = 2


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

    model: KnownModel
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
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.arrived = asyncio.get_running_loop().time()
        self.deaths = 0
        # One model reads all passages: if it is replaced meanwhile, the next one begins again.
        self.attempt = 0
        self.begin()

    def begin(self) -> None:
        """Forget what was read."""
        self.attempt += 1
        self.taken = 0
        self.left = len(self.texts)
        self.found: list[list[Entity] | str] = [[] for _ in self.texts]
        self.expected: list[dict[str, float]] = [{} for _ in self.texts]

    def give_up(self, error: Exception) -> None:
        """Wait no longer: what the model has not read yet is left out."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Item(NamedTuple):
    """A passage of a batch: that of a job with a number, in the attempt in which it was taken."""

    job: Job
    number: int
    attempt: int


class Engine:
    """Lets readers do the work of all requests, a batch at a time.

    A reader takes what waits: the passages of different requests in turn, so that a large request does not make the
    small ones wait for its end. While it reads a batch, the next one gathers. All of this happens in the event loop.

    Attributes:
        readers: What reads the requests that come next; all of them with the same model.
        is_ending: Whether the server is about to end; what comes is still read.
        batches: How many batches were read.
        waiting: How many passages wait for a reader.
        died: Called with a reader that has died; what it was reading goes to another one.
        worn: Called after each batch of a reader in whose place a new one is to work.
    """

    def __init__(self, readers: Sequence[Reader], settings: Settings) -> None:
        """Prepare the work, which begins with the first request.

        Args:
            readers: What reads, at least one.
            settings: What the server was told.
        """
        self.readers = list(readers)
        self.model = readers[0].model
        self._settings = settings
        self._jobs: deque[Job] = deque()
        self.waiting = 0
        # Readers that wait for passages: what wakes each, and how many it waits for.
        self._idle: dict[Reader, tuple[asyncio.Future[None], int]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends = False
        self.is_ending = False
        self.died: Callable[[Reader], object] = lambda _: None
        self.worn: Callable[[Reader], object] = lambda _: None
        # Seconds per passage, for what a full queue says.
        self._pace = 0.001
        self.batches = 0

    def submit(self, texts: Sequence[str], expects: bool = False) -> Job:
        """Queue the passages of one request.

        Args:
            texts: The passages, at least one.
            expects: Whether the expected numbers of entities are asked, too; the model reads the passages once more.

        Returns:
            The job, whose `answer` can be awaited.

        Raises:
            QueueFullError: There is no room for them.
        """
        if self._loop is not asyncio.get_running_loop():
            self._begin()
        if self.waiting + len(texts) > self._settings.queue or self._ends:
            raise QueueFullError(self.waiting * self._pace)
        job = Job(texts, expects)
        self._jobs.append(job)
        is_first = not self.waiting
        self.waiting += len(texts)
        for wake, wanted in self._idle.values():
            if is_first or self.waiting >= wanted:
                _set(wake)
                break
        return job

    def _begin(self) -> None:
        """Begin the work in this event loop; whoever waited in another one, such as a test's, has gone with it."""
        self._loop = asyncio.get_running_loop()
        self._jobs.clear()
        self._idle.clear()
        self._tasks.clear()
        self.waiting = 0
        for reader in self.readers:
            self._employ(reader)

    def _employ(self, reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            task = loop.create_task(self._work(reader))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            # One that dies while it waits is replaced at once.
            reader.attach(lambda: self._wake(reader))

    def add(self, reader: Reader) -> None:
        """Let one more reader work, which has the same model."""
        self.readers.append(reader)
        self._employ(reader)

    def replace(self, old: Reader, new: Reader) -> None:
        """Let a reader work that has the same model, in the place of one that closes after the batch that it reads."""
        self.readers.remove(old)
        self._wake(old)
        self.add(new)

    def exchange(self, readers: Sequence[Reader]) -> None:
        """Let other readers read what comes next. A request of which they would read only the rest is begun again.

        Args:
            readers: The others. Those that were there close after the batch that they read.
        """
        before, self.readers, self.model = self.readers, list(readers), readers[0].model
        for job in self._jobs:
            if job.taken:
                self.waiting += job.taken
                job.begin()
        if not self._tasks:
            for reader in before:
                reader.close()
        for reader in readers:
            self._employ(reader)
        self._wake_all()

    async def close(self) -> None:
        """Finish what waits, and close the readers."""
        self._ends = True
        self._wake_all()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for reader in self.readers:
            reader.close()

    def _wake_all(self) -> None:
        for reader in self._idle:
            self._wake(reader)

    def _wake(self, reader: Reader) -> None:
        if reader in self._idle:
            _set(self._idle[reader][0])

    async def _work(self, reader: Reader) -> None:
        loop = asyncio.get_running_loop()
        batch, read = [], 0
        try:
            while batch := await self._gather(reader, read):
                started, read = loop.time(), len(batch)
                texts = [item.job.texts[item.number] for item in batch]
                found = await reader.read(texts, [place for place, item in enumerate(batch) if item.job.expects])
                for item, (entities, expected) in zip(batch, found, strict=True):
                    self._note(reader, item, entities, expected)
                pace = (loop.time() - started) / len(batch) / max(1, len(self.readers))
                self._pace += 0.1 * (pace - self._pace)
                self.batches += 1
                batch = []
                if reader.is_worn:
                    self.worn(reader)
        except DeadReaderError:
            self._take_back(batch)
            if reader in self.readers:
                self.readers.remove(reader)
                self.died(reader)
        if reader not in self.readers:
            reader.close()

    def _note(self, reader: Reader, item: _Item, entities: list[Entity] | str, expected: dict[str, float]) -> None:
        job = item.job
        if item.attempt != job.attempt:
            return
        job.found[item.number] = entities
        job.expected[item.number] = expected
        job.left -= 1
        if not job.left and not job.answer.done():
            job.answer.set_result(Answer(reader.model, job.found, job.expected if job.expects else []))

    def _take_back(self, batch: Sequence[_Item]) -> None:
        """Let others read what a reader that has died was reading."""
        for job in dict.fromkeys(item.job for item in batch):
            job.deaths += 1
            if job in self._jobs:
                self._jobs.remove(job)
                self.waiting -= len(job.texts) - job.taken
            if job.deaths >= DEATHS:
                job.give_up(DeadReaderError())
            else:
                job.begin()
                self._jobs.appendleft(job)
                self.waiting += len(job.texts)
        self._wake_all()

    async def _gather(self, reader: Reader, read: int) -> list[_Item]:
        """Wait for passages and take a batch of them; an empty one means that the reader is to end.

        Where many requests have just been answered, the next ones of some clients are under way: the reader waits until
        half as many passages are there as it has `read` last, for a while.
        """
        loop = asyncio.get_running_loop()
        wanted, free = (read + 1) // 2, loop.time()
        while reader in self.readers:
            if reader.is_dead:
                raise DeadReaderError
            if self._jobs:
                ready = max(self._jobs[0].arrived, free) + self._settings.max_wait_ms / 1_000
                left = ready - loop.time()
                if self.waiting >= wanted or left <= 0 or self._ends:
                    if batch := self._take():
                        return batch
                    continue
            elif self._ends:
                break
            wake: asyncio.Future[None] = loop.create_future()
            self._idle[reader] = wake, wanted
            timer = loop.call_later(left, _set, wake) if self._jobs else None
            await wake
            del self._idle[reader]
            if timer is not None:
                timer.cancel()
        return []

    def _take(self) -> list[_Item]:
        batch: list[_Item] = []
        characters, most = 0, self._settings.max_batch
        while self._jobs and len(batch) < most and characters < BATCH_CHARACTERS:
            job = self._jobs[0]
            if batch and (job.deaths or batch[0].job.deaths) and job is not batch[0].job:
                break  # what may be the death of a reader is read alone
            self._jobs.popleft()
            if job.answer.done():
                self.waiting -= len(job.texts) - job.taken
                continue
            batch.append(_Item(job, job.taken, job.attempt))
            characters += len(job.texts[job.taken])
            job.taken += 1
            self.waiting -= 1
            if job.taken < len(job.texts):
                self._jobs.append(job)
        return batch


def _set(wake: "asyncio.Future[None]") -> None:
    if not wake.done():
        wake.set_result(None)
