"""The model card: what a model finds, how good it is, what it was made from, and how it is used."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import srsly

from spacy_domain_ner.schema import EntitySchema


@dataclass(frozen=True)
class ModelCard:
    """What the cards of a model say.

    language_name: The package's name, with the language.
    meta: The model's meta.json, with the package's metadata.
    title: A heading.
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
        """The card of the wheel, in Markdown."""
        # A model that says none has no entry.
        confidence = self.metrics.get("confidence")
        shown = "ent.text, ent.label_, ent._.confidence" if confidence else "ent.text, ent.label_"
        usage = [
            "```bash",
            f"pip install {self.language_name}-{self.meta['version']}-py3-none-any.whl",
            "```",
            "",
            "```python",
            "import spacy",
            "",
            f'nlp = spacy.load("{self.language_name}")',
            'doc = nlp("Any text of the domain")',
            f"print([({shown}) for ent in doc.ents])",
            "```",
        ]
        if confidence:
            apart = 100 * confidence["expected_calibration_error"]
            usage += [
                "",
                "The confidence, 0 to 1, is the probability that boundaries and type are right. On the evaluation "
                f"passages confidence and precision are {apart:.1f} points apart (expected calibration error).",
            ]
        return "\n".join([f"# {line(self.title)}", "", *self._about(usage)])

    def for_huggingface(self) -> str:
        """The card of the Hugging Face model, in Markdown with the metadata that its hub reads."""
        licence = line(self.meta.get("license") or "").lower()
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
        usage = [
            "```python",
            "from transformers import pipeline",
            "",
            'find = pipeline("token-classification", model="this folder", aggregation_strategy="simple")',
            'print(find("Any text of the domain"))',
            "```",
        ]
        head = ["---", srsly.yaml_dumps(metadata).strip(), "---", "", f"# {line(self.title)}", ""]
        return "\n".join([*head, *self._about(usage)])

    def _about(self, usage: list[str]) -> list[str]:
        meta, metrics, counts = self.meta, self.metrics, self.counts
        definitions = {entity_type.name: entity_type.definition for entity_type in self.schema.entity_types}
        types = [f"| {label} | {_cell(definitions.get(label) or 'not described yet')} |" for label in metrics["types"]]
        scores = [
            f"| {label} | {_percent(result['precision'])} | {_percent(result['recall'])} | {_percent(result['f1'])} "
            f"| {result['support']} | {result['verdict']} |"
            for label, result in metrics["types"].items()
        ]
        micro = metrics["micro"]
        scores.append(
            f"| **all** | {_percent(micro['precision'])} | {_percent(micro['recall'])} | {_percent(micro['f1'])} "
            f"| {micro['support']} | |"
        )
        data = [
            f"| {label} | {count['mentions']} | {count['forms']} | {count['verdict']} |"
            for label, count in counts["types"].items()
        ]
        sources = ", ".join(line(source["name"]) for source in meta.get("sources") or [])
        return [
            line(meta.get("description") or f"Finds {', '.join(metrics['types'])} in text."),
            "",
            *usage,
            "",
            f"Version {meta['version']}, spaCy {meta['spacy_version']}, "
            f"licence: {line(meta.get('license') or 'not given')}, author: {line(meta.get('author') or 'not given')}"
            f"{', base model: ' + sources if sources else ''}.",
            "",
            "## Entity types",
            "",
            "| type | what it covers |",
            "|---|---|",
            *types,
            "",
            "## How good it is",
            "",
            f"Measured on {metrics['passages']} held-out passages that training never saw, exact spans by character "
            f"offsets. Ready for production from F1 {_percent(metrics['gates']['production'])}; below "
            f"{_percent(metrics['gates']['fallback'])} another way is needed.",
            "",
            "| type | precision | recall | F1 | mentions | verdict |",
            "|---|---|---|---|---|---|",
            *scores,
            "",
            "## What it was made from",
            "",
            f"{counts['passages']} annotated passages, {counts['without_entities']} of them without any entity.",
            "",
            "| type | mentions | distinct forms | amount |",
            "|---|---|---|---|",
            *data,
            "",
        ]


def line(text: str) -> str:
    """A text on one line."""
    return " ".join(text.split())


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _cell(text: str) -> str:
    return line(text).replace("|", "\\|")
