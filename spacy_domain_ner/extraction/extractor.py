"""Finding entities in texts with a model that is loaded once."""

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc

from spacy_domain_ner.confidence import expected_entities, find_recognizer, least_confidences, read_calibration
from spacy_domain_ner.corpus.sentences import windows
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.batches import in_batches
from spacy_domain_ner.models import load_model, memory_zone, model_identity
from spacy_domain_ner.reading.records import RefusedError, parse_record, with_text
from spacy_domain_ner.text import lone_surrogate, trimmed

Confidences = float | Mapping[str, float] | Sequence[str]


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity that a model has found in a text.

    Attributes:
        name: Its surface form, `text[start:end]`.
        type: Its entity type.
        start: Where it begins, in code points (Python's own indices).
        end: Where it ends, exclusive.
        confidence: The probability, 0 to 1, that boundaries and type are right; None where the model does not say.
        source: Who has found it, "model" or "llm", where both were asked; else "".
    """

    name: str
    type: str
    start: int
    end: int
    confidence: float | None = None
    source: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The entity as it stands in JSON.

        Returns:
            `name`, `type`, `start`, `end` and, where the model says it, `confidence`, rounded to four places; and
            `source` where it is known.
        """
        entity: dict[str, Any] = {"name": self.name, "type": self.type, "start": self.start, "end": self.end}
        if self.confidence is not None:
            entity["confidence"] = round(self.confidence, 4)
        if self.source:
            entity["source"] = self.source
        return entity

    def __reduce__(self) -> tuple[Any, ...]:
        # What a dataclass with slots does of its own takes ten times as long, and servers send many to other processes.
        return Entity, (self.name, self.type, self.start, self.end, self.confidence, self.source)


@dataclass(frozen=True)
class Thresholds:
    """How sure a model must be of an entity for it to be kept.

    Attributes:
        least: The least confidence, by entity type; "" stands for all types that are not named.
        unproven: The types of which the early-stopping set had too few entities to show the wanted precision.
        least_of_llm: The same for the entities of an LLM, whose confidence is the measured precision of the type.
    """

    least: Mapping[str, float]
    unproven: tuple[str, ...] = ()
    least_of_llm: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        nlp: Language,
        min_confidence: Confidences = (),
        precision: float | None = None,
        keep_unproven: bool = True,
    ) -> "Thresholds":
        """Find a model's thresholds.

        Args:
            nlp: The trained pipeline.
            min_confidence: The least confidence, as for an `Extractor`.
            precision: The precision that each type must have reached, as for an `Extractor`.
            keep_unproven: Whether types are kept that had too few entities to show it, as for an `Extractor`.

        Raises:
            UserError: A value does not fit, or the model has no confidence or no thresholds.
        """
        if isinstance(min_confidence, float | int | str):
            min_confidence = [str(min_confidence)]
        elif isinstance(min_confidence, Mapping):
            min_confidence = [f"{label}={value}" for label, value in min_confidence.items()]
        least = least_confidences(nlp, min_confidence, precision, keep_unproven)
        given = {"": 0.0, **least_confidences(nlp, min_confidence, None)}
        least_of_llm = {label: max(value, precision or 0.0) for label, value in given.items()}
        calibration = None if precision is None else read_calibration(nlp)
        if precision is None or calibration is None:
            return cls(least, least_of_llm=least_of_llm)
        # A confidence that was given for a type counts, whatever is known of it.
        unnamed = (label for label, value in least.items() if label and value in (0.0, math.inf))
        unproven = tuple(sorted(label for label in unnamed if not calibration.can_tell(label, precision)))
        return cls(least, unproven, least_of_llm)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """The types of which no entity is kept, since no confidence reached the wanted precision."""
        left_out = (label for label, value in self.least.items() if math.isinf(value))
        return tuple(sorted(label for label in left_out if label not in self.unproven))

    def keeps(self, entity: Entity) -> bool:
        """Whether an entity is kept; one without a confidence always is."""
        if entity.confidence is None:
            return True
        least = self.least_of_llm if entity.source == "llm" else self.least
        return entity.confidence >= least.get(entity.type, least.get("", 0.0))


