"""Annotations that are likely to be wrong: models that were not trained on them contradict them most confidently.

The passages are divided into folds, and each fold is read by a model that was trained on the others. A contradiction
says little where models often contradict correct annotations: they miss many names that training never had. So its
probability is multiplied by the share of such annotations that models agree with. (Weighing a model's confidence by
what is usual for the class follows C. Northcutt et al., Confident Learning, 2021.)
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from spacy_domain_ner.confidence import Prediction
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.evaluation.label_issues import Suspect
from spacy_domain_ner.evaluation.matching import PairKind, pair_spans

# Passages, what a model finds in each of them, and the passages that it was trained on.
Reading = tuple[Sequence[Passage], Sequence[Prediction], Sequence[Passage]]
# What all types have in common counts as this many mentions of a type: it decides where a type has few.
SHARED = 10
# The probability of a prediction where the model gives none: then only what is usual for such annotations counts.
UNKNOWN = 1.0


def rank_suspects(readings: Iterable[Reading]) -> list[Suspect]:
    """Sort what models contradict by how much it weighs.

    Args:
        readings: Passages with their annotation, what a model finds in each, and the passages that it was trained on.

    Returns:
        The suspects, the most doubtful first.
    """
    contradictions: list[tuple[Suspect, _Group]] = []
    usual = _Usual()
    for passages, predictions, trained_on in readings:
        contradictions += _contradictions(passages, predictions, trained_on, usual)
    suspects = [
        Suspect(one.passage, one.annotated, one.predicted, one.confidence * (1 - usual.rate(group)))
        for one, group in contradictions
    ]
    return sorted(suspects, key=lambda suspect: -suspect.confidence)


@dataclass(frozen=True)
class _Group:
    """Annotations or predictions that models contradict about as often.

    Attributes:
        kind: How the annotation and the prediction differ.
        label: The annotated type, or the predicted one where nothing is annotated.
        known: Whether training had the surface form as that type.
    """

    kind: PairKind
    label: str
    known: bool


class _Usual:
    """How often annotations of a group are contradicted."""

    def __init__(self) -> None:
        self.contradicted: Counter[_Group] = Counter()
        # Annotated spans, and predicted ones, by type and whether training had the form.
        self.annotated: Counter[tuple[str, bool]] = Counter()
        self.predicted: Counter[tuple[str, bool]] = Counter()

    def rate(self, group: _Group) -> float:
        """The share of such annotations that are contradicted; where a type has few, it is drawn towards that of all
        types."""
        counted = self.predicted if group.kind == "spurious" else self.annotated
        alike = [key for key in counted if key[1] == group.known]
        shared = sum(self.contradicted[_Group(group.kind, label, group.known)] for label, _ in alike)
        average = shared / max(1, sum(counted[key] for key in alike))
        return (self.contradicted[group] + SHARED * average) / (counted[group.label, group.known] + SHARED)


def _contradictions(
    passages: Sequence[Passage], predictions: Sequence[Prediction], trained_on: Sequence[Passage], usual: _Usual
) -> Iterator[tuple[Suspect, _Group]]:
    forms: dict[str, set[str]] = defaultdict(set)
    for passage in trained_on:
        for span in passage.spans:
            forms[span.label].add(passage.surface(span))
    for passage, found in zip(passages, predictions, strict=True):
        for counted, spans in ((usual.annotated, passage.spans), (usual.predicted, found.spans)):
            counted.update((span.label, passage.surface(span) in forms[span.label]) for span in spans)
        shares = found.probabilities
        for one in pair_spans(passage.spans, passage.judged(found.spans)):
            about = one.gold or one.predicted
            if one.kind == "correct" or about is None:
                continue
            if shares is None:
                share = UNKNOWN
            else:
                share = shares.get(one.predicted, 0.0) if one.predicted else 1 - shares.get(about, 0.0)
            group = _Group(one.kind, about.label, passage.surface(about) in forms[about.label])
            usual.contradicted[group] += 1
            yield Suspect(passage, one.gold, one.predicted, share), group
