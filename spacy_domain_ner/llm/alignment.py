"""Finding the quotes of an answer in the passage: what can't be found is refused, whatever the model has meant."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.schema import same_name
from spacy_domain_ner.text import INVISIBLE, UNSPACED_SCRIPTS, trimmed

# "exact": character for character. "normalised": but for white space, quotation marks, dashes, invisible characters and
# Unicode's normal forms. "ambiguous": it is there several times, and nothing tells which is meant: the first is taken.
# "absent": it is not there, or only within a longer word. "type": the type is not one that was asked for.
# "form": it is not a quote at all. "overlap": a longer one, or an equal one that came before, has its place.
Outcome = Literal["exact", "normalised", "ambiguous", "absent", "type", "form", "overlap"]
FOUND: tuple[Outcome, ...] = ("exact", "normalised", "ambiguous")

# How many words before a quote a model is asked for.
WORDS_BEFORE = 3
_BEFORE = re.compile(rf"(?:\S+\s+){{0,{WORDS_BEFORE - 1}}}\S*\s*\Z")
# No word is so long that more of the text is needed to find three.
_LONGEST_BEFORE = 120
_DASHES = dict.fromkeys("‐‑‒–—―−⁃﹘﹣－", "-")
_QUOTES = {**dict.fromkeys("‘’‚‛′ʼ`´＇", "'"), **dict.fromkeys("“”„‟″«»＂", '"')}
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_UNSPACED = re.compile(f"[{UNSPACED_SCRIPTS}]")
_MARKS = "'\"`“”‘’„«»"
Place = tuple[int, int]


@dataclass(frozen=True)
class Quote:
    """What a model says of one mention.

    Attributes:
        type: The entity type.
        quote: The mention, as the passage has it.
        before: The words right before it, as the passage has them; "" at the passage's start.
    """

    type: str
    quote: str
    before: str = ""

    @classmethod
    def read(cls, item: Any) -> "Quote | None":
        """Read an item of an answer.

        Args:
            item: The item.

        Returns:
            The quote; None where the item does not have the form of one.
        """
        if not isinstance(item, dict):
            return None
        label, quote, before = item.get("type"), item.get("quote"), item.get("before", "")
        if not isinstance(label, str) or not isinstance(quote, str) or not quote.strip():
            return None
        return cls(label, quote, before if isinstance(before, str) else "")


@dataclass
class Aligned:
    """What has become of an answer's quotes.

    Attributes:
        spans: The spans, in the order of the text; none overlaps another.
        outcomes: How many quotes had each outcome.
    """

    spans: list[Span] = field(default_factory=list)
    outcomes: Counter[Outcome] = field(default_factory=Counter)


def align(text: str, items: Sequence[Any], labels: Sequence[str]) -> Aligned:
    """Find the quotes of an answer in the passage.

    A quote that is there several times is told apart by the words before it; those that these do not tell apart take
    the places that are left, from left to right. Where spans overlap the longest stays, and of equal ones the first.

    Args:
        text: The passage.
        items: The answer's items: objects with `type`, `quote` and `before`.
        labels: The entity types that were asked for.

    Returns:
        The spans, whose offsets are code points of `text`, and what has become of each quote.
    """
    aligned = Aligned()
    finder = _Finder(text)
    quotes: list[tuple[Quote, list[Place], Outcome]] = []
    for item in items:
        quote = Quote.read(item)
        if quote is None:
            aligned.outcomes["form"] += 1
        elif (label := same_name(quote.type, labels)) is None:
            aligned.outcomes["type"] += 1
        else:
            quote = replace(quote, type=label)
            places, outcome = finder.find(quote)
            if places:
                quotes.append((quote, places, outcome))
            else:
                aligned.outcomes["absent"] += 1
    _resolve(aligned, _choose(text, quotes))
    return aligned


def words_before(text: str, start: int) -> str:
    """Give the words right before a place, as a model is asked for them.

    Args:
        text: The passage.
        start: The place, in code points.
    """
    found = _BEFORE.search(text[max(0, start - _LONGEST_BEFORE) : start])
    return found[0].strip() if found else ""


class _Finder:
    """Finds quotes in a text; what was looked for once is kept."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._normal = _Normal(text)
        self._found: dict[tuple[str, Outcome], tuple[list[Place], list[Place]]] = {}
        self._before: dict[int, str] = {}

    def find(self, quote: Quote) -> tuple[list[Place], Outcome]:
        """Where a quote can be meant: where the words before it say, or else everywhere but within a word."""
        stripped = quote.quote.strip()
        for wanted in dict.fromkeys([quote.quote, stripped, stripped.strip(_MARKS).strip()]):
            for outcome in FOUND[:2]:
                if kept := self._meant(wanted, outcome, quote.before):
                    return kept, outcome
        return [], "absent"

    def _meant(self, wanted: str, outcome: Outcome, before: str) -> list[Place]:
        places, on_words = self._places(wanted, outcome)
        said = _squeezed(before[-_LONGEST_BEFORE:])
        if not said:
            # Then it begins the passage. Models leave it out elsewhere, too.
            return on_words
        ranks = {place: self._rank(place[0], said) for place in places}
        best = max(ranks.values(), default=0)
        named = [place for place in places if best and ranks[place] == best]
        words = set(on_words)
        # Within a word only where the words before it say so.
        return [place for place in named if place in words] or named or on_words

    def _rank(self, start: int, wanted: str) -> int:
        """How well what stands before a place fits: 2 where it ends with these words, 1 with their letters, else 0."""
        if start not in self._before:
            self._before[start] = _squeezed(self._text[max(0, start - 4 * _LONGEST_BEFORE) : start])
        before = self._before[start]
        if not before.endswith(wanted):
            return 0
        return 1 if _is_inside_word(before, len(before) - len(wanted)) else 2

    def _places(self, wanted: str, outcome: Outcome) -> tuple[list[Place], list[Place]]:
        """All places of a text, and those that cut no word."""
        if (wanted, outcome) not in self._found:
            text = self._text
            places = list(_exact(text, wanted) if outcome == "exact" else self._normal.find(wanted))
            on_words = [place for place in places if not any(_is_inside_word(text, at) for at in place)]
            self._found[wanted, outcome] = places, on_words
        return self._found[wanted, outcome]


