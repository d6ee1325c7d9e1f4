"""Label Studio: writing tasks, and reading its exports (JSON, snapshots, single tasks, predictions, JSON_MIN, CSV).

Offsets are code points, `end` exclusive. `value.text` is only compared with the text: the interface escapes characters
and folds white space in it.
"""

import contextlib
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.relations import held_by
from spacy_domain_ner.exchange.formats.label_studio_suggestions import changes, suggested_to
from spacy_domain_ner.exchange.formats.label_studio_texts import (
    Roles,
    TextFolder,
    looks_like_address,
    looks_like_path,
)
from spacy_domain_ner.exchange.formats.label_studio_turns import TURNS, with_turns
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of
from spacy_domain_ner.reading.records import RefusedError

# The names of the controls in the interface that this package writes; an interface of the user's own may have others.
CONTROL, OBJECT = "label", "text"
_MEDIA = re.compile(r"(rectangle|polygon|ellipse|brush|bitmask|keypoint|vector|video|time(series|line))\w*")
# Keys of every result about an image, a video or a sound, whatever its type.
_MEDIA_KEYS = ("original_width", "original_length")
_MIN_KEYS = ("annotation_id", "annotator", "lead_time")
# What a relation calls its ends.
_ENDS = ("from_id", "to_id")
_TIMES = ("updated_at", "created_at")
# What the report calls spans of texts that were not asked for.
_OTHER_TEXT = "labels of another text"
# What a task or row has: its data, and the values of its regions by object or control.
_Parts = tuple[dict[str, Any], dict[str, list[dict]]]


def is_task(record: Any) -> bool:
    """Whether a JSON value is a task of Label Studio's JSON export."""
    return (
        isinstance(record, dict)
        and isinstance(record.get("data"), dict)
        and any(isinstance(record.get(key), list) for key in ("annotations", "completions", "predictions", "result"))
    )


def is_min_row(record: Any) -> bool:
    """Whether a JSON value is a row of a JSON_MIN export."""
    if not isinstance(record, dict):
        return False
    return any(_is_region(value) for value in record.values()) or (
        # A row without spans has no list of them at all.
        sum(key in record for key in _MIN_KEYS) >= 2
    )


def find_roles(records: Iterable[Any], are_tasks: bool, texts: TextFolder | None = None) -> Roles:
    """Learn from all records of a file which key of the data each object or control is on.

    Args:
        records: The tasks, or the rows of JSON_MIN or CSV.
        are_tasks: Whether they are tasks.
        texts: Where texts are that the records only refer to.
    """
    roles = Roles(are_objects=are_tasks)
    for record in records:
        if isinstance(record, dict) and (not are_tasks or isinstance(record.get("data"), dict)):
            record = with_turns(record) if are_tasks else record
            data, groups = _task_parts(record) if are_tasks else _row_parts(record)
            # What is refused is said when the record is read.
            with contextlib.suppress(RefusedError):
                roles.learn(groups, _strings(data, groups, texts))
    return roles


