"""Write many live rows of an invented domain, as `extract --expected` writes them.

    python benchmarks/live_rows.py live.jsonl --rows 10000000

Each row has 12 words, one of which no other row has, and one to four entities; one row in fifty has a text that came
before. The same numbers give the same rows.
"""

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from spacy_domain_ner.files import replacing

LABELS = ("INFRA", "SERVICE", "TEAM")
WORDS = 12
# Different rows, apart from the word that each has alone.
DIFFERENT = 20_000
AGAIN = 50
SOURCES = 5000


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    write_rows(arguments.output, arguments.rows)


def write_rows(output: Path, count: int, model: Mapping[str, str] | None = None) -> None:
    """Write rows.

    Args:
        output: The file to write.
        count: How many rows.
        model: The `name`, `version` and `digest` of the model that the rows say has read them.
    """
    with replacing(output) as stream:
        stream.writelines(rows(count, model))


def rows(count: int, model: Mapping[str, str] | None = None) -> Iterator[str]:
    """Make rows, a line each."""
    draw = random.Random(7)
    names = [_word(draw).capitalize() for _ in range(400)]
    words = [_word(draw) for _ in range(3000)]
    different = [_row(draw, names, words) for _ in range(DIFFERENT)]
    identity = json.dumps(model or {"name": "en_ops", "version": "0.1.0", "digest": "0a1b2c3d"})
    for number in range(count):
        # The one before, where a text comes again.
        of = number - 1 if number and number % AGAIN == 0 else number
        text, rest = different[of % DIFFERENT]
        meta = f'{{"source": "s{of % SOURCES}"}}'
        yield f'{{"text": "{text} x{of:x}", "id": {number}, "meta": {meta}, {rest}, "model": {identity}}}\n'


def _word(draw: random.Random) -> str:
    return "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(draw.randint(1, 4)))


def _row(draw: random.Random, names: list[str], words: list[str]) -> tuple[str, str]:
    """A text, and what the model says of it, as JSON without its braces."""
    pieces = [draw.choice(words) for _ in range(WORDS - 1)]
    places = sorted(draw.sample(range(WORDS - 1), draw.randint(1, 4)))
    for place in places:
        pieces[place] = draw.choice(names)
    found: list[dict[str, Any]] = []
    expected: dict[str, float] = {}
    for place in places:
        start, name = sum(len(piece) + 1 for piece in pieces[:place]), pieces[place]
        label, sure = LABELS[len(name) % 3], round(draw.betavariate(8, 2), 4)
        found.append({"name": name, "type": label, "start": start, "end": start + len(name), "confidence": sure})
        expected[label] = round(expected.get(label, 0.02) + sure, 4)
    return " ".join(pieces), f'"entities": {json.dumps(found)}, "expected": {json.dumps(expected)}'


if __name__ == "__main__":
    main()
