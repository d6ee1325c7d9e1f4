"""domain-ner compare"""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import EVAL, FALLBACK, GATE, GPU_ID, MAX_EPOCHS, PATIENCE_EPOCHS, WORDS

if TYPE_CHECKING:
    from spacy_domain_ner.evaluation.gates import Gates
    from spacy_domain_ner.experiments.comparison import Comparison


@verb("compare")
def compare_cli(
    base_models: str = typer.Argument(
        ..., help="Base models with commas between them, as configure takes them: cnn,cnn+pubmedbert,minilm@huggingface"
    ),
    configs: Path = typer.Option(Path("configs"), help="Folder of the configs"),
    train: Path = typer.Option(Path("corpus/train.spacy"), help="Training set (.spacy, with the .jsonl beside it)"),
    dev: Path = typer.Option(
        Path("corpus/dev.spacy"), help="Dev set, to stop training in time (.spacy, with the .jsonl beside it)"
    ),
    eval: Path = EVAL,
    output: Path = typer.Option(Path("comparison"), help="Folder for the results, and for what is kept of each run"),
    seeds: str = typer.Option("0,1", help="Each model is trained once with each of these"),
    words: str = WORDS,
    max_epochs: int = MAX_EPOCHS,
    patience_epochs: int = PATIENCE_EPOCHS,
    gpu_id: str = GPU_ID,
    gate: float = GATE,
    fallback: float = FALLBACK,
    without_silver: bool = typer.Option(
        False, "--without-silver", help="Train each without the passages that have first labels, too (see bootstrap)"
    ),
    keep: bool = typer.Option(False, "--keep", help="Keep the trained models, in the output folder"),
) -> None:
    """Train several base models on your passages and compare them: F1 with intervals, time, size, speed.

    Writes comparison.html, comparison.md and comparison.json.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    from spacy_domain_ner.evaluation.gates import Gates

    recipe = ner.Recipe(train=train, dev=dev, max_epochs=max_epochs, patience_epochs=patience_epochs, gpu_id=gpu_id)
    comparison = ner.compare(
        base_models.split(","),
        recipe,
        configs=configs,
        eval=eval,
        output=output,
        seeds=read_seeds(seeds),
        words=words,
        gate=gate,
        fallback=fallback,
        without_silver=without_silver,
        keep=keep,
        say=partial(print, flush=True),
    )
    print_comparison(comparison, Gates(gate, fallback))
    msg.good(f"The comparison is in {output / 'comparison.html'}, comparison.md and comparison.json.")


def read_seeds(seeds: str) -> tuple[int, ...]:
    """Read a list with commas.

    Raises:
        UserError: If one is not a whole number.
    """
    try:
        return tuple(int(seed) for seed in seeds.split(",") if seeds.strip())
    except ValueError:
        raise ner.UserError(f"`seeds` is {seeds!r}", "Give whole numbers with commas, for instance 0,1") from None


def print_comparison(comparison: "Comparison", gates: "Gates") -> None:
    """Print the models, F1 per type, what limits the figures, and the verdict."""
    from spacy_domain_ner.reports import comparison as report

    names = (model.name for model in comparison.models)
    msg.plain()
    msg.info(report.basis(comparison))
    for headings, table in (
        (report.header(comparison), report.rows(comparison)),
        (("F1 per type", "mentions", *names), report.type_rows(comparison)),
    ):
        aligns = ("l", *"r" * (len(headings) - 1))
        # A folder's path can be long: no column is narrower than its cells.
        msg.table(table, header=headings, divider=True, aligns=aligns, max_col=sys.maxsize)
    msg.info(report.at_the_gates(comparison, gates))
    about_intervals, *warnings = report.notes(comparison)
    msg.info(about_intervals)
    for warning in warnings:
        msg.warn(warning)
    msg.good(report.verdict(comparison))
