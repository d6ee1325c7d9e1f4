"""The trained model at work: packaging it, trying the package, extracting entities with it."""

from spacy_domain_ner.deployment.extract import extract_entities

__all__ = ["extract_entities"]
