"""Train, measure and package a spaCy entity recognizer for the names of your own domain."""

from spacy_domain_ner.extraction.extract import extract_entities

__all__ = ["__version__", "extract_entities"]

__version__ = "0.1.0"
