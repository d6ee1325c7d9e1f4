"""A small model with rules, for tests that are about the way of the text and not about how good a model is."""

import spacy
from spacy.language import Language


def ruled() -> Language:
    """A model that finds Redis and Kafka (INFRA), and svc0, svc1 and so on (SERVICE)."""
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns(  # type: ignore[attr-defined]
        [
            {"label": "INFRA", "pattern": "Redis"},
            {"label": "INFRA", "pattern": "Kafka"},
            {"label": "SERVICE", "pattern": [{"TEXT": {"REGEX": "^svc[0-9]+$"}}]},
        ]
    )
    return nlp
