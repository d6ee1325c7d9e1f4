"""How far reviewers follow what the model has filled in, told by the passages that they reviewed blind."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy

from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.counts import Counts, Totals
from spacy_domain_ner.monitoring.intervals import student
from spacy_domain_ner.monitoring.quality import Anchoring
from spacy_domain_ner.monitoring.reviews import Review

# How often lots are drawn to see what lot alone does, and a share of confirmed errors that is worth finding.
LOTS, FOLLOWED = 4000, 0.3


def measure_anchoring(reviews: Sequence[Review], counts: Counts, labels: Sequence[str]) -> Anchoring | None:
    """Compare the errors that reviewers found in blind passages with those in the others.

    Which passages are blind was drawn by lot. So both parts have as many errors per error that the model expects, and
    where fewer were found in what was filled in, reviewers followed the model.
    """
    blind = numpy.array([review.mark.blind for review in reviews])
    if blind.all() or not blind.any():
        return None
    expected = (counts.found - counts.right + counts.missed).sum(axis=1)
    errors = ((counts.found - counts.tp) + (counts.gold - counts.tp)).sum(axis=1)
    ratios, variances = [], []
    for part in (blind, ~blind):
        of_part, expected_of_part = errors[part], max(float(expected[part].sum()), 1e-9)
        ratio = float(of_part.sum()) / expected_of_part
        ratios.append(ratio)
        squares = float(((of_part - ratio * expected[part]) ** 2).sum()) * len(of_part) / max(1, len(of_part) - 1)
        variances.append(squares / max(float(of_part.sum()), 1e-9) ** 2 if ratio else 0.0)
    confirmed = None
    if ratios[0] > 0:
        quotient = max(ratios[1], 1e-9) / ratios[0]
        half = student(max(1, int(blind.sum()) - 1)) * math.sqrt(sum(variances))
        confirmed = Estimate(1 - ratios[1] / ratios[0], 1 - quotient * math.exp(half), 1 - quotient * math.exp(-half))
    totals = _blind_totals(counts, blind, len(labels))
    found = totals.figure("f1")
    return Anchoring(
        confirmed, int(blind.sum()), int((~blind).sum()), ratios[0], ratios[1], found.estimate if found else None,
        _by_lot(errors, expected, blind, counts.strata), _blind_needed(errors, expected, float(blind.mean())),
    )  # fmt: skip


def _by_lot(errors: Any, expected: Any, blind: Any, strata: Any) -> float:
    """How probable it is that blind passages have so many more errors by lot alone (R. A. Fisher's permutation test).

    Args:
        errors: The errors of each passage.
        expected: The errors that the model expects.
        blind: Which passages are blind.
        strata: The number of each passage's sample: blind ones were drawn from each.
    """
    generator = numpy.random.default_rng(0)
    lots = numpy.tile(blind, (LOTS, 1))
    for stratum in numpy.unique(strata):
        inside = numpy.flatnonzero(strata == stratum)
        lots[:, inside] = generator.permuted(lots[:, inside], axis=1)

    def more(lot: Any) -> Any:
        """How many more errors blind passages have, per error that is expected, than the others."""
        of_blind, of_seen = (part @ errors / numpy.maximum(part @ expected, 1e-9) for part in (lot, ~lot))
        return of_blind - of_seen

    return float((1 + (more(lots) >= more(blind) - 1e-12).sum()) / (1 + LOTS))


def _blind_needed(errors: Any, expected: Any, share: float) -> int | None:
    """About how many blind passages show, 4 times in 5, that reviewers confirm `FOLLOWED` of the errors.

    Args:
        errors: The errors of each passage.
        expected: The errors that the model expects.
        share: The share of the passages that is blind; None is given where there are no errors.
    """
    if not errors.sum():
        return None
    ratio = errors.sum() / max(expected.sum(), 1e-9)
    spread = float(((errors - ratio * expected) ** 2).mean() / errors.mean() ** 2)
    deviations = 2.326 + 0.842
    return math.ceil((deviations / math.log(1 / (1 - FOLLOWED))) ** 2 * spread * (1 + share / (1 - share)))


def _blind_totals(counts: Counts, blind: Any, types: int) -> Totals:
    """The blind passages as a sample of their own."""
    totals = counts.totals(range(types), blind)
    share = numpy.bincount(counts.strata, blind) / numpy.bincount(counts.strata)
    shares = numpy.maximum(share[totals.strata], 1e-9)
    return replace(
        totals,
        weights=totals.weights / shares,
        probabilities=totals.probabilities * shares,
        stages=totals.stages / shares,
    )
