"""Making a model's confidence mean what it says: nine in ten of the entities with a confidence of 0.9 are right."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from spacy.language import Language

from spacy_domain_ner.confidence.prediction import (
    BATCH,
    EXPECTED,
    before_recognizer,
    predict_with_probabilities,
)
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.models import load_model

BINS = 10
# The attribute of a component that can be calibrated.
ATTRIBUTE = "calibration"
# The prior's standard deviations of the slope around 1 and the intercept around 0: a few entities don't turn the line.
PRIOR_DEVIATIONS = (1.0, 10.0)
# Above zero, so that the order of a model's estimates stays.
LEAST_SLOPE = 0.02
# So many entities that are as many as expected are counted before the first one: a few entities don't turn the factor.
FACTOR_PRIOR = 10
NEWTON_STEPS = 100
SMALLEST = 1e-9


class Judged(NamedTuple):
    """A predicted entity.

    Attributes:
        label: Its type.
        confidence: How sure the model is, from 0 to 1.
        right: Whether its boundaries and type are right.
    """

    label: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Calibration:
    """What is known from the early-stopping set about a model's own estimates.

    Attributes:
        slope: The slope of the line from their log-odds to the log-odds of being right.
        intercept: The intercept of that line.
        thresholds: Pairs for each type: a calibrated confidence, and the precision of the entities that are at least
            that sure. Both rise.
        entities: How many entities of each type the thresholds stand on; None in a model of an earlier version.
        expected: By type, what the number of entities that the model expects is multiplied by; "" stands for all other
            types. None in a model of an earlier version, whose own number stays as it is.
    """

    slope: float
    intercept: float
    thresholds: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    entities: dict[str, int] | None = None
    expected: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """As a component keeps it."""
        values = {"slope": self.slope, "intercept": self.intercept, "thresholds": self.thresholds}
        later = {"entities": self.entities, "expected": self.expected}
        return {**values, **{key: value for key, value in later.items() if value is not None}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Calibration":
        """Read what a component keeps."""
        thresholds = {label: [(one, other) for one, other in pairs] for label, pairs in values["thresholds"].items()}
        return cls(values["slope"], values["intercept"], thresholds, values.get("entities"), values.get("expected"))

    def apply(self, probability: float) -> float:
        """The calibrated confidence of one estimate."""
        return float(_sigmoid(self.slope * _log_odds(numpy.array([probability])) + self.intercept)[0])

    def reaching(self, precision: float) -> dict[str, float | None]:
        """The lowest confidence per type from which on that precision is reached; None if none reaches it."""
        return {
            label: next((threshold for threshold, reached in pairs if reached >= precision), None)
            for label, pairs in self.thresholds.items()
        }

    def can_tell(self, label: str, precision: float) -> bool:
        """Whether a type had so many entities that they could have shown this precision, if all of them were right."""
        if self.entities is None:
            return True
        count = self.entities.get(label, 0)
        return _laplace(count, count) >= precision


def judge_predictions(nlp: Language, passages: Sequence[Passage]) -> list[Judged]:
    """A model's entities in annotated passages, and whether they are right; empty if it gives no confidence."""
    judged = []
    for passage, found in zip(passages, predict_with_probabilities(nlp, passages), strict=True):
        if found.probabilities is not None:
            right = set(passage.spans)
            shares = found.probabilities
            known = (span for span in passage.judged(found.spans) if span in shares)
            judged += [Judged(span.label, shares[span], span in right) for span in known]
    return judged


def calibrate(nlp: Language, passages: Sequence[Passage]) -> Calibration | None:
    """Calibrate a pipeline's recognizer.

    Args:
        nlp: The pipeline.
        passages: Annotated passages that it was not trained on.

    Returns:
        What the recognizer now keeps; None if it can't be calibrated or finds nothing in the passages.
    """
    recognizer = find_recognizer(nlp)
    if recognizer is None:
        return None
    setattr(recognizer, ATTRIBUTE, None)
    judged = judge_predictions(nlp, passages)
    if not judged:
        return None
    slope, intercept = fit_line([one.confidence for one in judged], [one.right for one in judged])
    line = Calibration(slope, intercept)
    calibrated = [one._replace(confidence=line.apply(one.confidence)) for one in judged]
    counts = dict(Counter(one.label for one in judged))
    found = Calibration(slope, intercept, find_thresholds(calibrated), counts, expected_factors(nlp, passages))
    setattr(recognizer, ATTRIBUTE, found.to_dict())
    return found


