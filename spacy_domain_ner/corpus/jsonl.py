"""The canonical annotation file: JSON lines in Prodigy's task form.

    {"text": "...", "spans": [{"start": 0, "end": 12, "label": "SERVICE"}], "answer": "accept",
     "meta": {"source": "..."}, "format_version": 1}

Offsets are Unicode code points, `end` is exclusive. Everything but `text` may be missing. `unknown` has the parts of
the text of which nobody knows yet what they are, in the form of spans; their label may be missing. `incorrect` has
spans that are known not to be entities of their type. `relations` has what holds between the spans: see
`spacy_domain_ner.corpus.relations`. Records with relations are of the format's version 3, those with unknown parts or
wrong spans of version 2, and others of version 1, which earlier versions of the package read, too.
"""

import codecs
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.corpus.relations import read_relations, relation_record
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import refuse_newer_format, replacing
from spacy_domain_ner.reading.records import RefusedError, parse_json, with_text
from spacy_domain_ner.text import lone_surrogate, shorten

# The newest form of a record that can be read: with relations; with unknown parts; annotated wholly.
FORMAT_VERSION, PARTIAL_FORMAT_VERSION, PLAIN_FORMAT_VERSION = 3, 2, 1
SUFFIXES = (".jsonl", ".ndjson")
# A passage is a few sentences; spaCy refuses texts that are longer than this.
MAX_LENGTH = 1_000_000
_READ_KEYS = ("text", "spans", "unknown", "incorrect", "relations", "meta", "answer", "format_version")
_ANSWERS = (None, "accept", "reject", "ignore")


@dataclass(frozen=True)
class Refusal:
    """A line that was not read.

    Attributes:
        file: The file.
        line: The line, counted from 1; 0 where the whole file was not read.
        reason: Why it was not read.
        text: What stands there.
        skipped: Whether the annotator skipped the passage (`answer` is "reject" or "ignore"): then nothing is wrong.
    """

    file: str
    line: int
    reason: str
    text: str = ""
    skipped: bool = False

    def __str__(self) -> str:
        shown = f": {shorten(self.text)!r}" if self.text else ""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.reason}{shown}"


@dataclass
class ReadResult:
    """What a reader kept and what it refused. To iterate over it gives the passages.

    Attributes:
        passages: The passages, in the order of the file.
        refusals: The lines that were not read, in the order of the file.
    """

    passages: list[Passage] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def __iter__(self) -> Iterator[Passage]:
        return iter(self.passages)

    def __len__(self) -> int:
        return len(self.passages)


def read_passages(path: str | Path) -> ReadResult:
    """Read an annotation file, or all annotation files below a folder.

    Args:
        path: A JSON lines file, or a folder whose `*.jsonl` and `*.ndjson` files are read in the order of their names.

    Returns:
        The passages with their line numbers, and every line that was refused, with the reason.

    Raises:
        UserError: There is no such file, it is not UTF-8 text, or a record has a newer `format_version`.
    """
    result = ReadResult()
    for file in annotation_files(path):
        for number, line in _lines(file):
            if line.strip():
                read = read_line(line, str(file), number)
                (result.passages if isinstance(read, Passage) else result.refusals).append(read)  # type: ignore[arg-type]
    return result


def read_valid_passages(path: str | Path) -> list[Passage]:
    """Read a file that an earlier step has written, where any refused line is an error.

    Args:
        path: As for `read_passages`.

    Returns:
        The passages, without those that the annotator skipped.

    Raises:
        UserError: The file can't be read, or lines in it, the first of which are named.
    """
    result = read_passages(path)
    faults = [refusal for refusal in result.refusals if not refusal.skipped]
    if faults:
        shown = "\n".join(f"  {refusal}" for refusal in faults[:5])
        raise UserError(
            f"{len(faults)} line(s) can't be read:\n{shown}",
            "`domain-ner check` lists all of them: fix or remove them.",
        )
    return result.passages


