"""domain-ner train"""

from pathlib import Path
from typing import Any

import typer
from click import ClickException
from spacy.cli._util import parse_config_overrides

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training import train
from spacy_domain_ner.training.gpu import AUTO


@verb("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_cli(
    context: typer.Context,
    config: Path = typer.Argument(..., help="Training config"),
    output_dir: Path = typer.Argument(..., help="Folder for model-best and model-last"),
    train_path: Path = typer.Option(..., "--train", help="Training set (.spacy, with the .jsonl beside it)"),
    dev_path: Path = typer.Option(..., "--dev", help="Early-stopping set (.spacy, with the .jsonl beside it)"),
    max_epochs: int = typer.Option(30, help="Most passes over the training set"),
    patience: int = typer.Option(5, help="Stop after this many epochs without a better F1"),
    seed: int = typer.Option(0, help="Seed of everything random"),
    gpu_id: str = typer.Option(AUTO, help="GPU to use, -1 for the CPU; auto: one for a transformer, if found"),
) -> None:
    """Train with early stopping on F1. As `spacy train`, with epochs where that counts steps.

    A config with a section [huggingface] trains with transformers.

    Any value of the config can be overridden, for instance: --training.dropout 0.3
    """
    train(
        config,
        output_dir,
        train_path,
        dev_path,
        max_epochs=max_epochs,
        patience_epochs=patience,
        seed=seed,
        gpu_id=gpu_id,
        overrides=_overrides(context.args),
    )
    msg.good(f"The best model is in {output_dir / 'model-best'}")


def _overrides(arguments: list[str]) -> dict[str, Any]:
    try:
        return parse_config_overrides(arguments)
    except ClickException as error:
        # Raised by spaCy's Click, which need not be the one that runs this command.
        raise UserError(
            error.format_message(), "A value of the config is named with its section: --training.dropout 0.3"
        ) from None