def calibrate_model(model: Path, passages: Sequence[Passage]) -> None:
    """Calibrate a saved model and save the result in it; a model that can't be calibrated is left alone.

    Args:
        model: The model's folder.
        passages: Annotated passages that it was not trained on.
    """
    nlp = load_model(model)
    if calibrate(nlp, passages) is not None:
        recognizer = find_recognizer(nlp)
        recognizer.to_disk(model / recognizer.name)


def expected_factors(nlp: Language, passages: Sequence[Passage]) -> dict[str, float] | None:
    """Compare how many entities a model expects with how many there are.

    The factor of a type is (annotated + 10 f) / (expected + 10), where f is that ratio of all types together, drawn
    towards 1 in the same way: a few entities do not turn it far.

    Args:
        nlp: The pipeline, not calibrated.
        passages: Annotated passages that it was not trained on. Those with unknown parts tell nothing.

    Returns:
        The factors by type, that of all other types under ""; None if the recognizer has no expected number.
    """
    recognizer = find_recognizer(nlp)
    if not hasattr(recognizer, EXPECTED):
        return None
    expected: Counter[str] = Counter()
    annotated: Counter[str] = Counter()
    known = [passage for passage in passages if not passage.unknown]
    for start in range(0, len(known), BATCH):
        batch = known[start : start + BATCH]
        docs = before_recognizer(nlp, recognizer.name, [passage.text for passage in batch])
        for passage, doc, counts in zip(batch, docs, recognizer.expected(docs), strict=True):
            expected.update(counts)
            # What an earlier component, such as a rule, has found is not for the recognizer to find.
            taken = [(ent.start_char, ent.end_char) for ent in doc.ents]
            annotated.update(
                span.label
                for span in passage.spans
                if span.label in counts and not any(span.start < end and start < span.end for start, end in taken)
            )
    every = (annotated.total() + FACTOR_PRIOR) / (expected.total() + FACTOR_PRIOR)
    of_type = {
        label: (annotated[label] + FACTOR_PRIOR * every) / (expected[label] + FACTOR_PRIOR)
        for label in recognizer.labels
    }
    return {label: round(factor, 4) for label, factor in {"": every, **of_type}.items()}


def find_recognizer(nlp: Language) -> Any:
    """The component that can be calibrated; None if there is none."""
    return next((pipe for _, pipe in nlp.pipeline if hasattr(pipe, ATTRIBUTE)), None)


def read_calibration(nlp: Language) -> Calibration | None:
    """What a pipeline's recognizer keeps; None if it was not calibrated."""
    values = getattr(find_recognizer(nlp), ATTRIBUTE, None)
    return Calibration.from_dict(values) if values else None