class Extractor:
    """Finds the entities in texts, in batches, with a model that is loaded once.

        extractor = Extractor("en_software_ner", min_confidence=0.7)
        for entities in extractor(["GET /health is slow", "Redis is down"]):
            print([(entity.name, entity.type, entity.confidence) for entity in entities])

    A long-running process does not grow: what the vocabulary learns from a batch is forgotten after it, once the common
    words are known. A text that is longer than `window` is read in parts that are cut at sentence ends, and the offsets
    are those of the whole text.

    An extractor and its pipeline belong to one thread at a time: neither spaCy's vocabulary nor its memory zones take
    more. Give each thread or process an extractor of its own, or let one thread do the work of all.

    Attributes:
        nlp: The pipeline.
        thresholds: How sure the model must be of an entity.
        batch_size: The most texts that the model reads at once.
        window: The most characters of a text that the model reads at once.
    """

    def __init__(
        self,
        model: str | Path | Language,
        *,
        min_confidence: Confidences = (),
        precision: float | None = None,
        keep_unproven: bool = True,
        batch_size: int | None = None,
        window: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: A trained model's folder, the name of its package, or a pipeline that is loaded already.
            min_confidence: The least confidence of an entity that is kept, 0 to 1: one number for all types; or
                numbers by type, "" being all others; or texts as on the command line, `0.7` or `TEAM=0.9`.
            precision: The precision that each type must have reached on the early-stopping set, between 0 and 1. The
                model keeps the thresholds for it; `min_confidence` goes before it.
            keep_unproven: Whether a type is kept that had too few entities on that set for such a precision to show,
                even if all of them were right: for 0.9 that is fewer than 8.
            batch_size: The most texts that the model reads at once; None takes the model's own number.
            window: The most characters of a text that are read at once; None takes the model's own limit, which is
                also the upper limit (`nlp.max_length`, by default 1,000,000). A CNN takes about 1 MB of memory for
                every 1,000 characters.

        Raises:
            UserError: The model can't be loaded, or an argument does not fit.
        """
        for name, value in (("batch_size", batch_size), ("window", window)):
            if value is not None and value < 1:
                raise UserError(f"`{name}` is {value}", "It must be 1 or more.")
        self.nlp = model if isinstance(model, Language) else load_model(model)
        self.thresholds = Thresholds.of(self.nlp, min_confidence, precision, keep_unproven)
        self.batch_size = batch_size or self.nlp.batch_size
        self.window = min(window or self.nlp.max_length, self.nlp.max_length)

    def __call__(self, texts: Iterable[str]) -> Iterator[list[Entity]]:
        """Find the entities in texts.

        Args:
            texts: The texts, which may be a stream: they are read a batch at a time.

        Yields:
            The entities of each text, in the order of the texts and in the order in which they stand there.

        Raises:
            UserError: A text is not a string, or not Unicode text, since it has half of a surrogate pair.
        """
        if isinstance(texts, str):
            raise TypeError("An extractor takes several texts. Write extractor([text]) for a single one.")
        return self._extract(texts)

    def records(
        self,
        records: Iterable[Mapping[str, Any] | str | bytes],
        *,
        text_key: str = "text",
        refused: Callable[[int, str], object] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Find the entities in JSON records.

        Args:
            records: Records, or lines that hold them as JSON; they may be a stream.
            text_key: The key of a record's text.
            refused: Called with the number of a record that can't be read, counted from 1, and the reason; such a
                record is left out. None makes it an error.

        Yields:
            Each record with `entities` added, as `Entity.to_dict` gives them. The record that was given stays as it is.

        Raises:
            UserError: A record can't be read, or `text_key` is "entities".
        """
        check_text_key(text_key)
        waiting: deque[dict[str, Any]] = deque()

        def texts() -> Iterator[str]:
            for number, given in enumerate(records, 1):
                try:
                    if isinstance(given, str | bytes):
                        record = parse_record(given, text_key)
                    else:
                        record = with_text(dict(given), text_key)
                except RefusedError as error:
                    if refused is None:
                        raise UserError(f"Record {number} can't be read: {error.reason}") from None
                    refused(number, error.reason)
                else:
                    waiting.append(record)
                    yield record[text_key]

        found = self._extract(texts())
        return ({**waiting.popleft(), "entities": [entity.to_dict() for entity in entities]} for entities in found)

    def expected(self, texts: Iterable[str]) -> Iterator[dict[str, float]]:
        """Find how many entities of each type the model expects in texts, as `expected_entities` does.

        Args:
            texts: The texts, which may be a stream: they are read a batch at a time.

        Yields:
            For each text the expected number by entity type.

        Raises:
            UserError: The model has no recognizer that can tell, or a text is not Unicode text.
        """
        expected_entities(self.nlp, ())
        return self._expected(texts)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Which model this is: its `name`, `version` and `digest`, as the server's answers have them."""
        return model_identity(self.nlp)

    def with_expected(self, texts: Iterable[str]) -> Iterator[tuple[list[Entity], dict[str, float]]]:
        """Find the entities in texts, and how many the model expects there: both in one reading where that can be.

        Args:
            texts: The texts, which may be a stream: they are read a batch at a time.

        Yields:
            For each text what the extractor and `expected` give.

        Raises:
            UserError: As for both.
        """
        expected_entities(self.nlp, ())
        entities: list[Entity] = []
        total: Counter[str] = Counter()
        for batch in in_batches(self._pieces(texts), self.batch_size, lambda piece: len(piece.text)):
            for piece, (found, counts) in zip(batch, self._read_twice(batch), strict=True):
                entities += found
                for label, count in counts.items():
                    total[label] += count  # type: ignore[assignment]
                if piece.is_last:
                    yield entities, dict(total)
                    entities, total = [], Counter()

    def _read_twice(self, batch: Sequence["_Piece"]) -> list[tuple[list[Entity], dict[str, float]]]:
        """Read a batch for its entities and for what is expected; a recognizer that keeps its scores reads it once."""
        recognizer = find_recognizer(self.nlp)
        texts = [piece.text for piece in batch]
        with memory_zone(self.nlp):
            if not hasattr(recognizer, "kept_scores"):
                docs = list(self.nlp.pipe(texts, batch_size=len(batch)))
                counted = list(expected_entities(self.nlp, texts))
            else:
                recognizer.kept_scores = []
                try:
                    docs = list(self.nlp.pipe(texts, batch_size=len(batch)))
                    counted = recognizer.expected(docs)
                finally:
                    recognizer.kept_scores = None
            found = [self._entities(doc, piece.start) for piece, doc in zip(batch, docs, strict=True)]
        return list(zip(found, counted, strict=True))

    def _expected(self, texts: Iterable[str]) -> Iterator[dict[str, float]]:
        total: Counter[str] = Counter()
        for batch in in_batches(self._pieces(texts), self.batch_size, lambda piece: len(piece.text)):
            with memory_zone(self.nlp):
                counted = list(expected_entities(self.nlp, [piece.text for piece in batch]))
            for piece, counts in zip(batch, counted, strict=True):
                for label, count in counts.items():
                    total[label] += count  # type: ignore[assignment]
                if piece.is_last:
                    yield dict(total)
                    total = Counter()

    def _extract(self, texts: Iterable[str]) -> Iterator[list[Entity]]:
        entities: list[Entity] = []
        for batch in in_batches(self._pieces(texts), self.batch_size, lambda piece: len(piece.text)):
            for piece, found in zip(batch, self._read(batch), strict=True):
                entities += found
                if piece.is_last:
                    yield entities
                    entities = []

    def _pieces(self, texts: Iterable[str]) -> Iterator["_Piece"]:
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise UserError(f"Text {number} is not a text but of the type {type(text).__name__}", "Leave it out.")
            if (lone := lone_surrogate(text)) is not None:
                raise UserError(f"Text {number} is not Unicode text: half of a surrogate pair at offset {lone}")
            if len(text) <= self.window:
                yield _Piece(text, 0, True)
                continue
            for start, window in windows(text, self.window, self.nlp.tokenizer):
                yield _Piece(window, start, start + len(window) == len(text))

    def _read(self, batch: Sequence["_Piece"]) -> list[list[Entity]]:
        # The whole batch before anything is given away: the zone must not stay open while a caller works.
        with memory_zone(self.nlp):
            docs = self.nlp.pipe([piece.text for piece in batch], batch_size=len(batch))
            return [self._entities(doc, piece.start) for piece, doc in zip(batch, docs, strict=True)]

    def _entities(self, doc: Doc, shift: int) -> list[Entity]:
        # Joined from the tokens whenever it is asked for: once per entity would be quadratic in a long text.
        text = doc.text
        # A tokenizer without the rules leaves invisible characters on a name.
        places = ((ent, *trimmed(text, ent.start_char, ent.end_char)) for ent in doc.ents)
        found = (
            Entity(
                text[start:end],
                ent.label_,
                shift + start,
                shift + end,
                # Only recognizers that have a confidence have brought the attribute.
                ent._.confidence if ent._.has("confidence") else None,
            )
            for ent, start, end in places
            if start < end
        )
        return [entity for entity in found if self.thresholds.keeps(entity)]


class _Piece(NamedTuple):
    """A text, or a window of it."""

    text: str
    start: int
    is_last: bool


def extract_entities(nlp: Language, text: str) -> list[dict[str, Any]]:
    """Find the entities in one text. For many texts, an `Extractor` is faster.

    Args:
        nlp: A trained pipeline.
        text: The text.

    Returns:
        For each entity its surface form `name`, its `type`, and `start` and `end` in code points, `end` exclusive, so
        that `text[start:end] == name`; and `confidence`, 0 to 1, where the model says it.
    """
    [entities] = Extractor(nlp)([text])
    return [entity.to_dict() for entity in entities]


def check_text_key(text_key: str) -> None:
    """Check the key of a record's text.

    Raises:
        UserError: It is the key that the entities get.
    """
    if text_key == "entities":
        raise UserError("`text_key` is 'entities'", "The entities that are found get that key: rename the text's key.")
