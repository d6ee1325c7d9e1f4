"""What monitoring counts in a passage and in what the model found there: numbers that can be added up."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.vocabulary import COMMON, PIECE, Vocabulary, form_key, is_word, word_key

# A row holds these, then the entities of each type.
COLUMNS = (
    "passages", "words", "log_words", "unseen_words", "capitalised", "upper", "digits", "common", "beyond_ascii",
    "pieces", "signs",
    "entities", "unseen_forms", "confident", "confidence", *(f"bin_{number}" for number in range(10)),
    "expected", "found_confidence",
    "right", "annotated",
    "known_entities",
)  # fmt: skip
PLACE = {name: number for number, name in enumerate(COLUMNS)}
# Words whose properties are remembered, and names of which it is remembered whether training had them; then all are
# forgotten, so that memory stays bounded.
REMEMBERED = 200_000

Row = list[float]
Sums = NDArray[numpy.float64]


class Measures:
    """Counts passages, for a vocabulary and for the types that a model has.

    Attributes:
        vocabulary: What training had.
        labels: The entity types, in the order of their columns.
        width: The number of columns.
    """

    def __init__(self, vocabulary: Vocabulary, labels: Sequence[str]) -> None:
        """Prepare to count.

        Args:
            vocabulary: What training had.
            labels: The entity types; an entity of another one is counted among all entities only.
        """
        self.labels = list(labels)
        self.vocabulary = vocabulary
        self._place = {label: len(COLUMNS) + number for number, label in enumerate(self.labels)}
        self.width = len(COLUMNS) + len(self.labels)
        self._places = _Places(vocabulary)
        self._names = _Names(vocabulary)

    def count(
        self,
        text: str,
        found: Iterable[Found],
        expected: Mapping[str, float] | None = None,
        right: int = 0,
        annotated: int = 0,
    ) -> Row:
        """Count a passage.

        Args:
            text: The passage.
            found: What the model found.
            expected: How many entities of each type the model expects; None where that is not known.
            right: For the evaluation set: how many of the entities are right.
            annotated: For the evaluation set: how many mentions are annotated.

        Returns:
            The numbers of `COLUMNS`, then the entities of each type.
        """
        row = [0.0] * self.width
        # Few pieces differ in where they count.
        for places, count in Counter(map(self._places.__getitem__, PIECE.findall(text))).items():
            for place in places:
                row[place] += count
        words, signs = row[_WORDS], row[_SIGNS]
        row[0], row[_LOG_WORDS], row[_PIECES] = 1, math.log1p(words), words + signs
        self._count_entities(row, text, found, expected)
        row[PLACE["right"]], row[PLACE["annotated"]] = right, annotated
        return row

    def _count_entities(
        self, row: Row, text: str, found: Iterable[Found], expected: Mapping[str, float] | None
    ) -> None:
        for start, end, label, confidence in found:
            row[_ENTITIES] += 1
            unseen, known = self._names[label, text[start:end]]
            row[_UNSEEN_FORMS] += unseen
            row[_KNOWN_ENTITIES] += known if confidence is None else confidence * known
            if label in self._place:
                row[self._place[label]] += 1
            if confidence is not None:
                row[_CONFIDENT] += 1
                row[_CONFIDENCE] += confidence
                row[_BINS + min(9, int(10 * confidence))] += 1
        if expected is not None:
            row[PLACE["expected"]] = sum(expected.values())
            row[PLACE["found_confidence"]] = row[_CONFIDENCE]


class _Places(dict[str, tuple[int, ...]]):
    """The columns in which a word or a sign counts."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._words = vocabulary.words
        self._common = set(list(vocabulary.frequent)[:COMMON])
        # The same few objects for all words: a window may have very many.
        self._shared: dict[tuple[int, ...], tuple[int, ...]] = {}

    def __missing__(self, piece: str) -> tuple[int, ...]:
        if len(self) >= REMEMBERED:
            self.clear()
        places = tuple(PLACE[name] for name in self._columns(piece))
        self[piece] = self._shared.setdefault(places, places)
        return places

    def _columns(self, piece: str) -> list[str]:
        if not is_word(piece):
            return ["signs"]
        word = piece.casefold()
        holds = {
            "words": True,
            "unseen_words": word not in self._words,
            "capitalised": piece[0].isupper(),
            "upper": len(piece) > 1 and piece.isupper(),
            "digits": any(map(str.isdigit, piece)),
            "common": word_key(word) in self._common,
            "beyond_ascii": not piece.isascii(),
        }
        return [name for name, held in holds.items() if held]


class _Names(dict[tuple[str, str], tuple[bool, float]]):
    """Whether training never had a name, by type and name; and the share of its words that training had anywhere."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._vocabulary = vocabulary

    def __missing__(self, name: tuple[str, str]) -> tuple[bool, float]:
        if len(self) >= REMEMBERED:
            self.clear()
        words = [piece.casefold() for piece in PIECE.findall(name[1]) if is_word(piece)]
        known = sum(word in self._vocabulary.words for word in words) / max(1, len(words))
        self[name] = found = form_key(*name) not in self._vocabulary.forms, known
        return found


_WORDS, _LOG_WORDS, _PIECES, _SIGNS = PLACE["words"], PLACE["log_words"], PLACE["pieces"], PLACE["signs"]
_ENTITIES, _UNSEEN_FORMS, _CONFIDENT = PLACE["entities"], PLACE["unseen_forms"], PLACE["confident"]
_CONFIDENCE, _BINS = PLACE["confidence"], PLACE["bin_0"]
_KNOWN_ENTITIES = PLACE["known_entities"]
