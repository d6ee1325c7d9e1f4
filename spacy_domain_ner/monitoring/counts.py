"""From reviewed passages to precision, recall and F1 on all live rows, with their variance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.intervals import interval
from spacy_domain_ner.monitoring.reviews import Review

Floats = NDArray[numpy.float64]
# Errors in so few passages tell little of how many there are.
FEW_ERRORS = 3
# How well it is known what an error would add that was not seen, in degrees of freedom.
UNSEEN_FREEDOM = 8


class Counts:
    """What reviewed passages have of each type, and what the model says of them and of all live rows.

    Attributes:
        tp, found, gold: The number of entities that are right, that were found, and that exist, by passage and type.
        right, expected: What the model says: how many are right, and how many there are.
        weights: How many live rows a passage stands for, divided by the probability with which it came back.
        probabilities: That probability.
        stages: What the log's own sampling adds to the variance, as a factor of a passage's square.
        strata: The number of each passage's sample.
        of_rows: The totals of the live rows: found, right and expected, of each type.
    """

    def __init__(self, reviews: Sequence[Review], labels: Sequence[str]) -> None:
        index = {label: number for number, label in enumerate(labels)}
        shape = len(reviews), len(labels)
        self.tp, self.found, self.gold, self.right, self.expected = (numpy.zeros(shape) for _ in range(5))
        for number, review in enumerate(reviews):
            for label, count in review.mark.expected.items():
                self.expected[number, index[label]] += count
            for one in review.mark.found:
                column = number, index[one.label]
                self.found[column] += 1
                self.right[column] += one.sure
                if not review.is_judged(one.start, one.end):
                    # Nobody knows: what the model says stands.
                    self.tp[column] += one.sure
                    self.gold[column] += one.sure
            found = {(one.start, one.end, one.label) for one in review.mark.found}
            for span in review.spans:
                self.gold[number, index[span.label]] += 1
                self.tp[number, index[span.label]] += (span.start, span.end, span.label) in found
        self.mentions = numpy.zeros(len(labels), int)
        for review in reviews:
            for span in review.spans:
                self.mentions[index[span.label]] += 1
        self._weigh(reviews)
        self._add_rows(reviews, labels)

    def _weigh(self, reviews: Sequence[Review]) -> None:
        samples = list(dict.fromkeys(review.mark.sample for review in reviews))
        self.strata = numpy.array([samples.index(review.mark.sample) for review in reviews])
        came_back = numpy.bincount(self.strata)[self.strata]
        size = numpy.array([review.mark.totals.size for review in reviews])
        drawn, rows, shares = (
            numpy.array([getattr(review.mark, name) for review in reviews])
            for name in ("probability", "weight", "share")
        )
        self.probabilities = drawn * numpy.minimum(1, came_back / size)
        self.weights = rows / self.probabilities
        self.stages = (1 - shares) / shares * rows / self.probabilities

    def _add_rows(self, reviews: Sequence[Review], labels: Sequence[str]) -> None:
        totals = {review.mark.sample: review.mark.totals for review in reviews}.values()
        self.of_rows = numpy.array(
            [
                [sum(side.get(label, 0) for side in sides) for label in labels]
                for sides in (
                    [one.predicted for one in totals], [one.right for one in totals], [one.expected for one in totals],
                )
            ],
            float,
        )  # fmt: skip

    def totals(self, columns: Sequence[int], kept: Any = slice(None)) -> "Totals":
        """Add up some types."""
        sides = (self.tp, self.found, self.gold, self.right, self.expected)
        tp, found, gold, right, expected = (side[kept][:, columns].sum(axis=1) for side in sides)
        found_rows, right_rows, expected_rows = self.of_rows[:, columns].sum(axis=1).tolist()
        return Totals(
            tp, found, gold, tp - right, gold - expected, found_rows, right_rows, expected_rows,
            weights=self.weights[kept], probabilities=self.probabilities[kept], stages=self.stages[kept],
            strata=self.strata[kept],
        )  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """The counts of one type or several, and the estimates that follow from them.

    Attributes:
        tp, found, gold: As in `Counts`, of each passage.
        tp_off, gold_off: How far these are from what the model says.
        found_rows, right_rows, expected_rows: The totals of the live rows.
        weights, probabilities, stages, strata: As in `Counts`.
    """

    tp: Floats
    found: Floats
    gold: Floats
    tp_off: Floats
    gold_off: Floats
    found_rows: float
    right_rows: float
    expected_rows: float
    weights: Floats
    probabilities: Floats
    stages: Floats
    strata: NDArray[Any]

    def figure(self, name: str) -> "Figure | None":
        """Estimate precision, recall or F1; None where nothing is counted."""
        right = self.right_rows + float(self.weights @ self.tp_off)
        there = self.expected_rows + float(self.weights @ self.gold_off)
        # Each figure is top / bottom, and both are sums over passages.
        of_tp, of_found, of_gold = {"precision": (1, 1, 0), "recall": (1, 0, 1), "f1": (2, 1, 1)}[name]
        bottom = of_found * self.found_rows + of_gold * there
        if bottom <= 0:
            return None
        value = min(1.0, max(0.0, of_tp * right / bottom))
        off = (of_tp * self.tp_off - value * of_gold * self.gold_off) / bottom
        counted = of_found * self.found + of_gold * self.gold
        whole = (of_tp * self.tp - value * counted) / bottom
        errors = of_found * (self.found - self.tp) + of_gold * (self.gold - self.tp)
        variance, squares = self._variance(off)
        logged = self.stages * whole**2
        unseen = self._unseen(counted, int((errors > 0.5).sum())) / bottom**2
        variance += float(logged.sum()) + unseen
        squares += float((logged**2).sum()) + 2 * unseen**2 / UNSEEN_FREEDOM
        size = len(self.tp)
        freedom = min(size - 1, 2 * variance**2 / max(squares - variance**2 / size, 1e-300))
        mentions = float(counted.sum()) / (of_found + of_gold)
        return Figure(interval(value, variance, freedom, mentions), variance, freedom)

    def _variance(self, values: Floats) -> tuple[float, float]:
        """The variance of a weighted sum (J. Hajek's approximation for high entropy), added up over the samples.

        Also gives the sum of the squares of what each passage adds to it.
        """
        variance = squares = 0.0
        expanded = values * self.weights
        for stratum in numpy.unique(self.strata):
            of_it = expanded[self.strata == stratum]
            open_share = 1 - self.probabilities[self.strata == stratum]
            if len(of_it) < 2 or open_share.sum() <= 0:
                continue
            middle = (open_share @ of_it) / open_share.sum()
            parts = len(of_it) / (len(of_it) - 1) * open_share * (of_it - middle) ** 2
            variance += float(parts.sum())
            squares += float((parts**2).sum())
        return variance, squares

    def _unseen(self, counted: Floats, wrong: int) -> float:
        """What one more error would add: where errors were seen in few passages, there are others that were not.

        It counts in full up to three passages with errors, and less the more there are.
        """
        if counted.sum() <= 0:
            return 0.0
        weight = max(1.0, float(counted @ self.weights / counted.sum()))
        open_share = 1 - float(counted @ self.probabilities / counted.sum())
        return FEW_ERRORS / max(FEW_ERRORS, wrong) * open_share * weight**2


@dataclass(frozen=True)
class Figure:
    """A figure of live text.

    Attributes:
        estimate: With its interval.
        variance: Its variance.
        freedom: How well that is known, in degrees of freedom (F. E. Satterthwaite, An Approximate Distribution of
            Estimates of Variance Components, 1946).
    """

    estimate: Estimate
    variance: float
    freedom: float
