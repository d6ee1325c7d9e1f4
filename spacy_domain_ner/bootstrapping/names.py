"""Gazetteers: tables of known names with their types, as people keep them, read row by row."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import shorten, without_invisible

HINT = (
    "A gazetteer is a table with the columns name and type, and perhaps case_sensitive and ambiguous (yes or no). "
    "TYPE=FILE reads a table without types, or a text file with one name per line."
)
TABLE_SUFFIXES = (".csv", ".tsv")
# What the columns are called, in small letters and without blanks.
_COLUMNS = {
    "name": ("name", "term", "text", "pattern", "surface", "entity"),
    "type": ("type", "label", "entity_type"),
    "case_sensitive": ("case_sensitive", "case"),
    "ambiguous": ("ambiguous",),
}
_DELIMITERS = ",;\t|"
_FLAGS = {
    **dict.fromkeys(("", "-"), None),
    **dict.fromkeys(("yes", "y", "true", "1", "x"), True),
    **dict.fromkeys(("no", "n", "false", "0"), False),
}
# A name is a few words. A longer cell is a sentence, or a table that was cut wrongly.
LONGEST_NAME = 200
_HEAD = 1 << 16


class Name(NamedTuple):
    """A name of a gazetteer.

    Attributes:
        text: The name.
        type: Its entity type.
        case_sensitive: Whether it is found only as it is written; None where the gazetteer does not say.
        ambiguous: Whether it often means something else; None where the gazetteer does not say.
        line: Where it stands.
    """

    text: str
    type: str
    case_sensitive: bool | None
    ambiguous: bool | None
    line: int


@dataclass
class Names:
    """What a gazetteer has.

    Attributes:
        file: The file.
        names: The names.
        skipped: The rows that are not used, each with its place and the reason.
    """

    file: str
    names: list[Name] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def read_names(file: str | Path, schema: EntitySchema | None = None, encoding: str = "utf-8") -> Names:
    """Read a gazetteer.

    Args:
        file: A table (CSV, or with semicolons, tabs or bars), or "TYPE=FILE" for a table without types or a text file
            with one name per line.
        schema: The entity types; None takes every type.
        encoding: Its encoding, where it has no byte order mark.

    Returns:
        The names, and the rows that are not used.

    Raises:
        UserError: The file can't be read, it has no column for the names or types, or a row has a type that is not one
            of the schema's, or a flag that is neither yes nor no.
    """
    given, equals, path = str(file).partition("=")
    if not equals or Path(file).is_file():
        given, path = "", str(file)
    if not Path(path).is_file():
        raise UserError(f"There is no gazetteer {path}", HINT)
    found = Names(path)
    of_file = _checked_type(given.strip(), path, schema) if given else ""
    seen: set[tuple[str, str]] = set()
    types: dict[str, str] = {"": of_file}
    for line, cells in _rows(path, bool(of_file), encoding):
        place = f"{path}:{line}"
        text = " ".join(without_invisible(cells.get("name", "")).split())
        written = cells.get("type", "").strip()
        if written not in types:
            types[written] = _checked_type(written, place, schema)
        type_ = of_file or types[written]
        if problem := _problem(text, type_, bool(cells)):
            found.skipped.append(f"{place}: {problem}")
        elif (text, type_) in seen:
            found.skipped.append(f"{place}: {shorten(text, 40)!r} is there already as {type_}")
        else:
            seen.add((text, type_))
            case_sensitive, ambiguous = (_flag(cells, column, place) for column in ("case_sensitive", "ambiguous"))
            found.names.append(Name(text, type_, case_sensitive, ambiguous, line))
    if not found.names:
        raise UserError(f"{path} has no name", "\n".join([HINT, *(f"Not used: {row}" for row in found.skipped[:5])]))
    return found


def _problem(text: str, type_: str, is_whole: bool) -> str:
    """Why a row can't be used; "" where it can."""
    if not is_whole:
        return "the row has more cells than the header: put a name with a delimiter in it into quotes"
    if not text:
        return "the name is empty"
    if not type_:
        return "the type is empty"
    if len(text) > LONGEST_NAME:
        return f"a name of {len(text):,} characters"
    if not any(character.isalnum() for character in text):
        return f"{text!r} has neither letters nor digits"
    return ""


