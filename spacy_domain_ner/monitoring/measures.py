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
)  # fmt: skip
PLACE = {name: number for number, name in enumerate(COLUMNS)}
# What is counted of a word: see `_Kinds`.
PROPERTIES = 6
# Words whose properties are remembered; then all are forgotten, so that memory stays bounded.
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
        self._kinds = _Kinds(vocabulary)

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
        # Few pieces differ in what is counted of them.
        kinds = Counter(map(self._kinds.__getitem__, PIECE.findall(text)))
        signs = kinds.pop((), 0)
        words = kinds.total()
        sums = [sum(count for kind, count in kinds.items() if kind[place]) for place in range(PROPERTIES)]
        row = [0.0] * self.width
        row[:11] = (1, words, math.log1p(words), *sums, words + signs, signs)
        self._count_entities(row, text, found, expected)
        row[PLACE["right"]], row[PLACE["annotated"]] = right, annotated
        return row

    def _count_entities(
        self, row: Row, text: str, found: Iterable[Found], expected: Mapping[str, float] | None
    ) -> None:
        for start, end, label, confidence in found:
            row[_ENTITIES] += 1
            if form_key(label, text[start:end]) not in self.vocabulary.forms:
                row[_UNSEEN_FORMS] += 1
            if label in self._place:
                row[self._place[label]] += 1
            if confidence is not None:
                row[_CONFIDENT] += 1
                row[_CONFIDENCE] += confidence
                row[_BINS + min(9, int(10 * confidence))] += 1
        if expected is not None:
            row[PLACE["expected"]] = sum(expected.values())
            row[PLACE["found_confidence"]] = row[_CONFIDENCE]


class _Kinds(dict[str, tuple[int, ...]]):
    """What is counted of a word: unseen, capitalised, in capitals, with a digit, common, beyond ASCII. () is a sign."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        self._words = vocabulary.words
        self._common = set(list(vocabulary.frequent)[:COMMON])

    def __missing__(self, piece: str) -> tuple[int, ...]:
        if len(self) >= REMEMBERED:
            self.clear()
        found: tuple[int, ...] = ()
        if is_word(piece):
            word = piece.casefold()
            found = (
                int(word not in self._words), int(piece[0].isupper()), int(len(piece) > 1 and piece.isupper()),
                int(any(map(str.isdigit, piece))), int(word_key(word) in self._common), int(not piece.isascii()),
            )  # fmt: skip
        self[piece] = found
        return found


_ENTITIES, _UNSEEN_FORMS, _CONFIDENT = PLACE["entities"], PLACE["unseen_forms"], PLACE["confident"]
_CONFIDENCE, _BINS = PLACE["confidence"], PLACE["bin_0"]
