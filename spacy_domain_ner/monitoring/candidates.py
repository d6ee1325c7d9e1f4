"""From a stream of live rows to the passages that a sample is drawn from, in memory that does not grow with the stream.

Each text is one passage, however often it comes. Up to `MOST` of them are all candidates. If there are more, a random
part is kept: each row gets a random number, and the passages with the smallest ones stay. So a passage stays with the
probability 1 - exp(-t w), where w is the weight of its rows and t the smallest number that went (bottom-k sampling;
E. Cohen and H. Kaplan, Summarizing Data Using Bottom-k Sketches, 2007).
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import chain, tee
from typing import TYPE_CHECKING

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
    for number, row in enumerate(rows):
        weight = 1 / row.probability
        stream.rows, stream.weight = number + 1, stream.weight + weight
        _add_totals(stream, row, weight)
        rank = generator.expovariate(weight)
        if rank >= stream.threshold:
            continue
        key = digest(row.text)
        if (known := stream.passages.get(key)) is not None:
            known.weight += weight
            known.rank = min(known.rank, rank)
            continue
        stream.passages[key] = _candidate(row, number, rank, weight, types)
        if len(stream.passages) >= 2 * most:
            _prune(stream, most)
    if len(stream.passages) > most:
        _prune(stream, most)
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


def expectations(row: LiveRow) -> dict[str, float]:
    """How many entities of each type are to be expected in a row: what was found, where the row says no more."""
    counts = Counter(row.expected or {})
    for one in row.found:
        # A rule's entities are not among what the recognizer expects.
        if row.expected is None or one.confidence is None:
            counts[one.label] += one.sure  # type: ignore[assignment]
    return dict(counts)


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


def _candidate(row: LiveRow, number: int, rank: float, weight: float, types: tuple[str, ...]) -> Candidate:
    unsure, missed, expected = _errors(row)
    # A passage of which nothing is known is a source of its own.
    source = -number - 1 if row.source is None else int.from_bytes(_hash(row.source)[:7], "big")
    of_types = tuple((unsure[label], missed[label], expected.get(label, 0.0)) for label in types)
    return Candidate(number, rank, weight, source, unsure.total(), missed.total(), of_types)


def _add_totals(stream: Stream, row: LiveRow, weight: float) -> None:
    for one in row.found:
        stream.predicted[one.label] += weight  # type: ignore[assignment]
        stream.right[one.label] += weight * one.sure  # type: ignore[assignment]
    unsure, missed, expected = _errors(row)
    for counts, sums in ((unsure, stream.unsure), (missed, stream.missed), (expected, stream.expected)):
        for label, count in counts.items():
            sums[label] += weight * count  # type: ignore[assignment]


def _errors(row: LiveRow) -> tuple[Counter[str], Counter[str], dict[str, float]]:
    """By type: the variance of how many found entities are right, the expected misses, the expected entities."""
    unsure, missed, expected = Counter[str](), Counter[str](), expectations(row)
    for label, count in expected.items():
        missed[label] = count  # type: ignore[assignment]
    for one in row.found:
        unsure[one.label] += one.sure * (1 - one.sure)  # type: ignore[assignment]
        missed[one.label] -= one.sure  # type: ignore[assignment]
    for label in missed:
        missed[label] = max(0.0, missed[label])  # type: ignore[assignment]
    return unsure, missed, expected


def _prune(stream: Stream, most: int) -> None:
    """Keep the passages with the smallest ranks."""
    ranks = numpy.fromiter((one.rank for one in stream.passages.values()), "d", len(stream.passages))
    threshold = float(numpy.partition(ranks, most)[most])
    stream.passages = {key: one for key, one in stream.passages.items() if one.rank < threshold}
    stream.threshold = min(stream.threshold, threshold)
