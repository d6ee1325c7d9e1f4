"""Training with spaCy, which counts its patience and its evaluations in steps where one thinks in epochs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy import util
from spacy.cli.train import train as spacy_train
from spacy.tokens import DocBin
from thinc.api import Config

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.training.calibrating import calibrate_model
from spacy_domain_ner.training.replacing import replacing_models


def train_with_spacy(
    config_path: Path,
    output_dir: Path,
    train_path: Path,
    dev_path: Path,
    *,
    max_epochs: int,
    patience_epochs: int,
    seed: int,
    gpu: int,
    overrides: Mapping[str, Any],
) -> None:
    """Train a spaCy config.

    output_dir: Gets `model-best` and `model-last`.
    train_path, dev_path: The training and early-stopping sets (.spacy).
    gpu: The GPU's number, -1 for the CPU. The rest is as in `training.train`.
    RAISES: UserError where there is nothing to train on or a value is no good.
    """
    for path in (train_path, dev_path):
        _check_docs(path)
    given = {"paths.train": str(train_path), "paths.dev": str(dev_path), **overrides}
    steps = steps_per_epoch(config_path, given)
    config = util.load_config(config_path, overrides=dict(overrides), interpolate=False)
    transformers = find_transformers(config)
    falls = _falls(config)
    if falls:
        # Over so many epochs the rate falls to nothing. The last of them, at a low rate, are often the best: a run that
        # five noisy scores have stopped before has not had them.
        max_epochs = min(max_epochs, config["training"].get("max_epochs") or max_epochs)
        patience_epochs = max_epochs
    given |= {
        "system.seed": seed,
        "training.seed": seed,
        "training.max_epochs": max_epochs,
        "training.max_steps": 0,
        # Twice an epoch: the best model of a small corpus is often between two. A transformer takes too long for that.
        # spaCy counts from 0: the last epoch is scored only if that is a step before its end.
        "training.eval_frequency": max(1, steps - 1 if transformers else steps // 2),
        "training.patience": patience_epochs * steps,
        **(_schedule(steps * max_epochs) if falls else {}),
        **(_on_gpu(transformers) if gpu >= 0 else {}),
        **overrides,
    }
    with replacing_models(output_dir) as scratch:
        _train(config_path, scratch, gpu, given)
        for name in ("model-best", "model-last"):
            _for_any_machine(scratch / name, transformers)
        calibrate_model(scratch / "model-best", _passages(dev_path))


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


def find_transformers(config: Config) -> list[str]:
    """The names of a pipeline's components that are transformers."""
    return [
        name
        for name, component in config.get("components", {}).items()
        if component.get("factory") == "transformer" and name in config.get("nlp", {}).get("pipeline", [])
    ]


def _train(config_path: Path, output_dir: Path, gpu_id: int, overrides: Mapping[str, Any]) -> None:
    try:
        spacy_train(config_path, output_dir, use_gpu=gpu_id, overrides=dict(overrides))
    except Exception as error:  # whatever the parts that a config names may raise
        raise UserError(
            f"Training with {config_path} failed: {reason(error)}",
            "Mend that value in the config or on the command line, or name another config.",
        ) from error


def _falls(config: Config) -> bool:
    """Whether the learning rate rises first and then falls to nothing."""
    schedule = config.get("training", {}).get("optimizer", {}).get("learn_rate")
    return isinstance(schedule, dict) and schedule.get("@schedules") == "warmup_linear.v1"


def _passages(path: Path) -> list[Passage]:
    """The passages of a .spacy file, with what its tokens can express of their annotation."""
    nlp = util.get_lang_class("xx")()
    return [
        Passage(doc.text, [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents])
        for doc in DocBin().from_disk(path).get_docs(nlp.vocab)
    ]


def _schedule(total: int) -> dict[str, Any]:
    """The steps of a learning rate that rises first and then falls: a tenth of them, and all."""
    place = "training.optimizer.learn_rate"
    return {f"{place}.warmup_steps": max(1, total // 10), f"{place}.total_steps": total}


def _on_gpu(transformers: list[str]) -> dict[str, Any]:
    """What is faster on a GPU: half precision where it is exact enough, and one allocator for spaCy and PyTorch."""
    precision = {f"components.{name}.model.mixed_precision": True for name in transformers}
    return {**precision, "system.gpu_allocator": "pytorch"} if transformers else {}


def _for_any_machine(model: Path, transformers: list[str]) -> None:
    """Take out of a trained model's config what holds on the machine that trained it only."""
    config = util.load_config(model / "config.cfg", interpolate=False)
    for name in transformers:
        config["components"][name]["model"]["mixed_precision"] = False
    config["system"]["gpu_allocator"] = None
    config.to_disk(model / "config.cfg")


def _check_docs(path: Path) -> None:
    try:
        docs = DocBin().from_disk(path)
    except Exception as error:  # msgpack, zlib and the file system each have errors of their own
        raise UserError(f"Can't read {path}: {reason(error)}", "Convert the sets again: weasel run convert") from None
    nlp = util.get_lang_class("xx")()
    if not any(doc.ents for doc in docs.get_docs(nlp.vocab)):
        raise no_entities(path, len(docs))


def no_entities(path: Path, passages: int) -> UserError:
    """The error for a set that there is nothing to learn from or to stop by."""
    return UserError(
        f"{path} has no entities ({passages} passages)",
        "Annotate more passages, or give fewer of them the same meta.source: those stay on one side of the split.",
    )
