"""A model's predictions compared with the annotation of the evaluation set: everything that is counted."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy

from spacy_domain_ner.confidence.calibration import (
    Judged,
    chance_calibration_error,
    expected_calibration_error,
    reliability,
    risk_coverage,
    surest,
)
from spacy_domain_ner.corpus.passage import ORIGIN, OWN, Passage, Span
from spacy_domain_ner.corpus.spacy_docs import misaligned_spans
from spacy_domain_ner.evaluation import bootstrap
from spacy_domain_ner.evaluation.bootstrap import Counts, Estimate, estimate, estimate_macro
from spacy_domain_ner.evaluation.matching import Match, Scheme, SchemeScore, pair_spans, score_schemes
from spacy_domain_ner.evaluation.mistakes import KINDS, Mistake, confusions, find_errors
from spacy_domain_ner.evaluation.scores import Score, rounded

if TYPE_CHECKING:
    from spacy.language import Language

# metrics.json says how precise the surest entities are, for these shares of all entities.
COVERAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
# A key of `meta` divides the passages into groups where it has this many values, and each this many passages on
# average (two values may have fewer): a number or a date that nearly each passage has for itself says nothing.
FEWEST_GROUPS, MOST_GROUPS = 2, 20
FEWEST_PER_GROUP = 3


@dataclass(frozen=True)
class Predicted:
    """What a model predicts for a passage.

    Attributes:
        spans: The predicted spans.
        misaligned: The annotated spans that the model's tokens can't express.
        confidences: The model's confidence in its spans, from 0 to 1; empty where it states none.
    """

    spans: list[Span]
    misaligned: frozenset[Span] = frozenset()
    confidences: Mapping[Span, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The scores of one type, or of all mentions together.

    Attributes:
        counts: The true positives, false positives and false negatives of each passage, of shape (passages, 3).
        schemes: The score by each of the four schemes.
        seen: The score of the names that training had as a mention of that type. An annotated mention counts by its
            own form, a wrong prediction by the predicted one. None where the training set is not known.
        unseen: The score of the other names.
    """

    counts: Counts
    schemes: dict[Scheme, SchemeScore]
    seen: Score | None
    unseen: Score | None

    @cached_property
    def score(self) -> Score:
        """The counts of all passages together, with precision, recall and F1."""
        return _score(self.counts.sum(axis=0))

    @cached_property
    def precision(self) -> Estimate | None:
        """The precision with its interval; None where nothing was predicted."""
        return estimate(self.counts, bootstrap.precision)

    @cached_property
    def recall(self) -> Estimate | None:
        """The recall with its interval; None where nothing is annotated."""
        return estimate(self.counts, bootstrap.recall)

    @cached_property
    def f1(self) -> Estimate | None:
        """The F1 with its interval; None where there is neither a mention nor a prediction."""
        return estimate(self.counts)

    def to_dict(self) -> dict[str, Any]:
        """The scores as metrics.json holds them."""
        estimates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            **self.score.to_dict(),
            "intervals": {name: _interval(found) for name, found in estimates.items()},
            "seen": self.seen.to_dict() if self.seen else None,
            "unseen": self.unseen.to_dict() if self.unseen else None,
            "schemes": {scheme: found.to_dict() for scheme, found in self.schemes.items()},
        }


class GroupScore(NamedTuple):
    """The number of passages that share a value of `meta`, and the score on them."""

    passages: int
    score: Score


