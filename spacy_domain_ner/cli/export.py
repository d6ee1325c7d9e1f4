"""domain-ner export"""

from pathlib import Path

import typer
from rich.console import Console
from rich.progress import track

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.corpus import read_passages
from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.interfaces import Tool
from spacy_domain_ner.exchange.tasks import read_to_label, tasks_to_label, write_tasks
from spacy_domain_ner.models import load_model


@verb("export")
def export_cli(
    tool: Tool = typer.Argument(..., help="The labelling tool"),
    passages: list[Path] = typer.Argument(..., help="JSON lines with a `text`, or text files with a passage a line"),
    output: Path = typer.Option(..., "--output", "-o", help="File to write, for the tool to import"),
    model: str = typer.Option(None, "--model", "-m", help="Trained model whose spans are filled in, to be corrected"),
    exclude: list[Path] = typer.Option([], help="Leave out the passages of these annotation files (may be repeated)"),
) -> None:
    """Write passages as tasks for a labelling tool, with their own spans or a model's filled in."""
    count, left_out = export(tool, passages, output, model, exclude)
    excluded = f", {left_out} left out as annotated already" if left_out else ""
    msg.good(f"{count} task(s) for {tool.value} in {output}{excluded}")
    msg.info(_NEXT[tool].format(output=output))


def export(
    tool: Tool, passages: list[Path], output: Path, model: str | None = None, exclude: list[Path] | None = None
) -> tuple[int, int]:
    """Write passages as tasks for a labelling tool.

    RETURNS: How many tasks were written, and how many passages were left out.
    RAISES: UserError where an input can't be read or there is nothing to write.
    """
    done = {_key(passage) for path in exclude or [] for passage in read_passages(path).passages}
    wanted: dict[bytes, Passage] = {}
    left_out = 0
    for path in passages:
        read = read_to_label(path)
        for refusal in read.refusals:
            if not refusal.skipped:
                msg.warn(str(refusal))
        for passage in read.passages:
            if (key := _key(passage)) in done:
                left_out += 1
            else:
                # The same passage twice would be labelled twice.
                wanted.setdefault(key, passage)
    if not wanted:
        raise UserError("There is no passage to label", f"{left_out} are annotated already." if left_out else "")
    nlp = load_model(model) if model else None
    tasks = track(
        tasks_to_label(wanted.values(), tool, nlp), total=len(wanted), description="", transient=True,
        console=(console := Console(stderr=True)), disable=not console.is_terminal,
    )  # fmt: skip
    return write_tasks(output, tasks, tool), left_out


def _key(passage: Passage) -> bytes:
    return passage_key(passage.text, passage.meta)


_NEXT = {
    Tool.label_studio: "In Label Studio: Import, choose {output}. Or at once: domain-ner label-studio push",
    Tool.doccano: "In doccano: Dataset, Import, format JSONL, column of the text `text`, of the labels `label`.",
    Tool.prodigy: "prodigy ner.manual DATASET blank:en {output} --label LABELS",
}