def _checked_type(written: str, place: str, schema: EntitySchema | None) -> str:
    known = schema.type_of(written) if schema else written
    if known is None:
        near = get_close_matches(written.upper(), schema.labels if schema else (), n=1)
        raise UserError(
            f"{place}: {written!r} is not an entity type" + (f"; did you mean {near[0]}?" if near else ""),
            f"The entity types are {', '.join(schema.labels) if schema else ''}. Fix the row, or add the type.",
        )
    return known


def _flag(cells: dict[str, str], column: str, place: str) -> bool | None:
    written = cells.get(column, "").strip().lower()
    if written not in _FLAGS:
        raise UserError(f"{place}: {column} is {written!r}", "It must be yes or no, or empty.")
    return _FLAGS[written]


def _rows(path: str, has_type: bool, encoding: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the line at which each row begins, counted from 1, and its cells by column; none where they do not fit."""
    before = csv.field_size_limit(_HEAD)
    line = 1
    try:
        with Source(Path(path), path, encoding=encoding).open() as stream:
            head = stream.peek(_HEAD).decode("utf8", errors="replace")
            if "\0" in head:
                raise UserError(
                    f"{path} is not a table of text", "Save it as CSV in UTF-8; a workbook can be saved as CSV, too."
                )
            text = io.TextIOWrapper(stream, encoding="utf8", newline="")
            if has_type and not path.lower().removesuffix(".gz").endswith(TABLE_SUFFIXES):
                for line, name in enumerate(text, 1):
                    if name.strip():
                        yield line, {"name": name}
                return
            delimiter, header = _header(path, head, has_type)
            reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
            # Excel says what separates the cells in a line of its own.
            for _ in range(header.skipped):
                next(reader)
            line = reader.line_num + 1
            for row in reader:
                if any(cell.strip() for cell in row):
                    fits = len(row) <= header.width or not any(cell.strip() for cell in row[header.width :])
                    yield (
                        line,
                        {column: row[number] for column, number in header.columns.items() if number < len(row)}
                        if fits
                        else {},
                    )
                line = reader.line_num + 1
    except UnicodeDecodeError:
        raise UserError(
            f"{path}:{line + 1}: this is not UTF-8 text",
            f"Save the file as UTF-8, for instance: iconv -f cp1252 -t utf8 {path} > NEW",
        ) from None
    except csv.Error as error:
        raise UserError(
            f"{path}:{line}: this row can't be read: {reason(error)}",
            "Put quotes around cells that have delimiters, quotes or line ends, and double the quotes in them.",
        ) from None
    finally:
        csv.field_size_limit(before)


class _Header(NamedTuple):
    columns: dict[str, int]
    width: int
    skipped: int


def _header(path: str, head: str, has_type: bool) -> tuple[str, _Header]:
    """Find what separates the cells of a table, and its columns: the delimiter with which most of them are known."""
    lines = head.splitlines()
    blank = next((number for number, one in enumerate(lines) if one.strip()), 0)
    if lines and lines[blank].lower().startswith("sep=") and len(lines) > blank + 1:
        blank += 1
    first = lines[blank] if lines else ""
    best: tuple[tuple[int, int], str, _Header] | None = None
    for delimiter in _DELIMITERS:
        cells = next(csv.reader([first], delimiter=delimiter, skipinitialspace=True), [])
        written = ["_".join(cell.strip().lower().replace("-", " ").split()) for cell in cells]
        columns = {
            column: next(written.index(name) for name in names if name in written)
            for column, names in _COLUMNS.items()
            if any(name in written for name in names)
        }
        found = ((len(columns), len(cells)), delimiter, _Header(columns, len(cells), blank + 1))
        best = found if best is None or found[0] > best[0] else best
    assert best is not None
    _, delimiter, header = best
    for column in ("name", *(() if has_type else ("type",))):
        if column not in header.columns:
            raise UserError(
                f"{path} has no column {column}: its first line is {shorten(first.strip(), 60)!r}",
                f"Its first line must name the columns, for instance: name{delimiter}type\n{HINT}",
            )
    return delimiter, header
