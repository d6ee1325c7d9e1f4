"""Passages for people to label in their tool, with a model's spans filled in to be corrected."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import Any

from spacy.language import Language

from spacy_domain_ner.confidence import predict_with_probabilities
from spacy_domain_ner.corpus.jsonl import ReadResult, read_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.exchange.formats import doccano, label_studio, prodigy
from spacy_domain_ner.exchange.formats.stream import Source, lines
from spacy_domain_ner.exchange.interfaces import Tool
from spacy_domain_ner.files import TEXT_SUFFIXES, replacing

# The spans of the passages themselves need a name where a tool wants one.
OWN_SPANS = "annotations"


def tasks_to_label(passages: Iterable[Passage], tool: Tool, nlp: Language | None = None) -> Iterator[dict[str, Any]]:
    """Passages as a tool's tasks, in the order in which they come.

    nlp: A trained model whose spans take the place of the passages' own; None fills in those.
    """
    if tool is Tool.label_studio:
        if nlp is not None:
            version = _model_version(nlp)
            for passage, scores in _predicted(nlp, passages):
                yield label_studio.task_to_label(passage, model_version=version, scores=scores)
        else:
            for passage in passages:
                yield label_studio.task_to_label(passage, model_version=OWN_SPANS)
        return
    found = ((passage, None) for passage in passages) if nlp is None else _predicted(nlp, passages)
    for passage, scores in found:
        # doccano has no place for a score.
        yield doccano.row_to_label(passage) if tool is Tool.doccano else prodigy.row_to_label(passage, scores)


def read_to_label(path: Path) -> ReadResult:
    """Read passages to label: JSON lines (a file or a folder of them), or a text file with a passage on each line.

    RAISES: UserError where it can't be read.
    """
    if path.suffix.lower() not in TEXT_SUFFIXES or not path.is_file():
        return read_passages(path)
    found = [(number, line) for number, line in lines(Source(path, str(path))) if line.strip()]
    return ReadResult([Passage(line, meta={"source": f"{path.name}:{number}"}) for number, line in found])


def write_tasks(path: Path, tasks: Iterable[dict[str, Any]], tool: Tool) -> int:
    """Write tasks as the tool imports them: Label Studio takes one JSON list, the others a record a line.

    RETURNS: How many there are.
    """
    count = 0
    with replacing(path) as stream:
        for count, task in enumerate(tasks, 1):
            if tool is Tool.label_studio:
                stream.write("[\n" if count == 1 else ",\n")
            stream.write(json.dumps(task, ensure_ascii=False))
            stream.write("" if tool is Tool.label_studio else "\n")
        if tool is Tool.label_studio:
            stream.write("\n]\n" if count else "[]\n")
    return count


def _model_version(nlp: Language) -> str:
    name = f"{nlp.meta['lang']}_{nlp.meta['name']}-{nlp.meta['version']}"
    if nlp.meta["version"] != "0.0.0":
        return name
    # Not packaged yet: what its training came to tells one from the next.
    told = json.dumps(nlp.meta.get("performance", {}), sort_keys=True)
    return f"{name}-{hashlib.blake2b(told.encode('utf8'), digest_size=4).hexdigest()}"


def _predicted(nlp: Language, passages: Iterable[Passage]) -> Iterator[tuple[Passage, list[float] | None]]:
    """Passages with the model's spans, and each span's probability where the model can give one."""
    passages, unlabelled = tee(passages)
    bare = (Passage(passage.text) for passage in unlabelled)
    for passage, found in zip(passages, predict_with_probabilities(nlp, bare), strict=True):
        scores = None if found.probabilities is None else [found.probabilities[span] for span in found.spans]
        yield Passage(passage.text, found.spans, passage.meta, passage.extra), scores
