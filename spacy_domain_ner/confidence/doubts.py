"""What a model is unsure of in a passage, word by word: where there is something to be learned."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray
from spacy.attrs import IS_SPACE, LOWER
from spacy.language import Language

from spacy_domain_ner.confidence.prediction import UNCERTAINTY, before_recognizer, present, recognizer_with
from spacy_domain_ner.models import load_model, memory_zone
from spacy_domain_ner.processes import in_processes

# A word counts as doubtful from this entropy, in nats: 0.05 is a chance of one in a hundred to be wrong.
DOUBTFUL = 0.05
# From this probability a word is a part of a name, also where the model is sure of it.
LIKELY = 0.5


@dataclass(frozen=True, slots=True)
class Doubt:
    """A word of which a model does not know what it is, or which stands in a name.

    Attributes:
        start: Where the word begins in the text, in code points.
        end: Where it ends, exclusive.
        label: The likeliest type of an entity that has it.
        entropy: How unsure the model is of the word's tag, in nats.
        gain: The same plus the probability that the word is in an entity, by what it is worth to learn that type.
        inside: The probability that the word is in an entity.
    """

    start: int
    end: int
    label: str
    entropy: float
    gain: float
    inside: float

    def __reduce__(self) -> tuple[Any, ...]:
        # Processes send many of them; what a dataclass with slots does of its own takes ten times as long.
        return Doubt, (self.start, self.end, self.label, self.entropy, self.gain, self.inside)


@dataclass(frozen=True, slots=True)
class Doubts:
    """What a model is unsure of in a passage.

    Attributes:
        words: How many words the passage has, without white space.
        lower: What identifies each of these words, apart from capitals: the hash of its lower-case form.
        doubts: The words that it is unsure of, and the other words of names.
    """

    words: int
    lower: NDArray[Any]
    doubts: tuple[Doubt, ...]

    @property
    def gain(self) -> float:
        """How much there is to be learned in all."""
        return sum(doubt.gain for doubt in self.doubts)


def read_doubts(
    nlp: Language, texts: Iterable[str], weights: Mapping[str, float] | None = None, batch_size: int | None = None
) -> Iterator[Doubts]:
    """Read texts, and find what a model is unsure of.

    The entropy of a word's tags is $-\\sum_t p_t \\log p_t$ over the tag's probabilities $p_t$ given the whole passage.
    What there is to be learned from the word is that plus the probability that it is in an entity: names teach also
    where the model expects them, and of words in no name there are many.

    Args:
        nlp: The model. Its recognizer's method `uncertainty` is asked.
        texts: The texts, which may be a stream. They are read a batch at a time.
        weights: What it is worth to learn each type; 1 for those that are not named. None is 1 for all.
        batch_size: How many texts are read at once; None takes the model's own number.

    Yields:
        The doubts of each text.

    Raises:
        UserError: The model has no recognizer that can tell, as spaCy's `ner` can't.
    """
    return _read(nlp, recognizer_with(nlp, UNCERTAINTY), iter(texts), weights or {}, batch_size or nlp.batch_size)


def read_doubts_in_processes(
    model: str | Path, texts: Iterable[str], weights: Mapping[str, float] | None, batch_size: int, workers: int
) -> Iterator[Doubts]:
    """Read texts in several processes, each with the model, and find the same as `read_doubts`.

    Args:
        model: A trained model's folder or package.
        texts: As for `read_doubts`.
        weights: As for `read_doubts`.
        batch_size: How many texts are read at once.
        workers: The number of processes.

    Yields:
        The doubts of each text.

    Raises:
        BrokenProcessPool: A process was killed.
    """
    texts = iter(texts)
    batches = iter(lambda: list(islice(texts, batch_size)), [])
    for _, found in in_processes(partial(_batch_reader, model, weights), batches, workers):
        yield from found


def _batch_reader(model: str | Path, weights: Mapping[str, float] | None) -> Callable[[list[str]], list[Doubts]]:
    nlp = load_model(model)
    return lambda texts: list(read_doubts(nlp, texts, weights, len(texts)))


def _read(
    nlp: Language, name: str, texts: Iterator[str], weights: Mapping[str, float], batch_size: int
) -> Iterator[Doubts]:
    recognizer = present(nlp, name, UNCERTAINTY)
    worth = numpy.array([weights.get(label, 1.0) for label in recognizer.labels])
    while batch := list(islice(texts, batch_size)):
        # The whole batch before anything is given away: the zone must not stay open while a caller works.
        with memory_zone(nlp):
            docs = before_recognizer(nlp, name, batch)
            found = [
                _doubts(doc, rows, worth, recognizer.labels)
                for doc, rows in zip(docs, recognizer.uncertainty(docs), strict=True)
            ]
        yield from found


def _doubts(doc: Any, rows: NDArray[Any], worth: NDArray[Any], labels: tuple[str, ...]) -> Doubts:
    entropy, inside = rows[:, 0], rows[:, 1:]
    doubts = []
    sums = inside.sum(axis=1)
    for number in numpy.flatnonzero((entropy >= DOUBTFUL) | (sums >= LIKELY)).tolist():
        masses, total = inside[number], float(sums[number])
        token = doc[number]
        if total <= 0 or token.is_space:
            continue
        # Rounded, so that the order in which passages are read, which moves the last digits, does not matter.
        unsure = round(float(entropy[number]), 3)
        gain = round((unsure + total) * float(masses @ worth) / total, 3)
        label = labels[int(masses.argmax())]
        doubts.append(Doubt(token.idx, token.idx + len(token), label, unsure, gain, round(total, 3)))
    words = doc.to_array([LOWER, IS_SPACE])
    words = words[words[:, 1] == 0, 0]
    return Doubts(len(words), words, tuple(doubts))
