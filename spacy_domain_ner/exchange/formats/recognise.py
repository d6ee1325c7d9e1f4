"""Recognising the format of a file by its content, and reading it."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.jsonl import FORMAT_VERSION
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats import (
    FORMATS,
    brat,
    conll,
    doccano,
    gliner,
    huggingface,
    label_studio,
    prodigy,
    sentence_rows,
    table_layout,
    train_data,
    uima,
    webanno,
)
from spacy_domain_ner.exchange.formats.layers import Layers
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.files import refuse_newer_format, scratch_folder
from spacy_domain_ner.reading.arrow import arrow_features, arrow_rows, is_arrow
from spacy_domain_ner.reading.finding import encoding_name, find_sources
from spacy_domain_ner.reading.kinds import Unrecognised, is_docbin, not_text, signature
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import MAX_SIZE, UTF_8, Source, unpacked_suffix
from spacy_domain_ner.reading.stream import json_values, peek
from spacy_domain_ner.text import shorten

# The number of a record in its file (its line, where records are lines), and what it holds.
Numbered = Iterator[tuple[int, Version | RefusedError]]
ReadRecord = Callable[[Any, str | None], Iterator[Version] | Iterator[Version | RefusedError]]

# In this order: formats with keys of their own come before those that have few.
_RECORDS: dict[str, tuple[Callable[[Any], bool], Callable[..., Any]]] = {
    "uima": (uima.is_document, uima.read_sentences),
    "label-studio": (label_studio.is_task, label_studio.read_task),
    "spacy-json": (train_data.is_training_json, train_data.read_training_json),
    "train-data": (train_data.is_pair, train_data.read_pair),
    "dataturks": (train_data.is_dataturks, train_data.read_dataturks),
    "prodigy": (prodigy.is_row, prodigy.read_row),
    "gliner": (gliner.is_row, gliner.read_row),
    "huggingface": (huggingface.is_record, huggingface.read_record),
    "label-studio-min": (label_studio.is_min_row, label_studio.read_min_row),
    "doccano": (doccano.is_row, doccano.read_row),
}
# Documents with annotations of several kinds, some of which are the entities.
_LAYERED: dict[str, Any] = {"uima": uima, "webanno-tsv": webanno}
_LAYOUTS = {
    "lines": "a record a line", "list": "one list", "objects": "one object or several", "table": "a row a record",
}  # fmt: skip
# Rows without a span look alike in several formats: this many are looked at before the first format that fits is taken.
_SAMPLE = 200
_SUFFIXES = {
    ".json", ".jsonl", ".ndjson", ".conll", ".conllu", ".conll2003", ".iob", ".iob2", ".bio", ".bioes", ".tsv", ".csv",
    ".txt", ".spacy", ".py", ".xmi", ".parquet", ".arrow",
}  # fmt: skip
_WANTED = (*sorted(_SUFFIXES), ".ann")
# What `save_to_disk` of Hugging Face's data sets writes beside the data.
_DESCRIPTIONS = ("dataset_info.json", "dataset_dict.json", "state.json")
# A list of pairs as Python writes it, with or without its usual name.
_PYTHON = re.compile(r"(?i)\w*TRAIN(ING)?_DATA\b|\[?\s*\(\s*['\"].*['\"]\s*,\s*[{\[]")


@dataclass(frozen=True)
class Recognised:
    """The format of a file.

    Attributes:
        file_format: The format, a key of `FORMATS`.
        detail: The variety, for the report.
        layout: How its JSON is laid out, as `peek` gives it; "python" for Python source.
        columns: How its columns are laid out, for tokens and tags.
        rows: How its rows are laid out, for a sentence per row.
        lists: How its records are laid out, for lists of tokens and tags.
        layers: Where its entities are, for a file that has annotations of several kinds.
    """

    file_format: str
    detail: str = ""
    layout: str = field(default="", repr=False)
    columns: table_layout.Layout | None = field(default=None, repr=False)
    rows: sentence_rows.SentenceRows | None = field(default=None, repr=False)
    lists: huggingface.Layout | None = field(default=None, repr=False)
    layers: Layers | None = field(default=None, repr=False)

    @property
    def has_lines(self) -> bool:
        """Whether the number of a record is that of its line."""
        return self.layout == "lines" or self.file_format in ("conll", "webanno-tsv")

    @property
    def title(self) -> str:
        """The format's name and variety, as messages have them."""
        return FORMATS[self.file_format] + (f" ({self.detail})" if self.detail else "")


