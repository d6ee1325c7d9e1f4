"""What the reader of every annotation format gives: one annotator's version of one passage, as the file has it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from spacy_domain_ner.corpus.jsonl import is_offset, shown
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.reading.records import RefusedError


class Status(str, Enum):
    """What an annotation says about the text that has no span."""

    COMPLETE = "complete"  # it has no entity
    PARTIAL = "partial"  # nothing: the annotator looked only at these spans
    SKIPPED = "skipped"  # nothing: the annotator skipped the passage
    DECLINED = "declined"  # nothing: the annotator did not answer the question about one span
    UNCONFIRMED = "unconfirmed"  # nothing for certain: there is no span, and nobody may have looked at the passage
    PREDICTED = "predicted"  # nothing for certain: a model made the spans
    UNANNOTATED = "unannotated"  # nothing: nobody has annotated the passage


@dataclass
class RawSpan:
    """A span as the file has it: its offsets may count units other than code points, and may lie outside the text.

    Attributes:
        start: The offset of the first character.
        end: The offset of the end.
        label: The label.
        claim: The mention's text as the file gives it beside the offsets, None where it gives none.
        inclusive: Whether `end` is the last character's own offset.
        id: What the file's relations call it; "" where none can.
    """

    start: int
    end: int
    label: str
    claim: str | None = None
    inclusive: bool = False
    id: str = ""


@dataclass(frozen=True)
class RawRelation:
    """A relation as the file has it.

    Attributes:
        type: Its type.
        head: What the file calls the span that it starts from.
        tail: What the file calls the span that it leads to.
    """

    type: str
    head: str
    tail: str


@dataclass
class Version:
    """One annotator's version of one passage.

    Attributes:
        text: The passage.
        spans: The spans.
        id: The tool's own number or name of the task; "" where it has none.
        annotator: Who made the version; "" where the file does not say.
        made: When it was made, in a form that sorts by time; "" where the file does not say.
        status: What it says about the text that has no span.
        ground_truth: Whether the tool marks it as the right one of several.
        meta: What the source says of the passage.
        extra: The record's other keys.
        unknown: The parts of the text of which the annotator did not say what they are, in code points.
        incorrect: Spans that are known not to be entities of their type, in code points.
        relations: The relations between its spans; None where the file does not say that anybody looked for some.
        relations_unsaid: Whether the format can't say that there are none: then they were looked for in all passages of
            an import where they were found in one.
        lost: Why a span that relations may lead to was refused when it was read, by what they call it.
        refused_relations: What could not be read as a relation: what it is, and the reason.
        rejected: Suggestions that the annotator has rejected, where that is all that was asked.
        notes: What the reader had to repair, for the report.
        refused: What could not be read as a span: its text, and the reason.
        ignored: The number of results of other kinds (choices), by kind.
        file: The file that it comes from.
        line: Its line, or its number in the file.
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
    unknown: list[Span] = field(default_factory=list)
    incorrect: list[Span] = field(default_factory=list)
    relations: list[RawRelation] | None = None
    relations_unsaid: bool = False
    lost: dict[str, str] = field(default_factory=dict)
    refused_relations: list[tuple[str, str]] = field(default_factory=list)
    rejected: list[RawSpan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    def add_span(
        self, start: Any, end: Any, label: Any, claim: Any = None, inclusive: bool = False, id: str = ""
    ) -> None:
        """Add a span, or note why it is refused.

        Args:
            start: The offset of the first character, as the file has it.
            end: The offset of the end, as the file has it.
            label: The label, as the file has it.
            claim: The mention's text, as the file has it.
            inclusive: Whether `end` is the last character's own offset.
            id: What the file's relations call it.
        """
        claimed = claim if isinstance(claim, str) else None
        if not (is_offset(start) and is_offset(end)):
            self.refuse(claimed or "", f"the offsets {shown(start)} and {shown(end)} are not whole numbers", id)
        elif label is None or isinstance(label, (dict, list, bool)) or not str(label).strip():
            self.refuse(claimed or self.text[max(0, int(start)) : max(0, int(end))], "the span has no label", id)
        else:
            # Some exports have the number of the label instead of its name.
            self.spans.append(RawSpan(int(start), int(end), str(label).strip(), claimed, inclusive, id))

    def refuse(self, text: str, reason: str, id: str = "") -> None:
        """Note a span that can't be read.

        Args:
            text: The mention.
            reason: Why not.
            id: What the file's relations call it.
        """
        self.refused.append((text, reason))
        if id:
            self.lost[id] = reason

    def add_relation(self, type: Any, head: Any, tail: Any) -> None:
        """Add a relation, or note why it is refused.

        Args:
            type: Its type, as the file has it.
            head: What the file calls the span that it starts from.
            tail: What the file calls the span that it leads to.
        """
        self.relations = self.relations or []
        if not isinstance(type, str | int) or isinstance(type, bool) or not str(type).strip():
            self.refused_relations.append((f"{name_of(head)} -> {name_of(tail)}", "the relation has no type"))
        else:
            self.relations.append(RawRelation(str(type).strip(), name_of(head), name_of(tail)))

    def leave_unknown(self, places: Iterable[tuple[int, int]], said: bool) -> None:
        """Note the tokens of which the file says that nothing is known.

        Args:
            places: Their starts and ends in code points, in order.
            said: Whether the file says of any token that it is not in an entity. Otherwise the annotator looked only at
                the spans, or at nothing.
        """
        for start, end in places:
            if self.unknown and not self.text[self.unknown[-1].end : start].strip():
                start = self.unknown.pop().start
            self.unknown.append(Span(start, end, ""))
        if self.unknown and not said:
            self.status = Status.PARTIAL if self.spans or self.refused else Status.UNANNOTATED
            self.unknown = []


def text_of(value: Any) -> str:
    """Check that a value is a record's text, and return it.

    Raises:
        RefusedError: It is not.
    """
    if value is None:
        raise RefusedError("there is no text in the record")
    if not isinstance(value, str):
        raise RefusedError(f"the text must be a string, not {shown(value)}")
    return value


def name_of(value: Any) -> str:
    """Make a name of whatever a file has in its place: a number, an object with an e-mail address or a number, nothing.

    Returns:
        The name, "" where there is none.
    """
    if isinstance(value, dict):
        value = next((value[key] for key in ("email", "username", "id") if value.get(key) not in (None, "")), None)
    return "" if value is None or isinstance(value, (dict, list)) else str(value)
