"""Telling by its content in which format a file is, and reading it."""

import codecs
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.jsonl import RefusedError
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats import FORMATS, brat, conll, doccano, label_studio, prodigy, train_data
from spacy_domain_ner.exchange.formats.stream import Source, json_values, peek
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.text import shorten

Read = Iterator[tuple[int, Version | RefusedError]]
ReadRecord = Callable[[Any, str | None], Iterator[Version] | Iterator[Version | RefusedError]]

# In this order: what is told by keys of its own comes before what has few.
_RECORDS: dict[str, tuple[Callable[[Any], bool], ReadRecord]] = {
    "label-studio": (label_studio.is_task, label_studio.read_task),
    "spacy-json": (train_data.is_training_json, train_data.read_training_json),
    "train-data": (train_data.is_pair, train_data.read_pair),
    "dataturks": (train_data.is_dataturks, train_data.read_dataturks),
    "prodigy": (prodigy.is_row, prodigy.read_row),
    "label-studio-min": (label_studio.is_min_row, label_studio.read_min_row),
    "doccano": (doccano.is_row, doccano.read_row),
}
# Rows without a span look alike in several formats: so many are looked at before the first that fits is taken.
_SAMPLE = 200
_SUFFIXES = {
    ".json", ".jsonl", ".ndjson", ".conll", ".conllu", ".conll2003", ".iob", ".iob2", ".bio", ".bioes", ".tsv", ".csv",
    ".txt", ".spacy", ".py",
}  # fmt: skip
# A list of pairs as Python writes it, with or without the name that it is usually given.
_PYTHON = re.compile(r"(?i)\w*TRAIN(ING)?_DATA\b|\[?\s*\(\s*['\"].*['\"]\s*,\s*[{\[]")
_SIGNATURES = (
    (b"%PDF", "is a PDF document"),
    (b"\x89PNG", "is an image"),
    (b"\xff\xd8\xff", "is an image"),
    (b"GIF8", "is an image"),
    (b"\x1f\x8b", "is compressed by gzip: unpack it first"),
    (b"BZh", "is compressed by bzip2: unpack it first"),
    (b"\xfd7zXZ", "is compressed by xz: unpack it first"),
    (b"7z\xbc\xaf", "is a 7z archive: unpack it first"),
    (b"Rar!", "is a RAR archive: unpack it first"),
    (b"PK\x03\x04", "is a zip archive that is cut off or broken: export it again"),
    (b"\xd0\xcf\x11\xe0", "is an Office document"),
    (b"SQLite format 3", "is an SQLite database"),
    (b"{\\rtf", "is an RTF document"),
    (b"<!doctype html", "is a web page, perhaps one that asks to log in: export it again"),
    (b"<html", "is a web page, perhaps one that asks to log in: export it again"),
    (b"<?xml", "is XML"),
)
_DOCBIN_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


@dataclass(frozen=True)
class Recognised:
    """What a file was told to be. detail: Which variety, for the report."""

    form: str
    detail: str = ""
    layout: str = field(default="", repr=False)
    columns: conll.Layout | None = field(default=None, repr=False)

    @property
    def has_lines(self) -> bool:
        """Whether the numbers of records are those of lines."""
        return self.layout == "lines" or self.columns is not None

    @property
    def title(self) -> str:
        return FORMATS[self.form] + (f" ({self.detail})" if self.detail else "")


