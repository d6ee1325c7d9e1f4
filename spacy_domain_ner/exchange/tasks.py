"""Passages for people to label in their tool, with a model's spans filled in to be corrected."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.jsonl import ReadResult, Refusal, read_line
from spacy_domain_ner.corpus.passage import BLIND, ORIGIN, Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats import doccano, label_studio, prodigy
from spacy_domain_ner.exchange.tools import Tool, tool_named
from spacy_domain_ner.files import replacing
from spacy_domain_ner.reading.records import RefusedError, decoded, parse_record
from spacy_domain_ner.reading.texts import Line, TextFiles, find_texts, read_lines
from spacy_domain_ner.schema import EntitySchema, read_schema

if TYPE_CHECKING:
    from spacy.language import Language

    from spacy_domain_ner.exchange.patterns import Patterns

Item = TypeVar("Item")
# Who predicted, as Label Studio shows it: the passages bring spans of their own, or known names were filled in.
OWN_SPANS, KNOWN_NAMES = "annotations", "patterns"


@dataclass
class Exported:
    """What an export wrote.

    Attributes:
        tasks: How many tasks were written.
        left_out: How many passages were left out because they are annotated already.
        refusals: The lines and files that could not be read.
        filled_in: How many names of each type were filled in by the patterns.
        relations: How many relations are in the tasks.
        relations_left_out: How many relations are not: an end is not among the spans, or the tool can't be given any.
    """

    tasks: int
    left_out: int
    refusals: list[Refusal] = field(default_factory=list)
    filled_in: Counter[str] = field(default_factory=Counter)
    relations: int = 0
    relations_left_out: int = 0


def export_tasks(
    tool: Tool | str,
    passages: Iterable[str | Path],
    output: str | Path,
    *,
    model: "str | Path | Language | None" = None,
    exclude: Iterable[str | Path] = (),
    patterns: Iterable[str | Path] = (),
    schema: EntitySchema | str | Path | None = None,
    config: str | Path | None = None,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    progress: Callable[[float], None] | None = None,
) -> Exported:
    """Write passages as tasks for a labelling tool. A passage that comes twice becomes one task.

    Args:
        tool: "label-studio", "doccano" or "prodigy".
        passages: Files (JSON lines or lists, text with one passage per line, web pages, CSV, TSV and Parquet tables),
            folders and zip archives of them. A table's other columns go into the passage's `meta`.
        output: The file to write, for the tool to import.
        model: A trained model, or its folder or package, whose spans are filled in to be corrected; None fills in the
            passages' own spans.
        exclude: Files whose passages are left out, such as the annotation file.
        patterns: Files of names and patterns that are filled in, too, to be corrected: JSON lines as spaCy's
            EntityRuler takes them, CSV or TSV files with the columns label and name, or "TYPE=FILE" for a text file
            with one name per line.
        schema: The entity types, or the file that has them; the labels of the patterns must be among them.
        config: The training config whose tokenizer cuts the texts for the patterns. None takes training/config.cfg
            where it is, else spaCy's English rules with those for names.
        file_format: "jsonl", "json", "text", "csv" (any table of text), "html" or "parquet"; None looks at the files.
        encoding: The encoding of the files that have no byte order mark.
        text_key: The key of the text in JSON records, and its column in tables.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        How many tasks were written, and what was left out.

    Raises:
        UserError: If there is no such tool, an input can't be read, a pattern can't be used, or there is no passage to
            write.
    """
    tool = tool_named(tool)
    known = read_known_names(patterns, schema, config)
    exported = Exported(0, 0)
    done = set()
    for path in exclude:
        annotated = read_to_label(path)
        exported.refusals += [refusal for refusal in annotated.refusals if not refusal.skipped]
        done |= {_key(passage) for passage in annotated.passages}
    wanted: dict[bytes, Passage] = {}
    for path in passages:
        read = read_to_label(path, file_format=file_format, encoding=encoding, text_key=text_key)
        exported.refusals += [refusal for refusal in read.refusals if not refusal.skipped]
        for passage in read.passages:
            if (key := _key(passage)) in done:
                exported.left_out += 1
            else:
                wanted.setdefault(key, passage)
    if not wanted:
        hints = [f"{exported.left_out} are annotated already."] if exported.left_out else []
        hints += [f"Not read: {refusal}" for refusal in exported.refusals[:5]]
        raise UserError("There is no passage to label", "\n".join(hints))
    related = any(passage.relations is not None for passage in wanted.values())
    tasks = tasks_to_label(wanted.values(), tool, model_of(model), known, related)
    counted = _counting_relations(tasks, exported)
    exported.tasks = write_tasks(Path(output), reporting(counted, len(wanted), progress), tool)
    own = sum(len(passage.relations or ()) for passage in wanted.values())
    exported.relations_left_out = own - exported.relations
    if known is not None:
        exported.filled_in = known.found
    return exported


def read_known_names(
    files: Iterable[str | Path], schema: EntitySchema | str | Path | None, config: str | Path | None
) -> "Patterns | None":
    """Read the patterns, None where there are none. The arguments are as for `export_tasks`."""
    files = list(files)
    if not files:
        return None
    from spacy_domain_ner.exchange.patterns import Patterns
    from spacy_domain_ner.exchange.tokenizing import tokenizing_pipeline

    types = read_schema(schema) if isinstance(schema, str | Path) else schema
    return Patterns(files, tokenizing_pipeline(config), types)


def tasks_to_label(
    passages: Iterable[Passage],
    tool: Tool,
    nlp: "Language | None" = None,
    known: "Patterns | None" = None,
    with_relations: bool = False,
) -> Iterator[dict[str, Any]]:
    """Make a tool's tasks of passages, in the same order.

    Args:
        passages: The passages.
        tool: The labelling tool.
        nlp: A trained model whose spans take the place of the passages' own; None fills in those.
        known: Names that are filled in where there is no other span.
        with_relations: Whether doccano's project is one with relations, whose rows have another form.

    Yields:
        A task as the tool imports it.
    """
    own = OWN_SPANS if known is None else KNOWN_NAMES
    version = own if nlp is None else _model_version(nlp)
    found = ((passage, None) for passage in passages) if nlp is None else _predicted(nlp, passages)
    if known is not None:
        found = _with_known(found, known)
    for passage, scores in found:
        if passage.is_silver:
            # Who gets the task reviews it: what comes back are not first labels any more.
            passage.meta.pop(ORIGIN)
        if tool is Tool.label_studio:
            yield label_studio.task_to_label(passage, model_version=version, scores=scores)
        elif tool is Tool.prodigy:
            yield prodigy.row_to_label(passage, scores)
        else:
            # doccano has no place for a score.
            yield doccano.row_to_label(passage, with_relations)


def read_to_label(
    path: str | Path, *, file_format: str | None = None, encoding: str = "utf-8", text_key: str = "text"
) -> ReadResult:
    """Read passages to label.

    Args:
        path: A file, folder or zip archive, as for `export_tasks`.
        file_format: As for `export_tasks`.
        encoding: As for `export_tasks`.
        text_key: As for `export_tasks`.

    Returns:
        The passages, and the lines and files that could not be read.

    Raises:
        UserError: If there is nothing to read.
    """
    result = ReadResult()
    with find_texts([path], file_format=file_format, encoding=encoding, text_key=text_key) as texts:
        result.refusals += [Refusal(name, 0, why) for name, why in texts.left_out]
        for read in stream_to_label(texts, text_key):
            (result.passages if isinstance(read, Passage) else result.refusals).append(read)  # type: ignore[arg-type]
    return result


def stream_to_label(texts: TextFiles, text_key: str = "text") -> Iterator[Passage | Refusal]:
    """Read passages to label one at a time.

    Args:
        texts: The files.
        text_key: As for `export_tasks`.

    Yields:
        Each passage, or why a line can't be read.
    """
    for file in texts.files:
        is_table = file.layout in ("table", "parquet")
        for line in read_lines([file], text_key=text_key):
            try:
                yield _to_label(line, is_table, text_key)
            except RefusedError as error:
                yield Refusal(line.file, line.number, error.reason)


def _to_label(line: Line, is_table: bool, text_key: str) -> Passage | Refusal:
    """Make a passage of a line: of a record with its own annotation, if it has one."""
    if line.problem:
        raise RefusedError(line.problem)
    source = f"{Path(line.file).name}:{line.number}"
    if not line.is_json:
        return Passage(decoded(line.raw), meta={"source": source})
    if is_table:
        row = parse_record(line.raw, text_key)
        text = row.pop(text_key)
        # The other columns go along with the task, and come back with it.
        cells = {column: cell for column, cell in row.items() if cell not in (None, "")}
        return Passage(text, meta={"source": source, **cells})
    if text_key != "text":
        record = parse_record(line.raw, text_key)
        return read_line(json.dumps({**record, "text": record[text_key]}), line.file, line.number)
    return read_line(decoded(line.raw), line.file, line.number)


def write_tasks(path: Path, tasks: Iterable[dict[str, Any]], tool: Tool) -> int:
    """Write tasks as the tool imports them: Label Studio takes one JSON list, the others one record per line.

    Args:
        path: The file to write.
        tasks: The tasks.
        tool: The labelling tool.

    Returns:
        How many tasks there are.
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