def recognise(
    source: Source,
    file_format: str | None = None,
    columns: str | None = None,
    types: Collection[str] = (),
    tag_names: Any = None,
) -> Recognised | None:
    """Find out in which format a file is.

    Args:
        source: The file.
        file_format: The format to take it for, None to recognise it by its content.
        columns: What the columns of a table are, as `import_annotations` takes it; None to find it.
        types: The entity types that are known, which help to tell types from tags.
        tag_names: The names of tags that are numbers, as `read_tag_names` gives them; None where the user names none.

    Returns:
        The format, None where no known one fits.

    Raises:
        UserError: The file can't be read, or is not in the format that was given.
    """
    if file_format is not None and file_format not in FORMATS:
        raise UserError(f"`file_format` is {file_format!r}", f"It is one of: {', '.join(FORMATS)}")
    if source.path.suffix == ".ann" or file_format == "brat":
        return Recognised("brat")
    source = source.unreported()
    with source.open() as stream:
        head = stream.read(4096)
    if is_docbin(head) and file_format in (None, "docbin"):
        return Recognised("docbin")
    if source.path.suffix == ".py" and file_format in (None, "train-data"):
        return Recognised("train-data", "Python source", layout="python")
    if file_format in (None, "uima") and uima.is_xmi(head):
        return _layered("uima", source, types)
    if is_arrow(head):
        return _recognise_records(source, "table", file_format, types, tag_names, columns)
    if b"\0" in head or signature(head):
        return None
    shown = peek(source)
    if shown.layout == "empty":
        return Recognised("brat") if _is_brat_text(source) else None
    if file_format in _RECORDS or (file_format is None and shown.layout in ("lines", "list", "objects")):
        if shown.layout != "text":
            return _recognise_records(source, shown.layout, file_format, types, tag_names, columns)
        if file_format != "train-data":
            raise UserError(
                f"{source.name} is not JSON, as {FORMATS[str(file_format)]} is", "Give its own `file_format`, or none."
            )
    if (
        file_format in (None, "label-studio-csv")
        and "annotation_id" in shown.first_line
        and "annotator" in shown.first_line
    ):
        return Recognised("label-studio-csv")
    if file_format in (None, "train-data") and (file_format or _PYTHON.match(shown.first_line)):
        return Recognised("train-data", "Python source", layout="python")
    if file_format in (None, "webanno-tsv") and shown.first_line.startswith(webanno.FIRST_LINE):
        return _layered("webanno-tsv", source, types)
    if file_format in (None, "conll"):
        rows = sentence_rows.find_sentence_rows(source, columns, types)
        if rows is not None:
            records = (record for _, record in sentence_rows.read_records(source, rows))
            lists = huggingface.find_layout(source.name, records, types, tag_names)
            return Recognised("conll", f"{lists.tagging.scheme} tags {rows}", lists=lists, rows=rows)
        table = table_layout.find_layout(source, columns, types, tag_names)
        if table is not None:
            return Recognised("conll", str(table), columns=table)
    if file_format is None and _is_brat_text(source):
        return Recognised("brat")
    if file_format is not None:
        raise UserError(
            f"{source.name} is not in the format {FORMATS[file_format]}",
            "Leave `file_format` out to have the format recognised."
            + (" Or say which of its columns has what: `columns=token=1,tag=2`" if file_format == "conll" else ""),
        )
    return None


def describe(source: Source) -> Unrecognised:
    """Say what can be said about a file whose format is not known.

    Args:
        source: The file.
    """
    with source.open() as stream:
        head = stream.read(4096)
    if is_arrow(head):
        row = next((row for _, row in arrow_rows(source)), {})
        return Unrecognised(f"is a table with the columns {shorten(', '.join(row))}, but not in a known format")
    if known := not_text(head, source.path):
        return known
    shown = peek(source)
    if shown.layout == "empty":
        return Unrecognised("is empty", "export the annotations again")
    if shown.layout == "text":
        if table := table_layout.describe_table(source):
            return Unrecognised(
                f"is not in a known format, but is a table of {table}; no column surely holds tags like B-PER and O",
                "if it has tokens and tags, say in which columns: `columns=token=1,tag=2`",
            )
        return Unrecognised("is not in a known format")
    values = [value for _, value in islice(_values(source, shown.layout), _SAMPLE)]
    if not values:
        return Unrecognised("is JSON without a record")
    keys = dict.fromkeys(key for value in values if isinstance(value, dict) for key in value)
    kind = f"the keys {shorten(', '.join(keys))}" if keys else f"{shown.first_line[:20]!r} at its beginning"
    return Unrecognised(f"is JSON with {kind}, but not in a known format")


