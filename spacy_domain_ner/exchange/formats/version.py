"""What every reader of an annotation format gives: one annotator's version of one passage, as the file has it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from spacy_domain_ner.corpus.jsonl import RefusedError, is_offset, shown


class Status(str, Enum):
    """What an annotation says of the text that has no span."""

    COMPLETE = "complete"  # there is no entity
    PARTIAL = "partial"  # nothing: only these spans were looked at
    SKIPPED = "skipped"  # the annotator put the passage aside
    DECLINED = "declined"  # nothing: the annotator would not answer the question about one span
    UNCONFIRMED = "unconfirmed"  # it has no span, and the tool does not tell whether anybody looked
    PREDICTED = "predicted"  # a model made the spans
    UNANNOTATED = "unannotated"


@dataclass
class RawSpan:
    """A span as the file has it: its offsets may count other units, and lie anywhere.

    claim: The mention's text as the file gives it beside the offsets, None where it gives none.
    inclusive: Whether `end` is the last character's own offset.
    """

    start: int
    end: int
    label: str
    claim: str | None = None
    inclusive: bool = False


@dataclass
class Version:
    """One annotator's version of one passage.

    id: The tool's own number or name of the task; "" where it has none.
    annotator: Who made it; "" where the file does not say.
    made: When, in a form that sorts by time; "" where the file does not say.
    notes: What the reader had to mend, for the report.
    refused: What could not be read as a span: its text, and the reason.
    ignored: How many results of other kinds there were (relations, choices), by kind.
    """

    text: str
    spans: list[RawSpan] = field(default_factory=list)
    id: str = ""
    annotator: str = ""
    made: str = ""
    status: Status = Status.COMPLETE
    ground_truth: bool = False
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    def add_span(self, start: Any, end: Any, label: Any, claim: Any = None, inclusive: bool = False) -> None:
        """Add a span if its parts are of the right kind, else note why it is refused."""
        claimed = claim if isinstance(claim, str) else None
        if not (is_offset(start) and is_offset(end)):
            self.refused.append((claimed or "", f"the offsets {shown(start)} and {shown(end)} are no whole numbers"))
        elif label is None or isinstance(label, (dict, list, bool)) or not str(label).strip():
            self.refused.append((claimed or self.text[max(0, int(start)) : max(0, int(end))], "the span has no label"))
        else:
            # Some exports have the label's number instead of its name.
            self.spans.append(RawSpan(int(start), int(end), str(label).strip(), claimed, inclusive))


def text_of(value: Any) -> str:
    """A record's text.

    RAISES: RefusedError where it is none.
    """
    if value is None:
        raise RefusedError("there is no text in the record")
    if not isinstance(value, str):
        raise RefusedError(f"the text must be a string, not {shown(value)}")
    return value


def name_of(value: Any) -> str:
    """A name as text, whatever a file has there: a number, an object with an e-mail address or a number, nothing."""
    if isinstance(value, dict):
        value = next((value[key] for key in ("email", "username", "id") if value.get(key) not in (None, "")), None)
    return "" if value is None or isinstance(value, (dict, list)) else str(value)
