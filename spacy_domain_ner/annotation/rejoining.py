"""Passages that people have cut into sentences in different ways, joined again as far as that is needed to compare."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from spacy_domain_ner.corpus.passage import PART_OF, PART_START, Span
from spacy_domain_ner.exchange.cleaning import CleanVersion

# The parts of a passage, each with its start in it, in their order.
_Parts = list[tuple[int, CleanVersion]]


def joined_where_cut_differently(
    groups: Iterable[list[CleanVersion]], person_of: Callable[[CleanVersion], str]
) -> Iterator[list[CleanVersion]]:
    """Join the parts of passages that `domain-ner import --sentences` has cut, where people's cuts differ.

    A span that crosses the end of a sentence keeps the sentences together, so people who differ there have other
    parts. Compared part by part, the places where they differ would be the ones that are left out.

    Args:
        groups: The versions of each passage, all on the same text.
        person_of: Who made a version.

    Yields:
        The groups. Those of parts come last, one for each stretch of a passage at whose ends everybody has cut it.
    """
    held: list[list[CleanVersion]] = []
    cut: defaultdict[tuple[str, str], _Parts] = defaultdict(list)
    for group in groups:
        parts = [cleaned for cleaned in group if _start(cleaned) is not None]
        if not parts:
            yield group
            continue
        held.append(group)
        for cleaned in parts:
            cut[person_of(cleaned), str(cleaned.version.meta[PART_OF])].append((_start(cleaned) or 0, cleaned))
    wholes: defaultdict[tuple[int, str], list[_Parts]] = defaultdict(list)
    for whole in cut.values():
        whole.sort(key=lambda part: part[0])
        if (text := _text(whole)) is not None:
            # White space between two parts is known by its length alone.
            wholes[whole[0][0], re.sub(r"\s", " ", text)].append(whole)
    joined: set[int] = set()
    for same in wholes.values():
        if len(same) > 1:
            joined.update(id(cleaned) for parts in same for _, cleaned in parts)
            yield from ([_joined(parts) for parts in stretch] for stretch in _stretches(same))
    for group in held:
        if left := [cleaned for cleaned in group if id(cleaned) not in joined]:
            yield left


def _start(cleaned: CleanVersion) -> int | None:
    """Where a part begins in its passage; None where it is not a part."""
    meta = cleaned.version.meta
    start = meta.get(PART_START)
    return start if PART_OF in meta and isinstance(start, int) and not isinstance(start, bool) else None


def _text(parts: _Parts) -> str | None:
    """The passage that parts make, with blanks between them; None where they are not parts of one passage."""
    first = parts[0][0]
    text = ""
    for start, cleaned in parts:
        if start - first < len(text):
            return None
        text = text.ljust(start - first) + cleaned.version.text
    return text


def _stretches(people: list[_Parts]) -> Iterator[list[_Parts]]:
    """Divide a passage where everybody has cut it, and give each one's parts of each stretch."""
    starts = sorted(set.intersection(*({start for start, _ in parts} for parts in people)))
    for number, first in enumerate(starts):
        end = starts[number + 1] if number + 1 < len(starts) else math.inf
        yield [[part for part in parts if first <= part[0] < end] for parts in people]


def _joined(parts: _Parts) -> CleanVersion:
    first, one = parts[0]

    def moved(spans: list[Span], start: int) -> list[Span]:
        return [replace(span, start=span.start + start - first, end=span.end + start - first) for span in spans]

    return replace(
        one,
        version=replace(one.version, text=_text(parts) or ""),
        spans=[span for start, cleaned in parts for span in moved(cleaned.spans, start)],
        unknown=[span for start, cleaned in parts for span in moved(cleaned.unknown, start)],
        refused=[note for _, cleaned in parts for note in cleaned.refused],
    )
