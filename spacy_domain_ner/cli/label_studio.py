"""domain-ner label-studio push, domain-ner label-studio pull"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from spacy_domain_ner.cli import import_annotations as importing
from spacy_domain_ner.cli._app import verb, verb_group
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.account import ImportReport
from spacy_domain_ner.exchange.interfaces import Tool, label_studio_interface
from spacy_domain_ner.exchange.label_studio.server import (
    Imported,
    LabelStudioServer,
    Project,
    for_control,
    label_control,
)
from spacy_domain_ner.exchange.policies import (
    Annotators,
    GroundTruth,
    KeepOrDrop,
    Overlaps,
    Policies,
    UnknownLabels,
)  # fmt: skip
from spacy_domain_ner.exchange.tasks import read_to_label, tasks_to_label
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import read_schema

label_studio = verb_group("label-studio", "Send passages to a Label Studio server, and fetch what was annotated there.")

_URL = typer.Option(..., "--url", envvar="LABEL_STUDIO_URL", help="The server's address, as http://localhost:8080")
_TOKEN = typer.Option(
    ..., "--token", envvar="LABEL_STUDIO_TOKEN",
    help="Personal access token or legacy token; in the variable, other users of the machine don't see it",
)  # fmt: skip
_PROJECT = typer.Option(..., "--project", "-p", help="The project's number or title")


@verb("push", label_studio)
def push_cli(
    passages: Path = typer.Argument(..., help="JSON lines with a `text`, or a text file with a passage a line"),
    url: str = _URL,
    token: str = _TOKEN,
    project: str = _PROJECT,
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    model: str = typer.Option(None, "--model", "-m", help="Trained model whose predictions annotators correct"),
    again: bool = typer.Option(False, "--again", help="Create also the tasks that the project has already"),
) -> None:
    """Make a task of each passage, in a project that is there or is made from the entity types.

    Passages that the project has already (same text, same source) are left out: an interrupted push can be repeated.
    """
    pushed = push(passages, url, token, project, schema, model, again)
    for warning in pushed.warnings:
        msg.warn(warning)
    there = f", {pushed.skipped} left out that were there already" if pushed.skipped else ""
    msg.good(f"{pushed.created} task(s) created{there}: {pushed.address}")


@dataclass
class Pushed:
    """What a push has done.

    address: Where a browser shows the project.
    """

    created: int
    skipped: int
    address: str
    warnings: list[str] = field(default_factory=list)


def push(
    passages: Path,
    url: str,
    token: str,
    project: str,
    schema: Path = Path("entity_types.yml"),
    model: str | None = None,
    again: bool = False,
) -> Pushed:
    """Create tasks of a Label Studio project.

    project: Its number or title; one that is not there is made with this title.
    model: A trained model, whose predictions go along.
    again: Create also the tasks that the project has already.
    RAISES: UserError where an input can't be read or the server says no; it says how many tasks were created.
    """
    entity_schema = read_schema(schema)
    read = read_to_label(passages)
    if not read.passages:
        raise UserError(f"{passages} has no passage to label", "Each line is a JSON object with a `text`.")
    nlp = load_model(model) if model else None
    warnings = [str(refusal) for refusal in read.refusals if not refusal.skipped]
    unknown: Counter[str] = Counter()
    with LabelStudioServer(url, token) as server:
        found = server.find_project(project) or _make_project(server, project, label_studio_interface(entity_schema))
        control = label_control(found, entity_schema.labels)
        if control.further_labels:
            labels = ", ".join(control.further_labels)
            warnings.append(f"The project {found.title!r} has labels that {schema} does not know: {labels}")
        tasks = _counting(tasks_to_label(read.passages, Tool.label_studio, nlp), set(entity_schema.labels), unknown)
        with _progress("{task.completed:.0f} of {task.total:.0f} passages") as progress:
            row = progress.add_task("", total=len(read.passages))

            def report(done: Imported) -> None:
                progress.update(row, completed=done.created + done.skipped)

            done = server.import_tasks(found, for_control(tasks, control), again, report)
        for label, number in unknown.items():
            warnings.append(f"{number} span(s) in the tasks are labelled {label}, which {schema} does not know")
        return Pushed(done.created, done.skipped, server.address_of(found), warnings)


def _make_project(server: LabelStudioServer, title: str, interface: str) -> Project:
    if title.strip().isdecimal():
        # Nobody means a number as a new project's title.
        return server.existing_project(title)
    return server.create_project(title, interface)


def _counting(tasks: Iterable[dict[str, Any]], labels: set[str], unknown: Counter[str]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        for prediction in task.get("predictions", []):
            for result in prediction["result"]:
                unknown.update(label for label in result["value"]["labels"] if label not in labels)
        yield task


@verb("pull", label_studio)
def pull_cli(
    output: Path = typer.Argument(..., help="Annotation file to add them to, such as assets/annotations.jsonl"),
    url: str = _URL,
    token: str = _TOKEN,
    project: str = _PROJECT,
    schema: Path = typer.Option(None, help="The entity types  [default: entity_types.yml where there is one]"),
    all_tasks: bool = typer.Option(False, "--all", help="Fetch also the tasks that nobody has annotated"),
    export: Path = typer.Option(
        None, help="Keep Label Studio's own export here  [default: OUTPUT with the ending .label-studio.json]"
    ),
    annotators: Annotators = importing.ANNOTATORS,
    annotator: list[str] = importing.ONLY_ANNOTATOR,
    ground_truth: GroundTruth = importing.GROUND_TRUTH,
    overlaps: Overlaps = importing.OVERLAPS,
    unknown_labels: UnknownLabels = importing.UNKNOWN_LABELS,
    rename: list[str] = importing.RENAME,
    skipped: KeepOrDrop = importing.SKIPPED,
    empty: KeepOrDrop = importing.EMPTY,
    report: Path = importing.REPORT,
    strict: bool = importing.STRICT,
) -> None:
    """Fetch what was annotated in a project, and import it as `domain-ner import` does.

    Passages that the annotation file has stay; one with the same text and source gets the new annotation.
    """
    # Predictions can't be imported: Label Studio's export has no more of them than their numbers.
    policies = Policies(
        annotators, ground_truth, overlaps, unknown_labels, skipped,
        empty=empty, rename=importing.renamed(rename), only_annotators=tuple(annotator),
    )  # fmt: skip
    result = pull(output, url, token, project, schema, all_tasks, policies, export, report, strict)
    importing.print_report(result, output, report or importing.default_report(output))


def pull(
    output: Path,
    url: str,
    token: str,
    project: str,
    schema: Path | None = None,
    all_tasks: bool = False,
    policies: Policies = Policies(),
    export: Path | None = None,
    report: Path | None = None,
    strict: bool = False,
) -> ImportReport:
    """Import what was annotated in a Label Studio project.

    output: The annotation file to write; passages that it has stay, or get their new annotation.
    project: Its number or title.
    schema: The entity types; None takes those of the folder one is in, and every label where there are none.
    all_tasks: Fetch also the tasks that nobody has annotated.
    export: Where to keep Label Studio's own export; None: beside the output.
    report: Where to write the import's whole account; None: beside the output.
    RAISES: UserError where the server says no, nothing is annotated yet or, with `strict`, something is refused.
    """
    # What is wrong with the entity types is said before anything is fetched.
    importing.find_schema(schema)
    path = export or output.with_suffix(".label-studio.json")
    with LabelStudioServer(url, token) as server, _progress("{task.completed:,.0f} bytes of the export") as progress:
        found = server.existing_project(project)
        if not (found.tasks if all_tasks else found.annotated_tasks):
            what = "has no task" if all_tasks else "has no annotated task yet"
            raise UserError(f"The project {found.title!r} {what}", f"Annotate some at {server.address_of(found)}")
        row = progress.add_task("", total=None)
        server.download_export(found, path, all_tasks, lambda size: progress.advance(row, size))
    return importing.import_annotations(
        [path], output, policies, schema=schema, form="label-studio", report=report, strict=strict
    )


def _progress(text: str) -> Progress:
    """Where standard error is a terminal."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(), TextColumn(text), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
