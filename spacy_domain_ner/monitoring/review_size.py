"""How many passages a review needs, told by the evaluation set."""

import math

from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.measures import PLACE
from spacy_domain_ner.monitoring.reference import Reference

# One-sided: a wrong alarm in 5 of 100 cases, a drop missed in 20 of 100.
DEVIATIONS = 1.645 + 0.842
# Half of a sample goes where the model is unsure, and the estimate uses what it says: see docs/benchmarks.md.
OF_UNIFORM = 0.65
FEWEST, MOST = 50, 2000
# Passages to review where the reference does not tell how many show a drop.
REVIEWED = 200
NORMAL = 1.959964


def passages_to_review(reference: Reference, drop: float) -> int:
    """Compute how many passages show a drop of F1.

    Args:
        reference: The evaluation set's counts.
        drop: The drop, such as 0.05.

    Returns:
        The number, in tens, from 50 to 2,000.
    """
    found = _f1(reference)
    if found is None:
        return MOST
    _, variance = found
    needed = OF_UNIFORM * DEVIATIONS**2 * variance / drop**2
    return min(MOST, max(FEWEST, math.ceil(needed / 10) * 10))


def evaluated_f1(reference: Reference) -> Estimate | None:
    """F1 on the evaluation set with its 95 % interval; None where the set has no entities.

    Args:
        reference: The evaluation set's counts.
    """
    found = _f1(reference)
    if found is None:
        return None
    f1, variance = found
    half = NORMAL * math.sqrt(variance / reference.passages)
    return Estimate(f1, max(0.0, f1 - half), min(1.0, f1 + half))


def _f1(reference: Reference) -> tuple[float, float] | None:
    """F1, and what its variance would be if the evaluation set were one passage."""
    rows = reference.rows
    right, both = rows[:, PLACE["right"]], rows[:, PLACE["entities"]] + rows[:, PLACE["annotated"]]
    if not both.sum():
        return None
    f1 = float(2 * right.sum() / both.sum())
    # F1 is a ratio of sums: its variance is that of these residuals.
    residuals = 2 * right - f1 * both
    passages = reference.passages
    per_passage = both.sum() / passages
    return f1, float((residuals**2).sum()) / passages / per_passage**2
