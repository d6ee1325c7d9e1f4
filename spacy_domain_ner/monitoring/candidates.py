"""From a stream of live rows to the passages that a sample is drawn from, in memory that does not grow with the stream.

Each text is one passage, however often it comes. Up to `MOST` of them are all candidates. If there are more, a random
part is kept: each row gets a random number, and the passages with the smallest ones stay. So a passage stays with the
probability 1 - exp(-t w), where w is the weight of its rows and t the smallest number that went (bottom-k sampling;
E. Cohen and H. Kaplan, Summarizing Data Using Bottom-k Sketches, 2007).
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain, tee
from typing import TYPE_CHECKING, NamedTuple

import numpy

from spacy_domain_ner.monitoring.live import LiveRow

if TYPE_CHECKING:
    from spacy_domain_ner.extraction.extractor import Extractor

# So many passages are kept, some 400 bytes each.
MOST = 100_000


@dataclass(slots=True)
class Candidate:
    """A passage that may be drawn.

    Attributes:
        row: The number of the row in which it comes first, from 0.
        rank: The smallest random number of its rows.
        weight: How many live rows it stands for.
        source: What identifies its source.
        unsure: The variance of how many of its entities are right: the sum of c (1 - c) over their confidences c.
        missed: How many entities the model expects to have missed.
        of_types: The same two, and the expected number of entities, for the types that have a share of their own.
    """

    row: int
    rank: float
    weight: float
    source: int
    unsure: float
    missed: float
    of_types: tuple[tuple[float, float, float], ...]


@dataclass
class Stream:
    """What is known of live rows after they were read.

    Attributes:
        rows: How many rows there are.
        weight: How many they stand for.
        last: When the last of them was read, in ISO form (UTC); "" where they do not say it.
        passages: The candidates, by the digest of their text.
        threshold: The smallest random number that went; infinite where all passages are candidates.
        predicted: How many entities of each type the model has found, each row as often as it stands for.
        right: The sum of their confidences.
        expected: How many entities of each type it expects.
        unsure: The variance of how many entities are right, as in a candidate, by type.
        missed: How many entities the model expects to have missed, by type.
    """

    rows: int = 0
    weight: float = 0.0
    last: str = ""
    passages: dict[bytes, Candidate] = field(default_factory=dict)
    threshold: float = numpy.inf
    predicted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    expected: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)


def read_stream(rows: Iterable[LiveRow], types: Iterable[str], seed: int, most: int = MOST) -> Stream:
    """Read live rows, and keep the candidates.

    Args:
        rows: The rows.
        types: The types that have a share of their own in the sample.
        seed: The seed of the random numbers: the same rows give the same candidates.
        most: How many candidates are kept.

    Returns:
        What is known of the rows. Where candidates went, the weights of the others must be counted again
        (`count_weights`): rows of theirs may have come before they were candidates.
    """
    stream, types = Stream(), tuple(types)
    generator = random.Random(seed)
    sums: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * len(Saying._fields))
    for number, row in enumerate(rows):
        weight = 1 / row.probability
        stream.rows, stream.weight = number + 1, stream.weight + weight
        stream.last = max(stream.last, row.time)
        said = say(row)
        for label, numbers in said.items():
            total = sums[label]
            for place, count in enumerate(numbers):
                total[place] += weight * count
        rank = generator.expovariate(weight)
        if rank >= stream.threshold:
            continue
        key = digest(row.text)
        if (known := stream.passages.get(key)) is not None:
            known.weight += weight
            known.rank = min(known.rank, rank)
            continue
        stream.passages[key] = _candidate(row, said, number, rank, weight, types)
        if len(stream.passages) >= 2 * most:
            _prune(stream, most)
    if len(stream.passages) > most:
        _prune(stream, most)
    for place, name in enumerate(Saying._fields):
        setattr(stream, name, Counter({label: total[place] for label, total in sums.items() if total[place]}))
    return stream


def count_weights(rows: Iterable[LiveRow], stream: Stream) -> None:
    """Count again how many rows each candidate stands for.

    Args:
        rows: The same rows.
        stream: What `read_stream` gave for them.
    """
    for candidate in stream.passages.values():
        candidate.weight = 0.0
    for _, row in zip(range(stream.rows), rows, strict=False):
        known = stream.passages.get(digest(row.text))
        if known is not None:
            known.weight += 1 / row.probability


def digest(text: str) -> bytes:
    """Identify a text, apart from its white space."""
    return _hash("".join(text.split()))


class Saying(NamedTuple):
    """What the model says of a passage, or of many, about a type.

    Attributes:
        predicted: How many entities it has found.
        right: How many of these it expects to be right: the sum of their confidences.
        expected: How many entities it expects, found and missed ones.
        unsure: The variance of how many are right: the sum of c (1 - c) over the confidences c.
        missed: How many entities it expects to have missed.
    """

    predicted: float
    right: float
    expected: float
    unsure: float
    missed: float


def say(row: LiveRow) -> dict[str, Saying]:
    """What the model says of a row, by type.

    Where the row does not say how many entities the model expects, what was found is expected.
    """
    sums: dict[str, list[float]] = {label: [0, 0.0, count, 0.0] for label, count in (row.expected or {}).items()}
    for one in row.found:
        sure = one.sure
        if (of_type := sums.get(one.label)) is None:
            of_type = sums[one.label] = [0, 0.0, 0.0, 0.0]
        of_type[0] += 1
        of_type[1] += sure
        # A rule's entities are not among what the recognizer expects.
        if row.expected is None or one.confidence is None:
            of_type[2] += sure
        of_type[3] += sure * (1 - sure)
    return {
        label: Saying(predicted, right, expected, unsure, max(0.0, expected - right))
        for label, (predicted, right, expected, unsure) in sums.items()
    }


def expectations(row: LiveRow) -> dict[str, float]:
    """How many entities of each type are to be expected in a row: what was found, where the row says no more."""
    return {label: said.expected for label, said in say(row).items()}


def with_expected(rows: Iterable[LiveRow], extractor: "Extractor | None") -> Iterator[LiveRow]:
    """Let a model say what it expects in rows that do not say it.

    Args:
        rows: The rows. The first one tells whether all of them say it.
        extractor: The model; None leaves the rows as they are.

    Yields:
        The rows.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    rows = chain([first], rows)
    if extractor is None or first.expected is not None:
        yield from rows
        return
    rows, read = tee(rows)
    for row, expected in zip(rows, extractor.expected(row.text for row in read), strict=True):
        yield replace(row, expected=expected) if row.expected is None else row


def _hash(text: str) -> bytes:
    return blake2b(text.encode("utf8", "surrogatepass"), digest_size=12).digest()


def _candidate(
    row: LiveRow, said: Mapping[str, Saying], number: int, rank: float, weight: float, types: tuple[str, ...]
) -> Candidate:
    # A passage of which nothing is known is a source of its own.
    source = -number - 1 if row.source is None else int.from_bytes(_hash(row.source)[:7], "big")
    nothing = Saying(0, 0, 0, 0, 0)
    of_types = tuple((one.unsure, one.missed, one.expected) for one in (said.get(label, nothing) for label in types))
    unsure, missed = sum(one.unsure for one in said.values()), sum(one.missed for one in said.values())
    return Candidate(number, rank, weight, source, unsure, missed, of_types)


def _prune(stream: Stream, most: int) -> None:
    """Keep the passages with the smallest ranks."""
    ranks = numpy.fromiter((one.rank for one in stream.passages.values()), "d", len(stream.passages))
    threshold = float(numpy.partition(ranks, most)[most])
    stream.passages = {key: one for key, one in stream.passages.items() if one.rank < threshold}
    stream.threshold = min(stream.threshold, threshold)
