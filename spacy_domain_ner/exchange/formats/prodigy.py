"""Prodigy: writing tasks, and reading its JSONL; the canonical annotation file has the same form.

`ner.manual` and `ner.correct` annotate a whole passage. A binary answer (`ner.teach`, view `ner`) says that one
suggestion is right or wrong, and nothing about the rest of the passage: it is never read as "no entities here".
`token_end` is inclusive in some files and exclusive in others, and `span.text` can be stale: `start` and `end` count.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from spacy_domain_ner.corpus.jsonl import is_offset, read_unknown, shown
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.relations import End, parse_relation
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of, text_of
from spacy_domain_ner.reading.records import RefusedError

_OWN_KEYS = (
    "text", "spans", "unknown", "incorrect", "tokens", "answer", "meta", "relations", "html", "options", "accept",
    "view_id", "versions", "sessions", "config", "format_version",
)  # fmt: skip
_ANSWERS = ("accept", "reject", "ignore")
_BINARY_KEYS = ("rank", "answer", "priority")
_BINARY_VIEWS = ("ner", "spans")
# Other views, such as those of text classification, have no spans to annotate; "blocks" may have them.
_MANUAL_VIEWS = ("ner_manual", "spans_manual", "relations")
_SESSION_TIME = re.compile(r"\d{4}-\d\d-\d\d[ _T]\d\d[-:]\d\d[-:]\d\d")


def is_row(record: Any) -> bool:
    """Whether a JSON value is a Prodigy task, annotated or not."""
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        return False
    spans = record.get("spans")
    return any(key in record for key in ("_view_id", "_task_hash", "_input_hash", "answer")) or (
        isinstance(spans, list) and all(isinstance(span, dict) and "start" in span for span in spans)
    )


def read_row(row: Any, text_key: str | None = None) -> Iterator[Version]:
    """Read a task.

    Args:
        row: The task.
        text_key: The key of the text, None for Prodigy's own.

    Yields:
        Its version.

    Raises:
        RefusedError: It has no text, or an answer that Prodigy does not give.
    """
    if not isinstance(row, dict):
        raise RefusedError("a task must be an object")
    answer, spans = row.get("answer"), row.get("spans")
    if answer is not None and answer not in _ANSWERS:
        raise RefusedError(f"'answer' must be accept, reject or ignore, not {shown(answer)}")
    if spans is not None and not isinstance(spans, list):
        raise RefusedError("'spans' must be a list")
    meta = row["meta"] if isinstance(row.get("meta"), dict) else {}
    version = Version(
        text_of(row.get(text_key or "text")),
        id=name_of(row.get("id", row.get("_task_hash"))),
        annotator=_annotator(row),
        made=f"{int(row['_timestamp']):015}" if is_offset(row.get("_timestamp")) else "",
        meta=dict(meta),
        extra={key: value for key, value in row.items() if key not in _OWN_KEYS and not key.startswith("_")},
    )
    version.unknown, version.incorrect = read_unknown(row.get("unknown")), read_unknown(row.get("incorrect"))
    for span in spans or []:
        if not isinstance(span, dict):
            version.refused.append(("", f"a span must be an object, not {shown(span)}"))
        elif span.get("answer") in ("reject", "ignore"):
            version.ignored["rejected suggestion"] = version.ignored.get("rejected suggestion", 0) + 1
        else:
            start, end, label = span.get("start"), span.get("end"), span.get("label")
            version.add_span(start, end, label, span.get("text"), id=f"{start}:{end}:{label}")
    version.status = _status(row)
    if version.status is Status.PARTIAL and answer == "reject":
        # The suggestion was wrong: none of its spans is an entity of that type.
        version.ignored["rejected suggestion"] = len(spans or [])
        version.spans, version.rejected = [], version.spans
    _add_relations(version, row.get("relations"))
    yield version


def row_to_label(passage: Passage, scores: Sequence[float | None] | None = None) -> dict[str, Any]:
    """Make a task to annotate.

    Args:
        passage: The passage, with its spans for people to correct.
        scores: A model's confidence in each span; None where nobody knows it.

    Returns:
        The task.
    """
    row: dict[str, Any] = {"text": passage.text, "meta": passage.meta}
    if passage.spans:
        row["spans"] = [{"start": span.start, "end": span.end, "label": span.label} for span in passage.spans]
        for span, score in zip(row["spans"], scores or (), strict=False):
            if score is not None:
                span["score"] = round(score, 4)
    return row


def _add_relations(version: Version, relations: Any) -> None:
    if not isinstance(relations, list):
        return
    version.relations = []
    ids = {span.id for span in version.spans} | set(version.lost)
    for item in relations:
        try:
            name, *ends = parse_relation(item)
        except RefusedError as error:
            version.refused_relations.append(("", error.reason))
            continue
        # Prodigy's manual relations may lead to single tokens, which have no label and are not spans.
        version.add_relation(name, *(_id_of(end, ids) for end in ends))


def _id_of(end: End, ids: Collection[str]) -> str:
    """What the spans call the end of a relation."""
    exact = f"{end.start}:{end.end}:{end.label}"
    there = [one for one in ids if one.startswith(f"{end.start}:{end.end}:")]
    return there[0] if not end.label and len(there) == 1 else exact


def _annotator(row: dict) -> str:
    name = name_of(row.get("_annotator_id") or row.get("_session_id"))
    # A session without a name is named after the time at which it began, which tells nothing about the annotator.
    return "" if _SESSION_TIME.fullmatch(name) else name


def _status(row: dict) -> Status:
    answer, spans = row.get("answer"), row.get("spans")
    view = row.get("_view_id")
    view = row.get("view_id", view) if view == "review" else view
    if _is_binary(row, view):
        return Status.DECLINED if answer == "ignore" else Status.PARTIAL
    if view is not None and view not in _MANUAL_VIEWS and not spans and "tokens" not in row:
        return Status.UNANNOTATED
    if answer == "ignore":
        return Status.SKIPPED
    if answer == "reject":
        # Where a passage was annotated by hand, a rejection is about the whole passage.
        return Status.PARTIAL if spans and "tokens" not in row and view is None else Status.SKIPPED
    if answer is None and spans is None:
        return Status.UNANNOTATED
    return Status.COMPLETE


def _is_binary(row: dict, view: object) -> bool:
    if row.get("_is_binary") is True or view in _BINARY_VIEWS:
        return True
    spans = row.get("spans") or []
    return view is None and any(isinstance(span, dict) and any(key in span for key in _BINARY_KEYS) for span in spans)
