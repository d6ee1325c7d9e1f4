"""Finding the entities in any amount of text: one text, or files and streams of passages, in batches."""

import json
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_domain_ner.corpus.jsonl import RefusedError, parse_record
from spacy_domain_ner.extraction.inputs import Line
from spacy_domain_ner.models import load_model

# Words that the vocabulary learns before a batch's words are forgotten again; enough to fill the tokenizer's cache.
KEPT_WORDS = 30_000


def extract_entities(nlp: Language, text: str) -> list[dict[str, Any]]:
    """Find the entities in one text.

    nlp: A trained pipeline.
    text: The text.
    RETURNS: For each entity its surface form `name`, its `type`, and `start` and `end` in code points, `end`
        exclusive, so that `text[start:end] == name`; and `confidence`, 0 to 1, where the model says it.
    """
    return _entities(nlp(text), {})


@dataclass
class Extracted:
    """The result of one batch. rows: JSON lines, encoded; refusals: what could not be read, with its place."""

    rows: bytes = b""
    passages: int = 0
    entities: int = 0
    refusals: list[str] = field(default_factory=list)


def extract_batch(
    nlp: Language, lines: Iterable[Line], text_key: str = "text", least: Mapping[str, float] | None = None
) -> Extracted:
    """Find the entities in a batch of input lines.

    nlp: A trained pipeline.
    lines: The input, as `extraction.inputs` reads it.
    text_key: The key of the text in JSON records.
    least: The confidence that an entity must have to be kept, by type, "" being all others.
    RETURNS: A JSON line for each passage: the input's record with `entities` added.
    """
    result = Extracted()
    records = []
    for line in lines:
        try:
            records.append(_record(line, text_key, nlp.max_length))
        except RefusedError as error:
            result.refusals.append(f"{line.place}: {error.reason}")
    rows = []
    # In the zone, what the vocabulary learns of a batch's words is freed at its end: a long run's memory does not
    # grow. But the tokenizer caches nothing in it, so the words that come first, the common ones, are learned for good.
    with nlp.memory_zone() if len(nlp.vocab) > KEPT_WORDS else nullcontext():
        texts = [record[text_key] for record in records]
        for record, doc in zip(records, nlp.pipe(texts, batch_size=max(1, len(texts))), strict=True):
            record["entities"] = _entities(doc, least or {})
            result.entities += len(record["entities"])
            rows.append(_row(record))
    result.passages = len(rows)
    result.rows = b"".join(rows)
    return result


def extract_in_workers(
    model: str,
    batches: Iterable[list[Line]],
    workers: int,
    text_key: str = "text",
    least: Mapping[str, float] | None = None,
) -> Iterator[Extracted]:
    """Find the entities in batches of lines, several at once, each in a process of its own.

    Only lines and rows pass between the processes: a Doc costs more to send than to make.

    model: A trained model's folder or package, which each process loads once.
    YIELDS: A result for each batch, in the order of the batches.
    RAISES: BrokenProcessPool where a process was killed.
    """
    # The processes share the cores; each must not start a thread of its own for every core.
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    before = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    os.environ.update({name: value or threads for name, value in before.items()})
    free: SimpleQueue[_Worker] = SimpleQueue()
    with _ctrl_c_held_back():
        processes = [_Worker(model) for _ in range(workers)]
    for worker in processes:
        free.put(worker)

    def extract(batch: list[Line]) -> Extracted:
        worker = free.get()
        try:
            return worker.extract(batch, text_key, dict(least or {}))
        finally:
            free.put(worker)

    pending: deque[Future[Extracted]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for batch in batches:
            pending.append(pool.submit(extract, batch))
            if len(pending) >= 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        # After an error or Ctrl-C nobody waits for what has not begun.
        for worker in processes:
            worker.process.terminate()
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


class _Worker:
    """A process that has loaded the model, and a pipe to it alone.

    Python's own ProcessPoolExecutor shares one pipe for all results: a process that is killed while it writes there
    leaves half a message and a lock behind, and the parent waits for ever. Here the pipe just ends.
    """

    def __init__(self, model: str) -> None:
        # spawn: a forked copy of a process that has threads can deadlock.
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, model), daemon=True)
        self.process.start()
        theirs.close()

    def extract(self, lines: list[Line], text_key: str, least: dict[str, float]) -> Extracted:
        try:
            self._connection.send((lines, text_key, least))
            result = self._connection.recv()
        except (EOFError, OSError):
            raise BrokenProcessPool("a worker process was killed") from None
        if isinstance(result, Exception):
            raise result
        return result


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Ctrl-C waits for the end of the block; a process that is started in it never gets one: its parent ends it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(connection: Connection, model: str) -> None:
    # Where Ctrl-C can't be held back (Windows) it is ignored from here on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    nlp = load_model(model)
    # Without a parent the pipe has ended, and so does this process.
    with suppress(EOFError, OSError):
        while True:
            lines, text_key, least = connection.recv()
            try:
                result: Extracted | Exception = extract_batch(nlp, lines, text_key, least)
            except Exception as error:  # for the parent to raise
                result = error
            connection.send(result)


def _record(line: Line, text_key: str, max_length: int) -> dict[str, Any]:
    if line.is_json:
        record = parse_record(line.raw, text_key)
    else:
        try:
            text = line.raw.decode("utf8")
        except UnicodeDecodeError as error:
            raise RefusedError(f"no UTF-8 text ({error.reason} at byte {error.start})") from None
        meta = {"source": line.file} if line.number == 0 else {"source": line.file, "line": line.number}
        record = {text_key: text, "meta": meta}
    if len(record[text_key]) > max_length:
        raise RefusedError(f"{len(record[text_key])} characters, and the model takes {max_length}: cut it in parts")
    return record


def _row(record: dict[str, Any]) -> bytes:
    try:
        return json.dumps(record, ensure_ascii=False).encode("utf8") + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair in the metadata or a file's name goes through as the escape that it came as.
        return json.dumps(record).encode("ascii") + b"\n"


def _entities(doc: Doc, least: Mapping[str, float]) -> list[dict[str, Any]]:
    entities = []
    for ent in doc.ents:
        # Only recognizers that say it have brought the attribute.
        confidence = ent._.confidence if ent._.has("confidence") else None
        if confidence is not None and confidence < least.get(ent.label_, least.get("", 0.0)):
            continue
        entity = {"name": ent.text, "type": ent.label_, "start": ent.start_char, "end": ent.end_char}
        entities.append(entity if confidence is None else {**entity, "confidence": round(confidence, 4)})
    return entities