def read_task(
    task: Any, text_key: str | None = None, roles: Roles | None = None, texts: TextFolder | None = None
) -> Iterator[Version | RefusedError]:
    """Read a task. Each of its annotated texts is a passage with its own spans.

    Args:
        task: The task.
        text_key: The key of the one text in `data` to take; None takes every text that people annotate.
        roles: What the file tells of its objects; None learns it from this task alone.
        texts: Where texts are that the task only refers to.

    Yields:
        Every annotator's version of each text; if there is none, what the drafts say; if they say nothing, the latest
        prediction; if there is none either, the text as not annotated. And why a text is refused, beside others that
        are read.

    Raises:
        RefusedError: There is no text.
    """
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise RefusedError("a task must be an object with 'data'")
    task = with_turns(task)
    annotations, predictions = _annotations(task), _dicts(_list(task, "predictions"))
    regions = [region for item in annotations + predictions for region in _results(item)]
    media = [str(region.get("type") or "region") for region in regions if _is_media(region)]
    if media and not any(_is_span(region) for region in regions):
        raise RefusedError(f"an image, a video or a sound is annotated, not a text ({', '.join(sorted(set(media)))})")
    task_id = name_of(task.get("id"))
    roles = roles or find_roles([task], True, texts)
    for passage in _passages(_task_parts(task), text_key, roles, texts, task_id):
        if isinstance(passage, RefusedError):
            yield passage
            continue

        def version(item: dict, status: Status, passage: _Text = passage) -> Version:
            made = Version(passage.text, id=task_id, status=status, meta=dict(passage.meta), relations_unsaid=True)
            made.annotator = name_of(item.get("completed_by"))
            made.made = _time(item)
            made.ground_truth = item.get("ground_truth") is True
            _add_regions(made, _results(item), passage)
            return made

        for item in annotations:
            skipped = item.get("was_cancelled") is True or item.get("skipped") is True
            made = version(item, Status.SKIPPED if skipped else Status.COMPLETE)
            if skipped:
                _, removed = changes(_results(item), suggested_to(item, predictions))
                _reject(made, removed, passage)
            yield made
        drafts = [] if annotations else _drafts(task, predictions)
        for draft, removed in drafts:
            made = version(draft, Status.PARTIAL)
            _reject(made, removed, passage)
            if made.spans or made.rejected or made.refused:
                yield made
                annotations = [*annotations, draft]
        if not annotations and predictions:
            latest = max(predictions, key=_time) if all(map(_time, predictions)) else predictions[-1]
            yield version(latest, Status.PREDICTED)
        elif not annotations:
            yield Version(passage.text, id=task_id, status=Status.UNANNOTATED, meta=passage.meta)


def read_min_row(
    row: Any, text_key: str | None = None, roles: Roles | None = None, texts: TextFolder | None = None
) -> Iterator[Version | RefusedError]:
    """Read a row of JSON_MIN: one annotation, with its spans under the name of the control.

    Args:
        row: The row.
        text_key: The key of the one text to take; None takes every text that people annotate.
        roles: What the file tells of its controls; None learns it from this row alone.
        texts: Where texts are that the row only refers to.

    Yields:
        Its version of each text, and why a text is refused, beside others that are read.

    Raises:
        RefusedError: There is no text.
    """
    if not isinstance(row, dict):
        raise RefusedError("a row must be an object")
    parts = _row_parts(row)
    lists = parts[1]
    if not lists and any(_is_media(item) for value in row.values() for item in _dicts(value)):
        raise RefusedError("an image, a video or a sound is annotated, not a text")
    row_id = name_of(row.get("id"))
    roles = roles or find_roles([row], False, texts)
    for passage in _passages(parts, text_key, roles, texts, row_id):
        if isinstance(passage, RefusedError):
            yield passage
            continue
        version = Version(passage.text, id=row_id, annotator=name_of(row.get("annotator")), meta=passage.meta)
        version.made = _time(row)
        if row.get("annotation_id") is None and not lists and any(name in row for name in _MIN_KEYS):
            # The export of all tasks has a row for each task that nobody has annotated.
            version.status = Status.UNANNOTATED
        for region in (region for control in passage.groups for region in lists.get(control, [])):
            kind = "hypertextlabels" if "hypertextlabels" in region else "labels"
            _add_value(version, region, kind, passage.rendered)
        if others := sum(len(lists[control]) for control in passage.others):
            version.ignored[_OTHER_TEXT] = others
        yield version


def csv_rows(text: str) -> Iterator[dict[str, Any]]:
    """Read the rows of a CSV or TSV export.

    Args:
        text: The whole file.

    Yields:
        Each row as JSON_MIN has it.
    """
    first = text.partition("\n")[0]
    # A field may be as long as the file.
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if "\t" in first else ","):
            # A text stays a text, even if it looks like JSON.
            cells = {key: value for key, value in row.items() if key is not None and value not in (None, "")}
            yield {"annotation_id": None} | {k: v if k == "text" else _cell(v) for k, v in cells.items()}
    finally:
        csv.field_size_limit(limit)


