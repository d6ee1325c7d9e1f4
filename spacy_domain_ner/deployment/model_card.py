"""The model card: what a model finds, how good it is, what it was made from, and how it is used."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import srsly

from spacy_domain_ner.rendering import escape_line_start, markdown_environment
from spacy_domain_ner.schema import EntitySchema


@dataclass(frozen=True)
class ModelCard:
    """What the cards of a model say.

    Attributes:
        language_name: The package's name, with the language.
        meta: The model's meta.json, with the package's metadata.
        title: A heading, as plain text.
        schema: The entity types.
        metrics: The scores, as in metrics.json.
        counts: The corpus, as in the check's report.
    """

    language_name: str
    meta: Mapping[str, Any]
    title: str
    schema: EntitySchema
    metrics: Mapping[str, Any]
    counts: Mapping[str, Any]

    def for_spacy(self) -> str:
        """Write the card of the wheel.

        Returns:
            The card, in Markdown.
        """
        return self._render("spacy_card.md.jinja")

    def for_huggingface(self) -> str:
        """Write the card of the Hugging Face model.

        Returns:
            The card, in Markdown with the metadata that the hub reads.
        """
        return self._render("huggingface_card.md.jinja")

    @property
    def description(self) -> str:
        """What the model does, as plain text."""
        return self.meta.get("description") or f"Finds {', '.join(self.metrics['types'])} in text."

    @property
    def hub_metadata(self) -> str:
        """What the hub reads at the head of a card, in YAML."""
        licence = one_line(self.meta.get("license") or "").lower()
        known = re.fullmatch(r"[a-z0-9.+-]+", licence) and licence != "proprietary"
        sources = [source["name"] for source in self.meta.get("sources") or []]
        metadata = {
            "language": self.meta["lang"],
            "license": licence if known else "other",
            "library_name": "transformers",
            "pipeline_tag": "token-classification",
            "tags": ["named-entity-recognition", "token-classification"],
            **({"base_model": sources[0]} if sources and "/" in sources[0] else {}),
        }
        return srsly.yaml_dumps(metadata).strip()

    def _render(self, template: str) -> str:
        environment = markdown_environment("spacy_domain_ner.deployment")
        environment.filters.update(line_start=escape_line_start, percent=_percent)
        # What a model does not say has no entry.
        sources = [{"description": None, "license": None, **source} for source in self.meta.get("sources") or []]
        return environment.get_template(template).render(
            card=self,
            meta={
                **dict.fromkeys(("license", "author", "runtime", "int8", "distilled")),
                **self.meta,
                "sources": sources,
            },
            metrics={"confidence": None, **self.metrics},
            counts=self.counts,
            definitions=defaultdict(str, {one.name: one.definition for one in self.schema.entity_types}),
        )


def one_line(text: str) -> str:
    """Fold white space, so that a text stands on one line."""
    return " ".join(text.split())


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
