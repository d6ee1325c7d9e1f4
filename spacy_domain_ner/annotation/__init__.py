"""Consistent labels: the guide, what the entity types lack, agreement between annotators, suspect annotations."""

from spacy_domain_ner.annotation.guide import Guide, render_guide
from spacy_domain_ner.annotation.lint import SchemaFinding, lint_schema

__all__ = [
    "Guide",
    "SchemaFinding",
    "lint_schema",
    "render_guide",
]
