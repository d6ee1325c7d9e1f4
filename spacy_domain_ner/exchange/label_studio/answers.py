"""The forms of Label Studio's answers, as far as they are read. An answer of another form is an error that says so."""

from typing import Any, TypeVar

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from spacy_domain_ner.exchange.label_studio.failures import Failures


class ProjectAnswer(BaseModel):
    """A project."""

    id: NonNegativeInt
    title: str | None
    label_config: str | None = None
    parsed_label_config: dict[str, "Control"] | None = None
    task_number: int | None = None
    num_tasks_with_annotations: int | None = None
    skipped_annotations_number: int | None = None


class Control(BaseModel):
    """A control of a project's labelling interface, as the server has parsed it.

    Attributes:
        type: Its tag, such as Labels.
        to_name: The names of what it labels.
        inputs: What it labels.
        labels: Its labels.
        dynamic_labels: Whether its labels come with each task.
    """

    type: str = ""
    to_name: list[str] = []
    inputs: list["Shown"] = []
    labels: list[str] = []
    dynamic_labels: bool | None = False


class Shown(BaseModel):
    """What a control labels: its tag, such as Text, and the key of the task's data that it shows."""

    type: str = ""
    value: str | None = None


class ProjectRow(BaseModel):
    """A project in a list of them."""

    id: NonNegativeInt
    title: str | None = None


class ProjectsPage(BaseModel):
    """A page of the list of projects; the address of the next one is not followed, so that a token goes nowhere."""

    results: list[ProjectRow]
    next: Any


class TaskRow(BaseModel):
    """A task in a list of them.

    Attributes:
        id: Its number.
        data: Its data.
        predictions_model_versions: Which models' predictions it has, joined by commas; None where that was not asked.
    """

    id: NonNegativeInt
    data: dict[str, Any]
    predictions_model_versions: str | None = None


class TasksPage(BaseModel):
    """A page of a project's tasks, and how many the project has."""

    tasks: list[TaskRow]
    total: int


class Job(BaseModel):
    """Work that the server has begun: the making of a snapshot."""

    id: NonNegativeInt
    status: str
    title: str | None = None


class ImportJob(BaseModel):
    """An import of tasks that continues after the answer."""

    status: str
    error: Any = None


class ImportBegun(BaseModel):
    """The number of an import that continues after the answer, by which it is asked for."""

    number: NonNegativeInt = Field(alias="import")


class PredictionsCreated(BaseModel):
    """How many predictions an import has created."""

    created: NonNegativeInt


class ImportDone(BaseModel):
    """How many tasks an import has created."""

    task_count: NonNegativeInt


Form = TypeVar("Form", bound=BaseModel)


def read(form: type[Form], answer: object, failures: Failures) -> Form:
    """Check an answer's form.

    Args:
        form: What it should be.
        answer: Its JSON.
        failures: Makes the error.

    Returns:
        What was asked for.

    Raises:
        ServerError: The answer has another form.
    """
    if not isinstance(answer, dict):
        raise failures.unknown_form(f"this is not an object: {type(answer).__name__}", answer)
    try:
        return form.model_validate(answer)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        why = f"there is no {place!r}" if first["type"] == "missing" else f"{place!r} is wrong ({first['msg']})"
        raise failures.unknown_form(why, answer) from None
