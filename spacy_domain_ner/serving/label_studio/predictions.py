"""Predictions in the form in which Label Studio keeps them: one per task, whatever is wrong with the task."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from spacy_domain_ner.confidence.learning import expected_errors, sureness
from spacy_domain_ner.exchange.label_studio.label_config import SpanControl
from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.schema import occurrences
from spacy_domain_ner.serving.model import KnownModel


@dataclass(frozen=True)
class ReadTask:
    """A task whose text was looked for.

    Attributes:
        text: Its text; "" where it has none that can be read.
        problem: Why it has none; "" where it has.
    """

    text: str
    problem: str = ""


def read_task(task: Any, control: SpanControl, max_characters: int) -> ReadTask:
    """Find the text of a task.

    Args:
        task: The task, as Label Studio sends it.
        control: The control that is meant.
        max_characters: The most characters that are read, in code points.
    """
    try:
        text = control.text_of(task)
    except RefusedError as error:
        return ReadTask("", error.reason)
    if len(text) > max_characters:
        return ReadTask("", f"{len(text)} characters, and a text may have {max_characters}")
    return ReadTask(text)


def prediction(
    task: ReadTask,
    entities: Sequence[Entity],
    expected: Mapping[str, float] | None,
    control: SpanControl,
    model_version: str,
) -> dict[str, Any]:
    """Make the prediction for a task.

    Args:
        task: The task.
        entities: What the model found in its text.
        expected: How many entities of each type it expects there; None where it does not know.
        control: The control that is meant.
        model_version: Which model it was.

    Returns:
        `result` with a region per entity, `score` and `model_version`; `error` where the task has no text. The lower
        the score, the more there is to be learned from the task; it is null where the model has no confidence, and 1
        where nothing could be read.
    """
    if task.problem:
        return {"model_version": model_version, "score": 1.0, "result": [], "error": task.problem}
    # Scores, too, are about what people can mark.
    kept = [entity for entity in entities if entity.type in control.labels]
    regions = [
        _region(task.text, entity.start, entity.end, control.labels[entity.type], control, entity.confidence)
        for entity in kept
    ]
    return {"model_version": model_version, "score": _score(task.text, kept, expected, control), "result": regions}


def proposals(task: Any, text: str, context: Any, control: SpanControl) -> list[dict[str, Any]] | None:
    """Propose what a person has just marked wherever the same form stands in the text.

    Args:
        task: The task; where it has a region already, nothing is proposed.
        text: Its text.
        context: What Label Studio sends with the request: the regions of the annotation that have the label that was
            just marked, in `result`, also those that a model had proposed. What no draft has yet was just marked.
        control: The control that is meant.

    Returns:
        The regions; None where there is no region.
    """
    there = list(_spans(context, control))
    if not there:
        return None
    drafted = list(_spans_in(task, "drafts", control))
    marked = [span for span in there if not span.is_predicted]
    just_marked = [span for span in marked if span not in drafted]
    # Regions with other labels are in the latest draft; before there is one, the annotation has what was predicted.
    labels = {span.label for span in there}
    others = drafted or [span for span in _spans_in(task, "predictions", control) if span.label not in labels]
    taken = [(span.start, span.end) for span in there + others]
    found: list[dict[str, Any]] = []
    for start, end, label, _ in just_marked or marked:
        form = text[start:end]
        if not form.strip():
            continue
        for place in occurrences(form, text):
            if all(place + len(form) <= first or last <= place for first, last in taken):
                taken.append((place, place + len(form)))
                found.append(_region(text, place, place + len(form), label, control, None))
    return found


def version_of(model: KnownModel) -> str:
    """Give the name under which Label Studio keeps a model's predictions: two trainings have two."""
    return "{name}-{version}-{digest}".format(**model.identity)


def _score(
    text: str, entities: Iterable[Entity], expected: Mapping[str, float] | None, control: SpanControl
) -> float | None:
    confidences = [(entity.type, entity.confidence) for entity in entities if entity.confidence is not None]
    if expected is None and not confidences:
        return None
    known = {label: count for label, count in (expected or {}).items() if label in control.labels}
    return round(sureness(expected_errors(confidences, known), len(text.split())), 6)


def _region(
    text: str, start: int, end: int, label: str, control: SpanControl, confidence: float | None
) -> dict[str, Any]:
    # An annotation has no two regions with one id: those of suggestions join those that are there.
    name = f"{control.name} {start} {end} {label}"
    region: dict[str, Any] = {
        "id": hashlib.blake2b(name.encode("utf8", "replace"), digest_size=5).hexdigest(),
        "from_name": control.name,
        "to_name": control.to_name,
        "type": "labels",
        # Label Studio counts code points, as Python does.
        "value": {"start": start, "end": end, "text": text[start:end], "labels": [label]},
    }
    if confidence is not None:
        region["score"] = round(confidence, 4)
    return region


class _Span(NamedTuple):
    start: int
    end: int
    label: str
    # Whether a model has proposed it, and nobody has changed it.
    is_predicted: bool


def _spans_in(task: Any, key: str, control: SpanControl) -> Iterable[_Span]:
    items = task.get(key) if isinstance(task, dict) else None
    return (span for item in (items if isinstance(items, list) else ()) for span in _spans(item, control))


def _spans(item: Any, control: SpanControl) -> Iterable[_Span]:
    """The spans of an annotation, a draft or a context that are on the control's text, with a label that it has."""
    results = item.get("result") if isinstance(item, dict) else None
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, dict) else None
        if not isinstance(value, dict) or result.get("to_name", control.to_name) != control.to_name:
            continue
        start, end, labels = value.get("start"), value.get("end"), value.get("labels")
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end):
            continue
        if isinstance(labels, list) and labels and isinstance(labels[0], str):
            yield _Span(start, end, labels[0], result.get("origin") == "prediction")