def write_passages(
    path: str | Path, passages: Iterable[Passage], confidences: Sequence[Mapping[Span, float]] = ()
) -> None:
    """Write passages as canonical JSON lines. An interrupted run leaves the old file.

    Args:
        path: The file to write; its folder is made where it is missing.
        passages: What to write.
        confidences: For each passage, how sure a model is of its spans, 0 to 1; empty where people made the spans.

    Raises:
        UserError: The file can't be written.
    """
    with replacing(Path(path)) as stream:
        stream.writelines(passage_lines(passages, confidences))


def passage_lines(passages: Iterable[Passage], confidences: Sequence[Mapping[Span, float]] = ()) -> Iterator[str]:
    """Make the canonical JSON lines of passages.

    Args:
        passages: The passages.
        confidences: As for `write_passages`.

    Yields:
        Each line, with its end.
    """
    for passage, sure in zip(passages, confidences or repeat({}), strict=bool(confidences)):
        yield json.dumps(to_record(passage, sure), ensure_ascii=False) + "\n"


def to_record(passage: Passage, confidences: Mapping[Span, float] | None = None) -> dict[str, Any]:
    """Make the canonical record of a passage.

    Args:
        passage: The passage.
        confidences: How sure a model is of its spans, 0 to 1; None where people made them.

    Returns:
        The record as JSON has it, the passage's other keys after the canonical ones.
    """
    sure = confidences or {}
    return {
        "text": passage.text,
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "label": span.label,
                **({"confidence": round(sure[span], 4)} if span in sure else {}),
            }
            for span in passage.spans
        ],
        **({"unknown": [_unknown_record(part) for part in passage.unknown]} if passage.unknown else {}),
        **({"incorrect": [_unknown_record(span) for span in passage.incorrect]} if passage.incorrect else {}),
        **({} if passage.relations is None else {"relations": [relation_record(one) for one in passage.relations]}),
        "answer": "accept",
        "meta": passage.meta,
        "format_version": _version(passage),
        **passage.extra,
    }


def _version(passage: Passage) -> int:
    if passage.relations is not None:
        return FORMAT_VERSION
    return PARTIAL_FORMAT_VERSION if passage.unknown or passage.incorrect else PLAIN_FORMAT_VERSION


def _unknown_record(part: Span) -> dict[str, Any]:
    return {"start": part.start, "end": part.end, **({"label": part.label} if part.label else {})}


