"""Training with spaCy, where one thinks in epochs: spaCy counts its patience and its evaluations in steps."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spacy import util
from spacy.cli.train import train as spacy_train
from spacy.tokens import DocBin
from thinc.api import require_gpu

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import replacing_path


def train(
    config_path: Path,
    output_dir: Path,
    train_path: Path,
    dev_path: Path,
    *,
    max_epochs: int = 30,
    patience_epochs: int = 5,
    seed: int = 0,
    gpu_id: int = -1,
    overrides: Mapping[str, Any] | None = None,
) -> None:
    """Train with early stopping, evaluating twice an epoch.

    config_path: A spaCy training config.
    output_dir: Gets `model-best` and `model-last`, once training has ended; earlier ones are replaced then, and
        whatever else the folder holds is left alone.
    train_path, dev_path: The training and early-stopping sets (.spacy).
    max_epochs: The most passes over the training set.
    patience_epochs: Training stops after so many epochs without a better score.
    seed: Of everything that is random.
    gpu_id: The GPU to use, -1 for the CPU.
    overrides: Further values of the config by their dotted names.
    RAISES: UserError where there is nothing to train on or a value is no good.
    """
    for name, number in (("max_epochs", max_epochs), ("patience", patience_epochs)):
        if number < 1:
            raise UserError(f"{name} is {number}", "It must be 1 or more; 10 to 30 epochs are usual.")
    for path in (train_path, dev_path):
        _check_docs(path)
    _check_gpu(gpu_id)
    given = {"paths.train": str(train_path), "paths.dev": str(dev_path), **(overrides or {})}
    steps = steps_per_epoch(config_path, given)
    given |= {
        "system.seed": seed,
        "training.seed": seed,
        "training.max_epochs": max_epochs,
        "training.max_steps": 0,
        # Twice an epoch: the best model of a small corpus is often between two.
        "training.eval_frequency": max(1, steps // 2),
        "training.patience": patience_epochs * steps,
        **(overrides or {}),
    }
    with (
        replacing_path(output_dir / "model-best") as best,
        replacing_path(output_dir / "model-last") as last,
        TemporaryDirectory(prefix=".training.", dir=output_dir) as scratch,
    ):
        _train(config_path, Path(scratch), gpu_id, given)
        (Path(scratch) / "model-best").rename(best)
        (Path(scratch) / "model-last").rename(last)


def steps_per_epoch(config_path: Path, overrides: Mapping[str, Any] | None = None) -> int:
    """The number of batches that a config makes of the training set in one pass.

    overrides: Values of the config by their dotted names, among them `paths.train`.
    RAISES: UserError where the config can't be read.
    """
    try:
        config = util.load_config(config_path, overrides=dict(overrides or {}), interpolate=True)
        nlp = util.load_model_from_config(config, auto_fill=True)
        parts: dict[str, Any] = util.registry.resolve(
            {"batcher": nlp.config["training"]["batcher"], "corpus": nlp.config["corpora"]["train"]}
        )
        # As the config reads it: an augmenter makes the epoch longer.
        return max(1, sum(1 for _ in parts["batcher"](parts["corpus"](nlp))))
    except Exception as error:  # configparser, thinc and what the config names each have errors of their own
        raise UserError(
            f"The config {config_path} can't be used: {reason(error)}", "Mend it, or name another."
        ) from error


def _train(config_path: Path, output_dir: Path, gpu_id: int, overrides: Mapping[str, Any]) -> None:
    try:
        spacy_train(config_path, output_dir, use_gpu=gpu_id, overrides=dict(overrides))
    except Exception as error:  # whatever the parts that a config names may raise
        raise UserError(
            f"Training with {config_path} failed: {reason(error)}",
            "Mend that value in the config or on the command line, or name another config.",
        ) from error


def _check_gpu(gpu_id: int) -> None:
    if gpu_id >= 0:
        try:
            require_gpu(gpu_id)
        except Exception as error:  # CuPy has errors of its own
            raise UserError(
                f"The GPU {gpu_id} can't be used: {reason(error)}",
                "Train on the CPU with --gpu-id -1, or install CuPy: pip install 'spacy[cuda12x]'",
            ) from error


def _check_docs(path: Path) -> None:
    try:
        docs = DocBin().from_disk(path)
    except Exception as error:  # msgpack, zlib and the file system each have errors of their own
        raise UserError(f"Can't read {path}: {reason(error)}", "Convert the sets again: weasel run convert") from None
    nlp = util.get_lang_class("xx")()
    if not any(doc.ents for doc in docs.get_docs(nlp.vocab)):
        raise UserError(
            f"{path} has no entities ({len(docs)} passages)",
            "Annotate more passages, or give fewer of them the same meta.source: those stay on one side of the split.",
        )
