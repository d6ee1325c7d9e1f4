"""From the entity types to consistent labels: the guide, the labelling tools, what goes to them and comes back."""

from spacy_domain_ner.annotation.guide import Guide, render_guide
from spacy_domain_ner.annotation.interfaces import doccano_interface, label_studio_interface, prodigy_interface
from spacy_domain_ner.annotation.lint import SchemaFinding, lint_schema

__all__ = [
    "Guide",
    "SchemaFinding",
    "doccano_interface",
    "label_studio_interface",
    "lint_schema",
    "prodigy_interface",
    "render_guide",
]
