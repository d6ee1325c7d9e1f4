"""The queue in which requests wait for the model, and share its batches."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving.batches import BATCH_CHARACTERS, Asked
from spacy_domain_ner.serving.model import Found, KnownModel
from spacy_domain_ner.serving.readers import Answers, DeadReaderError, Reader
from spacy_domain_ner.serving.settings import Settings

# Passages that wait at a reader while it reads as many as a batch may have, so that it need not wait for the next ones.
AHEAD = 32
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
        llm: For each passage what became of it at an LLM: `sent`, and `error` if it has not answered. Empty where no
            LLM helps.
    """

    model: KnownModel
    found: list[list[Entity] | str]
    expected: list[dict[str, float]]
    llm: Sequence[dict[str, Any]] = ()


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

    def note(self, number: int, found: Found, model: KnownModel) -> None:
        """Take what a model has found in a passage; with the last one the job is answered."""
        self.found[number], self.expected[number] = found
        self.left -= 1
        if not self.left and not self.answer.done():
            self.answer.set_result(Answer(model, self.found, self.expected if self.expects else []))

    def give_up(self, error: Exception) -> None:
        """Wait no longer: what the model has not read yet is left out."""
        if not self.answer.done():
            self.answer.set_exception(error)


class _Item(NamedTuple):
    """A passage: that of a job with a number, in the attempt in which it was taken."""

    job: Job
    number: int
    attempt: int

    @property
    def text(self) -> str:
        return self.job.texts[self.number]


class _Held:
    """The passages that a reader has, by their numbers."""

    def __init__(self) -> None:
        self.items: dict[int, _Item] = {}
        self.characters = 0
        # When it began to have some, or last gave some back.
        self.since = 0.0

    @property
    def job(self) -> Job | None:
        """The job of the first passage."""
        return next((item.job for item in self.items.values()), None)

    def has_room(self, item: _Item, most: int) -> bool:
        """Whether the reader may have a passage, too. What may be the death of a reader is read alone."""
        if (job := self.job) is None:
            return True
        if (item.job.deaths or job.deaths) and item.job is not job:
            return False
        return len(self.items) < most and self.characters + len(item.text) <= BATCH_CHARACTERS

    def add(self, number: int, item: _Item, now: float) -> None:
        if not self.items:
            self.since = now
        self.items[number] = item
        self.characters += len(item.text)

    def take(self, number: int) -> _Item | None:
        if (item := self.items.pop(number, None)) is not None:
            self.characters -= len(item.text)
        return item


