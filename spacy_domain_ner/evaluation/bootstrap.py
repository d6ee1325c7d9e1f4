"""How far a score would move with other passages: the percentile bootstrap.

The passages are drawn anew a thousand times, each time with replacement and as many as there are. The middle 95 % of
the scores of these draws are the interval (B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993,
chapter 13). A passage is drawn with all of its mentions, since they are not independent of each other.
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
# As metrics.json and comparison.json state it.
SETTINGS = {"method": "percentile", "over": "passages", "resamples": RESAMPLES, "level": LEVEL, "seed": SEED}

# A row per passage: true positives, false positives, false negatives.
Counts = NDArray[numpy.int64]
# From counts, the three of them on the last axis, to scores; NaN where a score is undefined.
Statistic = Callable[[Counts], NDArray[numpy.float64]]


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two, with its interval.

    Attributes:
        value: The score on all passages.
        low: The lower end of the interval.
        high: The upper end of the interval.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """The estimate as metrics.json and comparison.json hold it, to four places."""
        return {"value": round(self.value, 4), "low": round(self.low, 4), "high": round(self.high, 4)}


def count_passages(
    passages: Sequence[Passage], predictions: Sequence[list[Span]], labels: Iterable[str] = ()
) -> dict[str, Counts]:
    """Compare predicted with annotated spans, each passage by itself.

    Args:
        passages: The annotated passages.
        predictions: The predicted spans of each passage.
        labels: The entity types to report; others that occur are added after them.

    Returns:
        For each type the counts of each passage, of shape (passages, 3).
    """
    counts = {label: numpy.zeros((len(passages), 3), dtype=numpy.int64) for label in labels}
    for number, (passage, predicted) in enumerate(zip(passages, predictions, strict=True)):
        for label, found in score([passage], [predicted], ()).types.items():
            of_type = counts.setdefault(label, numpy.zeros((len(passages), 3), dtype=numpy.int64))
            of_type[number] = found.true_positives, found.false_positives, found.false_negatives
    return counts


def precision(counts: Counts) -> NDArray[numpy.float64]:
    """The share of the predicted spans that is right."""
    return _share(counts[..., 0], counts[..., 0] + counts[..., 1])


def recall(counts: Counts) -> NDArray[numpy.float64]:
    """The share of the annotated spans that was found."""
    return _share(counts[..., 0], counts[..., 0] + counts[..., 2])


def f1(counts: Counts) -> NDArray[numpy.float64]:
    """The harmonic mean of precision and recall; NaN only where nothing is counted."""
    return _share(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def estimate(
    counts: Counts,
    statistic: Statistic = f1,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> Estimate | None:
    """Estimate a score over all passages, with its percentile interval.

    Args:
        counts: The counts of each passage, of shape (passages, 3).
        statistic: `f1`, `precision`, `recall`, or another function of such counts.
        resamples: How often the passages are drawn.
        level: The share of the draws that the interval holds.
        seed: The seed of the draws: the same counts give the same interval.

    Returns:
        The estimate; None where the score is undefined, as F1 is where there is neither a mention nor a prediction.
        A draw on which the score is undefined is left out.
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
    """Estimate how much higher a score is than another model's on the same passages, with its percentile interval.

    The bootstrap is paired: both models are scored on the same draws. A hard passage is hard for both, so the interval
    is narrower than the two models' own intervals suggest.

    Args:
        counts: The counts of the model.
        reference: The counts of the other model, in the same order of passages.
        statistic: As for `estimate`.
        resamples: As for `estimate`.
        level: As for `estimate`.
        seed: As for `estimate`.

    Returns:
        The difference; None where either score is undefined.

    Raises:
        ValueError: The two have different numbers of passages.
    """
    if counts.shape != reference.shape:
        raise ValueError(f"the counts of {len(counts)} and of {len(reference)} passages can't be paired")
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
    """Estimate the mean of a score over the types, with its percentile interval.

    Args:
        counts: The counts of each type, of shape (passages, 3).
        statistic: As for `estimate`.
        resamples: As for `estimate`.
        level: As for `estimate`.
        seed: As for `estimate`.

    Returns:
        The mean; None where there is not a type, or the score of one is undefined. A draw on which the score of one
        is undefined is left out.
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
    """Compute the share of the draws in which a score is at least `low` and less than `high`.

    Args:
        counts: The counts of each passage, of shape (passages, 3).
        low: The lowest score that counts.
        high: The score from which it no longer counts.
        statistic: As for `estimate`.
        resamples: As for `estimate`.
        seed: As for `estimate`.

    Returns:
        The share, 0 where the score is always undefined.
    """
    drawn = statistic(draw(counts, resamples, seed))
    return float(((drawn >= low) & (drawn < high)).mean())


def _interval(value: Any, drawn: NDArray[numpy.float64], level: float) -> Estimate | None:
    drawn = drawn[~numpy.isnan(drawn)]
    if numpy.isnan(value) or not len(drawn):
        return None
    low, high = numpy.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(float(value), float(low), float(high))


def draw(counts: Counts, resamples: int = RESAMPLES, seed: int = SEED) -> Counts:
    """Draw the passages anew, and sum their counts.

    Args:
        counts: The counts of each passage, of shape (passages, 3).
        resamples: As for `estimate`.
        seed: As for `estimate`.

    Returns:
        The sums of each draw, of shape (resamples, 3).
    """
    return _times_drawn(len(counts), resamples, seed) @ counts


@lru_cache(maxsize=1)
def _times_drawn(passages: int, resamples: int, seed: int) -> NDArray[numpy.int64]:
    """Count how often each passage is in each draw, of shape (resamples, passages)."""
    if not passages:
        return numpy.zeros((resamples, 0), dtype=numpy.int64)
    drawn = numpy.random.default_rng(seed).integers(passages, size=(resamples, passages))
    # Each draw gets a range of numbers of its own, so that one call counts all of them.
    drawn += passages * numpy.arange(resamples)[:, None]
    return numpy.bincount(drawn.ravel(), minlength=resamples * passages).reshape(resamples, passages)


def _share(part: NDArray[numpy.int64], whole: NDArray[numpy.int64]) -> NDArray[numpy.float64]:
    return numpy.where(whole > 0, part / numpy.maximum(whole, 1), numpy.nan)


def with_interval(found: Estimate | None) -> str:
    """A score and its interval as a table shows them."""
    return "–" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def points(found: Estimate | None) -> str:
    """A difference of two scores and its interval as a table shows them, in points (hundredths)."""
    if found is None:
        return "–"
    return f"{signed(100 * found.value)} ({signed(100 * found.low)} to {signed(100 * found.high)})"


def signed(points: float) -> str:
    """A difference with its sign."""
    return f"{points:+.1f}".replace("-", "−")
