"""Label Studio: writing tasks, and reading its exports (JSON, snapshots, single tasks, predictions, JSON_MIN, CSV).

Offsets are code points, `end` exclusive. `value.text` is only compared with the text: the interface escapes characters
and folds white space in it.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from spacy_domain_ner.corpus.jsonl import RefusedError
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of

# The names of the controls in the interface that this package writes; an interface of the user's own may have others.
CONTROL, OBJECT = "label", "text"
_ADDRESS = re.compile(r"(https?|s3|gs|azure-blob)://\S+|/data/\S+")
_MEDIA = re.compile(r"(rectangle|polygon|ellipse|brush|bitmask|keypoint|vector|video|time(series|line))\w*")
# Keys of every result about an image, a video or a sound, whatever its type.
_MEDIA_KEYS = ("original_width", "original_length")
_MIN_KEYS = ("annotation_id", "annotator", "lead_time")
_TIMES = ("updated_at", "created_at")


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


def read_task(task: Any, text_key: str | None = None) -> Iterator[Version]:
    """Read a task.

    Args:
        task: The task.
        text_key: The key of the text in `data`, None to find it.

    Yields:
        Every annotator's version; if there is none, the latest prediction; if there is none either, the task as not
        annotated.

    Raises:
        RefusedError: There is no text.
    """
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise RefusedError("a task must be an object with 'data'")
    data = task["data"]
    annotations = [item for item in _list(task, "annotations", "completions") if isinstance(item, dict)]
    # In an export of single annotations, the task itself is the annotation.
    if not annotations and isinstance(task.get("result"), list):
        annotations = [task]
    predictions = [item for item in _list(task, "predictions") if isinstance(item, dict)]
    regions = [region for item in annotations + predictions for region in _results(item)]
    media = [str(region.get("type") or "region") for region in regions if _is_media(region)]
    if media and not any(_is_span(region) for region in regions):
        raise RefusedError(f"an image, a video or a sound is annotated, not a text ({', '.join(sorted(set(media)))})")
    text, key = find_text(data, text_key, [region.get("value") for region in regions])
    rendered = None
    if any("globalOffsets" in _value(region) for region in regions):
        rendered = text = _rendered(text)
    meta = {name: value for name, value in data.items() if name not in (key, "meta")}
    meta |= data["meta"] if isinstance(data.get("meta"), dict) else {}
    task_id = name_of(task.get("id"))

    def version(item: dict, status: Status) -> Version:
        made = Version(text, id=task_id, status=status, meta=dict(meta))
        made.annotator = name_of(item.get("completed_by"))
        made.made = _time(item)
        made.ground_truth = item.get("ground_truth") is True
        _add_regions(made, _results(item), rendered is not None)
        return made

    for item in annotations:
        skipped = item.get("was_cancelled") is True or item.get("skipped") is True
        yield version(item, Status.SKIPPED if skipped else Status.COMPLETE)
    if not annotations and predictions:
        latest = max(predictions, key=_time) if all(map(_time, predictions)) else predictions[-1]
        yield version(latest, Status.PREDICTED)
    elif not annotations:
        yield Version(text, id=task_id, status=Status.UNANNOTATED, meta=meta)


def read_min_row(row: Any, text_key: str | None = None) -> Iterator[Version]:
    """Read a row of JSON_MIN: one annotation, with its spans under the name of the control.

    Args:
        row: The row.
        text_key: The key of the text, None to find it.

    Yields:
        Its version.

    Raises:
        RefusedError: There is no text.
    """
    if not isinstance(row, dict):
        raise RefusedError("a row must be an object")
    lists = {key: value for key, value in row.items() if _is_region(value)}
    if not lists and any(_is_media(item) for value in row.values() for item in _dicts(value)):
        raise RefusedError("an image, a video or a sound is annotated, not a text")
    # Choices about single regions are in lists like those of spans.
    not_own = {*lists, "annotator", "id", *_TIMES, *_MIN_KEYS}
    own = {key: value for key, value in row.items() if key not in not_own and not _are_regions(value)}
    text, key = find_text(own, text_key, [region for value in lists.values() for region in value])
    meta = {name: value for name, value in own.items() if name not in (key, "meta")}
    meta |= own["meta"] if isinstance(own.get("meta"), dict) else {}
    version = Version(text, id=name_of(row.get("id")), annotator=name_of(row.get("annotator")), meta=meta)
    version.made = _time(row)
    if row.get("annotation_id") is None and not lists and any(name in row for name in _MIN_KEYS):
        # The export of all tasks has a row for each task that nobody has annotated.
        version.status = Status.UNANNOTATED
    for regions in lists.values():
        for region in regions:
            _add_value(version, region, "labels", False)
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


def find_text(data: dict[str, Any], text_key: str | None, values: list[Any]) -> tuple[str, str]:
    """Find the text among a task's data.

    Args:
        data: The task's data.
        text_key: The text's key. None finds it: the string in which the spans' texts occur, else `text`, else the
            longest string.
        values: The results' values, with the `text` that they give.

    Returns:
        The text and its key.

    Raises:
        RefusedError: There is none.
    """
    claims = {v["text"] for v in values if isinstance(v, dict) and isinstance(v.get("text"), str) and v["text"]}
    if text_key is not None:
        if not isinstance(data.get(text_key), str):
            raise RefusedError(f"no text under {text_key!r} (there are: {', '.join(map(str, data))})")
        key = text_key
    else:
        texts = {name: value for name, value in data.items() if isinstance(value, str) and value.strip()}
        texts = {name: value for name, value in texts.items() if not _ADDRESS.fullmatch(value.strip())} or texts
        if not texts:
            raise RefusedError(f"no text in the record (its keys: {', '.join(map(str, data)) or 'none'})")
        key = max(texts, key=lambda name: (sum(c in texts[name] for c in claims), name == "text", len(texts[name])))
    text = str(data[key])
    # A passage may be nothing but an address: then its spans' texts occur in it.
    if _ADDRESS.fullmatch(text.strip()) and not any(claim in text for claim in claims):
        raise RefusedError(f"the export has only the address of the text ({text.strip()}): export the text itself")
    return text, key


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
    if not result and scores is None:
        return task
    prediction: dict[str, Any] = {"model_version": model_version, "result": result}
    if scores is not None:
        prediction["score"] = min((score for score in scores if score is not None), default=1.0)
    task["predictions"] = [prediction]
    return task


def _add_regions(version: Version, results: list[dict], rendered: bool) -> None:
    ignored: Counter[str] = Counter()
    for result in results:
        value = _value(result)
        kind = str(result.get("type") or "result")
        if _is_span(result):
            _add_value(version, value, kind, rendered)
        else:
            ignored[kind] += 1
    version.ignored = dict(ignored)


def _is_span(result: dict) -> bool:
    value, kind = _value(result), str(result.get("type") or "result")
    if _is_media(result):
        return False
    # Choices, ratings and notes about a region repeat its offsets.
    return ("start" in value or "end" in value) and ("labels" in value or kind.endswith("labels") or kind == "result")


def _is_media(result: dict) -> bool:
    return any(key in result for key in _MEDIA_KEYS) or bool(_MEDIA.fullmatch(str(result.get("type"))))


def _add_value(version: Version, value: dict, kind: str, rendered: bool) -> None:
    start, end = value.get("start"), value.get("end")
    claim = value.get("text")
    if rendered and isinstance(value.get("globalOffsets"), dict):
        start, end = value["globalOffsets"].get("start"), value["globalOffsets"].get("end")
    elif isinstance(start, str) and isinstance(end, str):
        if kind == "paragraphlabels" or not (start.isdecimal() and end.isdecimal()):
            version.refused.append((claim or "", f"{kind}: the offsets are places in a document, not in a text"))
            return
        start, end = int(start), int(end)
    labels = value.get("labels") or value.get(kind)
    labels = labels if isinstance(labels, list) else [labels]
    # A region with several labels is as many spans.
    for label in labels or [None]:
        version.add_span(start, end, label, claim)


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


class _Text(HTMLParser):
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
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)