def annotation_files(path: str | Path) -> list[Path]:
    """List the annotation files that a path stands for: itself, or those below a folder, in the order of their names.

    Raises:
        UserError: There is none.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise UserError(
                f"The folder {path} has no annotation file", f"Files that end in {' or '.join(SUFFIXES)} are read."
            )
        return files
    if not path.exists():
        raise UserError(f"There is no file {path}", "Name an annotation file (JSON lines) or a folder of them.")
    return [path]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    number, encoding = 0, "latin1"
    try:
        # As bytes: only a line feed ends a record; U+2028 and the like may stand inside a JSON string.
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                    encoding = "utf16"
                # A byte order mark is not part of the first record.
                yield number, line.decode("utf-8-sig" if number == 1 else "utf8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}:{number}: this is not UTF-8 text ({error.reason})",
            f"Save the file as UTF-8, for instance: iconv -f {encoding} -t utf8 OLD > NEW",
        ) from None
    except OSError as error:
        raise UserError(f"Can't read {path}: {error.strerror}", "Name an annotation file (JSON lines).") from None


def read_line(line: str, file: str, number: int) -> Passage | Refusal:
    """Read one line of a canonical annotation file.

    Args:
        line: The line.
        file: The file's name, for messages.
        number: The line's number, counted from 1.

    Returns:
        The passage, or why there is none.

    Raises:
        UserError: The record has a newer `format_version`: then the whole file can't be relied on.
    """
    try:
        record = parse_json(line)
        version = record.get("format_version") if isinstance(record, dict) else None
        refuse_newer_format(f"{file}:{number}", version, FORMAT_VERSION)
        record = with_text(record)
        if version is not None and version not in range(PLAIN_FORMAT_VERSION, FORMAT_VERSION + 1):
            raise RefusedError(
                f"'format_version' must be {PLAIN_FORMAT_VERSION} to {FORMAT_VERSION}, not {shown(version)}"
            )
    except RefusedError as error:
        return Refusal(file, number, error.reason, line.strip())
    text = record["text"]
    # Half of a surrogate pair, which only an escape can make, could not be written again.
    if "\\u" in line and lone_surrogate(json.dumps(record, ensure_ascii=False)) is not None:
        return Refusal(file, number, "half of a surrogate pair: this is not Unicode text", text)
    if record.get("answer") not in _ANSWERS:
        return Refusal(file, number, f"'answer' must be accept, reject or ignore, not {shown(record['answer'])}", text)
    if record.get("answer") in ("reject", "ignore"):
        return Refusal(file, number, f"skipped: its answer is {record['answer']!r}", text, skipped=True)
    meta = {} if record.get("meta") is None else record["meta"]
    try:
        if len(text) > MAX_LENGTH:
            raise RefusedError(f"a text of {len(text)} characters: divide it into passages of a few sentences")
        if not isinstance(meta, dict):
            raise RefusedError("'meta' must be an object")
        spans, unknown = _spans(record.get("spans")), read_unknown(record.get("unknown"))
        incorrect = _spans(record.get("incorrect"), "incorrect")
        relations, kept = _relations(record, spans)
    except RefusedError as error:
        return Refusal(file, number, error.reason, text)
    extra = {key: value for key, value in record.items() if key not in _READ_KEYS} | kept
    return Passage(
        text, spans, meta, extra, file=file, line=number, unknown=unknown, incorrect=incorrect, relations=relations
    )


def _relations(record: dict[str, Any], spans: list[Span]) -> tuple[list[Relation] | None, dict[str, Any]]:
    """Give a record's relations, and what it has in their place in another form, which stays as it is.

    Raises:
        RefusedError: The record says that it has relations in this form, and they can't be read.
    """
    try:
        return read_relations(record.get("relations"), spans), {}
    except RefusedError:
        if record.get("format_version") == FORMAT_VERSION:
            raise
        return None, {"relations": record["relations"]}


def _spans(value: Any, key: str = "spans") -> list[Span]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RefusedError(f"{key!r} must be a list")
    return [_span(item) for item in value]


def _span(item: Any) -> Span:
    if not isinstance(item, dict):
        raise RefusedError(f"a span must be an object with 'start', 'end' and 'label', not {shown(item)}")
    start, end = _offsets(item, "a span")
    label = item.get("label")
    if not isinstance(label, str) or not label:
        raise RefusedError(f"the span {start} to {end} has no label")
    return Span(start, end, label)


def read_unknown(value: Any) -> list[Span]:
    """Read the unknown parts of a record.

    Args:
        value: What the record has under `unknown`.

    Raises:
        RefusedError: It is not a list of parts.
    """
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RefusedError("'unknown' must be a list of objects with 'start' and 'end'")
    parts = []
    for item in value:
        label = item.get("label", "")
        if not isinstance(label, str):
            raise RefusedError(f"the label of an unknown part must be a string, not {shown(label)}")
        parts.append(Span(*_offsets(item, "an unknown part"), label))
    return parts


def _offsets(item: dict[str, Any], what: str) -> tuple[int, int]:
    start, end = item.get("start"), item.get("end")
    if not (is_offset(start) and is_offset(end)):
        raise RefusedError(f"{what}'s 'start' and 'end' must be whole numbers, not {shown(start)} and {shown(end)}")
    return int(start), int(end)  # type: ignore[arg-type]


def shown(value: Any) -> str:
    """A value as a message shows it."""
    return shorten(repr(value), 40)


def is_offset(value: Any) -> bool:
    """Whether a JSON value is a whole number."""
    if isinstance(value, float):
        # pandas writes whole numbers as floats where a column has a gap.
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
