"""Rows of Arrow and Parquet tables, as Hugging Face's libraries keep data sets, and what these tables say of them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.reading.source import Source

# A Parquet file, an Arrow file, and an Arrow stream, as `save_to_disk` writes it.
_HEADS = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")
_ROWS_AT_ONCE = 1000


def is_arrow(head: bytes) -> bool:
    """Whether a file that begins in this way is an Arrow or Parquet table."""
    return head.startswith(_HEADS) and b"\0" in head


def arrow_rows(source: Source) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read the rows of a table.

    Args:
        source: The file.

    Yields:
        The number of a row, counted from 1, and its values by column.

    Raises:
        UserError: pyarrow is not installed, or the file is broken.
    """
    number = 0
    with ExitStack() as stack:
        try:
            _, batches = _open(source, stack)
            for batch in batches:
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except _errors() as error:
            after = f" after its row {number}" if number else ""
            raise UserError(f"{source.name} can't be read{after}: {reason(error)}", "Write it again.") from None


def arrow_features(source: Source) -> Any:
    """What Hugging Face's libraries have written into a table about its columns, such as the names of tags.

    Args:
        source: The file.

    Returns:
        The description of each column; None where there is none.

    Raises:
        UserError: pyarrow is not installed, or the file is broken.
    """
    with ExitStack() as stack:
        try:
            schema, _ = _open(source, stack)
            written = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        except _errors() as error:
            raise UserError(f"{source.name} can't be read: {reason(error)}", "Write it again.") from None
    info = written.get("info") if isinstance(written, dict) else None
    return info.get("features") if isinstance(info, dict) else None


def _open(source: Source, stack: ExitStack) -> tuple[Any, Iterator[Any]]:
    """Open a table: its schema, and its rows in batches."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(
            f"{source.name} is an Arrow or Parquet table, and pyarrow, which reads those, is not installed",
            "Install it (pip install pyarrow), or save the table as JSON lines.",
        ) from None
    with source.path.open("rb") as file:
        head = file.read(6)
    if head.startswith(b"PAR1"):
        table = stack.enter_context(pyarrow.parquet.ParquetFile(source.path))
        return table.schema_arrow, table.iter_batches(_ROWS_AT_ONCE)
    stream = stack.enter_context(pyarrow.memory_map(str(source.path)))
    if head == b"ARROW1":
        reader = pyarrow.ipc.open_file(stream)
        return reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))
    reader = pyarrow.ipc.open_stream(stream)
    return reader.schema, iter(reader)


def _errors() -> tuple[type[Exception], ...]:
    try:
        from pyarrow import ArrowException
    except ImportError:
        return OSError, ValueError
    return ArrowException, OSError, ValueError