class Engine:
    """Lets readers do the work of all requests.

    A reader gets passages as they come, as many as it can read next, and makes batches of what is there. The rest waits
    here: the passages of different requests go to it in turn, so that a large request does not make the small ones wait
    for its end. All of this happens in the event loop.

    Attributes:
        readers: What reads the requests that come next; all of them with the same model.
        model: The model.
        is_ending: Whether the server is about to end; what comes is still read.
        batches: How many batches were read.
        waiting: How many passages wait here; readers hold others.
        died: Called with a reader that has died; what it held goes to another one.
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
        # Also of readers that leave: they are closed when they hold nothing.
        self._held: dict[Reader, _Held] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers = itertools.count()
        # Whether passages will be given to readers in a moment.
        self._feeds = False
        self._ends = False
        self._ended: asyncio.Future[None] | None = None
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
        self.waiting += len(texts)
        self._feed_soon()
        return job

    def _begin(self) -> None:
        """Begin the work in this event loop; whoever waited in another one, such as a test's, has gone with it."""
        self._loop = asyncio.get_running_loop()
        self._jobs.clear()
        self._feeds = False
        self.waiting = 0
        for reader in self.readers:
            self._employ(reader)

    def _employ(self, reader: Reader) -> None:
        if self._loop is asyncio.get_running_loop():
            self._held[reader] = _Held()
            reader.attach(lambda answers: self._note(reader, answers), lambda: self._lose(reader))
            self._feed_soon()

    def add(self, reader: Reader) -> None:
        """Let one more reader work, which has the same model."""
        self.readers.append(reader)
        self._employ(reader)

    def replace(self, old: Reader, new: Reader) -> None:
        """Let a reader work that has the same model, in the place of one that closes after what it holds."""
        self.readers.remove(old)
        self._dismiss([old])
        self.add(new)

    def exchange(self, readers: Sequence[Reader]) -> None:
        """Let other readers read what comes next. A request of which they would read only the rest is begun again.

        Args:
            readers: The others. Those that were there close after what they hold.
        """
        before, self.readers, self.model = self.readers, list(readers), readers[0].model
        for job in self._jobs:
            if job.taken:
                self.waiting += job.taken
                job.begin()
        self._dismiss(before)
        for reader in readers:
            self._employ(reader)

    def _dismiss(self, readers: Iterable[Reader]) -> None:
        """Close the readers that are to leave and hold nothing."""
        for reader in readers:
            if reader not in self.readers and not (reader in self._held and self._held[reader].items):
                self._held.pop(reader, None)
                reader.close()

    async def close(self) -> None:
        """Finish what waits, and close the readers."""
        self._ends = True
        if self._loop is asyncio.get_running_loop():
            self._ended = self._loop.create_future()
            self._end_if_done()
            await self._ended
        while self.readers:
            self.readers.pop().close()

    def _end_if_done(self) -> None:
        is_done = not self._jobs and not any(held.items for held in self._held.values())
        if self._ended is not None and not self._ended.done() and (is_done or not self._held):
            self._ended.set_result(None)

    def _feed_soon(self) -> None:
        """Give passages to the readers when all that has arrived at once is here: one message takes them all."""
        if not self._feeds and self._loop is not None:
            self._feeds = True
            self._loop.call_soon(self._feed)

    def _feed(self) -> None:
        self._feeds = False
        now = asyncio.get_running_loop().time()
        given: dict[Reader, list[Asked]] = {}
        while self._jobs:
            job = self._jobs[0]
            if job.answer.done():
                self._jobs.popleft()
                self.waiting -= len(job.texts) - job.taken
                continue
            item = _Item(job, job.taken, job.attempt)
            if (reader := self._reader_for(item)) is None:
                break
            number = next(self._numbers)
            self._held[reader].add(number, item, now)
            given.setdefault(reader, []).append(Asked(number, item.text, job.expects))
            self._jobs.popleft()
            job.taken += 1
            self.waiting -= 1
            if job.taken < len(job.texts):
                self._jobs.append(job)
        for reader, passages in given.items():
            reader.send(passages)
        self._end_if_done()

    def _reader_for(self, item: _Item) -> Reader | None:
        """The reader with the least to do that has room for a passage."""
        most = self._settings.max_batch + AHEAD
        free = [reader for reader in self.readers if not reader.is_dead and self._held[reader].has_room(item, most)]
        return min(free, key=lambda reader: len(self._held[reader].items), default=None)

    def _note(self, reader: Reader, answers: Answers) -> None:
        """Take what a reader has found in a batch."""
        if (held := self._held.get(reader)) is None:
            return  # they were asked in another event loop
        now = asyncio.get_running_loop().time()
        pace = (now - held.since) / len(answers) / max(1, len(self.readers))
        self._pace += 0.1 * (pace - self._pace)
        held.since = now
        self.batches += 1
        for number, found in answers:
            if (item := held.take(number)) is not None and item.attempt == item.job.attempt:
                item.job.note(item.number, found, reader.model)
        if reader.is_worn:
            self.worn(reader)
        self._dismiss([reader])
        self._feed_soon()

    def _lose(self, reader: Reader) -> None:
        """Let others read what a reader that has died held."""
        for job in dict.fromkeys(item.job for item in self._held.pop(reader, _Held()).items.values()):
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
        reader.close()
        if reader in self.readers:
            self.readers.remove(reader)
            self.died(reader)
        self._feed_soon()
