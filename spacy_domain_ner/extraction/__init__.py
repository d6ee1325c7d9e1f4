"""A trained model at work: entities in texts, files and streams."""

from spacy_domain_ner.extraction.extract import extract_entities

__all__ = ["extract_entities"]