def model_of(model: "str | Path | Language | None") -> "Language | None":
    """Return a trained model, loaded where its folder or package is named; None for none."""
    if not isinstance(model, str | Path):
        return model
    from spacy_domain_ner.models import load_model

    return load_model(model)


def reporting(items: Iterable[Item], total: int, progress: Callable[[float], None] | None) -> Iterator[Item]:
    """Pass items through, and tell the share that has gone through.

    Args:
        items: What to pass through.
        total: How many there are.
        progress: Called with the share, from 0 to 1.
    """
    for number, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(number / total)


def _counting_relations(tasks: Iterable[dict[str, Any]], exported: Exported) -> Iterator[dict[str, Any]]:
    """Pass tasks through, and count the relations in them."""
    for task in tasks:
        regions = [region for prediction in task.get("predictions", ()) for region in prediction["result"]]
        exported.relations += sum(region["type"] == "relation" for region in regions) + len(task.get("relations", ()))
        yield task


def _key(passage: Passage) -> bytes:
    return passage_key(passage.text, passage.meta)


def _model_version(nlp: "Language") -> str:
    name = f"{nlp.meta['lang']}_{nlp.meta['name']}-{nlp.meta['version']}"
    if nlp.meta["version"] != "0.0.0":
        return name
    # It is not packaged yet: the scores of its training tell it from the next one.
    scores = json.dumps(nlp.meta.get("performance", {}), sort_keys=True)
    return f"{name}-{hashlib.blake2b(scores.encode('utf8'), digest_size=4).hexdigest()}"