def task_to_label(passage: Passage, *, model_version: str, scores: list[float | None] | None = None) -> dict[str, Any]:
    """Make a task to import, with the passage's spans as a prediction for people to correct.

    Args:
        passage: The passage.
        model_version: Who made the spans.
        scores: Each span's probability, None where nobody knows it, such as a rule's. The task's score is the lowest.

    Returns:
        The task. Its data has `meta`, so that an import gets it back.
    """
    task: dict[str, Any] = {"data": {"text": passage.text, **({"meta": passage.meta} if passage.meta else {})}}
    result: list[dict[str, Any]] = []
    for number, span in enumerate(passage.spans):
        region: dict[str, Any] = {
            "id": f"span{number}", "from_name": CONTROL, "to_name": OBJECT, "type": "labels",
            "value": {"start": span.start, "end": span.end, "text": passage.surface(span), "labels": [span.label]},
        }  # fmt: skip
        if scores is not None and scores[number] is not None:
            region["score"] = scores[number]
        result.append(region)
    numbers = {span: number for number, span in enumerate(passage.spans)}
    for relation in held_by(passage.relations or (), numbers)[0]:
        result.append({
            "type": "relation", "from_id": f"span{numbers[relation.head]}", "to_id": f"span{numbers[relation.tail]}",
            "direction": "right", "labels": [relation.type],
        })  # fmt: skip
    if not result and scores is None:
        return task
    prediction: dict[str, Any] = {"model_version": model_version, "result": result}
    if scores is not None:
        prediction["score"] = min((score for score in scores if score is not None), default=1.0)
    task["predictions"] = [prediction]
    return task


@dataclass
class _Text:
    """A text of a task or row: a passage.

    Attributes:
        text: The text.
        groups: The names of the objects or controls whose regions are on it.
        meta: The rest of the data.
        rendered: Whether it is what a browser shows of the HTML in the data.
        is_first: Whether it is the first text of the task. What belongs to no text is said of it.
        others: The names of the objects or controls that are on texts which were not asked for.
        unreadable: The names of the objects that are not texts.
    """

    text: str
    groups: list[str]
    meta: dict[str, Any]
    rendered: bool = False
    is_first: bool = False
    others: set[str] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)


def _passages(
    parts: _Parts, text_key: str | None, roles: Roles, folder: TextFolder | None, id: str
) -> list[_Text | RefusedError]:
    """Find the annotated texts of a task or row, each once, and why others are refused.

    Raises:
        RefusedError: None can be read.
    """
    data, groups = parts
    strings = _strings(data, groups, folder)
    if text_key is not None and text_key not in strings:
        raise RefusedError(f"no text under {text_key!r} (there are: {', '.join(map(str, data))})")
    if not strings:
        raise RefusedError(f"no text in the record (its keys: {', '.join(map(str, data)) or 'none'})")
    unreadable = {group for group in groups if roles.is_elsewhere(group, data)}
    if unreadable and unreadable == set(groups):
        raise RefusedError(f"the spans are on {', '.join(sorted(unreadable))}, which is not a text")
    on_texts = {group: values for group, values in groups.items() if group not in unreadable}
    found = roles.find_texts(on_texts, strings, text_key)
    meta = {name: value for name, value in data.items() if name not in (*found, "meta")}
    meta |= data["meta"] if isinstance(data.get("meta"), dict) else {}
    passages: dict[str, _Text] = {}
    refused: list[RefusedError] = []
    for key, names in found.items():
        text, values = strings[key], [value for name in names for value in groups.get(name, [])]
        if roles.is_reference(key, text, values):
            refused.append(_reference_refused(text.strip(), folder, id))
            continue
        rendered = any("globalOffsets" in value for value in values)
        text = _rendered(text) if rendered else text
        # Equal texts of one task are one passage.
        passages.setdefault(text, _Text(text, [], dict(meta), rendered, not passages)).groups.extend(names)
    if not passages:
        raise refused[0]
    first = next(iter(passages.values()))
    first.unreadable = unreadable
    first.others = set(on_texts) - {name for names in found.values() for name in names}
    return [*passages.values(), *refused]


