"""Texts to work on, from files of every kind, as a stream of raw lines: one rule for all verbs that read texts.

A file is looked at before it is read. What it holds goes before what its name says: JSON lines and JSON lists are found
whatever they are called; tables have a header with the text's column; web pages give their text, a line for each block;
everything else that is text has one passage per line. What is not text is refused, with the reason.
"""

import codecs
import io
import re
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import scratch_folder
from spacy_domain_ner.reading.finding import TEXT_SUFFIXES, encoding_name, find_sources, is_hidden
from spacy_domain_ner.reading.kinds import Unrecognised, not_text
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import MAX_SIZE, UTF_8, Source, pushed_back
from spacy_domain_ner.reading.stream import LONGEST_LINE, PEEKED_LINES, cut_lines, json_values, peek
from spacy_domain_ner.reading.tables import TABLE_SUFFIXES, has_header, parquet_rows, table_rows, to_json
from spacy_domain_ner.reading.web_pages import declared_encoding, page_lines

STDIN = "-"
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PAGE_SUFFIXES = (".html", ".htm", ".xhtml")
# The files of a folder or an archive that are read, packed or not.
SUFFIXES = (*JSON_SUFFIXES, *TEXT_SUFFIXES, *TABLE_SUFFIXES, *PAGE_SUFFIXES, ".parquet")
# What a user may call a file.
FORMATS = ("jsonl", "json", "text", "csv", "html", "parquet")
_OTHER_ENDING = Unrecognised("has an ending that is not read in folders and archives")
# What an interrupted extraction has left beside its output.
_OF_A_RUN = (".partial", ".partial.json")
_PAGE = re.compile(rb"(?is)\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype )?html\b")
# Bytes that are looked at.
_HEAD = 1 << 16


class Line(NamedTuple):
    """One passage as it was read.

    Attributes:
        file: The file's name as it was given.
        number: The line's number, from 1 (in lists and Parquet tables: the record's); 0 where the passage is a whole
            file.
        raw: What stands there.
        is_json: Whether that is a JSON record, and not the text itself.
        problem: Why there is nothing to read, "" where there is.
    """

    file: str
    number: int
    raw: bytes
    is_json: bool
    problem: str = ""

    @property
    def place(self) -> str:
        """Where the passage is, for messages."""
        return f"{self.file}:{self.number}" if self.number else self.file


@dataclass(frozen=True)
class TextFile:
    """A file of texts.

    Attributes:
        source: The file.
        layout: "empty", "lines" (a JSON record per line), "list", "objects" (JSON), "text", "table", "page" or
            "parquet".
        can_be_read_again: Whether a second run reads the same, unlike with standard input and named pipes.
    """

    source: Source
    layout: str
    can_be_read_again: bool = True

    @property
    def size(self) -> int:
        """In bytes; 0 where it is not known."""
        return 0 if self.source.stream else self.source.path.stat().st_size


@dataclass
class TextFiles:
    """The files that paths stand for.

    Attributes:
        files: Those that are read, in order.
        left_out: The names of those of folders and archives that are not, each with the reason.
    """

    files: list[TextFile] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def find_texts(
    paths: Iterable[str | Path],
    *,
    file_format: str | None = None,
    encoding: str = UTF_8,
    text_key: str = "text",
    max_size: int = MAX_SIZE,
    advance: Callable[[int], None] | None = None,
) -> Iterator[TextFiles]:
    """Find the files that paths stand for, and look at what they hold. They can be read as long as the block lasts.

    Args:
        paths: Files, folders, zip archives, and "-" for standard input.
        file_format: One of `FORMATS`, whatever the files hold; None looks.
        encoding: The encoding of the files without a byte order mark.
        text_key: The key of the text in JSON records, and its column in tables.
        max_size: How many megabytes each archive or packed file may unpack to.
        advance: Called with the number of bytes that were read, for a progress bar.

    Yields:
        The files.

    Raises:
        UserError: A path is missing or holds nothing that can be read, or an argument does not fit.
    """
    if file_format is not None and file_format not in FORMATS:
        raise UserError(f"`file_format` is {file_format!r}", f"It must be one of: {', '.join(FORMATS)}")
    plain = Source(Path(), "", encoding=encoding_name(encoding), max_size=max_size)
    if advance is not None:
        plain = replace(plain, advance=advance)
    found = TextFiles()
    with scratch_folder() as scratch:
        for number, place in enumerate(map(str, paths)):
            beside = scratch / str(number)
            source = replace(plain, path=Path(place), name=place)
            once = place == STDIN or _is_pipe(place)
            if once:
                streamed, source = _from_stream(source, beside.with_suffix(".stream"), file_format, text_key)
                if streamed:
                    found.files.append(streamed)
                    continue
            _add(found, source, beside, file_format, text_key, not once)
        yield found