@dataclass(frozen=True)
class Analysis:
    """A model's predictions on the evaluation set, compared with the annotation.

    Attributes:
        passages: The evaluation set.
        predictions: The predicted spans of each passage.
        confidences: The model's confidence in the spans of each passage; empty where it states none.
        matches: Which annotated and predicted spans of each passage belong together.
        errors: Everything that is not correct, the most instructive first.
        types: The result of each type, in the order of the schema.
        micro: The result of all mentions together.
        trained_on: How often training had each type; None where the training set is not known.
        groups: The score of each value of a `meta` key, for the keys that divide the passages into a few groups.
    """

    passages: list[Passage]
    predictions: list[list[Span]]
    confidences: list[Mapping[Span, float]]
    matches: list[list[Match]]
    errors: list[Mistake]
    types: Mapping[str, Result]
    micro: Result
    trained_on: Counter[str] | None
    groups: dict[str, dict[str, GroupScore]]

    @cached_property
    def macro(self) -> Estimate | None:
        """The mean F1 of the types that occur in the evaluation set, with its interval."""
        return estimate_macro([result.counts for result in self.types.values() if result.score.support])

    @cached_property
    def judged(self) -> list[Judged]:
        """The predicted entities that have a confidence, each with whether it is right."""
        judged = []
        for passage, confidences in zip(self.passages, self.confidences, strict=True):
            right = set(passage.spans)
            judged += [Judged(span.label, confidences[span], span in right) for span in passage.judged(confidences)]
        return judged

    @cached_property
    def confusions(self) -> Counter[tuple[str, str]]:
        """How often each annotated type was predicted as which type, "" where there is no span."""
        return confusions(self.matches)

    def errors_of(self, label: str) -> list[Mistake]:
        """The errors in which a type is annotated or predicted.

        Args:
            label: The type.
        """
        return [error for error in self.errors if label in error.types]

    def to_dict(self) -> dict[str, Any]:
        """The figures as metrics.json holds them."""
        return {
            "passages": len(self.passages),
            "bootstrap": bootstrap.SETTINGS,
            "micro": self.micro.to_dict(),
            "macro": {
                "f1": rounded(self.macro.value if self.macro else None),
                "intervals": {"f1": _interval(self.macro)},
            },
            "types": {
                label: {**result.to_dict(), "trained_on": None if self.trained_on is None else self.trained_on[label]}
                for label, result in self.types.items()
            },
            "groups": {
                key: {value: {"passages": count, **score.to_dict()} for value, (count, score) in values.items()}
                for key, values in self.groups.items()
            },
            "errors": {kind: sum(error.kind == kind for error in self.errors) for kind in KINDS},
            "confusions": [
                {"annotated": gold or None, "predicted": predicted or None, "count": count}
                for (gold, predicted), count in sorted(self.confusions.items())
            ],
            "confidence": _confidence(self.judged),
        }


def predict(nlp: "Language", passages: Iterable[Passage]) -> list[Predicted]:
    """Predict the spans of each passage, and find the annotated spans that the model's tokens can't express.

    Args:
        nlp: A trained pipeline.
        passages: The annotated passages.

    Returns:
        A prediction per passage.
    """
    pairs = nlp.pipe(((passage.text, passage) for passage in passages), as_tuples=True)
    predicted = []
    for doc, passage in pairs:
        # Only a recognizer that states a confidence has registered the attribute.
        found = {
            Span(ent.start_char, ent.end_char, ent.label_): ent._.confidence if ent._.has("confidence") else None
            for ent in doc.ents
        }
        predicted.append(
            Predicted(
                list(found),
                frozenset(span for span, _ in misaligned_spans(doc, passage.spans)),
                {span: confidence for span, confidence in found.items() if confidence is not None},
            )
        )
    return predicted


def analyse(
    passages: Sequence[Passage],
    predicted: Sequence[Predicted],
    labels: Iterable[str] = (),
    train: Iterable[Passage] | None = None,
) -> Analysis:
    """Compare predicted with annotated spans.

    Args:
        passages: The annotated passages. Their character offsets count, whatever a tokenizer makes of them: a span
            that no tokens can express is one that the model has missed.
        predicted: The model's prediction for each passage.
        labels: The entity types to report; others that occur are added after them.
        train: The training set, to tell names that the model knows from others; None where it is not known.

    Returns:
        The analysis.
    """
    predictions = [found.spans for found in predicted]
    matches = [
        pair_spans(passage.spans, passage.judged(spans)) for passage, spans in zip(passages, predictions, strict=True)
    ]
    forms = None if train is None else _surface_forms(train)
    counts = _count(passages, matches, labels, forms)
    total = sum(counts.values(), numpy.zeros((len(passages), 2, 3), dtype=numpy.int64))
    of_types: dict[str, list[Match]] = defaultdict(list)
    for of_passage in matches:
        for found in of_passage:
            # nervaluate, too, counts a pair of two types for the annotated one.
            of_types[found.span.label].append(found)
    micro = _result(total, matches, known=forms is not None)
    return Analysis(
        passages=list(passages),
        predictions=predictions,
        confidences=[found.confidences for found in predicted],
        matches=matches,
        errors=find_errors(passages, matches, [found.misaligned for found in predicted], forms),
        types={
            label: _result(of_type, [of_types[label]], known=forms is not None) for label, of_type in counts.items()
        },
        micro=micro,
        trained_on=None if forms is None else Counter({label: of_type.total() for label, of_type in forms.items()}),
        groups=_groups(passages, micro.counts),
    )


