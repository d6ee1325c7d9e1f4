"""domain-ner compare"""

import sys
from functools import partial
from pathlib import Path
from typing import get_args

import typer

from spacy_domain_ner.base_models import Framework
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.comparison import Choice, Comparison, Settings, compare
from spacy_domain_ner.reports import comparison as comparison_report
from spacy_domain_ner.training.gpu import AUTO


@verb("compare")
def compare_cli(
    base_models: str = typer.Argument(
        ..., help="Base models with commas, as configure takes them: cnn,minilm@huggingface"
    ),
    configs: Path = typer.Option(Path("configs"), help="Folder of the configs"),
    train: Path = typer.Option(Path("corpus/train.spacy"), help="Training set (.spacy, with the .jsonl beside it)"),
    dev: Path = typer.Option(Path("corpus/dev.spacy"), help="Early-stopping set (.spacy, with the .jsonl beside it)"),
    evaluation: Path = typer.Option(Path("corpus/eval.jsonl"), "--eval", help="Evaluation set (JSON lines)"),
    output: Path = typer.Option(Path("comparison"), help="Folder for the results, and for what is kept of each run"),
    seeds: str = typer.Option("0,1", help="Each model is trained once with each of these"),
    max_epochs: int = typer.Option(30, help="Most passes over the training set"),
    patience: int = typer.Option(5, help="Stop after this many epochs without a better F1"),
    gpu_id: str = typer.Option(AUTO, help="GPU to use, -1 for the CPU; auto: one for a transformer, if found"),
    keep: bool = typer.Option(False, "--keep", help="Keep the trained models, in the output folder"),
) -> None:
    """Train several base models on your passages and compare them: F1 with intervals, time, size, speed.

    Writes comparison.html, comparison.md and comparison.json.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    settings = Settings(configs, train, dev, evaluation, output, read_seeds(seeds), max_epochs, patience, gpu_id, keep)
    comparison = compare(read_choices(base_models), settings, partial(print, flush=True))
    comparison_report.write(comparison, output)
    print_comparison(comparison)
    msg.good(f"The comparison is in {output / 'comparison.html'}, comparison.md and comparison.json.")


def read_choices(base_models: str) -> list[Choice]:
    """The base models of a list with commas. The framework stands behind an @, where it is not spacy."""
    choices = []
    for name in base_models.split(","):
        base_model, _, framework = name.strip().rpartition("@")
        known = base_model and framework in get_args(Framework)
        choices.append(Choice(base_model, framework) if known else Choice(name.strip()))  # type: ignore[arg-type]
    return choices


def read_seeds(seeds: str) -> tuple[int, ...]:
    """The seeds of a list with commas. RAISES: UserError where one is no number."""
    try:
        return tuple(int(seed) for seed in seeds.split(",") if seeds.strip())
    except ValueError:
        raise UserError(f"The seeds are {seeds!r}", "Give whole numbers with commas, for instance 0,1") from None


def print_comparison(comparison: Comparison) -> None:
    """Print the models, F1 per type, what to bear in mind, and the verdict."""
    names = (model.name for model in comparison.models)
    print()
    msg.info(comparison_report.basis(comparison))
    for headings, table in (
        (comparison_report.header(comparison), comparison_report.rows(comparison)),
        (("F1 per type", "mentions", *names), comparison_report.type_rows(comparison)),
    ):
        aligns = ("l", *"r" * (len(headings) - 1))
        # A folder's path can be long: no column is narrower than what stands in it.
        msg.table(table, header=headings, divider=True, aligns=aligns, max_col=sys.maxsize)
    for note in comparison.notes:
        msg.warn(note) if note != comparison.notes[0] else msg.info(note)
    msg.good(comparison.verdict)
