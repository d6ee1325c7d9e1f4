"""A model at work whose weak types a large language model finds."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from spacy_domain_ner.confidence import expected_entities
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Confidences, Entity, Extractor, Thresholds
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.llm.decision import Sourced, combine, read_parts
from spacy_domain_ner.llm.entities import EntityFinder, Found


@dataclass(frozen=True)
class Hybrid:
    """What was found in a text.

    Attributes:
        entities: The entities; each has its `source`.
        expected: How many entities of each type the model expects; None where it can't say.
        is_sent: Whether the text was sent to the LLM.
        error: Why the LLM has not answered, at least in part: there the model's own entities stand. "" where it has.
    """

    entities: list[Entity]
    expected: dict[str, float] | None
    is_sent: bool
    error: str = ""


class HybridExtractor:
    """Finds entities with a model, and with a large language model where `llm evaluate` has decided for it.

        with HybridExtractor(Extractor("training/model-best"), "llm/decision.json") as extractor:
            print(extractor.destination)
            for found in extractor(["GET /health is slow"]):
                print([(entity.name, entity.type, entity.source) for entity in found.entities], found.error)

    Only texts in which the model expects such entities are sent. A failure is never an empty list: the model's own
    entities stand there, with the reason.

    Attributes:
        extractor: The model.
        destination: One line for people: where text goes.
        notes: What has changed since the decision, a sentence each.
        sent: How many texts were sent.
        errors: The reasons why the LLM has not answered, with the number of texts.
    """

    def __init__(
        self,
        extractor: Extractor,
        decision: str | Path,
        *,
        min_confidence: Confidences = (),
        precision: float | None = None,
    ) -> None:
        """Read the decision, and prepare; nothing is sent yet.

        Args:
            extractor: The model.
            decision: The decision.json of `llm evaluate`. It names the other files: llm.yml, the guide, the examples.
            min_confidence: The least confidence of an entity that is kept, as for an `Extractor`. That of the LLM's
                entities is its measured precision.
            precision: The precision that each type must have reached; a type of the LLM's with a lower one is left out.

        Raises:
            UserError: A file can't be read, the key is missing, or an argument does not fit.
        """
        parts = read_parts(decision, extractor.identity)
        self.extractor = extractor
        self.notes = parts.notes
        self.destination = parts.settings.destination
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self._decision = parts.decision
        self._floor = Thresholds.of(extractor.nlp, min_confidence)
        self._precision = precision or 0.0
        try:
            expected_entities(extractor.nlp, ())
            self._can_tell = True
        except UserError:
            self._can_tell = False
        self._client = Client(parts.settings, parts.folder)
        self._finder = EntityFinder(self._client, parts.prompts, "extract")

    def __call__(self, texts: Iterable[str]) -> Iterator[Hybrid]:
        """Find the entities in texts.

        Args:
            texts: The texts. All of them are read by the model before the first is sent.

        Yields:
            What was found in each, in their order.

        Raises:
            UserError: As for an `Extractor`.
        """
        texts = list(texts)
        read: list[tuple[list[Entity], dict[str, float] | None]]
        if self._can_tell:
            read = list(self.extractor.with_expected(texts))
        else:
            read = [(entities, None) for entities in self.extractor(texts)]
        sent = [
            bool(text.strip()) and self._decision.is_sent(expected)
            for text, (_, expected) in zip(texts, read, strict=True)
        ]
        found = self._finder(text for text, is_sent in zip(texts, sent, strict=True) if is_sent)
        for text, (entities, expected), is_sent in zip(texts, read, sent, strict=True):
            yield self._hybrid(text, entities, expected, next(found) if is_sent else None)

    def close(self) -> None:
        """End what is under way."""
        self._client.close()

    def __enter__(self) -> "HybridExtractor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _hybrid(
        self, text: str, entities: list[Entity], expected: dict[str, float] | None, found: Found | None
    ) -> Hybrid:
        model = [(Span(entity.start, entity.end, entity.type), entity.confidence) for entity in entities]
        both = combine(model, found, self._decision)
        kept = [_entity(text, one) for one in both if one.source == "model" or self._keeps(one)]
        error = found.error if found else ""
        self.sent += found is not None
        if error:
            self.errors[error] += 1
        return Hybrid(kept, expected, found is not None, error)

    def _keeps(self, one: Sourced) -> bool:
        confidence = one.confidence or 0.0
        least = self._floor.least
        return confidence >= self._precision and confidence >= least.get(one.span.label, least.get("", 0.0))


def _entity(text: str, one: Sourced) -> Entity:
    span = one.span
    return Entity(text[span.start : span.end], span.label, span.start, span.end, one.confidence, one.source)
