"""Tables of texts: CSV and TSV row by row, and Parquet."""

import csv
import io
import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.reading.records import ANOTHER_ENCODING, RefusedError
from spacy_domain_ner.reading.source import Source

TABLE_SUFFIXES = (".csv", ".tsv")
_DELIMITERS = ",;\t|"
# Characters of a cell. A longer one is what follows a quote that has no end.
_LONGEST_CELL = 100_000_000
# How Excel is told what separates the cells.
_SEPARATOR = re.compile(r"sep=(.)[\r\n]")
_ROWS_AT_ONCE = 500


def has_header(head: str, text_key: str) -> bool:
    """Whether a file's beginning is that of a table with several columns, one of them for the text.

    Args:
        head: The beginning.
        text_key: The column of the text.
    """
    rows = list(islice(csv.reader(io.StringIO(head, newline=""), delimiter=find_delimiter(head, text_key)), 2))
    if len(rows) < 2 or len(rows[0]) < 2 or text_key not in rows[0] or any(cell != cell.strip() for cell in rows[0]):
        return False
    # The second row may be cut off within quotes.
    return len(rows[1]) == len(rows[0]) or head.count('"') % 2 == 1


def find_delimiter(head: str, text_key: str) -> str:
    """Find what separates the cells of a table: what its header has most of, and has the text's column with.

    Args:
        head: The table's beginning.
        text_key: The column of the text.
    """
    line = next(iter(head.lstrip("\r\n").splitlines()), "")
    headers = {delimiter: next(csv.reader([line], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    return max(_DELIMITERS, key=lambda delimiter: (text_key in headers[delimiter], len(headers[delimiter])))


def table_rows(stream: BinaryIO, source: Source, text_key: str) -> Iterator[tuple[int, dict[str, str] | RefusedError]]:
    """Read the rows of a CSV or TSV table.

    Args:
        stream: The table, in UTF-8.
        source: The file, for messages.
        text_key: The column of the text.

    Yields:
        The number of the line at which a row begins, counted from 1, and the row by column, or why it can't be read.

    Raises:
        UserError: There is no column for the text, or the quotes do not match.
    """
    # Bytes that are not UTF-8 spoil their row alone.
    text = io.TextIOWrapper(stream, encoding="utf8", errors="surrogateescape", newline="")
    head = stream.peek(1 << 16).decode("utf8", errors="replace")  # type: ignore[attr-defined]
    said = _SEPARATOR.match(head)
    delimiter = said[1] if said else find_delimiter(head, text_key)
    # Where cells have quotes for themselves, as tables of tabs may, quotes are text.
    quoting = csv.QUOTE_NONE if delimiter == "\t" and not _is_quoted(head) else csv.QUOTE_MINIMAL
    # Strictly: a quote without an end would make one cell of several rows.
    reader = csv.reader(text, delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]
    before = csv.field_size_limit(_LONGEST_CELL)
    number = 1
    try:
        header: list[str] = []
        if said:
            next(reader)
        while not any(header):
            number = reader.line_num + 1
            if (row := next(reader, None)) is None:
                return
            header = row
        columns = _columns(header, source, text_key)
        number = reader.line_num + 1
        for row in reader:
            if any(cell.strip() for cell in row):
                yield number, _record(row, columns)
            number = reader.line_num + 1
    except csv.Error as error:
        raise UserError(
            f"{source.name}:{number}: this row can't be read: {reason(error)}",
            "Save the table as CSV again, with quotes around cells that have commas, quotes or line ends.",
        ) from None
    finally:
        csv.field_size_limit(before)


def parquet_rows(source: Source, text_key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the rows of a Parquet table.

    Args:
        source: The file.
        text_key: The column of the text.

    Yields:
        The number of a row, counted from 1, and the row by column, with values as JSON has them.

    Raises:
        UserError: pyarrow is not installed, the file is broken, or there is no column for the text.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{source.name} is a Parquet table, and pyarrow, which reads those, is not installed",
            "Install it (pip install pyarrow), or save the table as CSV or JSON lines.",
        ) from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(source.path) as table:
            _check_column(table.schema_arrow.names, source, text_key)
            for batch in table.iter_batches(_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    number += 1
                    # JSON has no number for what is not a number.
                    yield number, {column: None if value != value else value for column, value in row.items()}
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(
            f"{source.name} can't be read after its row {number}: {reason(error)}", "Write it again."
        ) from None


def to_json(row: object) -> bytes:
    """Write a row as JSON; a value that JSON does not have, such as a date, as its text.

    Args:
        row: The row.

    Raises:
        RefusedError: It is nested too deeply.
    """
    try:
        return json.dumps(row, default=str).encode("ascii")
    except RecursionError:
        raise RefusedError("JSON that is nested too deeply") from None


def _columns(header: list[str], source: Source, text_key: str) -> list[str]:
    if not all(map(_is_utf8, header)):
        raise UserError(f"{source.name} is not UTF-8 text", "Give its encoding with `encoding`, such as cp1252.")
    _check_column(header, source, text_key)
    if header.count(text_key) > 1:
        raise UserError(
            f"{source.name} has {header.count(text_key)} columns {text_key!r}", "Rename those that are not the text."
        )
    columns: list[str] = []
    for number, name in enumerate(header, 1):
        # Every cell gets through, also those of a column that has no name or another's.
        columns.append(name if name and name not in columns else f"{name or 'column'} {number}")
    return columns


def _check_column(names: list[str], source: Source, text_key: str) -> None:
    if text_key not in names:
        raise UserError(
            f"{source.name} has no column {text_key!r}. Its columns are: {', '.join(map(repr, names[:20]))}",
            "Name the column of the text with `text_key=NAME`. A file that is not a table can be read with "
            "`file_format=text`.",
        )


def _record(row: list[str], columns: list[str]) -> dict[str, str] | RefusedError:
    if len(row) > len(columns):
        return RefusedError(f"a row of {len(row)} cells, where the header has {len(columns)}")
    if not all(map(_is_utf8, row)):
        return RefusedError(f"not UTF-8 text: {ANOTHER_ENCODING}")
    return dict(zip(columns, row, strict=False))


def _is_utf8(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= character <= "\udcff" for character in cell)


def _is_quoted(head: str) -> bool:
    """Whether a table of tabs has its cells in quotes where they need it: then all quotes of its beginning match."""
    lines = head.splitlines(keepends=True)
    whole = lines if len(head) < 1 << 15 else lines[:-1]
    try:
        rows = list(csv.reader(whole, delimiter="\t", strict=True))
    except csv.Error:
        return False
    return any(line.startswith('"') or '\t"' in line for line in whole) and len({len(row) for row in rows if row}) == 1