def _exact(text: str, wanted: str) -> Iterator[Place]:
    at = text.find(wanted) if wanted else -1
    while at >= 0:
        start, end = trimmed(text, at, at + len(wanted))
        if start < end:
            yield start, end
        at = text.find(wanted, at + 1)


def _squeezed(text: str) -> str:
    """A text as comparisons of what stands before a quote see it."""
    return " ".join("".join(map(_plain, unicodedata.normalize("NFKC", text))).split())


def _is_first(text: str, place: Place) -> bool:
    return not text[: place[0]].strip()


def _is_inside_word(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    if _continues(right):
        return True
    return left.isalnum() and right.isalnum() and not _UNSPACED.match(left) and not _UNSPACED.match(right)


def _choose(text: str, quotes: list[tuple[Quote, list[Place], Outcome]]) -> list[tuple[Span, Outcome]]:
    """Give each quote a place: first those that have only one, then the others from left to right."""
    taken: dict[int, tuple[Span, Outcome]] = {}
    used: set[tuple[Place, str]] = set()
    # As many equal quotes as places tell which is which.
    alike = Counter((quote.type, tuple(places)) for quote, places, _ in quotes)
    for number, (quote, places, outcome) in sorted(enumerate(quotes), key=lambda entry: len(entry[1][1])):
        place = next((place for place in places if (place, quote.type) not in used), places[0])
        is_told = len(places) <= alike[quote.type, tuple(places)] or (not quote.before and _is_first(text, place))
        used.add((place, quote.type))
        taken[number] = Span(*place, quote.type), outcome if is_told else "ambiguous"
    return [taken[number] for number in range(len(quotes))]


def _resolve(aligned: Aligned, found: list[tuple[Span, Outcome]]) -> None:
    for span, outcome in sorted(found, key=lambda entry: entry[0].start - entry[0].end):
        if any(span.start < other.end and other.start < span.end for other in aligned.spans):
            aligned.outcomes["overlap"] += 1
        else:
            aligned.spans.append(span)
            aligned.outcomes[outcome] += 1
    aligned.spans.sort()


def _plain(character: str) -> str:
    if character in _DASHES or character in _QUOTES:
        return _DASHES.get(character) or _QUOTES[character]
    return "" if _INVISIBLE.match(character) else character


class _Normal:
    """A text in its normal form, with the way back; it is made when it is first needed."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._form: str | None = None

    def find(self, wanted: str) -> Iterator[Place]:
        """Find a text, whatever its form; gives the places in the text as it is, in code points."""
        if self._form is None:
            self._form, self._starts, self._ends = _normalised(self._text)
        form, _, _ = _normalised(wanted.strip())
        at = self._form.find(form) if form else -1
        while at >= 0:
            first, last = at, at + len(form) - 1
            # A character that became several ("…", "ﬁ") is in it as a whole, or not.
            whole = (first == 0 or self._starts[first - 1] != self._starts[first]) and (
                last + 1 == len(self._form) or self._starts[last + 1] != self._starts[last]
            )
            if whole:
                start, end = trimmed(self._text, self._starts[first], self._ends[last])
                if start < end:
                    yield start, end
            at = self._form.find(form, at + 1)


def _normalised(text: str) -> tuple[str, list[int], list[int]]:
    """The normal form of a text, and for each of its characters where the ones that it came from begin and end."""
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    while at < len(text):
        end = at + 1
        if text[at].isspace() or _INVISIBLE.match(text[at]):
            while end < len(text) and (text[end].isspace() or _INVISIBLE.match(text[end])):
                end += 1
            form = " " if any(character.isspace() for character in text[at:end]) else ""
        else:
            # A letter and its accents are one: whether they are one character, or in which order, makes no difference.
            while end < len(text) and _continues(text[end]):
                end += 1
            plain = "".join(map(_plain, unicodedata.normalize("NFKC", text[at:end])))
            form = " ".join(plain.split())
        parts.append(form)
        starts += [at] * len(form)
        ends += [end] * len(form)
        at = end
    return "".join(parts), starts, ends


def _continues(character: str) -> bool:
    """Whether a character belongs to the one before it: a mark, or a later part of a Korean syllable."""
    return unicodedata.category(character)[0] == "M" or character in "\uff9e\uff9f" or "\u1160" <= character <= "\u11ff"
