"""The rows in which relations are found: what `extract` has written, or annotated passages."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.jsonl import FORMAT_VERSION, is_offset, shown
from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.corpus.relations import entity_relation_record, relation_record
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.records import RefusedError, parse_record
from spacy_domain_ner.reading.texts import find_texts, read_lines

# The key of a row that says why its relations were not found.
ERROR = "relations_error"


@dataclass
class Row:
    """A passage with its entities.

    Attributes:
        text: The passage.
        spans: Its entities.
        record: The row as it was read.
        is_annotation: Whether it is an annotated passage (`spans`), and not a row of `extract` (`entities`).
        place: Where it was read, as `file:line`.
    """

    text: str
    spans: list[Span]
    record: dict[str, Any] = field(default_factory=dict)
    is_annotation: bool = False
    place: str = ""

    @property
    def source(self) -> str:
        """Its `meta.source`; "" where it has none."""
        meta = self.record.get("meta")
        return str(meta.get("source", "")) if isinstance(meta, dict) else ""

    def with_relations(self, relations: Iterable["Found"]) -> dict[str, Any]:
        """Make the row that says which relations were found, in the form that the row itself has."""
        record = {key: value for key, value in self.record.items() if key != ERROR}
        record["relations"] = [self._record(one) for one in relations]
        if self.is_annotation:
            record["format_version"] = FORMAT_VERSION
        return record

    def with_error(self, error: str) -> dict[str, Any]:
        """Make the row that says why its relations were not found: it has its entities, and not `relations`."""
        record = {key: value for key, value in self.record.items() if key != "relations"}
        return {**record, ERROR: error}

    def _record(self, found: "Found") -> dict[str, Any]:
        relation = found.relation
        record = relation_record(relation) if self.is_annotation else entity_relation_record(relation, self.text)
        if found.evidence is not None:
            start, end = found.evidence
            record["evidence"] = {"text": self.text[start:end], "start": start, "end": end}
        if found.confidence is not None:
            record["confidence"] = round(found.confidence, 4)
        return record


@dataclass(frozen=True)
class Found:
    """A relation that was found.

    Attributes:
        relation: The relation.
        evidence: Where the words are that state it, in code points; None where nobody was asked for any.
        confidence: The share of such relations that were right in training; None where it is not known.
    """

    relation: Relation
    evidence: tuple[int, int] | None = None
    confidence: float | None = None


@dataclass
class RowReader:
    """Reads rows one at a time, and keeps what it could not read.

    Attributes:
        refused: The lines that were not read, each with its place and the reason.
    """

    refused: list[str] = field(default_factory=list)

    @contextmanager
    def open(self, inputs: Sequence[str | Path], text_key: str = "text") -> Iterator[Iterator[Row]]:
        """Open files of rows.

        Args:
            inputs: Files (JSON lines or lists), folders and zip archives of them, or "-" for standard input.
            text_key: The key of the text.

        Yields:
            The rows.

        Raises:
            UserError: There is nothing to read.
        """
        with find_texts(inputs, text_key=text_key) as texts:
            self.refused += [f"{name}: {why}" for name, why in texts.left_out]
            yield self._rows(read_lines(texts.files, text_key=text_key), text_key)

    def _rows(self, lines: Iterable[Any], text_key: str) -> Iterator[Row]:
        for line in lines:
            try:
                if line.problem:
                    raise RefusedError(line.problem)
                if not line.is_json:
                    raise RefusedError("it is not JSON: give what `domain-ner extract` has written")
                yield read_row(parse_record(line.raw, text_key), text_key, line.place)
            except RefusedError as error:
                self.refused.append(f"{line.place}: {error.reason}")


def read_row(record: dict[str, Any], text_key: str = "text", place: str = "") -> Row:
    """Make a row of a record.

    Args:
        record: The record, which has a text.
        text_key: The key of the text.
        place: Where it was read.

    Raises:
        RefusedError: It has no entities, or one that is not a part of its text.
    """
    text = record[text_key]
    key = "entities" if isinstance(record.get("entities"), list) else "spans"
    if key == "spans" and record.get("answer") in ("reject", "ignore"):
        raise RefusedError(f"skipped: its answer is {record['answer']!r}")
    values = record.get(key)
    if key == "spans" and values is None:
        raise RefusedError("it has neither 'entities', as `domain-ner extract` writes them, nor 'spans'")
    if not isinstance(values, list):
        raise RefusedError(f"{key!r} must be a list")
    spans = [_span(value, text, "type" if key == "entities" else "label") for value in values]
    return Row(text, list(dict.fromkeys(spans)), record, key == "spans", place)


def passages_as_rows(passages: Iterable[Passage]) -> Iterator[Row]:
    """Make rows of annotated passages."""
    for passage in passages:
        record = {"text": passage.text, "meta": passage.meta}
        yield Row(passage.text, passage.spans, record, is_annotation=True, place=passage.place)


def to_line(record: dict[str, Any]) -> str:
    """Write a row as one line, with its end."""
    try:
        line = json.dumps(record, ensure_ascii=False)
        line.encode("utf8")
    except UnicodeEncodeError:
        # Half of a surrogate pair, which what stands beside the text may have, stays the escape that it came as.
        line = json.dumps(record)
    return line + "\n"


def nothing_to_read(refused: Sequence[str]) -> UserError:
    """The error for files in which not one row can be read."""
    return UserError(
        "There is no row with entities", "\n".join(refused[:5]) or "Give what `domain-ner extract` has written."
    )


def _span(value: Any, text: str, label_key: str) -> Span:
    if not isinstance(value, dict):
        raise RefusedError(f"an entity must be an object, not {shown(value)}")
    start, end, label = value.get("start"), value.get("end"), value.get(label_key)
    if not (is_offset(start) and is_offset(end)) or not 0 <= int(start) < int(end) <= len(text):  # type: ignore[arg-type]
        raise RefusedError(f"an entity from {shown(start)} to {shown(end)} is not a part of the text")
    if not isinstance(label, str) or not label:
        raise RefusedError(f"the entity {start} to {end} has no {label_key!r}")
    return Span(int(start), int(end), label)  # type: ignore[arg-type]
