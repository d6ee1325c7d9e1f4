"""How often training reads each passage in an epoch: passages that say more of the user's text are read more often."""

from collections import Counter
from collections.abc import Iterable

from spacy_domain_ner.corpus.passage import OWN, SILVER, STARTER, Passage

# How often at most, for each time that a passage is read which says less.
MOST_TIMES = 8


def times_read(passages: Iterable[Passage]) -> dict[str, int]:
    """Compute how often each passage is read, by where it comes from.

    First labels, which nobody has reviewed, do not say of every token what it is. A pack's passages do, and the user's
    own do so for the text that the model will read. Passages of each kind are read up to `MOST_TIMES` times, until they
    are two thirds of what is read of them and of those that say less.

    Args:
        passages: The training passages.

    Returns:
        The times by `Passage.origin`.
    """
    counts = Counter(passage.origin for passage in passages)
    times, less = {}, 0
    for origin in (SILVER, STARTER, OWN):
        times[origin] = max(1, min(MOST_TIMES, 2 * less // max(1, counts[origin])))
        less += times[origin] * counts[origin]
    return times