def fit_line(probabilities: Sequence[float], right: Sequence[bool]) -> tuple[float, float]:
    """Fit the line from log-odds to log-odds that makes the outcomes most likely, by Newton's method.

    This is the method of J. Platt, Probabilistic Outputs for Support Vector Machines, 1999, with a normal prior around
    the identity line in place of his smoothed targets.

    Args:
        probabilities: The model's own estimates.
        right: Whether each was right.

    Returns:
        The slope, at least 0.02, and the intercept.
    """
    values = numpy.stack([_log_odds(numpy.asarray(probabilities, "d")), numpy.ones(len(probabilities))])
    targets, prior = numpy.asarray(right, "d"), numpy.array([1.0, 0.0])
    weights = 1 / numpy.array(PRIOR_DEVIATIONS) ** 2

    def loss(line: numpy.ndarray) -> float:
        log_odds = line @ values
        likely = numpy.logaddexp(0, log_odds) - targets * log_odds
        return float(likely.sum() + (weights * (line - prior) ** 2).sum() / 2)

    line = prior.copy()
    for _ in range(NEWTON_STEPS):
        shares = _sigmoid(line @ values)
        gradient = values @ (shares - targets) + weights * (line - prior)
        curvature = (values * (shares * (1 - shares))) @ values.T + numpy.diag(weights)
        step = numpy.linalg.solve(curvature, gradient)
        # The curve is flat where a model is almost certain, and a full step would overshoot the best line by far.
        while numpy.abs(step).max() > 1e-9 and loss(line - step) > loss(line):
            step = step / 2
        line = line - step
        if numpy.abs(step).max() <= 1e-9:
            break
    slope, intercept = (float(value) for value in line)
    if slope < LEAST_SLOPE:
        # The model was right more often when it was less sure: only its overall precision is known then.
        share = (targets.sum() + 1) / (len(targets) + 2)
        slope, intercept = LEAST_SLOPE, float(numpy.log(share / (1 - share)) - LEAST_SLOPE * values[0].mean())
    # Few enough digits to survive a JSON file unchanged.
    return round(slope, 6), round(intercept, 6)


def find_thresholds(judged: Iterable[Judged]) -> dict[str, list[tuple[float, float]]]:
    """Find the confidences per type that are worth choosing from, each with the precision from there on.

    A precision is (right + 1) / (entities + 2), Laplace's rule: three out of three are not yet 100 %.

    Returns:
        Pairs of confidence and precision, both rising: a higher threshold that does not reach more is left out.
    """
    of_type: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        of_type[one.label].append(one)
    return {label: _frontier(those) for label, those in sorted(of_type.items())}


def _laplace(right: int, entities: int) -> float:
    return (right + 1) / (entities + 2)


def _frontier(judged: list[Judged]) -> list[tuple[float, float]]:
    pairs: list[tuple[float, float]] = []
    entities = right = 0
    ranked = sorted(judged, key=lambda one: -one.confidence)
    for confidence, equal in groupby(ranked, key=lambda one: one.confidence):
        those = list(equal)
        entities, right = entities + len(those), right + sum(one.right for one in those)
        precision = _laplace(right, entities)
        # A lower threshold that reaches the same precision is better: it keeps more.
        while pairs and pairs[-1][1] <= precision:
            pairs.pop()
        # Rounded down, so that the entities counted here are kept.
        pairs.append((int(confidence * 10_000) / 10_000, round(precision, 4)))
    return pairs[::-1]


@dataclass(frozen=True)
class Bin:
    """The entities whose confidence lies in one tenth of the scale.

    Attributes:
        count: How many they are.
        confidence: Their mean confidence.
        right: The share that is right.
        deviation: The standard deviation of that share if each were right as often as its confidence says.
    """

    count: int
    confidence: float
    right: float
    deviation: float


def reliability(judged: Sequence[Judged], bins: int = BINS) -> list[Bin]:
    """Compare confidence and precision in bins of equal width; empty ones are left out."""
    of_bin: dict[int, list[Judged]] = defaultdict(list)
    for one in judged:
        of_bin[min(bins - 1, int(one.confidence * bins))].append(one)
    return [
        Bin(
            len(those),
            sum(one.confidence for one in those) / len(those),
            sum(one.right for one in those) / len(those),
            math.sqrt(sum(one.confidence * (1 - one.confidence) for one in those)) / len(those),
        )
        for _, those in sorted(of_bin.items())
    ]


def expected_calibration_error(judged: Sequence[Judged], bins: int = BINS) -> float | None:
    """The mean distance between confidence and precision over bins of equal width, weighted by their entities.

    See M. Pakdaman Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015.

    Returns:
        The error; None if there are no entities.
    """
    if not judged:
        return None
    found = reliability(judged, bins)
    return sum(one.count * abs(one.confidence - one.right) for one in found) / len(judged)


