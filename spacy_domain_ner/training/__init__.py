"""Training with early stopping: with spaCy, or with transformers' own trainer, as the config says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy import util

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.training.gpu import AUTO, choose_gpu
from spacy_domain_ner.training.huggingface import train_with_huggingface
from spacy_domain_ner.training.spacy_training import find_transformers, steps_per_epoch, train_with_spacy

__all__ = ["steps_per_epoch", "train"]


def train(
    config_path: Path,
    output_dir: Path,
    train_path: Path,
    dev_path: Path,
    *,
    max_epochs: int = 30,
    patience_epochs: int = 5,
    seed: int = 0,
    gpu_id: str | int = AUTO,
    overrides: Mapping[str, Any] | None = None,
) -> None:
    """Train with early stopping on F1.

    config_path: A spaCy training config, or one with a section `[huggingface]`.
    output_dir: Gets `model-best`, and from spaCy `model-last`, once training has ended; earlier ones are replaced then,
        and whatever else the folder holds is left alone.
    train_path, dev_path: The training and early-stopping sets (.spacy; for `[huggingface]` the .jsonl, also by the
        name of the .spacy beside it).
    max_epochs: The most passes over the training set. Where the learning rate falls to nothing, as it does for
        transformers, the config's own number of epochs is what it falls over, and is not exceeded.
    patience_epochs: Training stops after so many epochs without a better score, but not while the learning rate falls.
    seed: Of everything that is random.
    gpu_id: The GPU to use, -1 for the CPU; `auto` takes one for a transformer where there is one.
    overrides: Further values of the config by their dotted names.
    RAISES: UserError where there is nothing to train on or a value is no good.
    """
    for name, number in (("max_epochs", max_epochs), ("patience", patience_epochs)):
        if number < 1:
            raise UserError(f"{name} is {number}", "It must be 1 or more; 10 to 30 epochs are usual.")
    overrides = dict(overrides or {})
    try:
        config = util.load_config(config_path, overrides=overrides, interpolate=False)
    except Exception as error:  # configparser and confection each have errors of their own
        raise UserError(
            f"The config {config_path} can't be used: {reason(error)}", "Mend it, or name another."
        ) from error
    huggingface = "huggingface" in config
    gpu, line = choose_gpu(str(gpu_id), transformer=huggingface or bool(find_transformers(config)))
    print(line, flush=True)
    settings: dict[str, Any] = {"max_epochs": max_epochs, "patience_epochs": patience_epochs, "seed": seed, "gpu": gpu}
    if huggingface:
        train_with_huggingface(config_path, config, output_dir, train_path, dev_path, **settings)
    else:
        train_with_spacy(config_path, output_dir, train_path, dev_path, overrides=overrides, **settings)
