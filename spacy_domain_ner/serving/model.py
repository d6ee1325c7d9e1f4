"""A model that is served: which one it is, and what there is to say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_domain_ner.confidence import find_recognizer, read_calibration
from spacy_domain_ner.confidence.prediction import EXPECTED
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Entity, Extractor, Thresholds
from spacy_domain_ner.models import load_model, model_identity
from spacy_domain_ner.reading.objects import read_object
from spacy_domain_ner.schema import assign_colors, read_schema
from spacy_domain_ner.serving.settings import Settings

# What a model reads before the first request: whatever it makes on first use is there then.
WARM_UP = "The first passage takes longer than the others."
# The precisions for which `/model` gives thresholds.
PRECISIONS = (0.8, 0.9, 0.95)
# spaCy's vocabulary keeps a place in a table for each word that it has met, also when a memory zone has forgotten it,
# and the table doubles again and again.
WORN_WORDS = 400_000


# What a model found in a text, or why it failed on it; and the expected number of entities by type, where it was asked.
Found = tuple[list[Entity] | str, dict[str, float]]


@dataclass(frozen=True)
class KnownModel:
    """What is known of a model that is served, wherever it is loaded.

    Attributes:
        identity: What each answer says of the model that gave it: `name`, `version` and `digest`.
        expects: Whether it can say how many entities it expects.
        description: What `/model` says: `name`, `version`, `digest`, `types` with the definition, the colour and the
            thresholds of each, and `scores`.
    """

    identity: dict[str, str]
    expects: bool
    description: dict[str, Any]

    def __str__(self) -> str:
        return "{name} {version} ({digest})".format(**self.identity)


class ServedModel:
    """A model that is loaded and warm. It belongs to one thread at a time.

    Attributes:
        known: What is known of it.
    """

    def __init__(self, model: str | Path | Language, settings: Settings) -> None:
        """Load a model and let it read a passage.

        Args:
            model: A trained model's folder, the name of its package, or a pipeline that is loaded already.
            settings: What the server was told: where definitions and scores are.

        Raises:
            UserError: It can't be loaded, or fails on a passage; or definitions or scores can't be read.
        """
        nlp = model if isinstance(model, Language) else load_model(model)
        self._extractor = Extractor(nlp)
        identity = model_identity(nlp)
        description = {**identity, **self._describe(settings.schema, settings.metrics)}
        self.known = KnownModel(identity, hasattr(find_recognizer(nlp), EXPECTED), description)
        try:
            list(self._extractor([WARM_UP]))
        except Exception as error:  # of any component
            raise UserError(
                f"The model {self.known} can be loaded, but fails on a passage: {type(error).__name__}",
                "Try it first: domain-ner extract MODEL FILE",
            ) from error

    @property
    def is_worn(self) -> bool:
        """Whether the model takes much more memory than at first, and loading it again is cheaper."""
        return len(self._extractor.nlp.vocab) > WORN_WORDS

    def read(self, texts: Sequence[str], expecting: Sequence[int]) -> list[Found]:
        """Read a batch of texts. One on which the model fails does not harm the others.

        Args:
            texts: The texts.
            expecting: The places of those of which the expected numbers are asked, too.
        """
        try:
            found: list[Any] = list(self._extractor(texts))
            counted = self._extractor.expected([texts[place] for place in expecting]) if expecting else ()
            expected = dict(zip(expecting, counted, strict=True))
        except Exception as error:  # of any component, on any text
            if len(texts) > 1:
                return [self.read([text], [0] if place in expecting else [])[0] for place, text in enumerate(texts)]
            # Its message may quote the text.
            return [(f"the model failed on this passage ({type(error).__name__})", {})]
        return [(entities, expected.get(place, {})) for place, entities in enumerate(found)]

    def thresholds(
        self, min_confidence: float | Mapping[str, float] | None, precision: float | None, keep_unproven: bool
    ) -> Thresholds:
        """Find how sure the model must be of an entity, as `Extractor` takes it.

        Raises:
            UserError: A value does not fit, or the model has no confidence or no thresholds.
        """
        given = () if min_confidence is None else min_confidence
        return Thresholds.of(self._extractor.nlp, given, precision, keep_unproven)

    def _describe(self, schema: Path | None, metrics: Path | None) -> dict[str, Any]:
        meta = self._extractor.nlp.meta
        if schema is not None:
            types = read_schema(schema)
            definitions = {each.name: each.definition for each in types.entity_types}
            colors: Mapping[str, str | None] = types.colors
        else:
            definitions, colors = meta.get("entity_types") or {}, {}
        labels = sorted({label for labels in self._extractor.nlp.pipe_labels.values() for label in labels})
        chosen = assign_colors(labels, colors)
        return {
            "description": meta.get("description", ""),
            "has_confidence": find_recognizer(self._extractor.nlp) is not None,
            "types": {
                label: {
                    "definition": definitions.get(label, ""),
                    "color": chosen[label],
                    "thresholds": self._reaching(label),
                }
                for label in labels
            },
            "scores": _scores(metrics) if metrics is not None else meta.get("performance") or {},
        }

    def _reaching(self, label: str) -> dict[str, float | None]:
        """The lowest confidence of a type from which on a precision is reached; None where none reaches it."""
        calibration = read_calibration(self._extractor.nlp)
        if calibration is None:
            return {}
        return {str(precision): calibration.reaching(precision).get(label) for precision in PRECISIONS}


def _scores(metrics: Path) -> dict[str, Any]:
    otherwise, hint = "does not hold the scores of `evaluate`", "Make it first: weasel run evaluate"
    read = read_object(metrics, otherwise, hint)
    try:
        keys = ("precision", "recall", "f1", "support")
        return {
            "passages": read["passages"],
            "micro": {key: read["micro"][key] for key in keys},
            "types": {label: {key: scores[key] for key in keys} for label, scores in read["types"].items()},
        }
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{metrics} {otherwise}", hint) from None
