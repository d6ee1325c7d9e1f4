"""Lines of JSON, each read as `extract` reads it, so that neither a schema is guessed nor a broken line lost."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.reading.records import RefusedError, parse_record
from spacy_domain_ner.spark.mapper import SparkMapper, pieces

if TYPE_CHECKING:
    import pyarrow

# The column of Spark's text files.
LINE = "value"


@dataclass(frozen=True)
class JsonLinesMapper:
    """Finds the entities in JSON records, one per line.

    Attributes:
        mapper: What finds them. Its `text` is the key of the text in a record.
        as_lines: Whether the result is JSON again: `value` is then the line that `extract` writes; where a line can't
            be read, an object with `error` and the `line`. If not, the result is a table: the text, `record` with the
            rest of the record as JSON (or with the line that can't be read), and what the mapper adds.
    """

    mapper: SparkMapper
    as_lines: bool

    @property
    def schema(self) -> str:
        """The columns of the result, as Spark writes a schema."""
        if self.as_lines:
            return f"{LINE} string, found int, error string"
        return f"`{self.mapper.text.replace('`', '``')}` string, record string, {self.mapper.schema}"

    def __call__(self, batches: Iterable["pyarrow.RecordBatch"]) -> Iterator["pyarrow.RecordBatch"]:
        """Read batches of lines.

        Args:
            batches: Record batches with a column `value`.

        Yields:
            Record batches of the result.
        """
        for batch in batches:
            most = self.mapper.load().batch_size if batch.num_rows else 1
            for _, lines in pieces(batch, batch.schema.names.index(LINE), most):
                yield self._result([line or b"" for line in lines])

    def _result(self, lines: list[bytes]) -> "pyarrow.RecordBatch":
        import pyarrow

        records = [self._record(line) for line in lines]
        text = self.mapper.text
        values = [record[text].encode("utf8") if isinstance(record, dict) else None for record in records]
        names = self.mapper.added
        columns = dict(zip(names, self.mapper.columns(values), strict=True))
        refused = [record if isinstance(record, str) else None for record in records]
        errors = [why or error for why, error in zip(refused, columns["error"].to_pylist(), strict=True)]
        columns["error"] = pyarrow.array(errors, pyarrow.string())
        if not self.as_lines:
            texts = pyarrow.array([value and value.decode() for value in values], pyarrow.string())
            rests = [_rest(record, line, text) for record, line in zip(records, lines, strict=True)]
            made = {text: texts, "record": pyarrow.array(rests, pyarrow.string()), **columns}
            return pyarrow.RecordBatch.from_arrays(list(made.values()), list(made))
        found = columns["entities"].to_pylist()
        rows = [
            _line(record, line, {name: column[number].as_py() for name, column in columns.items()})
            for number, (record, line) in enumerate(zip(records, lines, strict=True))
        ]
        counts = pyarrow.array([len(entities or ()) for entities in found], pyarrow.int32())
        return pyarrow.RecordBatch.from_arrays(
            [pyarrow.array(rows, pyarrow.string()), counts, columns["error"]], [LINE, "found", "error"]
        )

    def _record(self, line: bytes) -> dict[str, Any] | str:
        """A line's record, or why it can't be read."""
        try:
            return parse_record(line, self.mapper.text)
        except RefusedError as error:
            return error.reason


def _rest(record: dict[str, Any] | str, line: bytes, text: str) -> str:
    if isinstance(record, str):
        return _shown(line)
    return to_json({key: value for key, value in record.items() if key != text}).decode("utf8")


def _line(record: dict[str, Any] | str, line: bytes, found: dict[str, Any]) -> str:
    if found["error"] is not None:
        row: dict[str, Any] = {"error": found["error"], "line": _shown(line)}
        return json.dumps(row, ensure_ascii=False)
    row = dict(record) if isinstance(record, dict) else {}
    row["entities"] = [
        {key: value for key, value in entity.items() if value is not None} for entity in found["entities"]
    ]
    if "expected" in found:
        row["expected"], row["model"] = dict(found["expected"]), found["model"]
    return to_json(row).decode("utf8")


def _shown(line: bytes) -> str:
    """A line as text, with escapes for what is not UTF-8."""
    return line.decode("utf8", "backslashreplace")
