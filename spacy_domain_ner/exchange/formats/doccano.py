"""doccano: writing rows, and reading its JSONL in all the forms that its versions wrote.

`label` or `labels` with [start, end, label]; `entities` or `annotations` with start_offset and end_offset. Nothing says
which unit the offsets count: the browser interface stores UTF-16 units, uploads keep what was uploaded.
"""

from collections.abc import Iterator
from typing import Any

from spacy_domain_ner.corpus.jsonl import shown
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.relations import held_by
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of
from spacy_domain_ner.reading.records import RefusedError

_SPAN_KEYS = ("label", "labels", "entities", "annotations", "column_label")
_TEXT_KEYS = ("text", "data", "column_data", "content", "sentence")
_OTHER_KEYS = ("id", "relations", "Comments", "comments", "annotation_approver", "username")


def is_row(record: Any) -> bool:
    """Whether a JSON value is a row with spans as doccano writes them; a row with an empty list of labels is, too."""
    if not isinstance(record, dict):
        return False
    return any(_is_spans(record[key]) for key in _SPAN_KEYS if key in record) or any(
        _is_spans(value) and value for value in record.values()
    )


def read_row(row: Any, text_key: str | None = None) -> Iterator[Version]:
    """Read a row.

    Args:
        row: The row.
        text_key: The column of the text, None to find it.

    Yields:
        Its version, or those of several annotators.

    Raises:
        RefusedError: The row has no text, or no list of spans.
    """
    if not isinstance(row, dict):
        raise RefusedError("a row must be an object")
    found = [key for key in (*_SPAN_KEYS, *row) if key in row and _is_spans(row[key])]
    if not found:
        broken = next((key for key in _SPAN_KEYS if key in row), None)
        if broken is not None and isinstance(row[broken], list) and all(isinstance(x, str) for x in row[broken]):
            raise RefusedError(f"{broken!r} has labels of the whole text, not of spans in it")
        raise RefusedError("the row has no spans" if broken is None else f"{broken!r} is not a list of spans")
    # A list with something in it says more than an empty one.
    spans_key = next((key for key in found if row[key]), found[0])
    key = text_key or next((key for key in _TEXT_KEYS if isinstance(row.get(key), str)), None)
    if key is None:
        strings = [name for name, value in row.items() if isinstance(value, str)]
        key = max(strings, key=lambda name: len(row[name])) if strings else "text"
    text = row.get(key)
    if not isinstance(text, str):
        raise RefusedError(f"no text under {key!r} (there are: {', '.join(map(str, row))})")
    left_out = {key, spans_key, "meta", *_OTHER_KEYS, *(name for name in found if not row[name])}
    meta = {name: value for name, value in row.items() if name not in left_out}
    meta |= row["meta"] if isinstance(row.get("meta"), dict) else {}

    versions: dict[str, Version] = {}

    def version_of(annotator: str) -> Version:
        if annotator not in versions:
            versions[annotator] = Version(text, id=name_of(row.get("id")), annotator=annotator, meta=dict(meta))
        return versions[annotator]

    for item in row[spans_key]:
        if isinstance(item, dict):
            start = item.get("start_offset", item.get("start"))
            end = item.get("end_offset", item.get("end"))
            # Early versions gave the names of labels beside their numbers.
            label = item.get("label_name") or item.get("label", item.get("type"))
            version = version_of(name_of(item.get("user_name") or item.get("user")))
            version.add_span(start, end, label, item.get("text"), id=name_of(item.get("id")))
        elif isinstance(item, list):
            version_of("").add_span(*(*item, None, None, None)[:3])
        else:
            version_of("").refused.append(("", f"this is not [start, end, label]: {shown(item)}"))
    if isinstance(relations := row.get("relations"), list) and versions:
        for version in versions.values():
            version.relations = []
        for item in relations:
            _add_relation(item, list(versions.values()))
    if not versions:
        # The export of one person also has the rows that the person never opened.
        version_of("").status = Status.UNCONFIRMED
    yield from versions.values()


def row_to_label(passage: Passage, with_relations: bool = False) -> dict[str, Any]:
    """Make a row to upload (file format JSONL, column of the text `text`, of the labels `label`).

    Args:
        passage: The passage.
        with_relations: Whether the row is for a project with relations, which takes another form.
    """
    row: dict[str, Any] = {"text": passage.text}
    if with_relations:
        numbers = {span: number for number, span in enumerate(passage.spans)}
        row["entities"] = [
            {"id": number, "start_offset": span.start, "end_offset": span.end, "label": span.label}
            for span, number in numbers.items()
        ]
        row["relations"] = [
            {"id": number, "from_id": numbers[one.head], "to_id": numbers[one.tail], "type": one.type}
            for number, one in enumerate(held_by(passage.relations or (), numbers)[0])
        ]
    else:
        row["label"] = [[span.start, span.end, span.label] for span in passage.spans]
    return {**row, "meta": passage.meta} if passage.meta else row


def _add_relation(item: Any, versions: list[Version]) -> None:
    """Add a relation to the version that has its ends: it does not say who made it."""
    if not isinstance(item, dict):
        versions[0].refused_relations.append((shown(item), "this is not a relation as doccano writes it"))
        return
    head, tail = name_of(item.get("from_id")), name_of(item.get("to_id"))
    whose = (one for one in versions if head in {*one.lost, *(span.id for span in one.spans)})
    next(whose, versions[0]).add_relation(item.get("type", item.get("label")), head, tail)


def _is_spans(value: Any) -> bool:
    def is_span(item: Any) -> bool:
        if isinstance(item, dict):
            return ("start_offset" in item and "end_offset" in item) or {"start", "end", "label"} <= set(item)
        if not (isinstance(item, list) and len(item) >= 2 and all(isinstance(x, (int, float)) for x in item[:2])):
            return False
        # After the label, some tools that took over this form have a number and a colour.
        return len(item) <= 4 or isinstance(item[2], str)

    # One good span is enough: a broken one among others is refused alone.
    return isinstance(value, list) and (not value or any(is_span(item) for item in value))
