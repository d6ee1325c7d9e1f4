"""Passages as several people marked them, and alpha from its definition."""

import re
from itertools import permutations

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.exchange.cleaning import CleanVersion
from spacy_domain_ner.exchange.formats.version import Version


def marked(text: str) -> tuple[str, list[Span]]:
    """A text in which `[Redis|INFRA]` is a mention; several bars are several types of it."""
    spans, plain = [], ""
    for part in re.split(r"(\[[^\]]*\])", text):
        surface, *labels = part.strip("[]").split("|") if part.startswith("[") else [part]
        spans += [Span(len(plain), len(plain) + len(surface), label) for label in labels]
        plain += surface
    return plain, sorted(spans)


def group(**versions: str) -> list[CleanVersion]:
    """One passage as each person marked it."""
    made = {person: marked(text) for person, text in versions.items()}
    assert len({text for text, _ in made.values()}) == 1
    return [
        CleanVersion(Version(text, annotator=person, file="f.json", id="7"), spans)
        for person, (text, spans) in made.items()
    ]


def by_definition(units: list[list]) -> float | None:
    """Alpha from its definition, 1 - observed / expected disagreement, over pairs of values one by one."""
    units = [unit for unit in units if len(unit) > 1]
    values = [value for unit in units for value in unit]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units)
    expected = sum(a != b for a, b in permutations(values, 2)) / max(len(values) - 1, 1)
    return 1 - observed / expected if expected else None
