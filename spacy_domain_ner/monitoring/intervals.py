"""Intervals of shares that are estimated from a sample with unequal probabilities."""

import math

from spacy_domain_ner.evaluation.bootstrap import Estimate

# The two-sided 95 % of the normal distribution.
NORMAL = 1.959964


def interval(value: float, variance: float, passages: int, at_most: float | None = None) -> Estimate:
    """Find the 95 % interval of a share: Wilson's, for as many mentions as have the variance of a simple sample.

    E. B. Wilson, Probable Inference, 1927, with the effective size of the sample in place of its size, and Student's
    quantile for the number of passages (N. Dean and M. Pagano, Evaluating Confidence Interval Methods for Binomial
    Proportions in Clustered Surveys, 2015).

    Args:
        value: The estimate. Beyond 0 and 1 it is cut.
        variance: Its variance.
        passages: How many passages it comes from.
        at_most: The most mentions that it may count as: for an estimate in which not one error was seen.

    Returns:
        The estimate with its interval.
    """
    value = min(1.0, max(0.0, value))
    inner = min(1 - 1e-3, max(1e-3, value))
    mentions = inner * (1 - inner) / max(variance, 1e-12)
    if at_most is not None:
        mentions = min(mentions, at_most)
    square = student(max(1, passages - 1)) ** 2
    middle = (value + square / (2 * mentions)) / (1 + square / mentions)
    half = math.sqrt(square) * math.sqrt(value * (1 - value) / mentions + square / (4 * mentions**2))
    half /= 1 + square / mentions
    return Estimate(value, max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def student(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's distribution, by the expansion of Cornish and Fisher."""
    z = NORMAL
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def normal_share(z: float) -> float:
    """The share of the normal distribution below a number of standard deviations."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
