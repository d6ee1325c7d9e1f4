"""Intervals of shares that are estimated from a sample with unequal probabilities."""

import math

from spacy_domain_ner.evaluation.bootstrap import Estimate

# The two-sided 95 % of the normal distribution.
NORMAL = 1.959964


def interval(value: float, variance: float, freedom: float, mentions: float) -> Estimate:
    """Find the 95 % interval of a share: Wilson's, for as many mentions as have the variance of a simple sample.

    E. B. Wilson, Probable Inference, 1927, with the effective size of the sample in place of its size, and Student's
    quantile (N. Dean and M. Pagano, Evaluating Confidence Interval Methods for Binomial Proportions in Clustered
    Surveys, 2015).

    Args:
        value: The estimate. Beyond 0 and 1 it is cut.
        variance: Its variance.
        freedom: How well the variance is known, in degrees of freedom: the number of passages less 1, if they are
            alike; fewer where few of them make up most of it.
        mentions: How many mentions were seen: the share is not taken to be nearer to 0 or 1 than one of them.

    Returns:
        The estimate with its interval.
    """
    value = min(1.0, max(0.0, value))
    edge = 1 / max(2.0, mentions)
    inner = min(1 - edge, max(edge, value))
    effective = inner * (1 - inner) / max(variance, 1e-12)
    square = student(freedom) ** 2
    middle = (value + square / (2 * effective)) / (1 + square / effective)
    half = math.sqrt(square) * math.sqrt(value * (1 - value) / effective + square / (4 * effective**2))
    half /= 1 + square / effective
    return Estimate(value, max(0.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


def student(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's distribution, by the expansion of Cornish and Fisher; from 2 degrees."""
    z, freedom = NORMAL, max(2.0, freedom)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def normal_share(z: float) -> float:
    """The share of the normal distribution below a number of standard deviations."""
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))
