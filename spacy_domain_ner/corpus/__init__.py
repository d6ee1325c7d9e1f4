"""Passages and their annotation: reading, checking, splitting, and converting for training.

Nothing here imports spaCy until it is needed; `spacy_docs` does.
"""

from spacy_domain_ner.corpus.jsonl import ReadResult, Refusal, read_passages, read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage, Span

__all__ = ["Passage", "ReadResult", "Refusal", "Span", "read_passages", "read_valid_passages", "write_passages"]
