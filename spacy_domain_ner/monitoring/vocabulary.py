"""Which words and names training had, in a form that can be asked but not read."""

import base64
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.text import UNSPACED_SCRIPTS, without_invisible

# A word, a sign, or a letter of a script that has no spaces between words.
PIECE = re.compile(rf"[{UNSPACED_SCRIPTS}]|[^\W{UNSPACED_SCRIPTS}]+|[^\w\s]")
# Ten bits per entry and five places each: 1 of 100 words that training never had is taken for known.
BITS_PER_ENTRY, PLACES = 10, 5
# The words of which the share of passages is kept, by their hashes; and how many of them count as common in a language.
FREQUENT, COMMON = 3000, 100


class Filter:
    """A Bloom filter: it says whether an entry was put in, wrongly so for 1 of 100 that were not, and can't be listed.

    Attributes:
        entries: How many entries were put in.
    """

    def __init__(self, bits: bytearray, entries: int) -> None:
        self._bits = bits
        self._size = 8 * len(bits)
        self.entries = entries

    @classmethod
    def of(cls, entries: Iterable[str]) -> "Filter":
        """Make a filter of entries."""
        distinct = set(entries)
        made = cls(bytearray(max(8, math.ceil(BITS_PER_ENTRY * len(distinct) / 8))), len(distinct))
        for entry in distinct:
            for place in made._places(entry):
                made._bits[place >> 3] |= 1 << (place & 7)
        return made

    def __contains__(self, entry: str) -> bool:
        return all(self._bits[place >> 3] & 1 << (place & 7) for place in self._places(entry))

    def to_dict(self) -> dict[str, Any]:
        """The filter as JSON holds it."""
        return {"entries": self.entries, "bits": base64.b64encode(self._bits).decode("ascii")}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Filter":
        """Read what `to_dict` gave."""
        return cls(bytearray(base64.b64decode(record["bits"], validate=True)), int(record["entries"]))

    def _places(self, entry: str) -> Iterator[int]:
        digest = int.from_bytes(_digest(entry, 16), "big")
        first, step = digest >> 64, digest & (1 << 64) - 1 | 1
        return ((first + number * step) % self._size for number in range(PLACES))


@dataclass
class Vocabulary:
    """Which words and names training had, and how many passages have the frequent ones.

    Attributes:
        words: The words.
        forms: The names, each with its type.
        passages: The number of passages that the shares are of.
        frequent: How many passages have each of the frequent words, by hash, the most frequent first.
    """

    words: Filter
    forms: Filter
    passages: int
    frequent: dict[str, int]

    @classmethod
    def of(cls, train: Iterable[Passage]) -> "Vocabulary":
        """Count the words and names of a training set."""
        counts: Counter[str] = Counter()
        forms: set[str] = set()
        passages = 0
        for passage in train:
            passages += 1
            counts.update(words_of(passage.text))
            forms.update(form_key(span.label, passage.name(span)) for span in passage.spans)
        # The order of a set is another one in each process; that of words that are as frequent must not be.
        by_count = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        frequent = [(word, count) for word, count in by_count[:FREQUENT] if count > 1]
        return cls(Filter.of(counts), Filter.of(forms), passages, {word_key(word): count for word, count in frequent})

    def to_dict(self) -> dict[str, Any]:
        """The vocabulary as JSON holds it."""
        filters = {"words": self.words.to_dict(), "forms": self.forms.to_dict()}
        return {**filters, "passages": self.passages, "frequent": self.frequent}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "Vocabulary":
        """Read what `to_dict` gave."""
        frequent = {str(word): int(count) for word, count in record["frequent"].items()}
        filters = Filter.from_dict(record["words"]), Filter.from_dict(record["forms"])
        return cls(*filters, int(record["passages"]), frequent)


def words_of(text: str) -> set[str]:
    """The distinct words of a text, in lower case."""
    return {piece.casefold() for piece in PIECE.findall(text) if is_word(piece)}


def is_word(piece: str) -> bool:
    """Whether a piece of a text is a word, and not a sign."""
    return piece[0].isalnum() or piece[0] == "_" or len(piece) > 1


def form_key(label: str, name: str) -> str:
    """What a name is looked up by: its case does not count, since another statistic sees the case."""
    return f"{label}\t{without_invisible(name).casefold()}"


def word_key(word: str) -> str:
    """What a word is counted by."""
    return _digest(word, 5).hex()


def _digest(entry: str, size: int) -> bytes:
    # Another tool may give halves of surrogate pairs.
    return blake2b(entry.encode("utf8", "surrogatepass"), digest_size=size).digest()
