"""Choosing the layers of a document that have its entities, where it has annotations of several kinds."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.text import shorten

# The value of an annotation that has none.
NO_VALUE = "*"
# Layers of the tools themselves, which are not about entities.
_LINGUISTIC = re.compile(
    r"\.api\.(lexmorph|segmentation|syntax|coref|pdf|metadata|semantics|structure)\b|\.tei\.|^uima\.t?cas\.|\.pdf\."
)
_FEATURES = ("value", "label", "type", "category", "class", "name")


@dataclass(frozen=True)
class Feature:
    """A feature of a layer.

    Attributes:
        layer: The layer's name.
        name: The feature's name, "" where the layer has none.
    """

    layer: str
    name: str

    @property
    def short(self) -> str:
        """The last part of the layer's name."""
        return self.layer.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.short}|{self.name}" if self.name else self.short


@dataclass(frozen=True)
class Layers:
    """Where a document has its entities.

    Attributes:
        features: The features that have them; none where nothing is annotated.
        are_types: Whether the layers themselves are the types, and not the features' values.
    """

    features: tuple[Feature, ...]
    are_types: bool = False

    def label(self, feature: Feature, value: str) -> str:
        """The label of an annotation, by its feature and the feature's value."""
        return feature.short if self.are_types else value

    def __str__(self) -> str:
        return ", ".join(feature.short if self.are_types else str(feature) for feature in self.features)


def choose_layers(name: str, counts: Mapping[Feature, Counter[str]], types: Collection[str] = ()) -> Layers:
    """Choose the layers that have the entities: those with the entity types, else the named-entity layer.

    Args:
        name: What messages call the file.
        counts: How often each feature has which value, `NO_VALUE` where an annotation has none.
        types: The entity types that are known.

    Returns:
        The layers.

    Raises:
        UserError: There are several, and nothing tells which is meant.
    """
    known = {_plain(one) for one in types}
    hits = {
        feature: sum(count for value, count in values.items() if _plain(value) in known)
        for feature, values in counts.items()
    }
    if any(hits.values()):
        return Layers((max(hits, key=lambda feature: hits[feature]),))
    named = tuple({feature.layer: feature for feature in counts if _plain(feature.short) in known}.values())
    if named:
        return Layers(named, are_types=True)
    entities = [feature for feature in counts if feature.short == "NamedEntity"]
    annotated = [feature for feature in counts if counts[feature] and not _LINGUISTIC.search(feature.layer)]
    for features in ([feature for feature in entities if counts[feature]], annotated, entities):
        if len({feature.layer for feature in features}) == 1:
            # The feature with a usual name, else the one that has values at all.
            with_values = [feature for feature in features if set(counts[feature]) - {NO_VALUE}] or features
            usual = [feature for wanted in _FEATURES for feature in with_values if feature.name == wanted]
            if usual or len(with_values) == 1:
                feature = (usual or with_values)[0]
                return Layers((feature,), are_types=not feature.name)
    if not annotated:
        return Layers(())
    found = "; ".join(f"{feature} ({shorten(', '.join(counts[feature]), 40)})" for feature in annotated)
    raise UserError(
        f"{name} has several kinds of spans, and which are the entities is not told: {found}",
        "Give the entity types with `schema`, or name the labels that are meant with `rename=OLD=NEW`.",
    )


def _plain(name: str) -> str:
    return "".join(character for character in name if character.isalnum()).casefold()
