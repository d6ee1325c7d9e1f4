"""Krippendorff's alpha for nominal values (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability)."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Compute Krippendorff's alpha for nominal values.

    Args:
        units: For each unit the values that it was given, one from each observer who gave one.

    Returns:
        Alpha: 1 for perfect agreement, 0 for what chance would give. None where there is no variation: all values are
        the same, or no unit has two.
    """
    values = ObservedValues()
    for given in units:
        values.add(given)
    return values.alpha()


class ObservedValues:
    """The values that observers gave to units, as far as alpha needs them.

    In the paper's words: the sums of the coincidence matrix's rows, and the sum of the values off its diagonal.
    """

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        # Ordered pairs of different values in a unit, by the number of other values that each value is paired with.
        # Whole numbers: adding many fractions would lose precision.
        self._unlike: Counter[int] = Counter()

    def add(self, values: Sequence[Hashable], times: int = 1) -> None:
        """Add units.

        Args:
            values: The values of each unit. A single value can't be paired, and does not count.
            times: How many units have these values.
        """
        if len(values) < 2:
            return
        for value, count in Counter(values).items():
            self._counts[value] += times * count
            self._unlike[len(values) - 1] += times * count * (len(values) - count)

    def add_alike(self, value: Hashable, number: int) -> None:
        """Add values of units to which everybody gave the same one.

        Args:
            value: The value.
            number: How many values to add.
        """
        self._counts[value] += number

    @property
    def total(self) -> int:
        """The number of values that can be paired."""
        return self._counts.total()

    def alpha(self) -> float | None:
        """Compute alpha; None where there is no variation."""
        observed = sum(count / others for others, count in self._unlike.items())
        expected = sum(count * (self.total - count) for count in self._counts.values())
        return 1 - (self.total - 1) * observed / expected if expected else None
