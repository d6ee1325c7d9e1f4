"""domain-ner suspects"""

from functools import partial
from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.suspects import FOLDS, LIMIT, Settings, measure_suspects
from spacy_domain_ner.text import shorten
from spacy_domain_ner.training.gpu import AUTO

SHOWN = 15


@verb("suspects")
def suspects_cli(
    config: Path = typer.Argument(..., help="Training config"),
    train: Path = typer.Option(Path("corpus/train.jsonl"), help="Training set (JSON lines)"),
    dev: Path = typer.Option(Path("corpus/dev.jsonl"), help="Early-stopping set (JSON lines)"),
    output: Path = typer.Option(
        Path("metrics/suspects.jsonl"), help="File for the passages, as labelling tools open it; runs lie beside it"
    ),
    folds: int = typer.Option(FOLDS, help="Models to train, each of which reads its share of the passages"),
    limit: int = typer.Option(LIMIT, help="The most annotations to write"),
    max_epochs: int = typer.Option(30, help="Most passes over the training set"),
    patience: int = typer.Option(5, help="Stop after this many epochs without a better F1"),
    seed: int = typer.Option(0, help="Seed of the folds, and of everything random in the trainings"),
    gpu_id: str = typer.Option(AUTO, help="GPU to use, -1 for the CPU; auto: one for a transformer, if found"),
) -> None:
    """Find annotations that are likely to be wrong: models that were not trained on them contradict them.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    if limit < 1:
        raise UserError(f"--limit is {limit}", f"Give 1 or more, for instance {LIMIT}.")
    settings = Settings(train, dev, output, folds, limit, seed, max_epochs, patience, gpu_id)
    suspects = measure_suspects(config, settings, partial(print, flush=True))
    rows = [(f"{suspect.confidence:.2f}", shorten(suspect.in_words, 100)) for suspect in suspects[:SHOWN]]
    if rows:
        msg.table(rows, header=("confidence", "what models contradict"), divider=True, aligns=("r", "l"), max_col=110)
    msg.good(f"{len(suspects)} annotations to look at are in {output}: domain-ner export label-studio {output}")
    msg.info("To see them in the report: weasel run evaluate . --force")