def read_lines(files: Iterable[TextFile], whole_files: bool = False, text_key: str = "text") -> Iterator[Line]:
    """Read every line that is not blank, and every record, in order.

    Args:
        files: The files.
        whole_files: Whether a text file or a web page is one passage.
        text_key: The key of the text in JSON records, and its column in tables.

    Yields:
        The lines, without their line ends.

    Raises:
        UserError: A file can't be read.
    """
    for file in files:
        source = file.source
        try:
            if file.layout in ("list", "objects"):
                yield from _records(json_values(source, file.layout), source.name, text_key)
            elif file.layout == "parquet":
                yield from _records(parquet_rows(source, text_key), source.name, text_key)
            elif file.layout != "empty":
                with source.open() as stream:
                    yield from _read(stream, file, whole_files, text_key)
        except OSError as error:
            raise UserError(f"Can't read {source.name}: {error.strerror}", "Check the file.") from None


def look(source: Source, file_format: str | None = None, text_key: str = "text") -> str | Unrecognised:
    """Find out how a file of texts is to be read.

    Args:
        source: The file.
        file_format: One of `FORMATS`, whatever the file holds; None looks.
        text_key: The key of the text in JSON records, and its column in tables.

    Returns:
        The layout, as in `TextFile`; or what the file is, where it can't be read.
    """
    with source.open() as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        return "empty"
    suffix = source.suffix
    if head.startswith(b"PAR1") and file_format in (None, "parquet"):
        return "parquet"
    is_page = suffix in PAGE_SUFFIXES or _PAGE.match(head) is not None
    strange = not_text(head, Path("file" + suffix))
    if strange and not (strange.is_text and (file_format or is_page)):
        return strange
    if file_format in ("jsonl", "text", "csv", "html"):
        return {"jsonl": "lines", "text": "text", "csv": "table", "html": "page"}[file_format]
    if file_format == "parquet":
        return Unrecognised("is not a Parquet table")
    if is_page and file_format is None:
        return "page"
    layout = peek(source).layout
    if layout == "text" and (suffix == ".json" or file_format):
        return Unrecognised("is not JSON", "if it is text, add `file_format=text`")
    if layout == "lines" and head.lstrip().startswith(b"["):
        # A list of texts.
        layout = "list"
    if suffix in JSON_SUFFIXES or file_format:
        return "lines" if layout == "text" else layout
    if layout != "text" and _has_records(source, layout):
        return layout
    if suffix in TABLE_SUFFIXES or has_header(head.decode("utf8", errors="replace"), text_key):
        return "table"
    return "text"


def _has_records(source: Source, layout: str) -> bool:
    """Whether what begins like JSON holds objects, or is a list of texts."""
    try:
        values = [value for _, value in islice(json_values(source, layout), PEEKED_LINES)]
    except UserError:
        return False
    return any(isinstance(value, dict) or (layout == "list" and isinstance(value, str)) for value in values)


def _add(
    found: TextFiles, named: Source, scratch: Path, file_format: str | None, text_key: str, can_be_read_again: bool
) -> None:
    """Add the files that a path stands for."""
    sources, members = find_sources(named, SUFFIXES, _files_in, scratch)
    before, left_out = len(found.files), [(f"{named.name}/{member}", _OTHER_ENDING.what) for member in members]
    for source in sources:
        is_named = source.archive is None and source.folder is None
        try:
            layout = look(source.unreported(), file_format, text_key)
            if not is_named and zipfile.is_zipfile(source.path):
                layout = Unrecognised("is a zip archive", "name it itself")
            elif not is_named and source.suffix not in SUFFIXES and not isinstance(layout, Unrecognised):
                layout = _OTHER_ENDING
            if isinstance(layout, Unrecognised):
                raise _refused(source, layout)
            found.files.append(TextFile(_as_declared(source, layout), layout, can_be_read_again))
        except UserError as error:
            if is_named:
                raise
            left_out.append((source.name, error.what.removeprefix(f"{source.name} ")))
    if len(found.files) == before:
        endings = f"These endings are read: {' '.join(SUFFIXES)}"
        shown = [f"{name}: {why}" for name, why in left_out[:5]]
        raise UserError(f"{named.name} has no file to read", "\n".join([endings, *shown]))
    found.left_out += left_out


