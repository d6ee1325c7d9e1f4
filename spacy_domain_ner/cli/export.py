"""domain-ner export"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.exchange.tools import Tool

NEXT = {
    Tool.label_studio: "In Label Studio: Import, choose {output}. Or in one step: domain-ner label-studio push",
    Tool.doccano: "In doccano: Dataset, Import, format JSONL, column of the text `text`, of the labels `label`.",
    Tool.prodigy: "prodigy ner.manual DATASET blank:en {output} --label LABELS",
}


@verb("export")
def export_cli(
    tool: Tool = typer.Argument(..., help="The labelling tool"),
    passages: list[Path] = typer.Argument(
        ..., help="JSON lines with a `text`, or text files with one passage per line"
    ),
    output: Path = typer.Option(..., "--output", "-o", help="File to write, for the tool to import"),
    model: str = typer.Option(None, "--model", "-m", help="Trained model whose spans are filled in, to be corrected"),
    exclude: list[Path] = typer.Option([], help="Leave out the passages of this annotation file (may be repeated)"),
) -> None:
    """Write passages as tasks for a labelling tool, with their own spans or a model's filled in."""
    with progress_bar("Exporting") as progress:
        exported = ner.export_tasks(tool, passages, output, model=model, exclude=exclude, progress=progress)
    for refusal in exported.refusals:
        msg.warn(str(refusal))
    excluded = f", {exported.left_out} left out as annotated already" if exported.left_out else ""
    msg.good(f"{exported.tasks} task(s) for {tool.value} in {output}{excluded}")
    msg.info(NEXT[tool].format(output=output))