def _reference_refused(address: str, folder: TextFolder | None, id: str) -> RefusedError:
    reason = f"the export has only the address of the text ({address}), and nothing is fetched"
    if folder is not None:
        return RefusedError(f"{reason}; {folder.folder} has no file of that name", id, address)
    return RefusedError(f"{reason}; `texts` names a folder that has the file", id, address)


def _strings(data: dict[str, Any], groups: dict[str, list[dict]], folder: TextFolder | None) -> dict[str, str]:
    """Give the strings of a task's data, with the texts of the folder in place of what refers to them."""
    strings = {name: value for name, value in data.items() if isinstance(value, str) and value.strip()}
    if folder is None:
        return strings
    has_prose = any(not (looks_like_address(text) or looks_like_path(text)) for text in strings.values())
    for name, value in list(strings.items()):
        # Beside a text, a path is more likely the name of its file.
        if looks_like_address(value) or (looks_like_path(value) and (name in groups or not has_prose)):
            text = folder.read(value)
            strings[name] = value if text is None or not text.strip() else text
    return strings


def _task_parts(task: dict[str, Any]) -> _Parts:
    groups: dict[str, list[dict]] = {}
    annotations = _annotations(task) or _dicts(_list(task, "drafts"))
    for item in annotations + _dicts(_list(task, "predictions")):
        for region in filter(_is_span, _results(item)):
            groups.setdefault(_object_of(region), []).append(_value(region))
    # In an annotated dialogue, the turns without a span were read, too.
    return task["data"], {**groups, **{turn: groups.get(turn, []) for turn in task.get(TURNS, ())}}


def _row_parts(row: dict[str, Any]) -> _Parts:
    lists = {key: value for key, value in row.items() if _is_region(value)}
    # Choices about single regions are in lists like those of spans.
    not_own = {*lists, "annotator", "id", *_TIMES, *_MIN_KEYS}
    return {key: value for key, value in row.items() if key not in not_own and not _are_regions(value)}, lists


def _annotations(task: dict[str, Any]) -> list[dict]:
    annotations = _dicts(_list(task, "annotations", "completions"))
    # In an export of single annotations, the task itself is the annotation.
    return [task] if not annotations and isinstance(task.get("result"), list) else annotations


def _drafts(task: dict[str, Any], predictions: list[dict]) -> list[tuple[dict, list[dict]]]:
    """The drafts of a task, each with only what somebody drew or changed, and the suggestions that are gone from it."""
    found = []
    for draft in _dicts(_list(task, "drafts")):
        if draft.get("annotation") is None:
            made, removed = changes(_results(draft), suggested_to(draft, predictions))
            found.append(
                ({**draft, "result": made, "completed_by": draft.get("user", draft.get("completed_by"))}, removed)
            )
    return found


def _reject(version: Version, removed: list[dict], passage: _Text) -> None:
    """Add the suggestions that an annotator has removed."""
    apart = Version(version.text)
    _add_regions(apart, removed, passage)
    version.rejected = apart.spans
    if apart.spans:
        version.ignored["rejected suggestion"] = len(apart.spans)


def _object_of(region: dict) -> str:
    return name_of(region.get("to_name")) or name_of(region.get("from_name"))


def _add_regions(version: Version, results: list[dict], passage: _Text) -> None:
    ignored: Counter[str] = Counter()
    groups = {name_of(result.get("id")): _object_of(result) for result in results if _is_span(result)}
    for result in results:
        value = _value(result)
        kind = str(result.get("type") or "result")
        if kind == "relation":
            ends = {groups.get(name_of(result.get(end))) for end in _ENDS}
            ignored["relation without a type"] += _add_relation(version, result, ends, passage)
        elif not _is_span(result):
            ignored[kind] += passage.is_first
        elif (group := _object_of(result)) in passage.groups:
            _add_value(version, value, kind, passage.rendered, name_of(result.get("id")))
        elif group in passage.unreadable:
            version.refused.append((str(value.get("text") or ""), f"{kind}: {group!r} is not a text"))
        elif group in passage.others:
            ignored[_OTHER_TEXT] += 1
    version.ignored = dict(+ignored)