def _files_in(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not is_hidden(file.relative_to(folder)) and not file.name.endswith(_OF_A_RUN)
    )


def _as_declared(source: Source, layout: str) -> Source:
    """A page in the encoding that it says it has, where no other was given."""
    if layout != "page" or source.encoding != UTF_8:
        return source
    with source.unreported().open() as stream:
        head = stream.read(_HEAD)
    declared = declared_encoding(head)
    if declared is None or declared == UTF_8 or (not head.isascii() and _is_utf8(head)):
        return source
    return replace(source, encoding=declared)


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _is_pipe(place: str) -> bool:
    path = Path(place)
    return path.exists() and not path.is_file() and not path.is_dir()


def _from_stream(source: Source, copy: Path, file_format: str | None, text_key: str) -> tuple[TextFile | None, Source]:
    """Look at standard input or a named pipe, which are read line by line; what can't be is copied to the disk first.

    Returns:
        The file, None where it was copied; and the source, which then is the copy.
    """
    stream: Any = sys.stdin.buffer
    if source.name == STDIN:
        source = replace(source, name="<stdin>")
    else:
        stream = source.path.open("rb")
    head = _first_lines(stream)
    whole = pushed_back(head, stream)
    source = replace(source, path=Path(source.name))
    try:
        layout = look(replace(source, stream=lambda: io.BytesIO(head)), file_format, text_key)
    except UserError:
        # Cut off within a character or a packed block.
        layout = ""
    if isinstance(layout, Unrecognised) and not head.startswith(b"PK"):
        raise _refused(source, layout)
    if layout in ("empty", "lines", "text"):
        return TextFile(replace(source, stream=lambda: whole), str(layout), False), source
    with copy.open("wb") as file:
        shutil.copyfileobj(whole, file)
    return None, replace(source, path=copy)


def _first_lines(stream: Any) -> bytes:
    """Read a stream as far as the end of its second line; blank lines before the first one do not count."""
    head = b""
    while block := stream.read1(_HEAD):
        head += block
        if head.removeprefix(codecs.BOM_UTF8).lstrip().count(b"\n") > 1 or len(head) > LONGEST_LINE:
            break
    return head


def _refused(source: Source, unrecognised: Unrecognised) -> UserError:
    advice = unrecognised.advice
    return UserError(f"{source.name} {unrecognised.what}", advice and f"{advice[0].upper()}{advice[1:]}.")


def _records(rows: Iterable[tuple[int, Any]], name: str, text_key: str) -> Iterator[Line]:
    for number, row in rows:
        # A list may have nothing but texts.
        record = {text_key: row} if isinstance(row, str) else row
        try:
            if isinstance(record, RefusedError):
                raise record
            yield Line(name, number, to_json(record), True)
        except RefusedError as error:
            yield Line(name, number, b"", True, error.reason)


def _read(stream: BinaryIO, file: TextFile, whole_files: bool, text_key: str) -> Iterator[Line]:
    """Read the lines of an open file."""
    name = file.source.name
    if file.layout == "table":
        yield from _records(table_rows(stream, file.source, text_key), name, text_key)
        return
    is_json = file.layout == "lines"
    lines: Iterable[tuple[int, bytes]] = enumerate(cut_lines(stream), 1)
    if file.layout == "page":
        lines = ((number, line.encode("utf8", errors="surrogateescape")) for number, line in page_lines(stream))
        if whole_files:
            lines = [(0, b"\n".join(line for _, line in lines))]
    elif whole_files and not is_json:
        lines = [(0, stream.read())]
    for number, raw in lines:
        if not raw.strip():
            continue
        if not is_json and b"\0" in raw:
            yield Line(name, number, b"", False, "null bytes: this is binary or damaged")
        else:
            yield Line(name, number, raw if number == 0 else raw.rstrip(b"\r\n"), is_json)
