"""The control of a project's labelling interface with which its annotators mark spans."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.server import Project

_INTERFACE_HINT = (
    "`domain-ner interface label-studio --output label_studio.xml` writes the whole labelling interface: put it into "
    "the project's settings (Labeling Interface, Code), or name a new project."
)


@dataclass(frozen=True)
class LabelControl:
    """The control with which a project's annotators mark spans.

    Attributes:
        name: The `from_name` of a result.
        to_name: The `to_name` of a result.
        further_labels: The labels that the schema does not have.
    """

    name: str
    to_name: str
    further_labels: list[str]


def label_control(project: Project, labels: Iterable[str]) -> LabelControl:
    """Find the control that marks spans of the tasks' `text` with the schema's labels.

    Args:
        project: The project.
        labels: The schema's labels.

    Returns:
        The control that has most of the labels.

    Raises:
        UserError: If the project's labelling interface lacks something. It names what.
    """
    name = f"The project {project.title!r} ({project.id})"
    if not project.controls:
        raise UserError(f"{name} has no labelling interface yet", _INTERFACE_HINT)
    wanted = list(labels)
    candidates = []
    for from_name, control in project.controls.items():
        for to_name, labelled in zip(control.to_name, control.inputs, strict=False):
            if control.type == "Labels" and labelled.type == "Text":
                candidates.append((from_name, to_name, labelled.value, control))
    if not candidates:
        there = ", ".join(f"{control.type} {key!r}" for key, control in project.controls.items())
        raise UserError(f"{name} is not made to mark spans: it has no Labels on a Text, only {there}", _INTERFACE_HINT)
    with_text = [candidate for candidate in candidates if candidate[2] == "text"]
    if not with_text:
        values = ", ".join(f"${value}" for _, _, value, _ in candidates)
        raise UserError(f"{name} shows {values}, but the tasks have their text in $text", _INTERFACE_HINT)
    from_name, to_name, _, control = max(with_text, key=lambda it: len(set(wanted) & set(it[3].labels)))
    has = control.labels
    missing = [label for label in wanted if label not in has]
    # Labels that come with each task can't be checked here.
    if missing and not control.dynamic_labels:
        raise UserError(f"{name} lacks the label(s) {', '.join(missing)} of the schema", _INTERFACE_HINT)
    return LabelControl(from_name, to_name, [label for label in has if label not in wanted])


def for_control(tasks: Iterable[dict[str, Any]], control: LabelControl) -> Iterator[dict[str, Any]]:
    """Give tasks whose predictions are for a control, whatever it is called in the project.

    Args:
        tasks: The tasks.
        control: The control.
    """
    for task in tasks:
        for prediction in task.get("predictions", []):
            for result in filter(is_region, prediction["result"]):
                result["from_name"], result["to_name"] = control.name, control.to_name
        yield task


def is_region(result: dict[str, Any]) -> bool:
    """Whether a result is a span: relations have neither a control nor a value."""
    return result["type"] != "relation"
