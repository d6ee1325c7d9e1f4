"""domain-ner export"""

import os
import re
import shlex
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb, with_options
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import ENCODING, FILE_FORMAT, TEXT_KEY
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.exporting import Target as Form
from spacy_domain_ner.exchange.tools import Tool

if TYPE_CHECKING:
    from spacy_domain_ner.exchange.exporting import ExportedAnnotations

# How many entries of each kind are shown.
SHOWN = 20

NEXT = {
    "label-studio": "In Label Studio: Import, choose {output}.",
    "doccano": "In doccano: Dataset, Import, format JSONL, column of the text `text`, of the labels `label`.",
    "prodigy": "prodigy ner.manual {project} blank:{language} {output} --label {labels}",
    "conll": "One token and its tag (IOB2) per line, an empty line after each passage. It has no spaces of the text.",
    "huggingface": 'datasets.load_dataset("json", data_files="{output}")',
    "spacy": "python -m spacy train CONFIG --paths.train {output}",
    "brat": "Copy {output} into brat's data folder.",
}

Target = Enum("Target", {one.name: one.value for kind in (Tool, Form) for one in kind}, type=str)  # type: ignore[misc]


@verb("export")
def export_cli(
    target: Target = typer.Argument(
        ..., help="The labelling tool that gets tasks, or the form that annotations leave in"
    ),
    passages: list[Path] = typer.Argument(
        ...,
        help="JSON lines with a `text`; for a labelling tool also JSON lists, text with one passage per line, HTML, "
        "CSV, TSV, Parquet, folders, zip archives, -",
    ),
    output: Path = typer.Option(..., "--output", "-o", help="File to write; for brat a new folder"),
    model: str = typer.Option(
        None, "--model", "-m", help="Labelling tools: trained model whose spans are filled in, to be corrected"
    ),
    exclude: list[Path] = typer.Option(
        [], help="Labelling tools: leave out the passages of this annotation file (may be repeated)"
    ),
    patterns: list[str] = typer.Option(
        [],
        help="Labelling tools: fill in names that are known already: EntityRuler's JSON lines, CSV with label and "
        "name, or TYPE=FILE with a name per line (may be repeated)",
    ),
    schema: Path = importing.SCHEMA,
    config: Path = typer.Option(
        None,
        help="Training config whose tokenizer is used, where tokens are needed",
        show_default="training/config.cfg where there is one",
    ),
    file_format: str = typer.Option(None, "--format", help=f"Labelling tools: {FILE_FORMAT}"),
    encoding: str = typer.Option("utf-8", help=f"Labelling tools: {ENCODING}"),
    text_key: str = typer.Option("text", help=f"Labelling tools: {TEXT_KEY}"),
) -> None:
    """Write passages as tasks for a labelling tool, or annotations in the form of another tool.

    label-studio, doccano and prodigy get tasks, with the passages' own spans or a model's filled in.
    conll, huggingface, spacy and brat are for the annotations themselves: `domain-ner import` reads them back.
    """
    if target.value in {form.value for form in Form}:
        others = {
            "model": model, "exclude": exclude, "patterns": patterns, "file_format": file_format,
            "encoding": encoding != "utf-8", "text_key": text_key != "text",
        }  # fmt: skip
        for name in (name for name, given in others.items() if given):
            raise UserError(f"`{name}` is for labelling tools, and {target.value} is not one", "Leave it out.")
        with progress_bar("Exporting") as progress:
            written = ner.export_annotations(target.value, passages, output, config=config, progress=progress)
        _print_written(written, output, target.value)
    else:
        if config is not None and not patterns:
            raise UserError(f"`config` is not used for {target.value} without `patterns`", "Leave it out.")
        with progress_bar("Exporting") as progress:
            exported = ner.export_tasks(
                target.value, passages, output, model=model, exclude=exclude, patterns=patterns,
                schema=importing.default_schema(schema), config=config, file_format=file_format,
                encoding=encoding, text_key=text_key, progress=progress,
            )  # fmt: skip
        for refusal in exported.refusals:
            msg.warn(with_options(str(refusal)))
        if exported.relations_left_out:
            why = "their ends are not among the spans of the tasks"
            if target.value == Tool.prodigy.value:
                why = "Prodigy's relations count tokens, which a task does not have"
            msg.warn(f"{exported.relations_left_out} relation(s) are not in the tasks: {why}")
        excluded = f", {exported.left_out} left out as annotated already" if exported.left_out else ""
        msg.good(f"{exported.tasks} task(s) for {target.value} in {output}{excluded}")
        if patterns:
            names = ", ".join(f"{label} {count}" for label, count in exported.filled_in.most_common())
            msg.info(f"Filled in by the patterns, to be corrected: {names or 'nothing, they fit no passage'}")
    known = _known(schema) if target.value == Tool.prodigy.value else {}
    msg.info(NEXT[target.value].format(output=shlex.quote(str(output)), **known))
    # A push takes one input, and leaves out what the project has already.
    if target.value == Tool.label_studio.value and len(passages) == 1 and not exclude and str(passages[0]) != "-":
        given: list[tuple[str, str | None]] = [
            ("--model", model),
            *(("--patterns", one) for one in patterns),
            ("--format", file_format),
        ]
        given += [("--encoding", encoding if encoding != "utf-8" else "")]
        given += [("--text-key", text_key if text_key != "text" else "")]
        msg.info(f"Or send the passages to its server in one step: {_push(passages[0], given)}")


def _push(passages: Path, given: Iterable[tuple[str, str | None]]) -> str:
    """The command that sends the passages of an export to a server, with the options of the export."""
    options = [word for name, value in given if value for word in (name, value)]
    command = shlex.join(["domain-ner", "label-studio", "push", str(passages), *options])
    server = "" if "LABEL_STUDIO_URL" in os.environ else " --url http://localhost:8080"
    token = "" if "LABEL_STUDIO_TOKEN" in os.environ else " --token TOKEN"
    return f"{command}{server}{token} --project {_project() or 'TITLE'}"


def _project() -> str:
    """The name of the project in the present folder; "" where there is none, or no tool could take it as a title."""
    name = Path.cwd().name
    return shlex.quote(name) if Path("project.yml").is_file() and 3 <= len(name) <= 50 else ""


def _known(schema: Path | None) -> dict[str, str]:
    """What Prodigy's command needs and the project in the present folder tells."""
    path = importing.default_schema(schema)
    labels = ner.read_schema(path).labels if path else ["LABELS"]
    config = Path("configs/cnn.cfg")
    found = re.search(r'^lang = "(\w+)"', config.read_text(encoding="utf8"), re.MULTILINE) if config.is_file() else None
    return {
        "project": _project() or "DATASET",
        "language": found[1] if found else "en",
        "labels": shlex.quote(",".join(labels)),
    }


def _print_written(written: "ExportedAnnotations", output: Path, target: str) -> None:
    refused = [str(refusal) for refusal in written.refusals]
    for kind, entries, show in (
        ("not read", refused, msg.warn), ("changed", written.changed, msg.info),
        ("left out", written.left_out, msg.warn),
    ):  # fmt: skip
        for entry in entries[:SHOWN]:
            show(f"{kind}: {entry}")
        if len(entries) > SHOWN:
            show(f"... {len(entries)} {kind} in all")
    skipped = f", {written.skipped} left out as skipped by the annotator" if written.skipped else ""
    related = f" and {written.relations} relation(s)" if written.relations else ""
    msg.good(f"{written.passages} passage(s) with {written.spans} span(s){related} as {target} in {output}{skipped}")
