"""How F1 grows with the number of examples, and how much more of them are likely to help.

What is left of the errors, 1 - F1, falls by about the same share with every doubling of the examples, and later by a
little less: a power law whose exponent is read off the points and then declines (such laws: C. Cortes et al., Learning
Curves: Asymptotic Values and Rate of Convergence, 1993; J. Hestness et al., Deep Learning Scaling is Predictable,
Empirically, 2017). The forecast starts from what was measured last, so it never promises less. benchmarks/
learning_curve.py measures how often forecasts come true; the constants were chosen on two of its corpora.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.evaluation.bootstrap import Counts, draw, f1
from spacy_domain_ner.evaluation.gates import GATE

# The ends of a range: it starts at what was measured where the lower end lies below that.
RANGE = (0.1, 0.95)
# Nobody labels more than this many times the examples that there are.
MOST_TIMES = 10
# More examples are worth it where twice as many are likely to raise F1 by this much.
WORTH_IT = 0.01
# With fewer mentions in the evaluation set, fewer of them in training, or fewer sizes of the training set, the points
# say too little: another seed moves them by as much as another size.
FEWEST, FEWEST_TRAINED, FEWEST_SIZES = 20, 30, 3
# Where the line through the points misses them by more than this many variances in total, they do not lie on one.
WORST_FIT = 9.0
# The variance of F1 between trainings that differ in their passages and seed, LEAST_NOISE² + NOISE² / mentions: names
# that are rare in training are learned or not by chance. It adds to the variance by the evaluation passages, of which a
# later run shares the half.
LEAST_NOISE, NOISE, SHARED = 0.015, 0.4, 0.5
# By how much the gain of a doubling differs from that of the doubling before it.
DECAYS = (0.75, 1.05)
# How many growths are drawn.
DRAWS = 2000
# F1 is not forecast beyond this: the logarithm of no errors is infinite.
HIGHEST = 0.995


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
        enough = len({n for n in mentions if n}) >= FEWEST_SIZES and mentions[-1] >= FEWEST_TRAINED
        if enough and counts[-1][:, [0, 2]].sum() >= FEWEST and (forecast := _forecast(label, mentions, counts, gate)):
            forecasts[label] = forecast
    return LearningCurve(points, forecasts)


def _f1(counts: Counts) -> float:
    return float(numpy.nan_to_num(f1(counts.sum(axis=0))))


def _forecast(label: str, mentions: Sequence[int], counts: Sequence[Counts], gate: float) -> Forecast | None:
    known = [(n, of_point) for n, of_point in zip(mentions, counts, strict=True) if n]
    sizes = numpy.array([n for n, _ in known], float)
    scores = numpy.array([_f1(of_point) for _, of_point in known])
    drawn = numpy.array([numpy.nan_to_num(f1(draw(of_point))).var() for _, of_point in known])
    growth = fit(sizes, scores, SHARED * drawn + LEAST_NOISE**2 + NOISE**2 / sizes)
    if growth.misfit > WORST_FIT:
        return None
    today, last = float(scores[-1]), float(sizes[-1])
    doubled = growth.range_after(1)
    # Nobody doubles that often, and more would overflow.
    doublings = numpy.minimum(growth.doublings_to(gate), 2 * MOST_TIMES)
    wanted = numpy.where(gate <= today, 0, last * (2**doublings - 1))
    likely, few, many = (
        _possible(more, last) for more in numpy.quantile(wanted, (0.5, 1 - RANGE[1], 1 - RANGE[0]), method="nearest")
    )
    gain = doubled[0] - today
    text = _in_words(label, today, doubled, gain, likely, (few, many), gate)
    return Forecast(int(last), today, doubled, likely, (few, many), text, gain >= WORTH_IT)


@dataclass(frozen=True)
class Growth:
    """Ways in which F1 may grow from what was measured last, one per element of the arrays.

    Attributes:
        start: The F1 that was measured last.
        gains: By how much the last doublings raised -log(1 - F1) each.
        decays: By which factor a doubling gains less than the one before it.
        noise: How far a single later training lies from the growth, as F1, with the sign of its chance.
        misfit: By how many variances in total the line through the points misses them.
    """

    start: float
    gains: NDArray[Any]
    decays: NDArray[Any]
    noise: NDArray[Any]
    misfit: float

    def after(self, doublings: float) -> NDArray[Any]:
        """The F1 of each growth after some doublings of the examples.

        Args:
            doublings: How often the number of examples is doubled; it need not be whole.
        """
        rise = self.gains * self.decays * (1 - self.decays**doublings) / (1 - self.decays)
        return numpy.maximum(self.start, _errors_to_f1(_f1_to_errors(self.start) + rise))

    def range_after(self, doublings: float) -> tuple[float, float, float]:
        """The likely F1 after some doublings, and the two ends of the range in which a training's F1 lies.

        Args:
            doublings: As for `after`.
        """
        grown = self.after(doublings)
        low, high = numpy.quantile(grown + self.noise, RANGE)
        likely = float(numpy.median(grown))
        return likely, min(max(float(low), self.start), likely), max(min(float(high), 1.0), likely)

    def doublings_to(self, wanted: float) -> NDArray[Any]:
        """How often each growth must double the examples to reach an F1; infinite where it never does.

        Args:
            wanted: The F1, higher than that of the start.
        """
        rise = _f1_to_errors(wanted) - _f1_to_errors(self.start)
        with numpy.errstate(divide="ignore", invalid="ignore"):
            left = 1 - rise * (1 - self.decays) / (self.gains * self.decays)
            needed = numpy.log(left) / numpy.log(self.decays)
        return numpy.where((self.gains > 0) & (left > 0), needed, numpy.inf)


def fit(sizes: NDArray[Any], scores: NDArray[Any], variances: NDArray[Any]) -> Growth:
    """Draw ways in which F1 may grow, by a line through the points.

    Args:
        sizes: The number of examples at each point, rising.
        scores: The F1 at each point.
        variances: The variance of each F1 between trainings.

    Returns:
        Growths whose gains are those of lines through the points as chance could have moved them; none falls.
    """
    generator = numpy.random.default_rng(0)
    deviations = numpy.sqrt(variances)
    moved = scores[:, None] + deviations[:, None] * generator.standard_normal((len(scores), DRAWS))
    doublings, levels = numpy.log2(sizes), _f1_to_errors(scores)
    # A point weighs by the variance of what the line is fitted to.
    weights = (1 - numpy.clip(scores, 0, HIGHEST)) ** 2 / variances
    weights /= weights.sum()
    centred = doublings - weights @ doublings
    spread = weights @ centred**2

    def slopes(points: NDArray[Any]) -> NDArray[Any]:
        return numpy.maximum(0, (weights * centred) @ points / spread)

    line = _errors_to_f1(weights @ levels + slopes(levels) * centred)
    return Growth(
        start=float(scores[-1]),
        gains=slopes(_f1_to_errors(moved)),
        decays=generator.uniform(*DECAYS, DRAWS),
        noise=deviations[-1] * generator.standard_normal(DRAWS),
        misfit=float(((scores - line) ** 2 / variances).sum()),
    )


def _f1_to_errors(scores: Any) -> Any:
    """The scale on which doublings add up: -log(1 - F1)."""
    return -numpy.log(1 - numpy.clip(scores, 0, HIGHEST))


def _errors_to_f1(values: Any) -> Any:
    return 1 - numpy.exp(-values)


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
