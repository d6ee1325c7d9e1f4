"""Predictions for all tasks of a Label Studio project, page by page: its own retrieval ends after 100 seconds."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.answers import TaskRow
from spacy_domain_ner.exchange.label_studio.connection import TIMEOUT_SECONDS
from spacy_domain_ner.exchange.label_studio.failures import ServerError
from spacy_domain_ner.exchange.label_studio.label_config import SpanControl, span_control
from spacy_domain_ner.exchange.label_studio.server import LabelStudioServer
from spacy_domain_ner.serving.label_studio.predictions import ReadTask, prediction, read_task, version_of
from spacy_domain_ner.serving.model import ServedModel
from spacy_domain_ner.serving.settings import Settings

if TYPE_CHECKING:
    from spacy.language import Language


@dataclass
class PredictedTasks:
    """What was done.

    Attributes:
        created: How many predictions are new.
        skipped: How many tasks had one of this model already.
        model_version: The name under which Label Studio keeps them.
        address: Where a browser shows the project.
        empty: The tasks that got an empty prediction since their text can't be read: their numbers, and why.
        warnings: What the user should know, each a sentence.
    """

    created: int
    skipped: int
    model_version: str
    address: str
    empty: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def predict_tasks(
    model: "str | Path | Language",
    url: str,
    token: str,
    project: str,
    *,
    max_characters: int = Settings.max_characters,
    timeout: float = TIMEOUT_SECONDS,
    progress: Callable[[float], None] | None = None,
) -> PredictedTasks:
    """Give each task of a Label Studio project a prediction of a model.

    Tasks that have one of this model already are left out, so an interrupted run can be repeated.

    Args:
        model: A trained model, its folder, or the name of its package.
        url: The server's address, such as http://localhost:8080.
        token: A personal access token or a legacy token.
        project: The project's number or title.
        max_characters: The most characters of a text, in code points; a longer one gets an empty prediction.
        timeout: How many seconds to wait for the server in all; the model's time does not count.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        What was done, and what the user should know.

    Raises:
        UserError: The model can't be loaded, its labels don't fit the project, or the server refuses something. It says
            how many predictions were created before that.
    """
    if max_characters < 1:
        raise UserError(f"`max_characters` is {max_characters}", "It must be 1 or more.")
    with LabelStudioServer(url, token, timeout=timeout) as server:
        found = server.existing_project(project)
        if not found.tasks:
            raise UserError(
                f"The project {found.title!r} has no tasks",
                "`domain-ner label-studio push` makes a task of each passage.",
            )
        served = ServedModel(model, Settings())
        control = span_control(found.label_config, served.known.description["types"])
        done = PredictedTasks(0, 0, version_of(served.known), server.address_of(found))
        done.warnings += [control.missing_in_words] if control.missing else []
        if not served.known.expects:
            done.warnings.append(
                "This model does not know how many entities to expect: the scores tell only how sure it is of what it "
                "found, and tasks in which it missed something come late."
            )
        try:
            for page in server.task_pages(found, "predictions_model_versions"):
                new = [task for task in page if done.model_version not in _versions(task)]
                done.skipped += len(page) - len(new)
                for created in server.create_predictions(
                    found, _predictions(new, served, control, max_characters, done)
                ):
                    done.created += created
                    if progress is not None:
                        progress(min(1.0, (done.created + done.skipped) / found.tasks))
        except ServerError as error:
            raise ServerError(
                f"{error.what}\n{done.created} prediction(s) had been created before that.",
                f"{error.hint}\nTasks that have one already are left out when the same is done again.".strip(),
                error.status,
            ) from None
    return done


def _predictions(
    tasks: Sequence[TaskRow], model: ServedModel, control: SpanControl, max_characters: int, done: PredictedTasks
) -> Iterator[dict[str, Any]]:
    read = [read_task({"data": task.data}, control, max_characters) for task in tasks]
    texts = [each.text for each in read if not each.problem]
    expects = model.known.expects
    results = iter(model.read(texts, range(len(texts)) if expects else ()))
    for task, each in zip(tasks, read, strict=True):
        entities, expected = next(results) if not each.problem else ([], {})
        if isinstance(entities, str):
            each, entities = ReadTask("", entities), []
        made = prediction(each, entities, expected if expects else None, control, done.model_version)
        if (problem := made.pop("error", None)) is not None:
            done.empty.append((task.id, problem))
        yield {"task": task.id, **made}


def _versions(task: TaskRow) -> list[str]:
    return [version.strip() for version in (task.predictions_model_versions or "").split(",")]
