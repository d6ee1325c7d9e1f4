"""How F1 grows with the number of examples, and how much more of them are likely to help.

The error falls roughly as a power of the amount of data, down to a rest that no data removes: F1(n) = c - a * n^-b
(C. Cortes et al., Learning Curves: Asymptotic Values and Rate of Convergence, 1993). A few uncertain points fit many
such curves. The forecast weighs all of them by their likelihood. Where they diverge, it says that little can be said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.evaluation.bootstrap import Counts, draw, f1
from spacy_domain_ner.evaluation.gates import GATE

# The ranges hold this part of the curves' weight: enough to plan by.
RANGE = (0.1, 0.9)
# Nobody labels more than this many times the examples that there are.
MOST_TIMES = 10
# More examples are worth it where twice as many are likely to raise F1 by this much.
WORTH_IT = 0.01
# With fewer mentions in the evaluation set, or fewer sizes of the training set, a curve says nothing.
FEWEST, FEWEST_SIZES = 10, 3
# Where the best curve misses the points by more than this many variances in total, they do not lie on a curve. F1 rises
# slowly at first, then fast, and then more and more slowly: a type of few examples may not have come that far.
WORST_FIT = 9.0
# The standard deviation of F1 between trainings that differ only in their passages and seed; it adds to that of the
# evaluation passages. Measured between seeds on stackoverflow_ner, wnut17 and bc5cdr: 0.01 to 0.03.
TRAINING_NOISE = 0.015
EXPONENTS = numpy.linspace(0.05, 0.6, 12)
LIMITS = numpy.linspace(0.0, 1.0, 201)


@dataclass(frozen=True)
class Measured:
    """The result of training on a part of the passages.

    Attributes:
        passages: The number of training passages.
        mentions: The number of mentions of each type in them.
        counts: For each type the true positives, false positives and false negatives of each evaluation passage.
    """

    passages: int
    mentions: Mapping[str, int]
    counts: Mapping[str, Counts]


@dataclass(frozen=True)
class Point:
    """The scores at one size of the training set.

    Attributes:
        passages: The number of training passages.
        mentions: The number of mentions of each type in them.
        f1: The F1 of each type on the evaluation set, 0 where it is undefined.
        micro: The F1 of all mentions together.
    """

    passages: int
    mentions: dict[str, int]
    f1: dict[str, float]
    micro: float


@dataclass(frozen=True)
class Forecast:
    """How much more examples of a type are likely to help.

    Attributes:
        mentions: The number of examples today.
        f1: The F1 today.
        doubled: The F1 with twice the examples: the likely value and the two ends of its range.
        needed: How many more examples are likely to reach the gate; None where ten times the examples are not enough.
        needed_range: The two ends of the range of `needed`, None where ten times the examples are not enough.
        text: The forecast in a sentence, without a full stop.
        worth_it: Whether twice the examples are likely to raise F1 noticeably.
    """

    mentions: int
    f1: float
    doubled: tuple[float, float, float]
    needed: int | None
    needed_range: tuple[int | None, int | None]
    text: str
    worth_it: bool = True


@dataclass(frozen=True)
class LearningCurve:
    """How F1 grew with the size of the training set.

    Attributes:
        points: The scores at each size, the smallest first.
        forecasts: The forecast of each type for which there are enough mentions and points.
    """

    points: list[Point]
    forecasts: dict[str, Forecast]

    def to_dict(self) -> dict[str, Any]:
        """The curve as metrics.json holds it."""
        return {
            "points": [
                {
                    "passages": point.passages,
                    "mentions": point.mentions,
                    "micro": round(point.micro, 4),
                    "f1": {label: round(value, 4) for label, value in point.f1.items()},
                }
                for point in self.points
            ],
            "forecasts": {
                label: {
                    "mentions": found.mentions,
                    "f1": round(found.f1, 4),
                    "doubled": [round(value, 4) for value in found.doubled],
                    "needed": found.needed,
                    "needed_range": list(found.needed_range),
                    "text": found.text,
                    "worth_it": found.worth_it,
                }
                for label, found in self.forecasts.items()
            },
        }


def learn_from(measured: Sequence[Measured], gate: float = GATE) -> LearningCurve:
    """Fit a curve to the scores of each type.

    Args:
        measured: The results at three or more sizes, all scored on the same passages.
        gate: The F1 to reach.

    Returns:
        The learning curve with its forecasts.
    """
    measured = sorted(measured, key=lambda found: found.passages)
    labels = list(dict.fromkeys(label for found in measured for label in found.counts))
    none = next((counts * 0 for found in measured for counts in found.counts.values()), numpy.zeros((0, 3), int))
    of_types = {label: [found.counts.get(label, none) for found in measured] for label in labels}
    points = [
        Point(
            found.passages,
            {label: found.mentions.get(label, 0) for label in labels},
            {label: _f1(counts[number]) for label, counts in of_types.items()},
            _f1(sum((counts[number] for counts in of_types.values()), none)),
        )
        for number, found in enumerate(measured)
    ]
    forecasts = {}
    for label, counts in of_types.items():
        mentions = [point.mentions[label] for point in points]
        enough = len({n for n in mentions if n}) >= FEWEST_SIZES and counts[-1][:, [0, 2]].sum() >= FEWEST
        if enough and (forecast := _forecast(label, mentions, counts, gate)):
            forecasts[label] = forecast
    return LearningCurve(points, forecasts)


def _f1(counts: Counts) -> float:
    return float(numpy.nan_to_num(f1(counts.sum(axis=0))))


def _forecast(label: str, mentions: Sequence[int], counts: Sequence[Counts], gate: float) -> Forecast | None:
    sizes = numpy.array([n for n in mentions if n], float)
    drawn = numpy.nan_to_num([f1(draw(of_point)) for n, of_point in zip(mentions, counts, strict=True) if n])
    scores = numpy.array([_f1(of_point) for n, of_point in zip(mentions, counts, strict=True) if n])
    curves = fit(sizes, scores, drawn.var(axis=1) + TRAINING_NOISE**2)
    if curves.misfit > WORST_FIT:
        return None
    last = sizes[-1]
    doubled = curves.quantiles(curves.at(2 * last))
    with numpy.errstate(divide="ignore", over="ignore"):
        wanted = (curves.factors / numpy.maximum(curves.limits - gate, 1e-9)) ** (1 / curves.exponents)
    wanted = numpy.where(curves.limits > gate, numpy.maximum(wanted - last, 0), numpy.inf)
    likely, few, many = (_possible(more, last) for more in curves.quantiles(wanted))
    gain = curves.quantiles(curves.at(2 * last) - curves.at(last))[0]
    text = _in_words(label, scores[-1], doubled, gain, likely, (few, many), gate)
    return Forecast(int(last), float(scores[-1]), doubled, likely, (few, many), text, gain >= WORTH_IT)


@dataclass(frozen=True)
class Curves:
    """Curves F1(n) = limit - factor * n^-exponent, one per element of the arrays.

    Attributes:
        limits: The F1 that each curve approaches.
        factors: The factor of each curve.
        exponents: The exponent of each curve.
        weights: The likelihood of each curve, 1 for the best.
        misfit: By how many variances in total the best curve misses the points.
    """

    limits: NDArray[Any]
    factors: NDArray[Any]
    exponents: NDArray[Any]
    weights: NDArray[Any]
    misfit: float

    def at(self, size: float) -> NDArray[Any]:
        """The F1 of each curve at a number of examples.

        Args:
            size: The number of examples.
        """
        return self.limits - self.factors * size**-self.exponents

    def quantiles(self, values: NDArray[Any]) -> tuple[float, float, float]:
        """The weighted median of a value that each curve has, and the two ends of its range.

        Args:
            values: The value of each curve.
        """
        order = numpy.argsort(values)
        reached = numpy.cumsum(self.weights[order]) / self.weights.sum()
        middle, low, high = (
            float(values[order[min(int(numpy.searchsorted(reached, share)), len(order) - 1)]])
            for share in (0.5, *RANGE)
        )
        return middle, low, high


def fit(sizes: NDArray[Any], scores: NDArray[Any], variances: NDArray[Any]) -> Curves:
    """Weigh curves by how well they fit.

    Args:
        sizes: The number of examples at each point.
        scores: The F1 at each point.
        variances: The variance of each F1.

    Returns:
        A curve for each limit and exponent of a grid, with the factor (0 or more) that fits best.
    """
    limits, exponents = (grid.ravel() for grid in numpy.meshgrid(LIMITS, EXPONENTS))
    falling = sizes[:, None] ** -exponents
    weighed = falling / variances[:, None]
    factors = numpy.maximum(0, (weighed * (limits - scores[:, None])).sum(axis=0) / (weighed * falling).sum(axis=0))
    misses = ((scores[:, None] - limits + factors * falling) ** 2 / variances[:, None]).sum(axis=0)
    return Curves(limits, factors, exponents, numpy.exp((misses.min() - misses) / 2), float(misses.min()))


def _possible(more: float, today: float) -> int | None:
    """A number of further examples; None where nobody would label that many."""
    return round(float(more)) if more <= (MOST_TIMES - 1) * today else None


def _in_words(
    label: str,
    today: float,
    doubled: tuple[float, float, float],
    gain: float,
    needed: int | None,
    needed_range: tuple[int | None, int | None],
    gate: float,
) -> str:
    value, low, high = doubled
    said = f"twice the examples are likely to give F1 {value:.2f} ({low:.2f} to {high:.2f})"
    if today >= gate:
        return f"{label}: F1 {today:.2f} is enough; {said}"
    if gain < WORTH_IT:
        return f"{label}: more data of the same kind will hardly help; {said}"
    fewest, most = (_count(number) for number in needed_range)
    if needed is None and needed_range[0] is None:
        return f"{label}: {gate:.2f} is hardly in reach even with ten times the examples; {said}"
    if needed is None:
        return f"{label}: F1 {gate:.2f} needs {fewest} more examples at best, and is more likely out of reach; {said}"
    between = f"{fewest} to {most}" if needed_range[1] is not None else f"{fewest}, or far more"
    return f"{label}: about {_count(needed)} more examples for F1 {gate:.2f} ({between}); {said}"


def _count(number: int | None) -> str:
    """A number of examples, rounded to two digits: more would pretend to a precision that a forecast lacks."""
    if number is None:
        return "very many"
    digits = max(0, len(str(number)) - 2)
    return f"{round(number, -digits):,}"
