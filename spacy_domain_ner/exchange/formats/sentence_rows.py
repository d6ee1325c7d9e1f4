"""Tables whose rows hold a sentence each: its tokens in one cell, their tags in another.

A cell is a list, as Python, NumPy and JSON write it, or holds words that are divided by blanks. A row is read as a
record of tokens and tags (`huggingface.py`), so tags may be numbers here as well.
"""

import ast
import csv
import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.exchange.formats.bio import Tagging, find_tagging
from spacy_domain_ner.exchange.formats.cells import Table, is_quoted
from spacy_domain_ner.exchange.formats.column_names import read_given, role_of
from spacy_domain_ner.exchange.formats.table_layout import table_lines
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.text import shorten

# Rows that are looked at to find the columns.
_SAMPLE = 200
# The share of rows that have as many cells as most have.
_MOST = 0.6
# Characters of a cell.
_LONGEST_CELL = 100_000_000
_LIST = re.compile(r"\s*(?:array\()?\[(.*)\](?:,\s*dtype=[^)]*\))?\s*", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


@dataclass(frozen=True)
class SentenceRows:
    """How a table is laid out whose rows hold a sentence each; columns count from 0.

    Attributes:
        character: What stands between two cells.
        quoted: Whether quotation marks may stand around a cell.
        width: The number of columns.
        names: What the header calls the columns; empty where there is none.
        token: The column of the tokens.
        tag: The column of their tags.
        text: The column of the sentence as it was written, beside the tokens.
        sentence: The column of the sentence's number or name.
        document: The column of the document's number or name.
    """

    character: str
    quoted: bool
    width: int
    names: tuple[str, ...]
    token: int
    tag: int
    text: int | None = None
    sentence: int | None = None
    document: int | None = None

    def __str__(self) -> str:
        title = Table(self.width, [], list(self.names)).title
        return f"in column {title(self.tag)} of {self.width}, tokens in {title(self.token)}, a sentence per row"


def find_sentence_rows(source: Source, columns: str | None = None, types: Collection[str] = ()) -> SentenceRows | None:
    """Find out how a table is laid out whose rows hold a sentence each.

    Args:
        source: The file.
        columns: What the columns are, as `import_annotations` takes it; None to find it.
        types: The entity types that are known.

    Returns:
        The layout, None where the file is not such a table.

    Raises:
        UserError: A column that is given does not exist.
    """
    sample = [line for _, line in islice(table_lines(source), _SAMPLE)]
    for character in "\t,;|":
        if not any(character in line for line in sample):
            continue
        quoted = character != "\t" or is_quoted(sample, character) or any('"[' in line for line in sample)
        try:
            rows = [row for _, row in islice(_rows(source, character, quoted), _SAMPLE)]
        except UserError:
            continue
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        if width > 1 and count >= _MOST * len(rows):
            whole = [row for row in rows if len(row) == width]
            found = _layout(whole, character, quoted, columns, types)
            if found is not None:
                return found
    return None


def read_records(source: Source, layout: SentenceRows) -> Iterator[tuple[int, dict[str, Any] | RefusedError]]:
    """Read the rows of a table as records of tokens and tags.

    Args:
        source: The file.
        layout: How it is laid out.

    Yields:
        The number of a row's first line, and the record or why there is none.

    Raises:
        UserError: The quotation marks do not match.
    """
    header = bool(layout.names)
    for number, row in _rows(source, layout.character, layout.quoted):
        if header:
            header = False
        elif len(row) != layout.width:
            yield number, RefusedError(f"the row has {len(row)} cells where others have {layout.width}")
        else:
            yield number, _record(row, layout)


def parse_list(cell: str) -> list[str] | None:
    """Read a list as Python, NumPy or JSON write it: `['a', 'b']`, `['a' 'b']`, `["a", "b"]`, `[a, b]`, `[0 1]`.

    Args:
        cell: What the cell holds.

    Returns:
        The items, None where it is not a list or has been shortened by `...`.
    """
    match = _LIST.fullmatch(cell)
    if match is None:
        return None
    body = match[1]
    if "'" not in body and '"' not in body:
        items = [item.strip() for item in body.split(",")] if "," in body else body.split()
        return None if "..." in items else [item for item in items if item]
    if _QUOTED.sub("", body).strip(", \n\r\t"):
        return None
    items = _QUOTED.findall(body)
    try:
        return [ast.literal_eval(item) if "\\" in item else item[1:-1] for item in items]
    except (SyntaxError, ValueError):
        return None


def _rows(source: Source, character: str, quoted: bool) -> Iterator[tuple[int, list[str]]]:
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    text = (line + "\n" for _, line in table_lines(source))
    reader = csv.reader(text, delimiter=character, quoting=quoting, strict=True)  # type: ignore[arg-type]
    before = csv.field_size_limit(_LONGEST_CELL)
    number = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield number, row
            number = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{source.name}:{number}: this row can't be read: {reason(error)}",
            "Write the table again, with quotation marks around cells that have commas, quotation marks or line ends.",
        ) from None
    finally:
        csv.field_size_limit(before)


