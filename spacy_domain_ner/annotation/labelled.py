"""What is known of the passages that are labelled already, for the choice of the next ones."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from spacy_domain_ner.annotation.candidates import key_of
from spacy_domain_ner.annotation.junk import script_of
from spacy_domain_ner.annotation.near_duplicates import NearDuplicates
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage

# So many passages tell the script.
_FEW = 200


@dataclass
class Labelled:
    """What is known of the labelled passages.

    Attributes:
        passages: How many there are.
        texts: The hashes of their texts.
        names: The names that are annotated in them, in lower case.
        script: The script that most of them are in; "" where there are none.
        sources: Their sources.
        held_out: The sources of those that the model is measured by.
        targeted: The sources of those that are for training only.
        near: Their texts, to find near duplicates.
    """

    passages: int = 0
    texts: set[bytes] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    script: str = ""
    sources: set[str] = field(default_factory=set)
    held_out: set[str] = field(default_factory=set)
    targeted: set[str] = field(default_factory=set)
    near: NearDuplicates = field(default_factory=NearDuplicates)


def read_labelled(files: Iterable[str | Path], held_out: Iterable[str | Path]) -> Labelled:
    """Read the labelled passages.

    Args:
        files: Annotation files.
        held_out: The files of the sets that the model is measured by.

    Raises:
        UserError: A file can't be read.
    """
    passages = [passage for path in files for passage in read_valid_passages(path)]
    measured = [passage for path in held_out for passage in read_valid_passages(path)]
    known = Labelled(script=script_of(passage.text for passage in [*passages, *measured][:_FEW]))
    for passage in [*passages, *measured]:
        key = key_of(passage.text)
        if key in known.texts:
            continue
        known.texts.add(key)
        known.names.update(passage.name(span).lower() for span in passage.spans)
        known.near.add(passage.text)
    known.passages = len(known.texts)
    known.held_out = _sources(measured)
    known.targeted = _sources(passage for passage in passages if passage.is_training_only)
    known.sources = _sources([*passages, *measured])
    return known


def _sources(passages: Iterable[Passage]) -> set[str]:
    return {source for passage in passages if (source := source_of(passage))}


def source_of(passage: Passage) -> str:
    """What `meta.source` says; "" where it says nothing: then the passage is a source of its own."""
    source = passage.meta.get("source")
    return "" if source is None else str(source)
