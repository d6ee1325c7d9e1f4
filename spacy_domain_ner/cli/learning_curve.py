"""domain-ner learning-curve"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import CONFIG, DEV, EVAL, GATE, GPU_ID, MAX_EPOCHS, PATIENCE_EPOCHS, TRAIN

if TYPE_CHECKING:
    from spacy_domain_ner.evaluation.forecasts import LearningCurve


@verb("learning-curve")
def learning_curve_cli(
    config: Path = CONFIG,
    train: Path = TRAIN,
    dev: Path = DEV,
    eval: Path = EVAL,
    output: Path = typer.Option(
        Path("metrics/learning_curve.json"),
        help="File for the curve; what is kept of each run is in a folder beside it",
    ),
    sizes: str = typer.Option("0.125,0.25,0.5,1", help="The parts to train on, as shares of the training set"),
    max_epochs: int = MAX_EPOCHS,
    patience_epochs: int = PATIENCE_EPOCHS,
    seed: int = typer.Option(0, help="Seed of the parts, and of everything random in the trainings"),
    gpu_id: str = GPU_ID,
    gate: float = GATE,
) -> None:
    """Train on growing parts of the training set: how F1 grows with the examples, and how many more are likely to help.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    curve = ner.measure_learning_curve(
        ner.Recipe(config, train, dev, max_epochs, patience_epochs, seed, gpu_id),
        eval=eval,
        output=output,
        sizes=read_sizes(sizes),
        gate=gate,
        say=partial(print, flush=True),
    )
    _print(curve)
    msg.good(f"The learning curve is in {output}")


def read_sizes(sizes: str) -> tuple[float, ...]:
    """Read a list with commas.

    Raises:
        UserError: If one is not a number.
    """
    try:
        return tuple(float(size) for size in sizes.split(",") if sizes.strip())
    except ValueError:
        raise ner.UserError(
            f"`sizes` is {sizes!r}", "Give shares of the training set with commas, for instance 0.125,0.25,0.5,1."
        ) from None


def _print(curve: "LearningCurve") -> None:
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
            msg.warn(f"{label}: no forecast: too few mentions yet, or points that do not lie on a curve")