def recognise(source: Source, form: str | None = None, tag_column: int | None = None) -> Recognised | None:
    """Tell what a file holds.

    form: The format to take it for, None to tell by its content.
    tag_column: The column of the tags, counted from 1, None to find it.
    RETURNS: None where nothing is known that fits.
    RAISES: UserError where the file can't be read or is not in the format that was given.
    """
    if form is not None and form not in FORMATS:
        raise UserError(f"--format is {form!r}", f"It is one of: {', '.join(FORMATS)}")
    if source.path.suffix == ".ann" or form == "brat":
        return Recognised("brat")
    source = source.unreported()
    with source.open() as stream:
        head = stream.read(4096)
    if head[:2] in _DOCBIN_HEADS and form in (None, "docbin"):
        return Recognised("docbin")
    if source.path.suffix == ".py" and form in (None, "train-data"):
        return Recognised("train-data", "Python source", layout="python")
    if b"\0" in head or _signature(head):
        return None
    shown = peek(source)
    if shown.layout == "empty":
        return Recognised("brat") if _is_brat_text(source) else None
    if form in _RECORDS or (form is None and shown.layout in ("lines", "list", "objects")):
        found = form or _record_format(source, shown.layout)
        if found is None or shown.layout != "text":
            layouts = {"lines": "a record a line", "list": "one list", "objects": "one object or several"}
            return None if found is None else Recognised(found, layouts[shown.layout], layout=shown.layout)
        if found != "train-data":
            raise UserError(f"{source.name} is no JSON, as {FORMATS[found]} is", "Give its own --format, or none.")
    if form in (None, "label-studio-csv") and "annotation_id" in shown.first_line and "annotator" in shown.first_line:
        return Recognised("label-studio-csv")
    if form in (None, "train-data") and (form or _PYTHON.match(shown.first_line)):
        return Recognised("train-data", "Python source", layout="python")
    if form in (None, "conll"):
        columns = conll.find_layout(source, tag_column)
        if columns is not None:
            return Recognised("conll", str(columns), columns=columns)
    if form is None and _is_brat_text(source):
        return Recognised("brat")
    if form is not None:
        raise UserError(
            f"{source.name} is not in the format {FORMATS[form]}",
            "Leave --format out to have it recognised."
            + (" If its tags are in an unusual column, name it with --tag-column." if form == "conll" else ""),
        )
    return None


def describe(source: Source) -> str:
    """What can be said of a file in no format that is known, as the predicate of a sentence."""
    with source.open() as stream:
        head = stream.read(4096)
    if kind := _signature(head):
        return kind
    if b"\0" in head:
        wide = {head[::2].count(0), head[1::2].count(0)}
        if max(wide) > len(head) // 3 and min(wide) < len(head) // 10:
            return "seems to be UTF-16 text without a byte order mark (--encoding utf-16-le or utf-16-be reads it)"
        return "has null bytes: it is binary, or was damaged"
    shown = peek(source)
    if shown.layout == "empty":
        return "is empty: export the annotations again"
    if shown.layout == "text":
        return "is in no format that is known"
    values = [value for _, value in islice(json_values(source, shown.layout), _SAMPLE)]
    if not values:
        return "is JSON without a record"
    keys = dict.fromkeys(key for value in values if isinstance(value, dict) for key in value)
    kind = f"the keys {shorten(', '.join(keys))}" if keys else f"{shown.first_line[:20]!r} at its beginning"
    return f"is JSON, but in no format that is known: it has {kind}"


def read(source: Source, recognised: Recognised, text_key: str | None = None) -> Read:
    """Every version in a file, with the number of its line (or record), or the reason why there is none.

    RAISES: UserError where the file is broken as a whole.
    """
    form = recognised.form
    if recognised.columns is not None:
        yield from conll.read_sentences(source, recognised.columns)
    elif form == "brat":
        yield from _one(lambda: [brat.read_document(source)])
    elif form == "docbin":
        with source.open() as stream:
            data = stream.read()
        try:
            yield from enumerate(train_data.read_docbin(data), 1)
        except RefusedError as error:
            raise UserError(f"{source.name} is {error.reason}", "Write it again.") from None
    elif form == "label-studio-csv":
        text = _whole(source)
        if text.count('"') % 2:
            raise UserError(f"{source.name} ends in the middle of a row", "Export it again; nothing was imported.")
        yield from _records(enumerate(label_studio.csv_rows(text), 2), label_studio.read_min_row, text_key)
    elif recognised.layout == "python":
        try:
            pairs = train_data.python_pairs(_whole(source))
        except RefusedError as error:
            raise UserError(f"{source.name} is {error.reason}", "Give its --format.") from None
        yield from _records(enumerate(pairs, 1), train_data.read_pair, None)
    else:
        yield from _records(json_values(source, recognised.layout), _RECORDS[form][1], text_key)