def read(
    source: Source, recognised: Recognised, text_key: str | None = None, texts: label_studio.TextFolder | None = None
) -> Numbered:
    """Read every version in a file.

    Args:
        source: The file.
        recognised: Its format.
        text_key: The key of the text in a record, None to find it.
        texts: Where the texts are that Label Studio's tasks only refer to.

    Yields:
        The number of a record, and its version or the reason why there is none.

    Raises:
        UserError: The file is broken as a whole.
    """
    file_format = recognised.file_format
    if recognised.columns is not None:
        yield from conll.read_sentences(source, recognised.columns)
    elif recognised.rows is not None and recognised.lists is not None:
        rows = sentence_rows.read_records(source, recognised.rows)
        yield from _records(rows, partial(huggingface.read_record, layout=recognised.lists), None)
    elif recognised.layers is not None:
        yield from _LAYERED[file_format].read_sentences(source, recognised.layers)
    elif file_format == "brat":
        yield from _one(lambda: [brat.read_document(source)])
    elif file_format == "docbin":
        with source.open() as stream:
            data = stream.read()
        yield from enumerate(train_data.read_docbin(data, source.name), 1)
    elif file_format == "label-studio-csv":
        text = _whole(source)
        if text.count('"') % 2:
            raise UserError(f"{source.name} ends in the middle of a row", "Export it again; nothing was imported.")
        roles = label_studio.find_roles(label_studio.csv_rows(text), False, texts)
        read_row = partial(label_studio.read_min_row, roles=roles, texts=texts)
        yield from _records(enumerate(label_studio.csv_rows(text), 2), read_row, text_key)
    elif recognised.layout == "python":
        try:
            pairs = train_data.python_pairs(_whole(source))
        except RefusedError as error:
            raise UserError(f"{source.name} is {error.reason}", "Give its format with `file_format`.") from None
        yield from _records(enumerate(pairs, 1), train_data.read_pair, None)
    else:
        values = _values(source, recognised.layout)
        if file_format == "prodigy":
            # The canonical annotation file is recognised as Prodigy's, too.
            values = _in_known_version(source, values)
        read_record: ReadRecord = _RECORDS[file_format][1]
        if recognised.lists is not None:
            read_record = partial(huggingface.read_record, layout=recognised.lists)
        if file_format == "gliner":
            records = (value for _, value in _values(source.unreported(), recognised.layout))
            read_record = partial(gliner.read_row, spacing=gliner.find_spacing(records))
        if file_format in ("label-studio", "label-studio-min"):
            records = (value for _, value in _values(source.unreported(), recognised.layout))
            are_tasks = file_format == "label-studio"
            roles = label_studio.find_roles(records, are_tasks, texts)
            read_labelled = label_studio.read_task if are_tasks else label_studio.read_min_row
            read_record = partial(read_labelled, roles=roles, texts=texts)
        yield from _records(values, read_record, text_key)


@contextmanager
def find_exports(
    paths: Iterable[str | Path],
    encoding: str = UTF_8,
    advance: Callable[[int], None] | None = None,
    max_size: int = MAX_SIZE,
) -> Iterator[list[Source]]:
    """List the files of annotations that paths stand for. Archives are unpacked for as long as the block lasts.

    Args:
        paths: Files, folders and zip archives.
        encoding: The files' encoding.
        advance: Called with the number of bytes that were read, for a progress bar.
        max_size: How many megabytes each archive or packed file may unpack to.

    Yields:
        The files.

    Raises:
        UserError: There is nothing to read, or the encoding is not known.
    """
    options: dict[str, Any] = {"encoding": encoding_name(encoding), "max_size": max_size}
    if advance is not None:
        options["advance"] = advance
    found: list[Source] = []
    with scratch_folder() as scratch:
        for number, path in enumerate(map(Path, paths)):
            if path.suffix == ".txt" and path.with_suffix(".ann").is_file():
                path = path.with_suffix(".ann")
            source = Source(path, str(path), **options)
            sources, _ = find_sources(source, _WANTED, _in_folder, scratch / str(number))
            found += [replace(source, annotator=_person(source)) for source in sources]
        yield found