def _add_relation(version: Version, result: dict, groups: set[str | None], passage: _Text) -> bool:
    """Add a relation to the text that has both of its ends; one that no text has is refused with the first.

    Args:
        version: The version of the text.
        result: The relation.
        groups: The objects that its ends are on; None stands for an end that is not a span.
        passage: The text.

    Returns:
        Whether it has no type, which is nothing to learn from.
    """
    on_one_other = len(groups) == 1 and not groups & {None, *passage.unreadable}
    if not groups <= set(passage.groups) and (on_one_other or not passage.is_first):
        return False
    head, tail = (result.get(end) for end in _ENDS)
    labels, direction = result.get("labels"), result.get("direction")
    labels = labels if isinstance(labels, list) else [labels]
    if not any(labels):
        return True
    for label in filter(None, labels):
        if direction != "left":
            version.add_relation(label, head, tail)
        if direction in ("left", "bi"):
            version.add_relation(label, tail, head)
    return False


def _is_span(result: dict) -> bool:
    value, kind = _value(result), str(result.get("type") or "result")
    if _is_media(result):
        return False
    # Choices, ratings and notes about a region repeat its offsets.
    return ("start" in value or "end" in value) and ("labels" in value or kind.endswith("labels") or kind == "result")


def _is_media(result: dict) -> bool:
    return any(key in result for key in _MEDIA_KEYS) or bool(_MEDIA.fullmatch(str(result.get("type"))))


def _add_value(version: Version, value: dict, kind: str, rendered: bool, id: str = "") -> None:
    start, end = value.get("start"), value.get("end")
    claim = value.get("text")
    if rendered and isinstance(value.get("globalOffsets"), dict):
        start, end = value["globalOffsets"].get("start"), value["globalOffsets"].get("end")
    elif isinstance(start, str) and isinstance(end, str):
        if kind == "paragraphlabels" and start != end:
            version.refuse(claim or "", f"{kind}: it goes over several turns of a dialogue", id)
            return
        if kind == "paragraphlabels" or not (start.isdecimal() and end.isdecimal()):
            version.refuse(claim or "", f"{kind}: the offsets are places in a document, not in a text", id)
            return
        start, end = int(start), int(end)
    labels = value.get("labels") or value.get(kind)
    labels = labels if isinstance(labels, list) else [labels]
    # A region with several labels is as many spans.
    for label in labels or [None]:
        version.add_span(start, end, label, claim, id=id)


def _results(item: dict) -> list[dict]:
    return _dicts(item.get("result"))


def _dicts(value: Any) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _time(item: dict) -> str:
    return next((item[key] for key in _TIMES if isinstance(item.get(key), str)), "")


def _value(result: dict) -> dict:
    value = result.get("value")
    return value if isinstance(value, dict) else {}


def _list(task: dict, *keys: str) -> list:
    return next((task[key] for key in keys if isinstance(task.get(key), list)), [])


def _are_regions(value: Any) -> bool:
    def is_one(item: Any) -> bool:
        return isinstance(item, dict) and "start" in item and "end" in item and "start_offset" not in item

    return isinstance(value, list) and bool(value) and all(map(is_one, value))


def _is_region(value: Any) -> bool:
    return _are_regions(value) and any("labels" in item or "hypertextlabels" in item for item in value)


def _cell(value: str) -> Any:
    if value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


class _Shown(HTMLParser):
    """The text that a browser shows, with white space as it is in the source."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._hidden += tag in ("script", "style")
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def _rendered(html: str) -> str:
    parser = _Shown()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)
