"""Live text of an invented domain, and a model of which only the reference is needed."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.models import model_digest
from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.measures import Measures
from spacy_domain_ner.monitoring.reference import Reference
from spacy_domain_ner.monitoring.vocabulary import Vocabulary

LABELS = ["INFRA", "SERVICE"]
WORDS = [
    f"{first}{second}" for first in ("ba", "do", "ke", "li", "mu", "ra") for second in ("lan", "met", "por", "tis")
]
NAMES = [f"{first}{second}" for first in ("Zor", "Vex", "Quil") for second in ("ax", "em", "ith", "on", "ur")]
NEW_NAMES = [f"Hapl{number}" for number in range(40)]


class Domain:
    """Makes rows as `extract` writes them; the model knows that every capitalised name is an entity."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def row(self, names: Sequence[str] = NAMES, new: float = 0.1) -> dict[str, Any]:
        """A row with 1 to 3 names, one in ten of which training never had."""
        draw = self._random
        words = [draw.choice(WORDS) for _ in range(draw.randint(8, 14))]
        words[0] = words[0].capitalize()
        entities = []
        for place in sorted(draw.sample(range(1, len(words)), draw.randint(1, 3))):
            words[place] = draw.choice(NEW_NAMES if draw.random() < new else names)
        text = " ".join(words) + "."
        start = 0
        for number, word in enumerate(words):
            if number and word[0].isupper():
                label = LABELS[len(word) % 2]
                confidence = round(draw.betavariate(8, 2), 3)
                entities.append(
                    {"name": word, "type": label, "start": start, "end": start + len(word), "confidence": confidence}
                )
            start += len(word) + 1
        expected = {label: sum(one["confidence"] for one in entities if one["type"] == label) + 0.1 for label in LABELS}
        return {"text": text, "entities": entities, "expected": expected}

    def rows(self, count: int, **settings: Any) -> list[dict[str, Any]]:
        """Many rows."""
        return [self.row(**settings) for _ in range(count)]


@pytest.fixture
def domain() -> Callable[[int], Domain]:
    """Makes live text, always the same for a seed."""
    return Domain


@pytest.fixture(scope="session")
def reference() -> Reference:
    """What the model's package would carry."""
    rows = Domain(0).rows(300)
    train = [
        Passage(row["text"], [Span(one["start"], one["end"], one["type"]) for one in row["entities"]])
        for row in Domain(1).rows(400, new=0.0)
    ]
    measures = Measures(Vocabulary.of(train), LABELS)
    counted = []
    for row in rows:
        found = found_in(row)
        counted.append(measures.count(row["text"], found, row["expected"], right=len(found), annotated=len(found) + 1))
    identity = {"name": "en_ops", "version": "0.1.0", "digest": ""}
    return Reference(identity, LABELS, {}, measures.vocabulary, "passage", numpy.array(counted))


@pytest.fixture
def model(tmp_path: Path, reference: Reference) -> Path:
    """A model's folder, of which only the digest and the reference matter."""
    folder = tmp_path / "model"
    (folder / "ner").mkdir(parents=True)
    (folder / "ner" / "model").write_bytes(b"weights")
    own = replace(reference, model={**reference.model, "digest": model_digest(folder)})
    (folder / "reference.json").write_text(json.dumps(own.to_dict()), encoding="utf8")
    return folder


def found_in(row: dict[str, Any]) -> list[Found]:
    return [Found(one["start"], one["end"], one["type"], one["confidence"]) for one in row["entities"]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows to a file."""

    def write(rows: Sequence[dict[str, Any]], name: str = "live.jsonl", end: str = "") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end, encoding="utf8")
        return path

    return write
