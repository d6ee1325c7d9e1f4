"""Precision, recall and F1 per entity type, on the annotation's own character offsets."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.passage import Passage, Span

if TYPE_CHECKING:
    from spacy.language import Language


@dataclass
class Score:
    """The counts of one type, or of all. A span is right where its start, end and type are all right.

    Attributes:
        true_positives: Spans that are annotated and predicted.
        false_positives: Spans that are only predicted.
        false_negatives: Spans that are only annotated.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def support(self) -> int:
        """The number of annotated mentions."""
        return self.true_positives + self.false_negatives

    @property
    def precision(self) -> float | None:
        """The share of the predicted spans that is right; None where nothing was predicted."""
        predicted = self.true_positives + self.false_positives
        return self.true_positives / predicted if predicted else None

    @property
    def recall(self) -> float | None:
        """The share of the annotated spans that was found; None where nothing is annotated."""
        return self.true_positives / self.support if self.support else None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where there is neither a mention nor a prediction."""
        counted = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / counted if counted else None

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    def to_dict(self) -> dict[str, Any]:
        """The score as metrics.json holds it."""
        return {
            "precision": rounded(self.precision),
            "recall": rounded(self.recall),
            "f1": rounded(self.f1),
            "support": self.support,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
        }


@dataclass
class Evaluation:
    """The scores of a model on a set of passages.

    Attributes:
        passages: The number of passages.
        types: The score of each entity type.
    """

    passages: int
    types: dict[str, Score]

    @property
    def micro(self) -> Score:
        """All mentions of all types together."""
        return sum(self.types.values(), Score())


def predict_spans(nlp: "Language", passages: Iterable[Passage]) -> list[list[Span]]:
    """Predict the spans of each passage.

    Args:
        nlp: A trained pipeline.
        passages: The passages to read; their annotation is not used.

    Returns:
        The predicted spans of each passage.
    """
    docs = nlp.pipe(passage.text for passage in passages)
    return [[Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents] for doc in docs]


def score(passages: list[Passage], predictions: list[list[Span]], labels: Iterable[str]) -> Evaluation:
    """Compare predicted with annotated spans.

    Args:
        passages: The annotated passages. Their character offsets count, whatever a tokenizer makes of them: a span
            that no tokens can express is one that the model has missed.
        predictions: The predicted spans of each passage.
        labels: The entity types to report; others that occur are added after them.

    Returns:
        The score of each type.
    """
    types = {label: Score() for label in labels}
    for passage, predicted in zip(passages, predictions, strict=True):
        gold, found = Counter(passage.spans), Counter(passage.judged(predicted))
        for span in gold | found:
            counts = types.setdefault(span.label, Score())
            hits = min(gold[span], found[span])
            counts.true_positives += hits
            counts.false_positives += found[span] - hits
            counts.false_negatives += gold[span] - hits
    return Evaluation(len(passages), types)


def rounded(value: float | None) -> float | None:
    """A score as files hold it: to four places, None where it is undefined."""
    return None if value is None else round(value, 4)


def percent(share: float | None, decimals: int = 0) -> str:
    """A share in per cent, without the sign; a dash where it is undefined."""
    return "–" if share is None else f"{100 * share:.{decimals}f}"


def counted(count: int, name: str) -> str:
    """A count with what is counted, as in "1 mention" and "1,200 mentions"."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