def chance_calibration_error(judged: Sequence[Judged], bins: int = BINS) -> float | None:
    """The calibration error that a perfectly calibrated model would have on these entities by chance alone.

    Each bin contributes the mean of a folded normal distribution.

    Returns:
        The error; None if there are no entities.
    """
    if not judged:
        return None
    found = reliability(judged, bins)
    return sum(one.count * math.sqrt(2 / math.pi) * one.deviation for one in found) / len(judged)


@dataclass(frozen=True)
class Coverage:
    """A point of the risk-coverage curve.

    Attributes:
        covered: The share of the entities that are at least this sure.
        confidence: The confidence from which on they are kept.
        precision: The share of the kept entities that is right.
    """

    covered: float
    confidence: float
    precision: float


def risk_coverage(judged: Sequence[Judged]) -> list[Coverage]:
    """The precision when only the surest entities are kept: one point for each number that can be kept.

    It is the curve of R. El-Yaniv and Y. Wiener, On the Foundations of Noise-free Selective Classification, 2010, with
    precision in place of risk.
    """
    points: list[Coverage] = []
    entities = right = 0
    ranked = sorted(judged, key=lambda one: -one.confidence)
    for confidence, equal in groupby(ranked, key=lambda one: one.confidence):
        those = list(equal)
        entities, right = entities + len(those), right + sum(one.right for one in those)
        points.append(Coverage(entities / len(judged), confidence, right / entities))
    return points


def surest(points: Sequence[Coverage], share: float) -> Coverage:
    """The point of a curve that keeps as much as it can of that share.

    It is the first point if ties make even that share unreachable.
    """
    return max((point for point in points if point.covered <= share), key=lambda one: one.covered, default=points[0])


def least_confidences(
    nlp: Language, given: Sequence[str], precision: float | None, keep_unproven: bool = True
) -> dict[str, float]:
    """The lowest confidence per type with which an entity is kept.

    Args:
        nlp: The pipeline.
        given: Numbers, or TYPE=NUMBER: the parameter `min_confidence`.
        precision: The precision to reach for each type, as measured on the early-stopping set.
        keep_unproven: Whether a type is kept that had too few entities there for any precision like this to show.

    Returns:
        The lowest confidence by type; "" stands for all other types. It is infinite for a type of which no entity can
        be kept.

    Raises:
        UserError: If a value is out of range, or the model has no confidence or was not calibrated.
    """
    least: dict[str, float] = {}
    if precision is not None:
        if not 0 < precision < 1:
            raise UserError(f"`precision` is {precision}", "Give a value between 0 and 1, for instance 0.9.")
        calibration = read_calibration(nlp)
        if calibration is None:
            raise UserError(
                "This model has no thresholds to choose from",
                "Train it again with this version, or give `min_confidence`.",
            )
        reaching = calibration.reaching(precision)
        for label in find_recognizer(nlp).labels:
            threshold = reaching.get(label)
            if threshold is None:
                # No entity is sure enough, or nothing can be said.
                threshold = 0.0 if keep_unproven and not calibration.can_tell(label, precision) else math.inf
            least[label] = threshold
    labels = {label for pipe in nlp.pipe_labels.values() for label in pipe}
    for text in given:
        label, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            raise UserError(f"`min_confidence` is {text!r}", "Give a number from 0 to 1, or TYPE=NUMBER.")
        if label and label not in labels:
            raise UserError(f"The model has no type {label!r}", f"It has {', '.join(sorted(labels))}.")
        least[label] = value
    if any(least.values()) and find_recognizer(nlp) is None:
        raise UserError("This model gives no confidence", "Leave out `min_confidence` and `precision`.")
    return least


def _log_odds(probabilities: numpy.ndarray) -> numpy.ndarray:
    clipped = numpy.clip(probabilities, SMALLEST, 1 - SMALLEST)
    return numpy.log(clipped / (1 - clipped))


def _sigmoid(values: numpy.ndarray) -> numpy.ndarray:
    return 1 / (1 + numpy.exp(-numpy.clip(values, -700, 700)))
