"""From reviewed passages to precision, recall and F1 on all live rows, with their variance.

The variance of a type is that of few passages with errors, often of two or three that have many each, and a sample
without these can't know of them. So it is moderated (G. K. Smyth, Linear Models and Empirical Bayes Methods for
Assessing Differential Expression in Microarray Experiments, 2004): what the model itself expects, times how far errors
come together in a passage, counts like a few more observations. How far they do is taken from all types together for
each type, and for all types together from the benchmark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.intervals import interval
from spacy_domain_ner.monitoring.reviews import Review

Floats = NDArray[numpy.float64]
# The variance is about so many times what it would be if the model's errors were independent, and that counts like so
# many observations: in the benchmark's corpora it is 1.4 to 2.6 times, for all types together.
CLUSTERED, PRIOR_FREEDOM = 2.0, 4


class Counts:
    """What reviewed passages have of each type, and what the model says of them and of all live rows.

    Attributes:
        tp, found, gold: The number of entities that are right, that were found, and that exist, by passage and type.
        right, expected: What the model says: how many are right, and how many there are.
        unsure, missed: The variance of how many are right, and how many were missed, by what the model says.
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
        self.unsure = numpy.zeros(shape)
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
                else:
                    self.unsure[column] += one.sure * (1 - one.sure)
            found = {(one.start, one.end, one.label) for one in review.mark.found}
            for span in review.spans:
                self.gold[number, index[span.label]] += 1
                self.tp[number, index[span.label]] += (span.start, span.end, span.label) in found
        self.missed = numpy.maximum(0, self.expected - self.right)
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
        sides = (self.tp, self.found, self.gold, self.right, self.expected, self.unsure, self.missed)
        tp, found, gold, right, expected, unsure, missed = (side[kept][:, columns].sum(axis=1) for side in sides)
        found_rows, right_rows, expected_rows = self.of_rows[:, columns].sum(axis=1).tolist()
        return Totals(
            tp, found, gold, tp - right, gold - expected, unsure, missed, found_rows, right_rows, expected_rows,
            weights=self.weights[kept], probabilities=self.probabilities[kept], stages=self.stages[kept],
            strata=self.strata[kept],
        )  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """The counts of one type or several, and the estimates that follow from them.

    Attributes:
        tp, found, gold: As in `Counts`, of each passage.
        tp_off, gold_off: How far these are from what the model says.
        unsure, missed: As in `Counts`.
        found_rows, right_rows, expected_rows: The totals of the live rows.
        weights, probabilities, stages, strata: As in `Counts`.
    """

    tp: Floats
    found: Floats
    gold: Floats
    tp_off: Floats
    gold_off: Floats
    unsure: Floats
    missed: Floats
    found_rows: float
    right_rows: float
    expected_rows: float
    weights: Floats
    probabilities: Floats
    stages: Floats
    strata: NDArray[Any]

    def figure(self, name: str, clustered: float = CLUSTERED) -> "Figure | None":
        """Estimate precision, recall or F1; None where nothing is counted.

        Args:
            name: Which of them.
            clustered: How many times the variance is what it would be if the model's errors were independent, by what
                is known beside these counts (`clustering`).
        """
        quotient = self.quotient(name)
        if quotient is None:
            return None
        expected = max(clustered * quotient.said, quotient.one_more)
        variance, freedom = quotient.variance, max(quotient.freedom, 1.0)
        if expected:
            freedom = PRIOR_FREEDOM + quotient.freedom
            # It never looks more certain than the sample itself does.
            variance = max(variance, (PRIOR_FREEDOM * expected + quotient.freedom * variance) / freedom)
        logged = self.stages * quotient.whole**2
        if logged.any():
            spread = 2 * variance**2 / freedom + float((logged**2).sum())
            variance += float(logged.sum())
            freedom = 2 * variance**2 / spread
        variance /= quotient.bottom**2
        return Figure(interval(quotient.value, variance, freedom, quotient.mentions), variance, freedom)

    def quotient(self, name: str) -> "Quotient | None":
        """Work out precision, recall or F1 as a quotient of two sums; None where nothing is counted."""
        right = self.right_rows + float(self.weights @ self.tp_off)
        there = self.expected_rows + float(self.weights @ self.gold_off)
        of_tp, of_found, of_gold = {"precision": (1, 1, 0), "recall": (1, 0, 1), "f1": (2, 1, 1)}[name]
        bottom = of_found * self.found_rows + of_gold * there
        if bottom <= 0:
            return None
        value = min(1.0, max(0.0, of_tp * right / bottom))
        counted = of_found * self.found + of_gold * self.gold
        mentions = float(counted.sum()) / (of_found + of_gold)
        errors = of_found * (self.found - self.tp) + of_gold * (self.gold - self.tp)
        variance, squares = self._variance(of_tp * self.tp_off - value * of_gold * self.gold_off)
        size = len(self.tp)
        # It is known no better than the number of passages with errors: two degrees of freedom for each (Poisson).
        of_passages = 2 * variance**2 / max(squares - variance**2 / size, 1e-300)
        freedom = min(size - 1.0, of_passages, 2.0 * int((errors > 0.5).sum()))
        # What is right counts in both sums, what was missed in the bottom alone.
        independent = (of_tp - value * of_gold) ** 2 * self.unsure + (value * of_gold) ** 2 * self.missed
        open_square = (1 - self.probabilities) * self.weights**2
        # However sure the model is, of so many mentions one more may be wrong (P. S. Laplace's rule of succession).
        one_more = float(open_square @ counted) / (of_found + of_gold) / (mentions + 2)
        whole = of_tp * self.tp - value * counted
        return Quotient(
            value, bottom, mentions, whole, variance, freedom, float(open_square @ independent), one_more
        )  # fmt: skip

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


def clustering(types: Sequence[Totals], whole: Totals, name: str) -> float:
    """How many times the variance of a type is what it would be if the model's errors were independent.

    Args:
        types: The counts of each type.
        whole: The counts of all types together.
        name: The figure.
    """
    quotients = [quotient for one in types if (quotient := one.quotient(name))]
    said = sum(quotient.said for quotient in quotients)
    if not said or (of_all := whole.quotient(name)) is None:
        return CLUSTERED
    found = sum(quotient.variance for quotient in quotients) / said
    return (PRIOR_FREEDOM * CLUSTERED + of_all.freedom * found) / (PRIOR_FREEDOM + of_all.freedom)


@dataclass(frozen=True)
class Quotient:
    """A figure as a quotient of two sums over the live rows, linearised.

    Attributes:
        value: The quotient.
        bottom: The sum below.
        mentions: How many mentions were reviewed.
        whole: How far the counts of each passage are from the quotient.
        variance: The variance of what the estimate is off, times `bottom` squared.
        freedom: How well that is known, in degrees of freedom.
        said: What this variance would be by what the model says, if its errors were independent.
        one_more: What one more error among the mentions would add to it.
    """

    value: float
    bottom: float
    mentions: float
    whole: Floats
    variance: float
    freedom: float
    said: float
    one_more: float


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