def _recognise_records(
    source: Source,
    layout: str,
    file_format: str | None,
    types: Collection[str],
    tag_names: Any,
    columns: str | None,
) -> Recognised | None:
    found = file_format if file_format in _RECORDS else _record_format(source, layout)
    if found in _LAYERED:
        return _layered(str(found), source, types)
    if found == "huggingface":
        if layout == "table" and tag_names is None:
            tag_names = arrow_features(source)
        records = (value for _, value in _values(source, layout))
        lists = huggingface.find_layout(source.name, records, types, tag_names, columns)
        return Recognised(found, str(lists), layout=layout, lists=lists)
    return None if found is None else Recognised(found, _LAYOUTS[layout], layout=layout)


def _values(source: Source, layout: str) -> Iterator[tuple[int, Any]]:
    return arrow_rows(source) if layout == "table" else json_values(source, layout)


def _layered(file_format: str, source: Source, types: Collection[str]) -> Recognised:
    layers = _LAYERED[file_format].find_layers(source, types)
    return Recognised(file_format, str(layers) or "no annotations", layers=layers)


def _is_brat_text(source: Source) -> bool:
    """Whether a file is a text without its annotation, beside others that have theirs."""
    beside = (file.name for file in source.path.parent.glob("*.ann"))
    return source.path.suffix == ".txt" and any(not name.startswith(".") for name in beside)


def _record_format(source: Source, layout: str) -> str | None:
    fallback = None
    for _, value in islice(_values(source, layout), _SAMPLE):
        for file_format, (recognises, _) in _RECORDS.items():
            if not isinstance(value, RefusedError) and recognises(value):
                # An empty list of labels may belong to any format.
                if file_format != "doccano" or any(isinstance(v, list) and v for v in value.values()):
                    return file_format
                fallback = file_format
    return fallback


def _in_known_version(source: Source, values: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
    for number, value in values:
        if isinstance(value, dict):
            refuse_newer_format(f"{source.name}:{number}", value.get("format_version"), FORMAT_VERSION)
        yield number, value


def _records(values: Iterable[tuple[int, Any]], read_record: ReadRecord, text_key: str | None) -> Numbered:
    for number, value in values:
        if isinstance(value, RefusedError):
            yield number, value
            continue
        try:
            for version in read_record(value, text_key):
                yield number, version
        except RefusedError as error:
            record = value if isinstance(value, dict) else {}
            record_id = "" if record.get("id") is None else shorten(str(record["id"]), 40)
            text = next((record[key] for key in ("text", "content") if isinstance(record.get(key), str)), "")
            yield number, RefusedError(error.reason, record_id, text)


def _whole(source: Source) -> str:
    with source.open() as stream:
        data = stream.read()
    try:
        return data.decode("utf8")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source.name} is not UTF-8 text ({error.reason})", "Give its encoding with `encoding`."
        ) from None


def _one(make: Callable[[], list[Version]]) -> Numbered:
    try:
        yield from ((0, version) for version in make())
    except RefusedError as error:
        yield 0, error


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    annotations = [file for file in files if file.suffix == ".ann"]
    if annotations:
        # A text without its annotation is read, too, so that the report names it.
        return sorted(annotations + [f for f in files if f.suffix == ".txt" and not f.with_suffix(".ann").is_file()])
    known = [file for file in files if unpacked_suffix(file) in _SUFFIXES]
    if any(file.suffix.lower() == ".arrow" for file in known):
        known = [file for file in known if file.name not in _DESCRIPTIONS]
    if not known:
        raise UserError(
            f"The folder {folder} has no annotation file",
            f"These suffixes were looked for: {' '.join(_WANTED)}",
        )
    return known


def _person(source: Source) -> str:
    """Whose rows a file in an archive has: doccano puts each person's into a file with that person's name."""
    if source.archive is None or source.path.suffix != ".jsonl" or source.path.stem in ("all", "unknown"):
        return ""
    return source.path.stem
