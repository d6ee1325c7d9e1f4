"""domain-ner train"""

from pathlib import Path
from typing import Any

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import CONFIG, GPU_ID, MAX_EPOCHS, PATIENCE_EPOCHS, SEED


@verb("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_cli(
    context: typer.Context,
    config: Path = CONFIG,
    output_dir: Path = typer.Argument(..., help="Folder for model-best and model-last"),
    train: Path = typer.Option(..., help="Training set (.spacy, with the .jsonl beside it)"),
    dev: Path = typer.Option(..., help="Dev set, to stop training in time (.spacy, with the .jsonl beside it)"),
    max_epochs: int = MAX_EPOCHS,
    patience_epochs: int = PATIENCE_EPOCHS,
    seed: int = SEED,
    gpu_id: str = GPU_ID,
) -> None:
    """Train until F1 on the dev set no longer rises: like `spacy train`, but it counts in epochs and not in steps.

    A config that has a huggingface section trains with transformers.

    Any value of the config can be overridden, for instance: --training.dropout 0.3
    """
    overrides = _overrides(context.args)
    msg.info(
        "F1, precision and recall are those on the passages that decide when training stops. The model with the "
        "highest F1 is kept; without a transformer the last one, if the difference may be chance."
    )
    ner.train(ner.Recipe(config, train, dev, max_epochs, patience_epochs, seed, gpu_id, overrides), output_dir)
    msg.good(f"The model is in {output_dir / 'model-best'}")


def _overrides(arguments: list[str]) -> dict[str, Any]:
    from click import ClickException
    from spacy.cli._util import parse_config_overrides

    try:
        return parse_config_overrides(arguments)
    except ClickException as error:
        # Raised by spaCy's Click, which need not be the one that runs this command.
        raise ner.UserError(
            error.format_message(), "Name a value of the config with its section: --training.dropout 0.3"
        ) from None