def _layout(
    rows: list[list[str]], character: str, quoted: bool, columns: str | None, types: Collection[str]
) -> SentenceRows | None:
    table = Table(len(rows[0]), rows[1:] or rows, [name.strip() for name in rows[0]])
    if not any(role_of(name) for name in table.names if name):
        table.names = []
    cells = [[_items(cell) for cell in row] for row in table.rows]
    given = {} if columns is None else read_given(columns, table.names or rows[0], table.width)
    places = [given["tag"]] if "tag" in given else range(table.width)
    tags = {place: tagging for place in places if (tagging := _tagging(cells, place, table, types)) is not None}
    for tag in sorted(tags, key=lambda place: place not in table.named("tag")):
        token = given.get("token", _beside(tag, cells, table, tags))
        if token is not None and token != tag:
            sentence, document, text = (
                next((place for place in table.named(role) if place not in (token, tag)), None)
                for role in ("sentence", "document", "token")
            )
            # The first row is a header unless it has tags, too.
            header = any(tags[tag].read(value) is None for value in _items(rows[0][tag])) or not _items(rows[0][tag])
            return SentenceRows(
                character, quoted, table.width, tuple(rows[0]) if header else (), token, tag, text,
                given.get("sentence", sentence), given.get("document", document),
            )  # fmt: skip
    return None


def _items(cell: str) -> list[str]:
    """The items of a list, or words; none where a list can't be read."""
    items = parse_list(cell)
    return items if items is not None else [] if cell.strip().startswith("[") else cell.split()


def _beside(tag: int, cells: list[list[list[str]]], table: Table, tags: Collection[int]) -> int | None:
    """The column whose cells have as many words as the tags: one that is named so, else the one that fits best."""
    fits = {
        place: sum(len(row[place]) == len(row[tag]) for row in cells)
        for place in range(table.width)
        if place not in tags and not (table.names and role_of(table.names[place]) in ("tag", "other"))
    }
    named = [place for place in table.named("token") if 2 * fits.get(place, 0) >= len(cells)]
    best = max(fits, key=lambda place: fits[place], default=None)
    return named[0] if named else best if best is not None and 2 * fits[best] >= len(cells) else None


def _tagging(cells: list[list[list[str]]], place: int, table: Table, types: Collection[str]) -> Tagging | None:
    """How the tags are written in a column that has lists of them in most cells; None where it has none."""
    role = role_of(table.names[place]) if table.names else ""
    column = [row[place] for row in cells]
    if role == "other" or 2 * sum(len(cell) > 1 for cell in column) < len(column):
        return None
    values = [value for cell in column for value in [*cell, ""]]
    if all(value.isdecimal() for value in values if value):
        # What the numbers mean is said elsewhere.
        return Tagging("types", "numbered") if role == "tag" else None
    return find_tagging(values, types)


def _record(row: list[str], layout: SentenceRows) -> dict[str, Any] | RefusedError:
    record: dict[str, Any] = {}
    for key, column in (("tokens", layout.token), ("ner_tags", layout.tag)):
        cell = row[column]
        items = parse_list(cell)
        if items is None and cell.strip().startswith("["):
            cut = ": it was shortened by '...' when it was written" if "..." in cell else ""
            return RefusedError(f"column {column + 1} has a list that can't be read{cut}: {shorten(cell, 60)!r}")
        record[key] = cell.split() if items is None else items
    if layout.text is not None and not row[layout.text].strip().startswith("["):
        record["text"] = row[layout.text]
    if layout.sentence is not None:
        record["id"] = row[layout.sentence]
    if layout.document is not None:
        record["source"] = row[layout.document]
    return record
