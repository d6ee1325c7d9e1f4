"""How many passages must be reviewed to see that a model has become worse.

Before the review, the error of an estimate follows from what the model says of itself: c (1 - c) of each entity that
it has found with confidence c, and the number of entities that it expects to have missed.
"""

import math
from dataclasses import dataclass

# Seeing a drop with an error of 5 % (one-sided) and a power of 80 %.
_ERROR, _POWER = 1.645, 0.842
# The errors of a passage come together: in the benchmark, the variance was so many times that of independent ones.
CLUSTERED = 1.6


@dataclass(frozen=True)
class Detectable:
    """How many passages show a drop.

    Attributes:
        drop: The drop of F1.
        passages: About how many passages must be reviewed to see it, all types together; None where the model expects
            no entity.
        of_types: The same for each type of which the model expects entities.
    """

    drop: float
    passages: int | None
    of_types: dict[str, int]


def passages_needed(drop: float, variance: float, rows: float, entities: float, gain: float = 1.0) -> int | None:
    """Find about how many passages show a drop of F1.

    Args:
        drop: The drop.
        variance: The mean over the rows of the squared error of 2 TP - F1 (P + G).
        rows: How many rows there are.
        entities: How many entities the model has found and expects in them, both together (P + G).
        gain: The variance of the sample's design, as a share of that of a uniform sample of the same size.

    Returns:
        The number, at most that of the rows; None where there are no entities.
    """
    if entities <= 0:
        return None
    wanted = (drop * entities / ((_ERROR + _POWER) * rows)) ** 2
    # Without replacement: the more of the rows are reviewed, the less is open.
    return max(1, math.ceil(gain * variance / (wanted + variance / rows)))
