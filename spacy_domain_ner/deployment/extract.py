"""Finding the entities in any amount of text: one text, or files and streams of passages, in batches."""

import json
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from spacy_domain_ner.corpus.docs import load_model
from spacy_domain_ner.corpus.jsonl import RefusedError, parse_record
from spacy_domain_ner.deployment.inputs import Line

# Words that the vocabulary learns before a batch's words are forgotten again; enough to fill the tokenizer's cache.
KEPT_WORDS = 30_000


def extract_entities(nlp: Language, text: str) -> list[dict[str, Any]]:
    """Find the entities in one text.

    nlp: A trained pipeline.
    text: The text.
    RETURNS: For each entity its surface form `name`, its `type`, and `start` and `end` in code points, `end`
        exclusive, so that `text[start:end] == name`.
    """
    return _entities(nlp(text))


@dataclass
class Extracted:
    """The result of one batch. rows: JSON lines, encoded; refusals: what could not be read, with its place."""

    rows: bytes = b""
    passages: int = 0
    entities: int = 0
    refusals: list[str] = field(default_factory=list)


def extract_batch(nlp: Language, lines: Iterable[Line], text_key: str = "text") -> Extracted:
    """Find the entities in a batch of input lines.

    nlp: A trained pipeline.
    lines: The input, as `deployment.inputs` reads it.
    text_key: The key of the text in JSON records.
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
            record["entities"] = _entities(doc)
            result.entities += len(record["entities"])
            rows.append(_row(record))
    result.passages = len(rows)
    result.rows = b"".join(rows)
    return result


def extract_in_workers(
    model: str, batches: Iterable[list[Line]], workers: int, text_key: str = "text"
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
    pending: deque[Future[Extracted]] = deque()
    # spawn: a forked copy of a process that has threads can deadlock.
    context = multiprocessing.get_context("spawn")
    try:
        pool = ProcessPoolExecutor(workers, context, _start_worker, (model,))
        try:
            for batch in batches:
                with _ctrl_c_held_back():
                    pending.append(pool.submit(_extract_in_worker, batch, text_key))
                if len(pending) >= 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            # After an error or Ctrl-C nobody waits for what has not begun.
            pool.shutdown(cancel_futures=True)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


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


_worker_nlp: Language | None = None


def _start_worker(model: str) -> None:
    # Where Ctrl-C can't be held back (Windows) it is ignored from here on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A parent that is killed can't end its workers, which would wait for it for ever.
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    global _worker_nlp
    _worker_nlp = load_model(model)


def _end_with(process: BaseProcess) -> None:
    process.join()
    os._exit(1)


def _extract_in_worker(lines: list[Line], text_key: str) -> Extracted:
    assert _worker_nlp is not None
    return extract_batch(_worker_nlp, lines, text_key)


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


def _entities(doc: Doc) -> list[dict[str, Any]]:
    return [{"name": ent.text, "type": ent.label_, "start": ent.start_char, "end": ent.end_char} for ent in doc.ents]
