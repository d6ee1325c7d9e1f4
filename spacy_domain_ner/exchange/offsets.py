"""Finding the unit in which a file counts its offsets, and turning them into code points.

Tools that run in a browser count UTF-16 units, some files count a line end of two characters as one, and few say so. A
span's own text, where the file gives it, decides; else the unit by which the span begins and ends where words do.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from spacy_domain_ner.exchange.formats.version import RawSpan

CODE_POINTS = "code-points"
UNITS = (CODE_POINTS, "utf-16", "utf-8", "newlines-as-one")
_ESCAPED_SPACE = re.compile(r"\\[nrt]|\s")
# By these, spans that nothing is claimed of are told: bytes differ in every accented text, and would be guessed.
_GUESSED = (CODE_POINTS, "utf-16", "newlines-as-one")
_INVALID, _VALID, _ON_WORDS = range(3)


def to_code_points(text: str, span: RawSpan, unit: str) -> tuple[int, int] | None:
    """A span's start and end in code points, `end` exclusive; None where they lie outside the text, within a
    character, or the wrong way round."""
    convert = _converter(text, unit)
    start, end = convert(span.start), convert(span.end + span.inclusive)
    return None if start is None or end is None or start > end else (start, end)


def claimed_place(text: str, span: RawSpan) -> tuple[int, int, str] | None:
    """Where the text that the file gives for a span stands, by one unit or another.

    RETURNS: The start, the end and what the offsets turned out to count; None where nothing is claimed, or no unit
        leads to it.
    """
    if not span.claim or not (wanted := _folded(span.claim)):
        return None
    for unit in UNITS:
        place = to_code_points(text, span, unit) if unit == CODE_POINTS or _matters(text, unit) else None
        if place is not None and _folded(text[place[0] : place[1]]) == wanted:
            return (*place, unit)
    inclusive = to_code_points(
        text, RawSpan(span.start, span.end, span.label, inclusive=not span.inclusive), CODE_POINTS
    )
    if inclusive is not None and _folded(text[inclusive[0] : inclusive[1]]) == wanted:
        return (*inclusive, "inclusive ends" if not span.inclusive else "exclusive ends")
    return None


def only_place(text: str, claim: str | None) -> tuple[int, int] | None:
    """Where a claimed text stands as whole words, if it is there once, whatever its white space."""
    wanted = "".join(_folded(claim or "").split())
    places = [index for index, character in enumerate(text) if not character.isspace()]
    solid = "".join(text.split())
    if not wanted or solid.count(wanted) != 1:
        return None
    first = solid.index(wanted)
    place = places[first], places[first + len(wanted) - 1] + 1
    return place if is_on_words(text, place) else None


def units_that_fit(text: str, span: RawSpan) -> tuple[str, ...]:
    """The units by which a span fits the text best: on words rather than across them, inside rather than outside."""
    candidates = candidate_units(text)
    if len(candidates) == 1:
        return candidates
    qualities = {unit: _quality(text, to_code_points(text, span, unit)) for unit in candidates}
    best = max(qualities.values())
    return tuple(unit for unit, quality in qualities.items() if quality == best)


@lru_cache(maxsize=16)
def candidate_units(text: str) -> tuple[str, ...]:
    """The units that may differ in this text, code points first."""
    return tuple(unit for unit in _GUESSED if unit == CODE_POINTS or _matters(text, unit))


def is_on_words(text: str, place: tuple[int, int] | None) -> bool:
    """Whether a place begins and ends where words do."""
    return _quality(text, place) == _ON_WORDS


def votes(text: str, spans: list[RawSpan]) -> Counter[str]:
    """How many spans fit by one unit alone."""
    counts: Counter[str] = Counter()
    if len(candidate_units(text)) > 1:
        for span in spans:
            if span.claim is None and len(fitting := units_that_fit(text, span)) == 1:
                counts[fitting[0]] += 1
    return counts


def _matters(text: str, unit: str) -> bool:
    if unit == "utf-16":
        return not text.isascii() and max(text, default="") > "\uffff"
    if unit == "newlines-as-one":
        return "\r\n" in text
    return not text.isascii()


def _quality(text: str, place: tuple[int, int] | None) -> int:
    if place is None or not 0 <= place[0] < place[1] <= len(text):
        return _INVALID
    start, end = place
    if text[start].isspace() or text[end - 1].isspace():
        return _VALID
    cuts_word = (start > 0 and text[start - 1].isalnum() and text[start].isalnum()) or (
        end < len(text) and text[end - 1].isalnum() and text[end].isalnum()
    )
    return _VALID if cuts_word else _ON_WORDS


@lru_cache(maxsize=16)
def _converter(text: str, unit: str) -> Callable[[int], int | None]:
    if unit == CODE_POINTS or not _matters(text, unit):
        return lambda offset: offset if 0 <= offset <= len(text) else None
    places: dict[int, int] = {}
    position = 0
    for index, character in enumerate(text):
        if unit == "newlines-as-one":
            # Nothing points between the two.
            if not (character == "\n" and index and text[index - 1] == "\r"):
                places[position] = index
                position += 1
        else:
            places[position] = index
            position += len(character.encode(unit + "-le" if unit == "utf-16" else unit)) // (
                2 if unit == "utf-16" else 1
            )
    places[position] = len(text)
    return places.get


def _folded(text: str) -> str:
    # Label Studio writes white space in `value.text` as escapes, and folds it.
    return " ".join(_ESCAPED_SPACE.sub(" ", text).split())
