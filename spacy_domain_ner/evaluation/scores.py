"""Precision, recall and F1 per entity type on the annotation's own character offsets."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spacy.language import Language

from spacy_domain_ner.corpus.passage import Passage, Span


@dataclass
class Score:
    """Counts of one type, or of all. A span counts where its start, end and type are all right.

    Precision and recall are None where they are undefined (nothing predicted, nothing annotated).
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def support(self) -> int:
        """The annotated mentions."""
        return self.true_positives + self.false_negatives

    @property
    def precision(self) -> float | None:
        predicted = self.true_positives + self.false_positives
        return self.true_positives / predicted if predicted else None

    @property
    def recall(self) -> float | None:
        return self.true_positives / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None only where there is neither a mention nor a prediction."""
        counted = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / counted if counted else None

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    def to_dict(self) -> dict[str, Any]:
        """The score as it stands in metrics.json."""
        return {
            "precision": _rounded(self.precision),
            "recall": _rounded(self.recall),
            "f1": _rounded(self.f1),
            "support": self.support,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
        }


@dataclass
class Evaluation:
    """The scores of a model on a set of passages."""

    passages: int
    types: dict[str, Score]

    @property
    def micro(self) -> Score:
        """All mentions of all types together."""
        return sum(self.types.values(), Score())


def predict_spans(nlp: Language, passages: Iterable[Passage]) -> list[list[Span]]:
    """A model's spans for each passage."""
    docs = nlp.pipe(passage.text for passage in passages)
    return [[Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]


def score(passages: list[Passage], predictions: list[list[Span]], labels: Iterable[str]) -> Evaluation:
    """Compare predicted with annotated spans.

    passages: The annotated passages. Their character offsets count, not what a tokenizer makes of them: a
        span that no tokens can express is one that the model has missed.
    predictions: The predicted spans, a list for each passage.
    labels: The entity types to report; others that occur are added behind them.
    """
    types = {label: Score() for label in labels}
    for passage, predicted in zip(passages, predictions, strict=True):
        gold, found = Counter(passage.spans), Counter(predicted)
        for span in gold | found:
            counts = types.setdefault(span.label, Score())
            hits = min(gold[span], found[span])
            counts.true_positives += hits
            counts.false_positives += found[span] - hits
            counts.false_negatives += gold[span] - hits
    return Evaluation(len(passages), types)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
