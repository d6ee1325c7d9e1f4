"""A model's predictions on the evaluation set, looked at from all sides: metrics.json and the report are made of it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
from spacy.language import Language

from spacy_domain_ner.confidence import (
    Judged,
    chance_calibration_error,
    expected_calibration_error,
    reliability,
    risk_coverage,
    surest,
)
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import misaligned_spans
from spacy_domain_ner.evaluation import bootstrap
from spacy_domain_ner.evaluation.bootstrap import Counts, Estimate, count_passages, estimate, estimate_macro
from spacy_domain_ner.evaluation.matching import Match, Scheme, SchemeScore, pair_spans, score_schemes
from spacy_domain_ner.evaluation.mistakes import KINDS, Mistake, confusions, find_errors
from spacy_domain_ner.evaluation.scores import Evaluation, Score, score

# The parts of the surest entities whose precision metrics.json has.
COVERAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
# A key of `meta` divides the passages into groups where it has so many values.
FEWEST_GROUPS, MOST_GROUPS = 2, 20


@dataclass(frozen=True)
class Predicted:
    """What a model makes of a passage.

    misaligned: The annotated spans that its tokens can't express.
    confidences: How sure it is of its spans, 0 to 1, where it says so.
    """

    spans: list[Span]
    misaligned: frozenset[Span] = frozenset()
    confidences: Mapping[Span, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """The scores of one type, or of all mentions together.

    counts: True positives, false positives and false negatives of each passage.
    seen, unseen: The score where training had the surface form as a mention of that type, and where it had not: of
        annotated mentions the annotated form, of the others the predicted one. None where training is not known.
    """

    counts: Counts
    schemes: dict[Scheme, SchemeScore]
    seen: Score | None
    unseen: Score | None

    @property
    def score(self) -> Score:
        return Score(*(int(count) for count in self.counts.sum(axis=0)))

    @property
    def precision(self) -> Estimate | None:
        return estimate(self.counts, bootstrap.precision)

    @property
    def recall(self) -> Estimate | None:
        return estimate(self.counts, bootstrap.recall)

    @property
    def f1(self) -> Estimate | None:
        return estimate(self.counts)

    def to_dict(self) -> dict[str, Any]:
        """The scores as they stand in metrics.json."""
        estimates = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {
            **self.score.to_dict(),
            "intervals": {name: _interval(found) for name, found in estimates.items()},
            "seen": self.seen.to_dict() if self.seen else None,
            "unseen": self.unseen.to_dict() if self.unseen else None,
            "schemes": {scheme: found.to_dict() for scheme, found in self.schemes.items()},
        }


@dataclass(frozen=True)
class Analysis:
    """A model's predictions on the evaluation set, compared with the annotation.

    passages: The evaluation set.
    predictions: The predicted spans of each passage.
    matches: Which annotated and predicted spans belong together, of each passage.
    errors: What is not correct, the most instructive first.
    types: The results by type, in the order of the schema.
    micro: Those of all mentions together.
    trained_on: How often training had each type; None where that is not known.
    groups: For each key of the passages' `meta` that divides them into a few groups: each value's passages and score.
    confidences: Of each passage how sure the model is of its spans, where it says so.
    """

    passages: list[Passage]
    predictions: list[list[Span]]
    matches: list[list[Match]]
    errors: list[Mistake]
    types: dict[str, Result]
    micro: Result
    trained_on: Counter[str] | None
    groups: dict[str, dict[str, tuple[int, Score]]]
    confidences: list[Mapping[Span, float]]

    @property
    def judged(self) -> list[Judged]:
        """The predicted entities whose confidence the model says."""
        judged = []
        for passage, confidences in zip(self.passages, self.confidences, strict=True):
            right = set(passage.spans)
            judged += [Judged(span.label, confidence, span in right) for span, confidence in confidences.items()]
        return judged

    @property
    def macro(self) -> Estimate | None:
        """The mean F1 of the types that occur in the evaluation set."""
        return estimate_macro([result.counts for result in self.types.values() if result.score.support])

    @property
    def confusions(self) -> Counter[tuple[str, str]]:
        """How often an annotated type was predicted as which; "" is none."""
        return confusions(self.matches)

    def errors_of(self, label: str) -> list[Mistake]:
        """The errors in which a type is annotated or predicted."""
        return [error for error in self.errors if label in error.types]

    def to_dict(self) -> dict[str, Any]:
        """The figures as they stand in metrics.json."""
        macro = self.macro
        return {
            "passages": len(self.passages),
            "bootstrap": bootstrap.SETTINGS,
            "micro": self.micro.to_dict(),
            "macro": {"f1": round(macro.value, 4) if macro else None, "intervals": {"f1": _interval(macro)}},
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
        }  # fmt: skip


def predict(nlp: Language, passages: Iterable[Passage]) -> list[Predicted]:
    """A model's spans for each passage, and which annotated ones its tokens can't express."""
    pairs = nlp.pipe(((passage.text, passage) for passage in passages), as_tuples=True)
    predicted = []
    for doc, passage in pairs:
        # Only recognizers that say it have brought the attribute.
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
    passages: list[Passage],
    predicted: Sequence[Predicted],
    labels: Iterable[str] = (),
    train: Iterable[Passage] | None = None,
) -> Analysis:
    """Compare predicted with annotated spans.

    passages: The annotated passages. Their character offsets count, not what a tokenizer makes of them: a span that no
        tokens can express is one that the model has missed.
    predicted: What the model makes of each.
    labels: The entity types to report; others that occur are added behind them.
    train: The training set: which surface forms are known from there.
    """
    predictions = [found.spans for found in predicted]
    matches = [pair_spans(passage.spans, spans) for passage, spans in zip(passages, predictions, strict=True)]
    forms: dict[str, Counter[str]] | None = None
    if train is not None:
        forms = defaultdict(Counter)
        for passage in train:
            for span in passage.spans:
                forms[span.label][passage.surface(span)] += 1
    counts = count_passages(passages, predictions, labels)
    seen = None if forms is None else _score_forms(passages, predictions, forms, seen=True)
    unseen = None if forms is None else _score_forms(passages, predictions, forms, seen=False)
    of_types: dict[str, list[Match]] = defaultdict(list)
    for of_passage in matches:
        for found in of_passage:
            # nervaluate too counts a pair of two types for the annotated one.
            [label, *_] = filter(None, found.types)
            of_types[label].append(found)
    types = {
        label: Result(
            of_type,
            score_schemes([of_types[label]]),
            seen.types.get(label, Score()) if seen else None,
            unseen.types.get(label, Score()) if unseen else None,
        )
        for label, of_type in counts.items()
    }
    empty = numpy.zeros((len(passages), 3), dtype=numpy.int64)
    micro = Result(
        sum(counts.values(), empty),
        score_schemes(matches),
        seen.micro if seen else None,
        unseen.micro if unseen else None,
    )
    return Analysis(
        passages,
        predictions,
        matches,
        find_errors(passages, matches, [found.misaligned for found in predicted], forms),
        types,
        micro,
        None if forms is None else Counter({label: of_type.total() for label, of_type in forms.items()}),
        _groups(passages, micro.counts),
        [found.confidences for found in predicted],
    )


def _confidence(judged: list[Judged]) -> dict[str, Any] | None:
    if not judged:
        return None
    points = risk_coverage(judged)
    return {
        "expected_calibration_error": round(expected_calibration_error(judged) or 0.0, 4),
        "chance_calibration_error": round(chance_calibration_error(judged) or 0.0, 4),
        "bins": [
            {"entities": one.count, "confidence": round(one.confidence, 4), "precision": round(one.right, 4)}
            for one in reliability(judged)
        ],
        "coverage": [
            {
                "covered": round(point.covered, 4),
                "confidence": round(point.confidence, 4),
                "precision": round(point.precision, 4),
            }
            for point in dict.fromkeys(surest(points, share) for share in COVERAGES)
        ],
    }


def _score_forms(
    passages: Sequence[Passage], predictions: Sequence[list[Span]], forms: Mapping[str, Collection[str]], *, seen: bool
) -> Evaluation:
    """Score only the spans whose surface form training has as a mention of that type, or only the others."""

    def those(passage: Passage, spans: Iterable[Span]) -> list[Span]:
        return [span for span in spans if (passage.surface(span) in forms.get(span.label, ())) == seen]

    return score(
        [Passage(passage.text, those(passage, passage.spans)) for passage in passages],
        [those(passage, spans) for passage, spans in zip(passages, predictions, strict=True)],
        (),
    )


def _groups(passages: Sequence[Passage], counts: Counts) -> dict[str, dict[str, tuple[int, Score]]]:
    keys = sorted({key for passage in passages for key in passage.meta})
    groups = {}
    for key in keys:
        numbers: dict[str, list[int]] = defaultdict(list)
        for number, passage in enumerate(passages):
            value = passage.meta.get(key)
            if isinstance(value, str) and value:
                numbers[value].append(number)
        covered = sum(map(len, numbers.values()))
        if FEWEST_GROUPS <= len(numbers) <= MOST_GROUPS and covered > len(passages) / 2:
            groups[key] = {
                value: (len(those), Score(*(int(count) for count in counts[those].sum(axis=0))))
                for value, those in sorted(numbers.items(), key=lambda item: -len(item[1]))
            }
    return groups


def _interval(found: Estimate | None) -> list[float] | None:
    return None if found is None else [round(found.low, 4), round(found.high, 4)]
