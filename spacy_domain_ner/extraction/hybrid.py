"""A model at work whose weak types a large language model finds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from spacy_domain_ner.confidence import expected_entities
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Confidences, Entity, Extractor, Thresholds
from spacy_domain_ner.llm.client import Client
from spacy_domain_ner.llm.decision import Sourced, combine, read_parts
from spacy_domain_ner.llm.entities import EntityFinder, Found

# What a model has found in a text, and how many entities of each type it expects there; None where it can't say.
Read = tuple[Sequence[Entity], Mapping[str, float] | None]


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
    expected: Mapping[str, float] | None
    is_sent: bool
    error: str = ""

    @property
    def told(self) -> dict[str, Any]:
        """What a row says of it: `sent`, and `error` if the LLM has not answered."""
        return {"sent": self.is_sent, **({"error": self.error} if self.error else {})}


class Fallback:
    """A large language model that finds the types that `llm evaluate` decided for it, in what a model has read.

    Any thread may use it, several at once, too.

    Attributes:
        decision: What was decided.
        settings: The settings of the LLM.
        destination: One line for people: where text goes.
        notes: What has changed since the decision, a sentence each.
    """

    def __init__(self, decision: str | Path, identity: Mapping[str, str]) -> None:
        """Read the decision, and prepare; nothing is sent yet.

        Args:
            decision: The decision.json of `llm evaluate`. It names the other files: llm.yml, the guide, the examples.
            identity: The model's name, version and digest.

        Raises:
            UserError: A file can't be read, or the key is missing.
        """
        parts = read_parts(decision, identity)
        self.decision, self.settings, self.notes = parts.decision, parts.settings, parts.notes
        self.destination = parts.settings.destination
        self._client = Client(parts.settings, parts.folder)
        self._finder = EntityFinder(self._client, parts.prompts, "extract")

    def is_sent(self, text: str, expected: Mapping[str, float] | None) -> bool:
        """Whether a text is sent.

        Args:
            text: The text.
            expected: How many entities of each type the model expects in it; None where it can't say.
        """
        return bool(text.strip()) and self.decision.is_sent(expected)

    def __call__(self, texts: Sequence[str], read: Sequence[Read]) -> Iterator[Hybrid]:
        """Ask about the texts in which such types are expected.

        Args:
            texts: The texts.
            read: What the model has found in each, and how many entities it expects there.

        Yields:
            What was found in each by both, in their order. No threshold is applied.
        """
        sent = [self.is_sent(text, expected) for text, (_, expected) in zip(texts, read, strict=True)]
        found = self._finder(text for text, is_sent in zip(texts, sent, strict=True) if is_sent)
        for text, (entities, expected), is_sent in zip(texts, read, sent, strict=True):
            yield self._together(text, entities, expected, next(found) if is_sent else None)

    def without(self, text: str, entities: Sequence[Entity], expected: Mapping[str, float] | None, why: str) -> Hybrid:
        """What stands there if the LLM has not answered: the model's own entities.

        Args:
            text: The text.
            entities: What the model has found.
            expected: How many entities of each type it expects.
            why: The reason.
        """
        hybrid = self._together(text, entities, expected, None)
        return replace(hybrid, is_sent=True, error=why) if self.is_sent(text, expected) else hybrid

    def close(self) -> None:
        """End what is under way."""
        self._client.close()

    def _together(
        self, text: str, entities: Iterable[Entity], expected: Mapping[str, float] | None, found: Found | None
    ) -> Hybrid:
        model = [(Span(entity.start, entity.end, entity.type), entity.confidence) for entity in entities]
        both = [_entity(text, one) for one in combine(model, found, self.decision)]
        return Hybrid(both, expected, found is not None, found.error if found else "")


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
        self.extractor = extractor
        self.sent = 0
        self.errors: Counter[str] = Counter()
        self._thresholds = Thresholds.of(extractor.nlp, min_confidence, precision)
        try:
            expected_entities(extractor.nlp, ())
            self._can_tell = True
        except UserError:
            self._can_tell = False
        self._fallback = Fallback(decision, extractor.identity)
        self.notes = self._fallback.notes
        self.destination = self._fallback.destination

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
        read: list[Read]
        if self._can_tell:
            read = list(self.extractor.with_expected(texts))
        else:
            read = [(entities, None) for entities in self.extractor(texts)]
        for hybrid in self._fallback(texts, read):
            self.sent += hybrid.is_sent
            if hybrid.error:
                self.errors[hybrid.error] += 1
            # The extractor has left out those of the model already.
            kept = [one for one in hybrid.entities if one.source == "model" or self._thresholds.keeps(one)]
            yield replace(hybrid, entities=kept)

    def close(self) -> None:
        """End what is under way."""
        self._fallback.close()

    def __enter__(self) -> "HybridExtractor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _entity(text: str, one: Sourced) -> Entity:
    span = one.span
    return Entity(text[span.start : span.end], span.label, span.start, span.end, one.confidence, one.source)
