"""Live rows of a made-up model, with the truth: it finds Redis, misses Kafka, and knows how often it is right."""

import json
import random
from pathlib import Path

MODEL = {"name": "en_ops", "version": "0.2.0", "digest": "0a1b2c3d"}


def live_row(number: int, **keys: object) -> dict:
    """A live row: the model finds a store with confidence 0.8 and expects a tenth more, whatever the text has."""
    text = f"Ticket {number}: Redis and Kafka are slow."
    start = text.index("Redis")
    return {
        "text": text,
        "id": number,
        "entities": [{"name": "Redis", "type": "INFRA", "start": start, "end": start + 5, "confidence": 0.8}],
        "expected": {"INFRA": 0.9},
        "model": MODEL,
        **keys,
    }


def truth(text: str, seed: int = 0) -> list[dict]:
    """What reviewers mark: Redis in four of five passages, Kafka in one of ten."""
    generator = random.Random(f"{seed} {text}")
    marked = [name for name, share in (("Redis", 0.8), ("Kafka", 0.1)) if generator.random() < share]
    return [
        {"start": text.index(name), "end": text.index(name) + len(name), "label": "INFRA"}
        for name in marked
        if name in text
    ]


def write_rows(path: Path, rows: list[dict]) -> Path:
    """Write rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


def read_rows(path: Path) -> list[dict]:
    """Read JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]


def review(sample: Path, reviewed: Path, follow: bool = False) -> Path:
    """Review a sample without an error in the canonical form; or confirm whatever is filled in."""
    rows = read_rows(sample)
    for row in rows:
        del row["sampled"]
        row["answer"] = "accept"
        if not (follow and row["spans"]):
            row["spans"] = truth(row["text"])
    return write_rows(reviewed, rows)
