"""Near duplicates among passages: those that have most of their runs of words in common.

Exact, by an index of the runs: a choice has some hundred passages, so signatures (MinHash) would save nothing.
"""

import re
from collections import Counter
from hashlib import blake2b

from spacy_domain_ner.text import UNSPACED_SCRIPTS

# Two passages are near duplicates where so many of all their runs of so many words are in both (Jaccard's index).
ALIKE, RUN = 0.7, 3
# Runs that so many passages have, such as those of a letterhead, are not looked up: they would take long.
_MOST = 200
_WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]|(?:(?![{UNSPACED_SCRIPTS}])\w)+|[^\w\s]")
_DIGITS = re.compile(r"\d+")


class NearDuplicates:
    """Passages in which to look for near duplicates of others. Numbers and capitals make no difference."""

    def __init__(self) -> None:
        """Make an empty collection."""
        self._sizes: list[int] = []
        self._of_run: dict[int, list[int]] = {}

    def add(self, text: str) -> None:
        """Add a text."""
        runs = _runs(text)
        for run in runs:
            self._of_run.setdefault(run, []).append(len(self._sizes))
        self._sizes.append(len(runs))

    def has_like(self, text: str) -> bool:
        """Whether a near duplicate of a text is in the collection."""
        runs = _runs(text)
        shared: Counter[int] = Counter()
        for run in runs:
            found = self._of_run.get(run, ())
            if len(found) <= _MOST:
                shared.update(found)
        return any(
            count >= ALIKE * (len(runs) + self._sizes[number] - count) for number, count in shared.most_common(5)
        )


def _runs(text: str) -> set[int]:
    words = _WORD.findall(_DIGITS.sub("0", text.lower()))
    runs = [" ".join(words[start : start + RUN]) for start in range(max(1, len(words) - RUN + 1))]
    return {int.from_bytes(blake2b(run.encode("utf8", "surrogatepass"), digest_size=8).digest(), "big") for run in runs}
