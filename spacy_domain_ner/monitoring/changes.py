"""Which words and names have changed in a window, with passages that show it: what a person needs after an alarm."""

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.monitoring.live import LiveRow
from spacy_domain_ner.monitoring.measures import PLACE, Sums
from spacy_domain_ner.monitoring.statistics import Statistic
from spacy_domain_ner.monitoring.vocabulary import PIECE, Vocabulary, form_key, word_key, words_of
from spacy_domain_ner.text import shorten, without_invisible

# Passages that are kept to look into: enough for words that are in one of a hundred passages.
KEPT = 2000
# The most words, names and passages that are shown.
SHOWN_WORDS, SHOWN_FORMS, SHOWN_PASSAGES = 20, 20, 3
# Standard deviations from which a word counts as more frequent, and passages that it must be in at least.
CLEARLY, FEWEST = 3.5, 3
# Characters of a passage around a word.
AROUND = 60
# A passage of fewer words is not an example of a share of words.
FEWEST_WORDS = 5
_UNSEEN = 0.5


@dataclass(frozen=True)
class Grown:
    """A word or a name that the window has more often than training had.

    Attributes:
        text: The word or name, as it stands most often.
        type: The name's entity type; "" for a word.
        passages: In how many of the passages that were looked into it is.
        before: In what share of training's passages it was; 0 where training never had it.
        example: A part of a passage that has it.
    """

    text: str
    type: str
    passages: int
    before: float
    example: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "text": self.text, **({"type": self.type} if self.type else {}), "passages": self.passages,
            "share_before": round(self.before, 4), "example": self.example,
        }  # fmt: skip


class Kept:
    """A random part of a stream, of bounded size: each row is in it with the same probability."""

    def __init__(self, most: int = KEPT, seed: int = 0) -> None:
        self.rows: list[LiveRow] = []
        self._most, self._seen = most, 0
        self._random = random.Random(seed)

    def offer(self, row: LiveRow) -> None:
        """Keep a row, or not."""
        self._seen += 1
        if len(self.rows) < self._most:
            self.rows.append(row)
        elif (place := int(self._random.random() * self._seen)) < self._most:
            self.rows[place] = row


def grown_words(rows: Sequence[LiveRow], vocabulary: Vocabulary) -> list[Grown]:
    """Find the words that are in clearly more passages than before, the clearest first.

    Each is judged by its log odds against training's, in standard deviations. It counts once per passage: a word that
    one passage repeats has not become frequent. (After Monroe, Colaresi and Quinn, Fightin' Words, 2008.)
    """
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(words_of(row.text))
    # A known word that is not among the frequent ones is as frequent as the last of these at most.
    rare = min(vocabulary.frequent.values(), default=1)

    def before(word: str) -> float:
        if word not in vocabulary.words:
            return 0.0
        return vocabulary.frequent.get(word_key(word), rare)

    found = []
    for word, count in counts.items():
        if count >= FEWEST:
            was = before(word)
            clear = _log_odds(count, len(rows), was, vocabulary.passages)
            if clear >= CLEARLY:
                found.append((clear, word, count, was / max(vocabulary.passages, 1)))
    best = heapq.nlargest(SHOWN_WORDS, found)
    places = _places_of({word for _, word, _, _ in best}, rows)
    return [
        Grown(places[word][0], "", count, share, places[word][1]) for _, word, count, share in best if word in places
    ]


def new_forms(rows: Sequence[LiveRow], vocabulary: Vocabulary) -> list[Grown]:
    """Find the names that the model finds and training never had, those in most passages first."""
    passages: dict[str, set[int]] = defaultdict(set)
    first: dict[str, tuple[str, str, str]] = {}
    for number, row in enumerate(rows):
        for one in row.found:
            name = without_invisible(row.text[one.start : one.end])
            key = form_key(one.label, name)
            if key in first or key not in vocabulary.forms:
                passages[key].add(number)
                first.setdefault(key, (name, one.label, _around(row.text, one.start, one.end)))
    most = sorted(passages, key=lambda key: -len(passages[key]))[:SHOWN_FORMS]
    return [Grown(first[key][0], first[key][1], len(passages[key]), 0.0, first[key][2]) for key in most]


def examples_of(rows: Sequence[tuple[LiveRow, Sums]], statistic: Statistic, higher: bool) -> list[str]:
    """Find passages that show a statistic's change best.

    Args:
        rows: The passages that were kept, each with its counts.
        statistic: The statistic.
        higher: Whether it has grown.

    Returns:
        Up to three passages, shortened.
    """
    if statistic.unit == "points":
        return []
    valued = (
        (float(statistic.value(sums)), number)
        for number, (_, sums) in enumerate(rows)
        if sums[PLACE["words"]] >= FEWEST_WORDS and (statistic.is_rate or statistic.amount(sums) > 0)
    )
    best = heapq.nsmallest(SHOWN_PASSAGES, valued, key=lambda pair: (-pair[0] if higher else pair[0], pair[1]))
    return [shorten(" ".join(rows[number][0].text.split()), 2 * AROUND) for _, number in best]


def _log_odds(count: int, passages: int, before: float, passages_before: int) -> float:
    """How much more often a word is there, in standard deviations."""

    def odds(number: float, of: int) -> float:
        return math.log((number + _UNSEEN) / (max(of - number, 0) + _UNSEEN))

    spread = math.sqrt(1 / (count + _UNSEEN) + 1 / (before + _UNSEEN))
    return (odds(count, passages) - odds(before, passages_before)) / spread


def _places_of(words: set[str], rows: Iterable[LiveRow]) -> Mapping[str, tuple[str, str]]:
    """Each word as its first passage writes it, with the text around it."""
    places: dict[str, tuple[str, str]] = {}
    for row in rows:
        for piece in PIECE.finditer(row.text):
            word = piece[0].casefold()
            if word in words and word not in places:
                places[word] = (piece[0], _around(row.text, piece.start(), piece.end()))
        if len(places) == len(words):
            break
    return places


def _around(text: str, start: int, end: int) -> str:
    first, last = max(0, start - AROUND), min(len(text), end + AROUND)
    part = " ".join(text[first:last].split())
    return ("…" if first else "") + part + ("…" if last < len(text) else "")
