"""Which tokens are in no name although nothing was found there: what training may take as outside of all names.

What no source marks is not outside of all names: the sources miss many. But if nothing is known to be outside, the
recognizer takes everything for a name. So a logistic regression learns how tokens of names differ from others, by what
is known of their pieces and by how they are written. It learns from what the sources have found. The reviewed passages,
which it has not seen, tell below which score only few of the tokens in names lie; those above are left unknown.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.base_models.word_tables import load_word_table
from spacy_domain_ner.components.word_pieces import DEFAULT, Table

if TYPE_CHECKING:
    from spacy.tokens import Doc, Token

# Of the tokens in names that no source has found, so many may be taken as outside of all names.
LOST = 0.2
# With fewer tokens of names, nothing is learned; with fewer tokens of reviewed passages, nothing is measured.
FEWEST_NAMED, FEWEST_REVIEWED = 20, 200
# Tokens that are learned from, the regression's weight against large coefficients, and its steps (Newton's method).
_SAMPLE, _RIDGE, _STEPS = 8000, 3.0, 6


class OrdinaryTokens:
    """Says which tokens are outside of all names."""

    def __init__(self, docs: Sequence["Doc"], named: Sequence[set[int]]) -> None:
        """Learn from passages.

        Args:
            docs: The passages.
            named: For each the tokens that a source has found to be in a name.
        """
        self._weights: numpy.ndarray | None = None
        self._least = -numpy.inf
        self._outside: set[str] = set()
        features, found = _sample(docs, named)
        if sum(found) >= FEWEST_NAMED:
            self._weights = _fit(features, found)

    def measure(self, docs: Sequence["Doc"], named: Sequence[set[int]], inside: Sequence[set[int]]) -> None:
        """Find the score below which hardly a token is in a name.

        Args:
            docs: Reviewed passages.
            named: For each the tokens that a source has found to be in a name.
            inside: For each the tokens that are in a name.
        """
        right, wrong = Counter[str](), Counter[str]()
        scores: list[float] = []
        in_name: list[bool] = []
        for doc, found, true in zip(docs, named, inside, strict=True):
            values = self._scores(doc)
            for token in doc:
                (wrong if token.i in true else right)[token.lower_] += 1
                if token.i not in found and not token.is_space:
                    scores.append(float(values[token.i]))
                    in_name.append(token.i in true)
        self._outside = {word for word, count in right.items() if count > 1 and not wrong[word]}
        if self._weights is not None and len(scores) >= FEWEST_REVIEWED:
            order = numpy.argsort(scores, kind="stable")
            lost = numpy.cumsum(numpy.array(in_name)[order])
            below = numpy.flatnonzero(lost <= LOST * lost[-1])
            self._least = scores[order[below[-1]]] if len(below) else -numpy.inf

    @property
    def is_measured(self) -> bool:
        """Whether reviewed passages have told where the limit is."""
        return self._least > -numpy.inf

    def outside(self, doc: "Doc") -> numpy.ndarray:
        """Which tokens of a passage are outside of all names, as far as no source has found them to be in one."""
        if not self.is_measured:
            # Nobody has measured it: only what is never more than a part of a name.
            sure = numpy.array([token.is_punct or is_stop_word(token) for token in doc], "?")
        else:
            sure = self._scores(doc) <= self._least
        sure |= numpy.array([token.is_space or token.lower_ in self._outside for token in doc], "?")
        return sure

    def _scores(self, doc: "Doc") -> numpy.ndarray:
        if self._weights is None or not len(doc):
            return numpy.zeros(len(doc))
        scores: numpy.ndarray = _features(doc) @ self._weights
        return scores


def is_stop_word(token: "Token") -> bool:
    """Whether a token is a word that only holds others together, in small letters or at the beginning of a sentence."""
    return bool(token.is_stop and (token.is_lower or token.i == 0 or token.is_sent_start))


def is_ordinary(token: "Token") -> bool:
    """Whether a token is in use outside of names: a single character, a number, or an ordinary word in small letters.

    In English, that is a word that the vocabulary of the word table has whole. Of other languages the package has no
    vocabulary, and each word counts.
    """
    if len(token.text) == 1 or token.like_num or is_stop_word(token):
        return True
    if not (token.is_lower and token.is_alpha):
        return False
    return token.lang_ != "en" or len(_table().tokenize(token.text)) == 1


@cache
def _table() -> Any:
    return Table(load_word_table(DEFAULT))


@cache
def _vector(word: str) -> numpy.ndarray:
    pieces = _table().tokenize(word)
    vector: numpy.ndarray = _table().vectors_of(pieces).mean(axis=0) if pieces else numpy.zeros(_table().width, "f")
    # About as large as one of the other features.
    return vector / 4


def _written(token: "Token") -> list[float]:
    """How a token is written."""
    text = token.text
    return [
        token.is_lower, token.is_title, token.is_upper and len(text) > 1, any(map(str.isdigit, text)), token.is_punct,
        token.is_stop, token.i == 0, token.is_alpha, len(text) < 3, len(text) > 8,
        not (token.is_lower or token.is_title or token.is_upper),
    ]  # fmt: skip


def _features(doc: "Doc") -> numpy.ndarray:
    """A row for each token: its pieces, how it and its neighbours are written, and 1."""
    written = numpy.array([_written(token) for token in doc], "f")
    nothing = numpy.zeros((1, written.shape[1]), "f")
    before, after = numpy.concatenate([nothing, written[:-1]]), numpy.concatenate([written[1:], nothing])
    pieces = numpy.array([_vector(token.text) for token in doc], "f")
    return numpy.concatenate([pieces, written, before, after, numpy.ones((len(doc), 1), "f")], axis=1)


def _sample(docs: Sequence["Doc"], named: Sequence[set[int]]) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The features of tokens, and which of them are in a name."""
    rows: list[numpy.ndarray] = []
    found: list[bool] = []
    for doc, inside in zip(docs, named, strict=True):
        if len(doc) and len(found) < _SAMPLE:
            rows.append(_features(doc))
            found += [token.i in inside for token in doc]
    return (numpy.concatenate(rows) if rows else numpy.zeros((0, 1), "f")), numpy.array(found, "?")


def _fit(features: numpy.ndarray, found: numpy.ndarray) -> numpy.ndarray:
    """Logistic regression by Newton's method. Both kinds of tokens weigh the same, however few the names are."""
    share = found.mean()
    weigh = numpy.where(found, 0.5 / share, 0.5 / (1 - share)).astype("f")
    weights = numpy.zeros(features.shape[1], "f")
    for _ in range(_STEPS):
        chance = 1 / (1 + numpy.exp(-numpy.clip(features @ weights, -30, 30)))
        gradient = features.T @ (weigh * (chance - found).astype("f")) + _RIDGE * weights
        curvature = (features.T * (weigh * chance * (1 - chance)).astype("f")) @ features
        curvature[numpy.diag_indices_from(curvature)] += _RIDGE
        weights -= numpy.linalg.solve(curvature, gradient)
    return weights


def tokens_in(doc: "Doc", spans: Iterable[tuple[int, int]]) -> set[int]:
    """The tokens that parts of a text touch, given by their offsets in code points, end exclusive."""
    parts = sorted(spans)
    return {token.i for token in doc if any(start < token.idx + len(token) and token.idx < end for start, end in parts)}