def _with_known(
    found: Iterable[tuple[Passage, list[float | None] | None]], known: "Patterns"
) -> Iterator[tuple[Passage, list[float | None] | None]]:
    """Add the known names to the spans of passages. Nobody is sure of them, so they have no score."""
    for passage, scores in found:
        if passage.extra.get(BLIND) is True:
            yield passage, scores
            continue
        of_span = dict(zip(passage.spans, scores or [], strict=False))
        spans = known.find(passage.text, passage.spans)
        yield replace(passage, spans=spans), scores and [of_span.get(span) for span in spans]


def _predicted(nlp: "Language", passages: Iterable[Passage]) -> Iterator[tuple[Passage, list[float | None] | None]]:
    """Give passages with the model's spans, and each span's probability where the model can give one."""
    from spacy_domain_ner.confidence import predict_with_probabilities

    passages, unlabelled = tee(passages)
    bare = (Passage(passage.text) for passage in unlabelled)
    for passage, found in zip(passages, predict_with_probabilities(nlp, bare), strict=True):
        if passage.extra.get(BLIND) is True:
            yield passage, None
            continue
        shares = found.probabilities
        scores = None if shares is None else [shares.get(span) for span in found.spans]
        yield Passage(passage.text, found.spans, passage.meta, passage.extra, relations=passage.relations), scores
