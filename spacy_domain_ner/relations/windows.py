"""Parts of long passages around the pairs of entities that may be related."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.corpus.sentences import sentences
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.pairs import Pair, possible_pairs

# A passage of so many characters is shown as a whole.
LONGEST = 2_000
# How many sentences before and after a pair are shown with it.
CONTEXT = 1
# And at most so many characters: a table or a log may be one sentence of any length.
MOST_CONTEXT = 500


@dataclass(frozen=True)
class Window:
    """A part of a passage.

    Attributes:
        start: Where it begins in the passage, in code points.
        text: The part.
        spans: The entities in it, with offsets in the passage.
    """

    start: int
    text: str
    spans: tuple[Span, ...]


def windows_of(text: str, spans: Sequence[Span], types: RelationTypes, longest: int = LONGEST) -> list[Window]:
    """Find the parts of a passage in which relations are to be looked for.

    Args:
        text: The passage.
        spans: Its entities.
        types: The relation types.
        longest: A passage of so many characters is one window, and neighbours are joined up to this length. A window is
            longer where one pair needs it.

    Returns:
        The windows, which may overlap: each possible pair is in one of them at least. Empty where there is none.
    """
    pairs = possible_pairs(text, spans, types)
    if not pairs:
        return []
    if len(text) <= longest:
        return [Window(0, text, tuple(sorted(set(spans))))]
    return [_window(text, spans, start, end) for start, end in _joined(_reaches(text, pairs), longest)]


def _reaches(text: str, pairs: Sequence[Pair]) -> Iterator[tuple[int, int]]:
    """The sentences of each pair, with those around them."""
    places = sentences(text)
    for pair in pairs:
        inside = [
            number for number, (start, end) in enumerate(places) if start < pair.second.end and pair.first.start < end
        ]
        first, last = max(0, inside[0] - CONTEXT), min(len(places) - 1, inside[-1] + CONTEXT)
        start = max(places[first][0], pair.first.start - MOST_CONTEXT)
        end = min(places[last][1], max(pair.first.end, pair.second.end) + MOST_CONTEXT)
        yield _at_space(text, start, -1), _at_space(text, end, 1)


def _at_space(text: str, place: int, step: int) -> int:
    """Move a place out of a word, unless the word is very long."""
    for number in range(100):
        here = place + step * number
        if not 0 < here < len(text) or text[here - 1].isspace() or text[here].isspace():
            return max(0, min(here, len(text)))
    return place


def _joined(reaches: Iterator[tuple[int, int]], longest: int) -> list[tuple[int, int]]:
    """Join parts as long as they do not become too long together."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(set(reaches)):
        if joined and (end <= joined[-1][1] or end - joined[-1][0] <= longest):
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _window(text: str, spans: Sequence[Span], start: int, end: int) -> Window:
    # White space at its ends says nothing.
    part = text[start:end]
    start, end = start + len(part) - len(part.lstrip()), start + len(part.rstrip())
    inside = sorted({span for span in spans if start <= span.start and span.end <= end})
    return Window(start, text[start:end], tuple(inside))
