"""The passages of a pool that are worth most, in memory that does not grow with the pool.

What is kept does not depend on the order in which the passages come: they are ordered by a score and, where that is
the same, by a hash of their text.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.confidence.doubts import Doubt
from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.passage import Passage

Rank = tuple[float, bytes]


@dataclass(slots=True)
class Candidate:
    """A passage that may be chosen.

    Attributes:
        passage: The passage.
        key: The hash of its normalized text.
        words: How many words it has; 0 where they were not counted.
        doubts: What the model is unsure of.
        lower: The hashes of its words.
    """

    passage: Passage
    key: bytes
    words: int = 0
    doubts: tuple[Doubt, ...] = ()
    lower: NDArray[numpy.uint64] = field(default_factory=lambda: numpy.zeros(0, "u8"))

    @property
    def canonical(self) -> str:
        """What orders the copies of a text that have other metadata: the first one stays."""
        return json.dumps([self.passage.meta, self.passage.extra], sort_keys=True, default=str)


def key_of(text: str, seed: int = 0) -> bytes:
    """Hash a normalized text: with another seed, texts come in another order.

    Args:
        text: The text.
        seed: The seed.
    """
    normalized = text_identity(text).encode("utf8", "surrogatepass")
    return blake2b(normalized, digest_size=12, salt=str(seed).encode()[:16]).digest()


class Best:
    """So many candidates with the highest ranks, each text once.

    A word may lead only so many of them while there are others: else the passages about one name would be all that is
    kept. What is put out now would be put out later, too, since those that are better stay or make way for still better
    ones.

    Attributes:
        copies: How many passages had the text of one that was kept at that time.
    """

    def __init__(self, most: int, most_per_lead: int | None = None) -> None:
        """Make an empty collection.

        Args:
            most: How many candidates are kept.
            most_per_lead: How many with the same leading word come before those with others; None for any number.
        """
        self.copies = 0
        self._most, self._per_lead = most, most_per_lead or most
        self._kept: dict[bytes, tuple[Rank, str, Candidate]] = {}
        self._threshold: Rank | None = None

    def takes(self, score: float, key: bytes) -> bool:
        """Whether a passage with this score and key would be kept, for now."""
        return self._threshold is None or (score, key) >= self._threshold

    def add(self, score: float, lead: str, candidate: Candidate) -> None:
        """Keep a candidate, if it is good enough.

        Args:
            score: Its score.
            lead: The word that leads it; "" for none, which is not counted.
            candidate: The candidate.
        """
        rank, known = (score, candidate.key), self._kept.get(candidate.key)
        if known is not None:
            self.copies += 1
            if candidate.canonical < known[2].canonical:
                self._kept[candidate.key] = rank, lead, candidate
        elif self.takes(*rank):
            self._kept[candidate.key] = rank, lead, candidate
            if len(self._kept) >= 2 * self._most:
                self._prune()

    def best(self) -> list[Candidate]:
        """The candidates, the best one first; those beyond what their word may lead come last."""
        self._prune()
        return [candidate for _, _, candidate in self._kept.values()]

    def _prune(self) -> None:
        within: list[bytes] = []
        beyond: list[bytes] = []
        led = Counter[str]()
        for key, (rank, lead, _) in sorted(self._kept.items(), key=lambda item: item[1][0], reverse=True):
            led[lead] += 1
            (within if not lead or led[lead] <= self._per_lead else beyond).append(key)
            if len(within) == self._most:
                self._threshold = rank
                break
        self._kept = {key: self._kept[key] for key in [*within, *beyond][: self._most]}
