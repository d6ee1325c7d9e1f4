"""domain-ner suspects"""

from functools import partial
from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg, to_correct
from spacy_domain_ner.cli._options import CONFIG, DEV, GPU_ID, MAX_EPOCHS, PATIENCE_EPOCHS, TRAIN
from spacy_domain_ner.text import shorten

SHOWN = 15


@verb("suspects")
def suspects_cli(
    config: Path = CONFIG,
    train: Path = TRAIN,
    dev: Path = DEV,
    output: Path = typer.Option(
        Path("metrics/suspects.jsonl"),
        help="File for the passages, as labelling tools open it; what is kept of each run is in a folder beside it",
    ),
    folds: int = typer.Option(4, help="Models to train; each reads its share of the passages"),
    limit: int = typer.Option(200, help="The most annotations to write"),
    min_confidence: float = typer.Option(
        0.65, help="How much a contradiction must weigh to be written, 0 to 1; below 0.65 nearly all are right"
    ),
    max_epochs: int = MAX_EPOCHS,
    patience_epochs: int = PATIENCE_EPOCHS,
    seed: int = typer.Option(0, help="Seed of the folds, and of everything random in the trainings"),
    gpu_id: str = GPU_ID,
) -> None:
    """Find annotations that are likely to be wrong: models that were not trained on them contradict them.

    A run that was measured before is not repeated: after an interruption, give the same command again.
    """
    suspects = ner.find_suspects(
        ner.Recipe(config, train, dev, max_epochs, patience_epochs, seed, gpu_id),
        output=output,
        folds=folds,
        limit=limit,
        min_confidence=min_confidence,
        say=partial(print, flush=True),
    )
    rows = [(f"{suspect.confidence:.2f}", shorten(suspect.in_words, 100)) for suspect in suspects[:SHOWN]]
    if rows:
        msg.table(rows, header=("confidence", "what models contradict"), divider=True, aligns=("r", "l"), max_col=110)
    msg.good(f"{len(suspects)} annotations to look at are in {output}")
    if suspects:
        msg.info(f"To correct them in a labelling tool: {to_correct(output)}")