def _surface_forms(passages: Iterable[Passage]) -> dict[str, Counter[str]]:
    """How often each type is annotated with each surface form."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for passage in passages:
        for span in passage.spans:
            forms[span.label][passage.name(span)] += 1
    return forms


def _count(
    passages: Sequence[Passage],
    matches: Sequence[Sequence[Match]],
    labels: Iterable[str],
    forms: Mapping[str, Collection[str]] | None,
) -> dict[str, Counts]:
    """Count the matches of each type and passage.

    Returns:
        For each type the counts, of shape (passages, 2, 3): the names that training did not have, then those that it
        had; for each the true positives, false positives and false negatives.
    """
    counts = {label: numpy.zeros((len(passages), 2, 3), dtype=numpy.int64) for label in labels}
    for number, (passage, of_passage) in enumerate(zip(passages, matches, strict=True)):
        for found in of_passage:
            correct = found.kind == "correct"
            outcomes = [(found.gold, 0)] if correct else [(found.predicted, 1), (found.gold, 2)]
            for span, column in outcomes:
                if span is not None:
                    if span.label not in counts:
                        counts[span.label] = numpy.zeros((len(passages), 2, 3), dtype=numpy.int64)
                    seen = forms is not None and passage.name(span) in forms.get(span.label, ())
                    counts[span.label][number, int(seen), column] += 1
    return counts


def _result(counts: Counts, matches: Sequence[Sequence[Match]], *, known: bool) -> Result:
    """The result of the counts of `_count`. known: Whether the training set is known."""
    unseen, seen = (_score(side) for side in counts.sum(axis=0)) if known else (None, None)
    return Result(counts.sum(axis=1), score_schemes(matches), seen, unseen)


def _score(counts: Counts) -> Score:
    return Score(*(int(count) for count in counts))


def _groups(passages: Sequence[Passage], counts: Counts) -> dict[str, dict[str, GroupScore]]:
    groups = {}
    # Beside those of a pack the user's own passages are a group, the one whose score matters.
    without = {ORIGIN: OWN} if any(passage.is_starter for passage in passages) else {}
    for key in sorted({key for passage in passages for key in passage.meta}):
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, passage in enumerate(passages):
            value = passage.meta.get(key, without.get(key))
            if isinstance(value, str) and value:
                numbers[value].append(number)
        covered = sum(map(len, numbers.values()))
        most = min(MOST_GROUPS, max(FEWEST_GROUPS, covered // FEWEST_PER_GROUP))
        if FEWEST_GROUPS <= len(numbers) <= most and covered > len(passages) / 2:
            groups[key] = {
                value: GroupScore(len(those), _score(counts[those].sum(axis=0)))
                for value, those in sorted(numbers.items(), key=lambda item: -len(item[1]))
            }
    return groups


def _confidence(judged: list[Judged]) -> dict[str, Any] | None:
    if not judged:
        return None
    points = risk_coverage(judged)
    return {
        "expected_calibration_error": rounded(expected_calibration_error(judged) or 0.0),
        "chance_calibration_error": rounded(chance_calibration_error(judged) or 0.0),
        "bins": [
            {"entities": one.count, "confidence": rounded(one.confidence), "precision": rounded(one.right)}
            for one in reliability(judged)
        ],
        "coverage": [
            {
                "covered": rounded(point.covered),
                "confidence": rounded(point.confidence),
                "precision": rounded(point.precision),
            }
            for point in dict.fromkeys(surest(points, share) for share in COVERAGES)
        ],
    }


def _interval(found: Estimate | None) -> list[float] | None:
    return None if found is None else [round(found.low, 4), round(found.high, 4)]
