"""What a server takes at once: tasks and predictions as JSON lists of a bounded size."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from spacy_domain_ner.corpus.identity import passage_key

# By default, nginx does not accept requests of more than 1 MB.
BATCH_BYTES = 900_000
BATCH_TASKS = 500


def task_key(data: dict[str, Any]) -> bytes:
    """The key of a task's passage."""
    meta = data.get("meta")
    return passage_key(str(data.get("text")), meta if isinstance(meta, dict) else {})


def in_batches(encoded: Iterable[bytes]) -> Iterator[bytes]:
    """Join JSON values to lists that a server takes at once."""
    batch: list[bytes] = []
    size = 0
    for each in encoded:
        if batch and (len(batch) == BATCH_TASKS or size + len(each) > BATCH_BYTES):
            yield b"[" + b",".join(batch) + b"]"
            batch, size = [], 0
        batch.append(each)
        size += len(each) + 1
    if batch:
        yield b"[" + b",".join(batch) + b"]"


def new_tasks(tasks: Iterable[dict[str, Any]], known: set[bytes], again: bool) -> Iterator[tuple[bytes, int]]:
    """Give JSON lists of tasks that a server takes at once, each with the number of tasks left out before it."""
    batch: list[bytes] = []
    size = skipped = 0
    for task in tasks:
        key = task_key(task["data"])
        if key in known and not again:
            skipped += 1
            continue
        known.add(key)
        encoded = json.dumps(task, ensure_ascii=False).encode("utf8")
        if batch and (len(batch) == BATCH_TASKS or size + len(encoded) > BATCH_BYTES):
            yield b"[" + b",".join(batch) + b"]", skipped
            batch, size, skipped = [], 0, 0
        batch.append(encoded)
        size += len(encoded) + 1
    if batch or skipped:
        yield b"[" + b",".join(batch) + b"]" if batch else b"", skipped
