"""domain-ner label-studio push, domain-ner label-studio predict, domain-ner label-studio pull"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb, verb_group
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import ENCODING, FILE_FORMAT, MODEL_BEST, NEXT, TEXT_KEY
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.policies import Policies

label_studio = verb_group("label-studio", "Send passages to a Label Studio server, and fetch what was annotated there.")

_URL = typer.Option(..., "--url", envvar="LABEL_STUDIO_URL", help="The server's address, such as http://localhost:8080")
_TOKEN = typer.Option(
    ..., "--token", envvar="LABEL_STUDIO_TOKEN",
    help="Personal access token or legacy token; in the variable, other users of the machine don't see it",
)  # fmt: skip
_PROJECT = typer.Option(..., "--project", "-p", help="The project's number or title")
_TIMEOUT = typer.Option(3600.0, help="Seconds to wait for the server in all")


@verb("push", label_studio)
def push_cli(
    passages: Path = typer.Argument(
        None, help="JSON, text with one passage per line, HTML, CSV, TSV, Parquet, a folder or zip archive of them"
    ),
    url: str = _URL,
    token: str = _TOKEN,
    project: str = _PROJECT,
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    model: str = typer.Option(None, "--model", "-m", help="Trained model whose predictions annotators correct"),
    patterns: list[str] = typer.Option(
        [], help="Fill in names that are known already, as with `domain-ner export` (may be repeated)"
    ),
    file_format: str = typer.Option(None, "--format", help=FILE_FORMAT),
    encoding: str = typer.Option("utf-8", help=ENCODING),
    text_key: str = typer.Option("text", help=TEXT_KEY),
    selected: bool = typer.Option(
        False, "--selected", help=f"Push what `select` has chosen: {NEXT}, with the model {MODEL_BEST}"
    ),
    again: bool = typer.Option(False, "--again", help="Also create the tasks that the project has already"),
    timeout: float = _TIMEOUT,
) -> None:
    """Make a task of each passage, in an existing project or in one made from the entity types.

    Passages that the project has already (same text, same source) are left out: an interrupted push can be repeated.
    """
    if selected == (passages is not None):
        raise UserError("Name either a file of passages or --selected", "`domain-ner select` chooses passages.")
    if selected:
        passages = NEXT
        if MODEL_BEST.is_dir():
            model = model or str(MODEL_BEST)
    with progress_bar("Creating tasks") as progress:
        pushed = ner.push_tasks(
            passages, url, token, project, schema, model=model, patterns=patterns, file_format=file_format,
            encoding=encoding, text_key=text_key, again=again, timeout=timeout, progress=progress,
        )  # fmt: skip
    for warning in pushed.warnings:
        msg.warn(warning)
    skipped = f", {pushed.skipped} left out that were there already" if pushed.skipped else ""
    msg.good(f"{pushed.created} task(s) created{skipped}: {pushed.address}")


@verb("predict", label_studio)
def predict_cli(
    url: str = _URL,
    token: str = _TOKEN,
    project: str = _PROJECT,
    model: str = typer.Option(..., "--model", "-m", help="Trained model: a folder or an installed package"),
    max_characters: int = typer.Option(100_000, help="Characters of a text; a longer one gets an empty prediction"),
    timeout: float = _TIMEOUT,
) -> None:
    """Give each task of a project a prediction of a model, with scores by which Label Studio can order them.

    Tasks that have one of this model already are left out: an interrupted run can be repeated.
    """
    with progress_bar("Predicting") as progress:
        done = ner.predict_tasks(
            model, url, token, project, max_characters=max_characters, timeout=timeout, progress=progress
        )
    for warning in done.warnings:
        msg.warn(warning)
    if done.empty:
        named = "; ".join(f"task {number}: {why}" for number, why in done.empty[:3])
        more = f"; and {len(done.empty) - 3} more" if len(done.empty) > 3 else ""
        msg.warn(f"{len(done.empty)} task(s) got an empty prediction: {named}{more}")
    skipped = f", {done.skipped} task(s) left out that had one already" if done.skipped else ""
    msg.good(f"{done.created} prediction(s) created{skipped}: {done.address}")
    msg.plain(
        f"To label the least sure tasks first: choose {done.model_version} under Settings, Annotation, Live "
        "Predictions, and Uncertainty sampling under Settings, General."
    )


@verb("pull", label_studio)
@importing.takes_policies("predictions", "offset_unit")
def pull_cli(
    output: Path = typer.Argument(..., help="Annotation file to add to, such as assets/annotations.jsonl"),
    url: str = _URL,
    token: str = _TOKEN,
    project: str = _PROJECT,
    schema: Path = importing.SCHEMA,
    relation_types: Path = importing.RELATION_TYPES,
    all_tasks: bool = typer.Option(False, "--all", help="Also fetch the tasks that nobody has annotated"),
    export: Path = typer.Option(
        None, help="Keep Label Studio's own export here", show_default="OUTPUT with the ending .label-studio.json"
    ),
    policies: Policies = Policies(),
    text_key: str = importing.TEXT_KEY,
    texts: Path = importing.TEXTS,
    report: Path = importing.REPORT,
    strict: bool = importing.STRICT,
    timeout: float = _TIMEOUT,
) -> None:
    """Fetch what was annotated in a project, and import it as `domain-ner import` does.

    Passages that the annotation file has stay; one with the same text and source gets the new annotation.
    """
    report = report or importing.default_report(output)
    export = export or output.with_suffix(".label-studio.json")
    fetched = 0
    with progress_bar("Fetching the export") as progress:

        def downloaded(size: int) -> None:
            nonlocal fetched
            fetched += size
            progress(0, f"Fetching the export: {fetched:,} bytes")

        result = ner.pull_annotations(
            output, url, token, project, policies, schema=importing.default_schema(schema),
            relation_types=importing.default_relation_types(relation_types), all_tasks=all_tasks,
            export=export, text_key=text_key, texts=texts, report=report, strict=strict, timeout=timeout,
            downloaded=downloaded, progress=lambda share: progress(share, "Importing"),
        )  # fmt: skip
    importing.print_report(result, policies, output, report, [export])
