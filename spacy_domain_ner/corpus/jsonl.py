"""The canonical annotation file: JSON lines in Prodigy's task form.

    {"text": "...", "spans": [{"start": 0, "end": 12, "label": "SERVICE"}], "answer": "accept",
     "meta": {"source": "..."}}

Offsets are Unicode code points, `end` is exclusive. `spans`, `answer` and `meta` may be missing.
"""

import codecs
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.text import lone_surrogate, shorten

SUFFIXES = (".jsonl", ".ndjson")
# A passage is a few sentences; spaCy refuses texts that are longer than this.
MAX_LENGTH = 1_000_000
_READ_KEYS = ("text", "spans", "meta", "answer")
_ANSWERS = (None, "accept", "reject", "ignore")


class RefusedError(Exception):
    """A line that can't be read, and why. id, text: The record's own, where it has one."""

    def __init__(self, reason: str, id: str = "", text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.id = id
        self.text = text


@dataclass(frozen=True)
class Refusal:
    """A line that was not read: where it is, why, and what stands there.

    skipped: The annotator said so (`answer` is "reject" or "ignore"): no fault of the file.
    """

    file: str
    line: int
    reason: str
    text: str = ""
    skipped: bool = False

    def __str__(self) -> str:
        shown = f": {shorten(self.text)!r}" if self.text else ""
        return f"{self.file}:{self.line}: {self.reason}{shown}"


@dataclass
class ReadResult:
    """What a reader kept and what it refused."""

    passages: list[Passage] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def read_passages(path: Path) -> ReadResult:
    """Read an annotation file, or all annotation files below a folder.

    path: A JSON lines file, or a folder searched for `*.jsonl` and `*.ndjson`, in the order of their names.
    RETURNS: The passages with their line numbers, and every line that was refused, with the reason.
    RAISES: UserError where there is no such file or it is no UTF-8 text.
    """
    result = ReadResult()
    for file in annotation_files(path):
        for number, line in _lines(file):
            if line.strip():
                read = read_line(line, str(file), number)
                (result.passages if isinstance(read, Passage) else result.refusals).append(read)  # type: ignore[arg-type]
    return result


def read_valid_passages(path: Path) -> list[Passage]:
    """Read a file that an earlier step has written, where any refused line is an error.

    RAISES: UserError naming the first refused lines.
    """
    result = read_passages(path)
    faults = [refusal for refusal in result.refusals if not refusal.skipped]
    if faults:
        shown = "\n".join(f"  {refusal}" for refusal in faults[:5])
        raise UserError(
            f"{len(faults)} line(s) can't be read:\n{shown}",
            "`domain-ner check` lists all of them: mend or remove them.",
        )
    return result.passages


def write_passages(path: Path, passages: Iterable[Passage], confidences: Sequence[Mapping[Span, float]] = ()) -> None:
    """Write passages as canonical JSON lines; the file is there whole or not at all.

    confidences: Where the spans are a model's: how sure it is of them, 0 to 1, for each passage.
    """
    with replacing(path) as stream:
        for passage, sure in zip(passages, confidences or repeat({}), strict=bool(confidences)):
            stream.write(json.dumps(to_record(passage, sure), ensure_ascii=False) + "\n")


def to_record(passage: Passage, confidences: Mapping[Span, float] | None = None) -> dict[str, Any]:
    """A passage as a canonical record, its other keys behind the canonical ones."""
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
        "answer": "accept",
        "meta": passage.meta,
        **passage.extra,
    }


def annotation_files(path: Path) -> list[Path]:
    """The annotation files that a path stands for.

    RAISES: UserError where there is none.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
        if not files:
            raise UserError(f"The folder {path} has no annotation file", f"Files in {' or '.join(SUFFIXES)} are read.")
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
                # A byte order mark is no part of the first record.
                yield number, line.decode("utf-8-sig" if number == 1 else "utf8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}:{number}: this is no UTF-8 text ({error.reason})",
            f"Save the file as UTF-8, for instance: iconv -f {encoding} -t utf8 OLD > NEW",
        ) from None
    except OSError as error:
        raise UserError(f"Can't read {path}: {error.strerror}", "Name an annotation file (JSON lines).") from None


def read_line(line: str, file: str, number: int) -> Passage | Refusal:
    """Read one line of a canonical annotation file, or say why it can't be read."""
    try:
        record = parse_record(line)
    except RefusedError as error:
        return Refusal(file, number, error.reason, line.strip())
    text = record["text"]
    # Written out again, half a pair would be no Unicode text; only an escape can make one.
    if "\\u" in line and lone_surrogate(json.dumps(record, ensure_ascii=False)) is not None:
        return Refusal(file, number, "half of a surrogate pair: this is no Unicode text", text)
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
        spans = _spans(record.get("spans"))
    except RefusedError as error:
        return Refusal(file, number, error.reason, text)
    extra = {key: value for key, value in record.items() if key not in _READ_KEYS}
    return Passage(text=text, spans=spans, meta=meta, extra=extra, file=file, line=number)


def parse_json(line: str | bytes) -> Any:
    """Read one JSON value.

    RAISES: RefusedError with the reason.
    """
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise RefusedError(f"no valid JSON ({error.msg.removesuffix(' at')} at column {error.colno})") from None
    except UnicodeDecodeError as error:
        raise RefusedError(f"no UTF-8 text ({error.reason} at byte {error.start})") from None
    except RecursionError:
        raise RefusedError("JSON that is nested too deeply") from None
    except ValueError:
        raise RefusedError("a number of thousands of digits") from None


def parse_record(line: str | bytes, text_key: str = "text") -> dict[str, Any]:
    """Read one JSON line that holds a text.

    RAISES: RefusedError with the reason, where it is no JSON object with a non-empty Unicode text.
    """
    return with_text(parse_json(line), text_key)


def with_text(record: Any, text_key: str = "text") -> dict[str, Any]:
    """Check that a JSON value is an object with a text, and return it.

    Raises:
        RefusedError: It is not, or the text has only white space, or is not Unicode text.
    """
    if not isinstance(record, dict):
        raise RefusedError(f"a record must be a JSON object with a key {text_key!r}")
    text = record.get(text_key)
    if text is None:
        raise RefusedError(f"no {text_key!r} in the record")
    if not isinstance(text, str):
        raise RefusedError(f"{text_key!r} must be a string")
    if not text.strip():
        raise RefusedError("an empty text")
    if (lone := lone_surrogate(text)) is not None:
        raise RefusedError(f"half of a surrogate pair at offset {lone}: this is no Unicode text")
    return record


def _spans(value: Any) -> list[Span]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise RefusedError("'spans' must be a list")
    return [_span(item) for item in value]


def _span(item: Any) -> Span:
    if not isinstance(item, dict):
        raise RefusedError(f"a span must be an object with 'start', 'end' and 'label', not {shown(item)}")
    start: Any = item.get("start")
    end: Any = item.get("end")
    label = item.get("label")
    if not (is_offset(start) and is_offset(end)):
        raise RefusedError(f"a span's 'start' and 'end' must be whole numbers, not {shown(start)} and {shown(end)}")
    if not isinstance(label, str) or not label:
        raise RefusedError(f"the span {shown(start)} to {shown(end)} has no label")
    return Span(int(start), int(end), label)


def shown(value: Any) -> str:
    """A value as it stands in a message."""
    return shorten(repr(value), 40)


def is_offset(value: Any) -> bool:
    """Whether a JSON value is a whole number."""
    if isinstance(value, float):
        # pandas writes whole numbers as floats as soon as a column has a gap.
        return math.isfinite(value) and value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
