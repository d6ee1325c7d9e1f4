"""How much there is to be learned from a passage: the errors that a model expects to have made in it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import sqrt

# Opening a passage takes as long as reading so many words.
WORDS_PER_PASSAGE = 8


def expected_errors(found: Iterable[tuple[str, float]], expected: Mapping[str, float] | None = None) -> float:
    """Give the number of errors that a model expects to have made in a passage.

    These are the wrong ones among what it found, and what it missed. With the confidences $c_i$ of the entities that
    were found, and the expected number $m_t$ of entities of each type, found and missed ones together, they are
    $\\sum_i (1 - c_i) + \\sum_t \\max(0, m_t - \\sum_{i \\in t} c_i)$.

    Args:
        found: The type and the confidence of each entity that was found.
        expected: The expected number of entities by type, as `expected_entities` gives it; None leaves out the second
            sum, for models that don't know it.

    Returns:
        The expected number, 0 or more.
    """
    wrong = 0.0
    right: defaultdict[str, float] = defaultdict(float)
    for label, confidence in found:
        wrong += 1 - confidence
        right[label] += confidence
    missed = sum(max(0.0, count - right[label]) for label, count in (expected or {}).items())
    return wrong + missed


def sureness(errors: float, words: int) -> float:
    """Give a score from 0 to 1 that is the lower, the more there is to be learned from a passage.

    It is $1 / (1 + e / \\sqrt{w + 8})$ for $e$ expected errors in $w$ words. Without the division, the longest passages
    would come first, which take longest to read; divided by the words themselves, the shortest ones would.

    Args:
        errors: The expected number of errors.
        words: The number of words.

    Returns:
        1 where no error is expected.
    """
    return 1 / (1 + errors / sqrt(words + WORDS_PER_PASSAGE))
