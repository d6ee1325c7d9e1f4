"""How far a score would move with other passages: the percentile bootstrap.

The passages are drawn again, as many as there are and with replacement, a thousand times over; of the scores of these
draws the middle 95 % are the interval. B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), chapter
13. A passage is drawn with all of its mentions, since those are not independent of each other.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.scores import score

RESAMPLES = 1000
LEVEL = 0.95
SEED = 0
# As reports state it.
SETTINGS = {"method": "percentile", "over": "passages", "resamples": RESAMPLES, "level": LEVEL, "seed": SEED}

# A row for each passage: true positives, false positives, false negatives.
Counts = NDArray[numpy.int64]
# From counts, the three of them on the last axis, to scores; not a number where a score is undefined.
Statistic = Callable[[Counts], NDArray[numpy.float64]]


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, with the two ends of its interval."""

    value: float
    low: float
    high: float


def count_passages(
    passages: Sequence[Passage], predictions: Sequence[list[Span]], labels: Iterable[str] = ()
) -> dict[str, Counts]:
    """Compare predicted with annotated spans, each passage by itself.

    passages, predictions: As for `score`.
    labels: Entity types that are to be in the result; others that occur are added behind them.
    RETURNS: For each type the counts of each passage, of shape (passages, 3).
    """
    counts = {label: numpy.zeros((len(passages), 3), dtype=numpy.int64) for label in labels}
    for number, (passage, predicted) in enumerate(zip(passages, predictions, strict=True)):
        for label, found in score([passage], [predicted], ()).types.items():
            of_type = counts.setdefault(label, numpy.zeros((len(passages), 3), dtype=numpy.int64))
            of_type[number] = found.true_positives, found.false_positives, found.false_negatives
    return counts


def precision(counts: Counts) -> NDArray[numpy.float64]:
    """The part of what was predicted that is right."""
    return _share(counts[..., 0], counts[..., 0] + counts[..., 1])


def recall(counts: Counts) -> NDArray[numpy.float64]:
    """The part of what was annotated that was found."""
    return _share(counts[..., 0], counts[..., 0] + counts[..., 2])


def f1(counts: Counts) -> NDArray[numpy.float64]:
    """The harmonic mean of precision and recall, undefined only where nothing is counted."""
    return _share(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def estimate(
    counts: Counts,
    statistic: Statistic = f1,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Estimate | None:
    """A score over all passages, with its percentile interval.

    counts: The counts of each passage, of shape (passages, 3).
    statistic: `f1`, `precision`, `recall`, or another function of such counts.
    resamples: How often the passages are drawn again.
    level: The part of the draws that the interval holds.
    seed: Of the draws: the same counts give the same interval.
    RETURNS: None where the score is undefined: for F1, where there is neither a mention nor a prediction. A draw for
        which it is undefined is left out.
    """
    return _interval(statistic(counts.sum(axis=0)), statistic(draw(counts, resamples, seed)), level)


def estimate_difference(
    counts: Counts,
    reference: Counts,
    statistic: Statistic = f1,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Estimate | None:
    """How much higher a score is than that of another model on the same passages, with its percentile interval.

    The bootstrap is paired: both models are scored on the same draws. What is hard in a passage is hard for both, so
    the interval is narrower than one would read from the two models' own.

    counts, reference: The counts of the model and of the other one, in the same order of passages.
    RETURNS: None where either score is undefined. The rest is as in `estimate`.
    RAISES: ValueError where the passages are not as many.
    """
    if counts.shape != reference.shape:
        raise ValueError(f"counts of {len(counts)} and of {len(reference)} passages can't be paired")
    drawn = (statistic(draw(side, resamples, seed)) for side in (counts, reference))
    return _interval(statistic(counts.sum(axis=0)) - statistic(reference.sum(axis=0)), next(drawn) - next(drawn), level)


def estimate_macro(
    counts: Sequence[Counts],
    statistic: Statistic = f1,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Estimate | None:
    """The mean of a score over the types, with its percentile interval.

    counts: Of each type those of each passage.
    RETURNS: None where there is no type, or the score of one is undefined. A draw in which one is undefined is left
        out.
    """
    if not counts:
        return None
    drawn = [statistic(draw(of_type, resamples, seed)) for of_type in counts]
    values = [statistic(of_type.sum(axis=0)) for of_type in counts]
    return _interval(numpy.mean(values), numpy.mean(drawn, axis=0), level)


def share_of_draws(
    counts: Counts,
    low: float,
    high: float = math.inf,
    statistic: Statistic = f1,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> float:
    """In what part of the draws a score is at least `low` and less than `high`; 0 where it is always undefined."""
    drawn = statistic(draw(counts, resamples, seed))
    return float(((drawn >= low) & (drawn < high)).mean())


def _interval(value: Any, drawn: NDArray[numpy.float64], level: float) -> Estimate | None:
    drawn = drawn[~numpy.isnan(drawn)]
    if numpy.isnan(value) or not len(drawn):
        return None
    low, high = numpy.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def draw(counts: Counts, resamples: int = RESAMPLES, seed: int = SEED) -> Counts:
    """The sums of the counts in each draw, of shape (resamples, 3)."""
    return _times_drawn(len(counts), resamples, seed) @ counts


@lru_cache(maxsize=1)
def _times_drawn(passages: int, resamples: int, seed: int) -> NDArray[numpy.int64]:
    """How often each passage is in each draw, of shape (resamples, passages)."""
    if not passages:
        return numpy.zeros((resamples, 0), dtype=numpy.int64)
    drawn = numpy.random.default_rng(seed).integers(passages, size=(resamples, passages))
    # A range of numbers for each draw, so that one call counts all of them.
    drawn += passages * numpy.arange(resamples)[:, None]
    return numpy.bincount(drawn.ravel(), minlength=resamples * passages).reshape(resamples, passages)


def _share(part: NDArray[numpy.int64], whole: NDArray[numpy.int64]) -> NDArray[numpy.float64]:
    return numpy.where(whole > 0, part / numpy.maximum(whole, 1), numpy.nan)


def with_interval(found: Estimate | None) -> str:
    """A score as a table shows it."""
    return "–" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def points(found: Estimate | None) -> str:
    """A difference of two scores as a table shows it, in points (hundredths)."""
    if found is None:
        return "–"
    return f"{signed(100 * found.value)} ({signed(100 * found.low)} to {signed(100 * found.high)})"


def signed(points: float) -> str:
    """A difference with its sign."""
    return f"{points:+.1f}".replace("-", "−")
