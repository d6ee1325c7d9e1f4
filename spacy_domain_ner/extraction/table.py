"""Rows of an extraction as a table: CSV or TSV, one row per text."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy_domain_ner.files import replacing


def write_table(rows: Path, output: Path) -> None:
    """Write the rows of an extraction as a table. Its columns are the keys of all rows, `entities` last.

    A text is written as it is, nothing for what is missing, and everything else as JSON: so `entities` is a JSON list.

    Args:
        rows: The rows, as JSON lines.
        output: The table to write: of tabs where it ends in .tsv, else of commas.
    """
    columns = dict.fromkeys(key for row in _rows(rows) for key in row)
    if not columns:
        columns = dict.fromkeys(("text", "entities"))
    columns.pop("entities")
    columns["entities"] = None
    delimiter = "\t" if output.suffix.lower() == ".tsv" else ","
    with replacing(output) as stream:
        # Half of a surrogate pair, which may be in what goes along, has no form in UTF-8.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
        table = csv.writer(stream, delimiter=delimiter)
        table.writerow(columns)
        for row in _rows(rows):
            table.writerow(_cell(row.get(column)) for column in columns)


def _rows(rows: Path) -> Iterator[dict[str, Any]]:
    with rows.open("rb") as stream:
        for line in stream:
            yield json.loads(line)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
