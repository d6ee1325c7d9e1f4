"""Passages to a Label Studio project, and what was annotated there back."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.import_report import ImportReport
from spacy_domain_ner.exchange.importing import import_annotations, schema_of
from spacy_domain_ner.exchange.interfaces import label_studio_interface
from spacy_domain_ner.exchange.label_studio.connection import TIMEOUT_SECONDS
from spacy_domain_ner.exchange.label_studio.controls import for_control, is_region, label_control
from spacy_domain_ner.exchange.label_studio.server import (
    Imported,
    LabelStudioServer,
    Project,
)
from spacy_domain_ner.exchange.policies import Policies
from spacy_domain_ner.exchange.tasks import model_of, read_known_names, read_to_label, tasks_to_label
from spacy_domain_ner.exchange.tools import Tool
from spacy_domain_ner.relation_types import RelationTypes, relation_types_of
from spacy_domain_ner.schema import EntitySchema

if TYPE_CHECKING:
    from spacy.language import Language


@dataclass
class Pushed:
    """What a push did.

    Attributes:
        created: How many tasks are new.
        skipped: How many passages the project had already.
        address: Where a browser shows the project.
        warnings: What the user should know, each a sentence.
    """

    created: int
    skipped: int
    address: str
    warnings: list[str] = field(default_factory=list)


def push_tasks(
    passages: str | Path,
    url: str,
    token: str,
    project: str,
    schema: EntitySchema | str | Path = "entity_types.yml",
    *,
    model: "str | Path | Language | None" = None,
    patterns: Iterable[str | Path] = (),
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str = "text",
    again: bool = False,
    timeout: float = TIMEOUT_SECONDS,
    progress: Callable[[float], None] | None = None,
) -> Pushed:
    """Make a task of each passage in a Label Studio project.

    Passages that the project has already (same text, same source) are left out: an interrupted push can be repeated.

    Args:
        passages: A file, folder or zip archive of passages, as for `export_tasks`.
        url: The server's address, such as http://localhost:8080.
        token: A personal access token or a legacy token.
        project: The project's number or title. Where no project has the title, one is made from the entity types.
        schema: The entity types or the file that has them.
        model: A trained model, or its folder or package, whose predictions annotators correct.
        patterns: Files of names and patterns that are filled in, as for `export_tasks`.
        file_format: As for `export_tasks`.
        encoding: As for `export_tasks`.
        text_key: As for `export_tasks`.
        again: Whether to create the tasks that the project has already, too.
        timeout: How many seconds to wait for the server in all; what else takes time does not count.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        How many tasks were created, and what the user should know.

    Raises:
        UserError: If an input can't be read or the server refuses something. It says how many tasks were created.
    """
    entity_types = schema_of(schema)
    assert entity_types is not None
    whose = "the schema" if isinstance(schema, EntitySchema) else str(schema)
    known = read_known_names(patterns, entity_types, None)
    read = read_to_label(passages, file_format=file_format, encoding=encoding, text_key=text_key)
    if not read.passages:
        raise UserError(f"{passages} has no passage to label", "Each line is a JSON object with a `text`.")
    nlp = model_of(model)
    warnings = [str(refusal) for refusal in read.refusals if not refusal.skipped]
    unknown: Counter[str] = Counter()

    def tell(done: Imported) -> None:
        if progress is not None:
            progress((done.created + done.skipped) / len(read.passages))

    with LabelStudioServer(url, token, timeout=timeout) as server:
        found = server.find_project(project) or _make_project(server, project, label_studio_interface(entity_types))
        control = label_control(found, entity_types.labels)
        if control.further_labels:
            labels = ", ".join(control.further_labels)
            warnings.append(f"The project {found.title!r} has labels that {whose} does not have: {labels}")
        tasks = tasks_to_label(read.passages, Tool.label_studio, nlp, known)
        counted = _counting_unknown(tasks, set(entity_types.labels), unknown)
        done = server.import_tasks(found, for_control(counted, control), again, tell)
        for label, number in unknown.items():
            warnings.append(f"{number} span(s) in the tasks have the label {label}, which {whose} does not have")
        return Pushed(done.created, done.skipped, server.address_of(found), warnings)


def pull_annotations(
    output: str | Path,
    url: str,
    token: str,
    project: str,
    policies: Policies = Policies(),
    *,
    schema: EntitySchema | str | Path | None = None,
    relation_types: RelationTypes | str | Path | None = None,
    all_tasks: bool = False,
    export: str | Path | None = None,
    text_key: str | None = None,
    texts: str | Path | None = None,
    report: str | Path | None = None,
    strict: bool = False,
    timeout: float = TIMEOUT_SECONDS,
    downloaded: Callable[[int], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> ImportReport:
    """Fetch what was annotated in a Label Studio project, and import it as `import_annotations` does.

    Args:
        output: The annotation file to add to.
        url: The server's address, such as http://localhost:8080.
        token: A personal access token or a legacy token.
        project: The project's number or title.
        policies: How to decide where the export leaves a choice. Predictions can't be imported: the export has only
            their numbers.
        schema: The entity types or the file that has them; None takes every label.
        relation_types: As for `import_annotations`.
        all_tasks: Whether to fetch the tasks that nobody has annotated, too.
        export: Where to keep Label Studio's own export; None keeps it beside the output, as OUTPUT.label-studio.json.
        text_key: As for `import_annotations`.
        texts: As for `import_annotations`.
        report: A JSON file to write with everything that was changed, refused or left out; None writes none.
        strict: Whether anything refused is an error.
        timeout: How many seconds to wait for the server in all.
        downloaded: Called with the number of bytes of each piece of the export.
        progress: Called with the share of the import that is done, from 0 to 1.

    Returns:
        The counts of the import, and the first entries of each kind.

    Raises:
        UserError: If the server refuses something, nothing is annotated yet or, with `strict`, something is refused.
    """
    # What is wrong with the entity types is said before anything is fetched.
    entity_types = schema_of(schema)
    related = relation_types_of(relation_types, entity_types)
    path = Path(output).with_suffix(".label-studio.json") if export is None else Path(export)
    with LabelStudioServer(url, token, timeout=timeout) as server:
        found = server.existing_project(project)
        if not (found.tasks if all_tasks else found.annotated_tasks):
            what = "has no task" if all_tasks else "has no annotated task yet"
            raise UserError(f"The project {found.title!r} {what}", f"Annotate some at {server.address_of(found)}")
        server.download_export(found, path, all_tasks, downloaded or (lambda _: None))
    return import_annotations(
        [path], output, policies, schema=entity_types, relation_types=related, file_format="label-studio",
        text_key=text_key, texts=texts,
        report=report, strict=strict, progress=progress,
    )  # fmt: skip


def _make_project(server: LabelStudioServer, title: str, interface: str) -> Project:
    if title.strip().isdecimal():
        # A number that no project has is a mistake, not the title of a new project.
        return server.existing_project(title)
    return server.create_project(title, interface)


def _counting_unknown(
    tasks: Iterable[dict[str, Any]], labels: set[str], unknown: Counter[str]
) -> Iterator[dict[str, Any]]:
    """Pass tasks through, and count their labels that are not among the known ones."""
    for task in tasks:
        for prediction in task.get("predictions", []):
            for result in filter(is_region, prediction["result"]):
                unknown.update(label for label in result["value"]["labels"] if label not in labels)
        yield task
