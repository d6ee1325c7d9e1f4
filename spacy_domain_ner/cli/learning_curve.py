"""domain-ner learning-curve"""

from functools import partial
from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.forecasts import LearningCurve
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.experiments.learning_curve import SIZES, Settings, measure_learning_curve
from spacy_domain_ner.training.gpu import AUTO


@verb("learning-curve")
def learning_curve_cli(
    config: Path = typer.Argument(..., help="Training config"),
    train: Path = typer.Option(Path("corpus/train.jsonl"), help="Training set (JSON lines)"),
    dev: Path = typer.Option(Path("corpus/dev.jsonl"), help="Early-stopping set (JSON lines)"),
    evaluation: Path = typer.Option(Path("corpus/eval.jsonl"), "--eval", help="Evaluation set (JSON lines)"),
    output: Path = typer.Option(
        Path("metrics/learning_curve.json"), help="File for the curve; what is kept of each run lies beside it"
    ),
    sizes: str = typer.Option(
        ",".join(f"{size:g}" for size in SIZES), help="The parts to train on, as shares of the training set"
    ),
    max_epochs: int = typer.Option(30, help="Most passes over the training set"),
    patience: int = typer.Option(5, help="Stop after this many epochs without a better F1"),
    seed: int = typer.Option(0, help="Seed of the parts, and of everything random in the trainings"),
    gpu_id: str = typer.Option(AUTO, help="GPU to use, -1 for the CPU; auto: one for a transformer, if found"),
    gate: float = typer.Option(GATE, help="F1 per type from which a type is ready for production"),
) -> None:
    """Train on growing parts of the training set: how F1 grows with the examples, and how many more are likely to help.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    settings = Settings(train, dev, evaluation, output, read_sizes(sizes), seed, max_epochs, patience, gpu_id, gate)
    curve = measure_learning_curve(config, settings, partial(print, flush=True))
    _print(curve)
    msg.good(f"The learning curve is in {output}. For the report and its advice: weasel run evaluate . --force")


def read_sizes(sizes: str) -> tuple[float, ...]:
    """The sizes of a list with commas. RAISES: UserError where one is no number."""
    try:
        return tuple(float(size) for size in sizes.split(",") if sizes.strip())
    except ValueError:
        raise UserError(
            f"The sizes are {sizes!r}", "Give shares of the training set with commas, for instance 0.125,0.25,0.5,1."
        ) from None


def _print(curve: LearningCurve) -> None:
    labels = list(curve.points[-1].f1)
    rows = [
        (point.passages, f"{point.micro:.3f}", *(f"{point.f1[label]:.3f}" for label in labels))
        for point in curve.points
    ]
    header = ("passages", "F1", *labels)
    msg.table(rows, header=header, divider=True, aligns=("r",) * len(header))
    for label in labels:
        if label in curve.forecasts:
            msg.info(curve.forecasts[label].text)
        else:
            msg.warn(f"{label}: no forecast: too few mentions, or too few examples yet to lie on a curve")
