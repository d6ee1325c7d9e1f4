"""Drawing with unequal probabilities that are known exactly: how likely each passage is to be drawn, and the draw.

The size of a sample is fixed, and the probabilities add up to it. The draw is systematic over passages in random order
(H. O. Hartley and J. N. K. Rao, Sampling with Unequal Probabilities and without Replacement, 1962), with the passages
of a source next to each other: a source whose probabilities add up to at most 1 can't be drawn twice.
"""

import math
from collections.abc import Sequence

import numpy
from numpy.typing import NDArray

Floats = NDArray[numpy.float64]
# Rounding lets a sum of probabilities miss a whole number by less than this.
_ROUNDING = 1e-9


def inclusion_probabilities(
    shares: Sequence[tuple[float, Floats]], sources: NDArray[numpy.int64], per_source: int
) -> tuple[Floats, int]:
    """Find the probabilities with which passages are drawn.

    Args:
        shares: Pairs of a number of passages and the weights in proportion to which they are drawn. The numbers add up
            to the size of the sample, which is at most the number of passages.
        sources: For each passage the number of its source.
        per_source: The most passages of a source.

    Returns:
        The probabilities, which add up to the size; and the most passages of a source: more than `per_source` where
        there are too few sources.
    """
    size = round(sum(number for number, _ in shares))
    wanted = sum(number * weights / weights.sum() for number, weights in shares if weights.sum() > 0)
    members = numpy.bincount(sources)
    while numpy.minimum(members, per_source).sum() < size:
        per_source += 1
    limits = numpy.minimum(members, per_source).astype(float)
    # A passage without any weight can be needed, too.
    wanted = numpy.maximum(wanted, wanted.sum() * 1e-12)
    found = numpy.zeros(len(sources))
    free = numpy.ones(len(sources), "?")
    while True:
        found[free] = wanted[free] * (size - found[~free].sum()) / wanted[free].sum()
        over = free & (found > 1)
        if over.any():
            found[over], free[over] = 1.0, False
            continue
        of_source = numpy.bincount(sources, found)
        crowded = (of_source > limits + _ROUNDING) & (numpy.bincount(sources, free) > 0)
        if not crowded.any():
            return found, per_source
        for source in numpy.flatnonzero(crowded):
            inside = numpy.flatnonzero(sources == source)
            found[inside] = _within_source(wanted[inside], float(limits[source]))
            free[inside] = False


def _within_source(wanted: Floats, limit: float) -> Floats:
    """Scale the probabilities of a source's passages to its limit, none above 1."""
    found = numpy.zeros(len(wanted))
    free = numpy.ones(len(wanted), "?")
    while free.any():
        found[free] = wanted[free] * (limit - found[~free].sum()) / wanted[free].sum()
        over = free & (found > 1)
        if not over.any():
            break
        found[over], free[over] = 1.0, False
    return found


def draw(
    probabilities: Floats, sources: NDArray[numpy.int64], generator: numpy.random.Generator
) -> NDArray[numpy.int64]:
    """Draw passages.

    Args:
        probabilities: Their probabilities, which add up to a whole number.
        sources: For each passage the number of its source.
        generator: What is random.

    Returns:
        The numbers of the passages that are drawn, none of them twice.
    """
    place_of_source = generator.permutation(int(sources.max()) + 1)
    order = numpy.lexsort((generator.random(len(sources)), place_of_source[sources]))
    ends = numpy.cumsum(probabilities[order])
    size = round(float(ends[-1]))
    # The last one ends at the size, whatever rounding has made of it.
    ends[-1] = max(ends[-1], size)
    marks = generator.random() + numpy.arange(size)
    return order[numpy.searchsorted(ends, marks, side="right").clip(max=len(order) - 1)]


def whole_numbers(size: int, parts: Sequence[float]) -> list[int]:
    """Divide a size in proportion to parts; the largest rests get what is left."""
    exact = [size * part / sum(parts) for part in parts]
    found = [math.floor(number) for number in exact]
    by_rest = sorted(range(len(parts)), key=lambda index: found[index] - exact[index])
    for index in by_rest[: size - sum(found)]:
        found[index] += 1
    return found
