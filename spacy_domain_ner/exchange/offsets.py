"""Finding the unit in which a file counts its offsets, and turning them into code points.

Tools that run in a browser count UTF-16 units, some files count a line end of two characters as one, and few say so.
The span's own text decides where the file gives it; else the unit with which the span begins and ends where words do.
"""

import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from spacy_domain_ner.exchange.formats.version import RawSpan

CODE_POINTS = "code-points"
UNITS = (CODE_POINTS, "utf-16", "utf-8", "newlines-as-one")
_ESCAPED_SPACE = re.compile(r"\\[nrt]|\s")
# The units tried for a span without a claimed text. Bytes are not among them: they differ from code points in every
# accented text, so they would often be a wrong guess.
_GUESSED = (CODE_POINTS, "utf-16", "newlines-as-one")
_INVALID, _VALID, _ON_WORDS = range(3)


def to_code_points(text: str, span: RawSpan, unit: str) -> tuple[int, int] | None:
    """Convert a span's offsets.

    Args:
        text: The passage's text.
        span: The span as the file has it.
        unit: What its offsets count, one of UNITS.

    Returns:
        Start and end in code points, `end` exclusive; None where they lie outside the text, within a character, or
        where the end is before the start.
    """
    convert = _converter(text, unit)
    start, end = convert(span.start), convert(span.end + span.inclusive)
    return None if start is None or end is None or start > end else (start, end)


def claimed_place(text: str, span: RawSpan) -> tuple[int, int, str] | None:
    """Find the unit with which a span's offsets lead to the text that the file gives for it.

    Args:
        text: The passage's text.
        span: The span as the file has it.

    Returns:
        The start, the end and what the offsets count; None where the file gives no text, or no unit leads to it.
    """
    if not span.claim or not (wanted := _with_plain_spaces(span.claim)):
        return None
    for unit in UNITS:
        place = to_code_points(text, span, unit) if unit == CODE_POINTS or _matters(text, unit) else None
        if place is not None and _with_plain_spaces(text[place[0] : place[1]]) == wanted:
            return (*place, unit)
    inclusive = to_code_points(
        text, RawSpan(span.start, span.end, span.label, inclusive=not span.inclusive), CODE_POINTS
    )
    if inclusive is not None and _with_plain_spaces(text[inclusive[0] : inclusive[1]]) == wanted:
        return (*inclusive, "inclusive ends" if not span.inclusive else "exclusive ends")
    return None


def only_place(text: str, claim: str | None) -> tuple[int, int] | None:
    """Find the only place of a text.

    Args:
        text: The passage's text.
        claim: The text that the file gives for a span; differences in white space do not matter.

    Returns:
        Start and end in code points; None where the text is not there, is there twice, or cuts a word.
    """
    wanted = "".join(_with_plain_spaces(claim or "").split())
    places = [index for index, character in enumerate(text) if not character.isspace()]
    solid = "".join(text.split())
    if not wanted or solid.count(wanted) != 1:
        return None
    first = solid.index(wanted)
    place = places[first], places[first + len(wanted) - 1] + 1
    return place if is_on_words(text, place) else None


def units_that_fit(text: str, span: RawSpan) -> tuple[str, ...]:
    """Return the units with which a span fits the text best.

    A span that begins and ends where words do fits better than one that cuts a word, and any span inside the text fits
    better than one outside.

    Args:
        text: The passage's text.
        span: The span as the file has it.
    """
    candidates = candidate_units(text)
    if len(candidates) == 1:
        return candidates
    qualities = {unit: _quality(text, to_code_points(text, span, unit)) for unit in candidates}
    best = max(qualities.values())
    return tuple(unit for unit, quality in qualities.items() if quality == best)


@lru_cache(maxsize=16)
def candidate_units(text: str) -> tuple[str, ...]:
    """Return the units that differ from each other in a text, code points first."""
    return tuple(unit for unit in _GUESSED if unit == CODE_POINTS or _matters(text, unit))


def is_on_words(text: str, place: tuple[int, int] | None) -> bool:
    """Return whether a place, in code points, begins and ends where words do."""
    return _quality(text, place) == _ON_WORDS


def votes(text: str, spans: list[RawSpan]) -> Counter[str]:
    """Count the spans that fit with only one unit, by that unit."""
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
            # No offset points between the two characters.
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


def _with_plain_spaces(text: str) -> str:
    # In `value.text`, Label Studio writes white space as escapes, and folds it.
    return " ".join(_ESCAPED_SPACE.sub(" ", text).split())
