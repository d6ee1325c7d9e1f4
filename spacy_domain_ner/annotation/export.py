"""Passages for people to label in their tool, with a model's spans filled in to be corrected."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.pipeline import EntityRecognizer

from spacy_domain_ner.annotation.interfaces import Tool
from spacy_domain_ner.corpus.formats import doccano, label_studio, prodigy
from spacy_domain_ner.corpus.formats.stream import Source, lines
from spacy_domain_ner.corpus.jsonl import ReadResult, read_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.files import replacing

TEXT_SUFFIXES = (".txt", ".text", ".md", ".log")
# The spans of the passages themselves need a name where a tool wants one.
OWN_SPANS = "annotations"
BATCH = 64
# The method of a recognizer that gives them.
PROBABILITIES = "probabilities"
BEAM_WIDTH, BEAM_DENSITY = 16, 0.0001


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
    to_row: Callable[[Passage], dict[str, Any]] = doccano.row_to_label if tool is Tool.doccano else prodigy.row_to_label
    if nlp is not None:
        passages = (passage for passage, _ in _predicted(nlp, passages))
    yield from map(to_row, passages)


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
    passages = iter(passages)
    while batch := list(islice(passages, BATCH)):
        texts = [passage.text for passage in batch]
        scores = _probabilities(nlp, texts)
        for number, (passage, doc) in enumerate(zip(batch, nlp.pipe(texts), strict=True)):
            spans = [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
            found = [scores[number].get((ent.start, ent.end, ent.label_), 0.0) for ent in doc.ents] if scores else None
            yield Passage(passage.text, spans, passage.meta, passage.extra), found


def _probabilities(nlp: Language, texts: list[str]) -> list[dict[tuple[int, int, str], float]] | None:
    """For each text, how probable each span is that the model finds.

    None where the model has no recognizer that can say so, or several. Of spaCy's own recognizer it is the share of the
    beam's parses that have the span, weighted by their probability. That is rough, since it was trained greedily: a
    right span has the higher score than a wrong one in two of three pairs.
    """
    # By what it can do: a packaged model brings a class of its own.
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, EntityRecognizer) or hasattr(pipe, PROBABILITIES)]
    if len(names) != 1:
        return None
    later = nlp.pipe_names[nlp.pipe_names.index(names[0]) :]
    # spaCy's recognizer keeps to the entities that a document already has, so it must not have run.
    docs = list(nlp.pipe(texts, disable=later))
    recognizer: Any = nlp.get_pipe(names[0])
    if hasattr(recognizer, PROBABILITIES):
        found: list[dict[tuple[int, int, str], float]] = recognizer.probabilities(docs)
        return found
    beams = recognizer.beam_parse(docs, beam_width=BEAM_WIDTH, beam_density=BEAM_DENSITY)
    return [{key: min(1.0, score) for key, score in scored.items()} for scored in recognizer.scored_ents(beams)]
