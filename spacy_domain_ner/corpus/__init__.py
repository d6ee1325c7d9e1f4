"""Passages and their annotation: reading, checking, splitting, and converting for training."""

from spacy_domain_ner.corpus.checks import CheckReport, Finding, check_corpus
from spacy_domain_ner.corpus.jsonl import ReadResult, Refusal, read_passages, read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.corpus.split import Split, split_passages

__all__ = [
    "CheckReport", "Finding", "Passage", "ReadResult", "Refusal", "Span", "Split", "check_corpus",
    "load_tokenizing_pipeline", "read_passages", "read_valid_passages", "split_passages", "write_docs",
    "write_passages",
]  # fmt: skip