@contextmanager
def find_sources(
    paths: Iterable[str | Path], encoding: str = "utf-8", advance: Callable[[int], None] | None = None
) -> Iterator[list[Source]]:
    """The files that paths stand for; archives are unpacked for as long as the block lasts.

    paths: Files, folders and zip archives.
    RAISES: UserError where there is nothing to read.
    """
    try:
        "".encode(encoding)
        # One name for each encoding, whichever of its names the user knows: "utf-8" for "UTF8".
        encoding = codecs.lookup(encoding).name
    except LookupError:
        raise UserError(f"--encoding is {encoding!r}, which is not known", "Try utf-8, latin-1 or cp1252.") from None
    options: dict[str, Any] = {"encoding": encoding} if advance is None else {"encoding": encoding, "advance": advance}
    with tempfile.TemporaryDirectory(prefix="domain-ner-") as scratch:
        found: list[Source] = []
        for path in map(Path, paths):
            if path.is_dir():
                found += [Source(file, str(file), **options) for file in _in_folder(path)]
            elif not path.exists():
                raise UserError(f"There is no file or folder {path}", "Name the export of your labelling tool.")
            elif zipfile.is_zipfile(path):
                found += _unpacked(path, Path(scratch) / str(len(found)), options)
            elif path.suffix == ".txt" and path.with_suffix(".ann").is_file():
                ann = path.with_suffix(".ann")
                found.append(Source(ann, str(ann), **options))
            else:
                found.append(Source(path, str(path), **options))
        yield found


def _is_brat_text(source: Source) -> bool:
    """Whether a file is a text that nobody annotated, among others that have their annotation."""
    beside = (file.name for file in source.path.parent.glob("*.ann"))
    return source.path.suffix == ".txt" and any(not name.startswith(".") for name in beside)


def _signature(head: bytes) -> str:
    head = head.lstrip()
    # A tag may be written in either case, a signature not.
    return next((kind for sign, kind in _SIGNATURES if head.startswith(sign) or head[:20].lower().startswith(sign)), "")


def _record_format(source: Source, layout: str) -> str | None:
    fallback = None
    for _, value in islice(json_values(source, layout), _SAMPLE):
        for form, (recognises, _) in _RECORDS.items():
            if not isinstance(value, RefusedError) and recognises(value):
                # An empty list of labels may be anybody's.
                if form != "doccano" or any(isinstance(v, list) and v for v in value.values()):
                    return form
                fallback = form
    return fallback


def _records(values: Iterable[tuple[int, Any]], read_record: ReadRecord, text_key: str | None) -> Read:
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
        raise UserError(f"{source.name} is no UTF-8 text ({error.reason})", "Give its --encoding.") from None


def _one(make: Callable[[], list[Version]]) -> Read:
    try:
        yield from ((0, version) for version in make())
    except RefusedError as error:
        yield 0, error


def _in_folder(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    annotations = [file for file in files if file.suffix == ".ann"]
    if annotations:
        # A text without its annotation is passed on, too: the report says that it has none.
        return sorted(annotations + [f for f in files if f.suffix == ".txt" and not f.with_suffix(".ann").is_file()])
    known = [file for file in files if file.suffix.lower() in _SUFFIXES]
    if not known:
        raise UserError(
            f"The folder {folder} has no annotation file", f"Looked for: {' '.join(sorted(_SUFFIXES))} .ann"
        )
    return known


def _unpacked(path: Path, scratch: Path, options: dict[str, Any]) -> list[Source]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if Path(name).suffix.lower() in _SUFFIXES | {".ann"}]
            if not names:
                raise UserError(f"The archive {path} has no annotation file", "Name the export of your tool.")
            archive.extractall(scratch, names)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise UserError(f"The archive {path} can't be unpacked: {error}", "Export it again.") from None
    sources = []
    for file in _in_folder(scratch):
        # doccano puts each person's rows into a file of the person's name.
        person = "" if file.stem in ("all", "unknown") or file.suffix != ".jsonl" else file.stem
        sources.append(Source(file, f"{path}/{file.relative_to(scratch)}", person, **options))
    return sources
