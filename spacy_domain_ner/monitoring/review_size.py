"""How many passages a review needs, told by the evaluation set."""

import math

from spacy_domain_ner.monitoring.measures import PLACE
from spacy_domain_ner.monitoring.reference import Reference

# One-sided: a wrong alarm in 5 of 100 cases, a drop missed in 20 of 100.
DEVIATIONS = 1.645 + 0.842
# Half of a sample goes where the model is unsure, and the estimate uses what it says: see docs/benchmarks.md.
OF_UNIFORM = 0.65
FEWEST, MOST = 50, 2000


def passages_to_review(reference: Reference, drop: float) -> int:
    """Compute how many passages show a drop of F1.

    Args:
        reference: The evaluation set's counts.
        drop: The drop, such as 0.05.

    Returns:
        The number, in tens, from 50 to 2,000.
    """
    rows = reference.rows
    right, both = rows[:, PLACE["right"]], rows[:, PLACE["entities"]] + rows[:, PLACE["annotated"]]
    if not both.sum():
        return MOST
    f1 = 2 * right.sum() / both.sum()
    # F1 is a ratio of sums: its variance is that of these residuals.
    residuals = 2 * right - f1 * both
    passages = reference.passages
    per_passage = both.sum() / passages
    variance = float((residuals**2).sum()) / passages / per_passage**2
    needed = OF_UNIFORM * DEVIATIONS**2 * variance / drop**2
    return min(MOST, max(FEWEST, math.ceil(needed / 10) * 10))
