"""Training with spaCy, which counts its patience and its evaluations in steps where people think in epochs."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import srsly
from spacy import util
from spacy.cli.train import train as spacy_train
from thinc.api import Config

from spacy_domain_ner.base_models.configs import fill_in, read_config
from spacy_domain_ner.base_models.presets import Preset
from spacy_domain_ner.blas import fast_products, one_thread
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.models import factories_in, known_codecs, needed_factories
from spacy_domain_ner.training import progress, row_adam  # noqa: F401 (registers what configs name)
from spacy_domain_ner.training.recipe import SPACY, Recipe, read_set

BYTE_WINDOWS = "spacy_domain_ner.byte_windows.v1"
# The word pieces that a tokenizer puts before and after a window.
SPECIAL = 2
LEARN_RATE = "training.optimizer.learn_rate"
BATCH_WORDS = "training.batcher.size"
# With more steps than this per epoch, a step takes more words, at most twice as many: large sets lose nothing by it,
# and a word then costs less.
MANY_STEPS = 600
# After this many steps training gains next to nothing: F1 on the early-stopping set still rises by a few thousandths,
# each of which starts the patience anew, and F1 on other text does not rise. Small sets never get there.
MOST_STEPS = 7_000
# ... but each passage is read so many times.
FEWEST_EPOCHS = 10
# Without a transformer, training continues for at least this many steps after its best F1. A small set comes with a
# small early-stopping set, whose F1 jumps: with five epochs, one lucky score in the second would end it in the seventh.
LEAST_PATIENCE = 1_000
# A difference of so many standard errors is more than chance.
MORE_THAN_CHANCE = 2
BEST, LAST = "model-best", "model-last"


class Spacy:
    """spaCy, with spacy-transformers where the config has a transformer. See `frameworks.Framework`."""

    name = "spacy"
    config_file = "transformer.cfg"
    reads = SPACY

    def applies(self, config: Config) -> bool:
        """Whatever no other framework takes is spaCy's."""
        return True

    def trains_transformer(self, config: Config) -> bool:
        """Whether the pipeline has a transformer."""
        return bool(find_transformers(config))

    def fill(self, config: Config, preset: Preset) -> None:
        """Fill in what `transformer.cfg` leaves open.

        Raises:
            UserError: If windows may be longer than what the transformer reads.
        """
        values = {
            "components.transformer.model.name": preset.hub,
            "components.transformer.model.tokenizer_config": preset.tokenizer,
            f"{LEARN_RATE}.initial_rate": preset.learn_rate,
            "training.batcher.size": preset.batch_words,
        }
        fill_in(config, values)
        _check_windows(config, preset)

    def train(self, recipe: Recipe, folder: Path, gpu: int) -> None:
        """Train a spaCy config. The folder gets `model-best` and `model-last`."""
        factories = factories_in(recipe.read_config())
        try:
            with needed_factories(factories), known_codecs(), fast_products(), one_thread():
                spacy_train(recipe.config, folder, use_gpu=gpu, overrides=_values(recipe, gpu))
        except UserError:
            raise
        except SystemExit as error:
            if error.code != 1:
                raise
            # spaCy has printed what is wrong with a value of the config, and would end the program.
            raise UserError(
                f"Training with {recipe.config} failed: a value does not fit, see above",
                "Fix that value in the config or on the command line, or name another config.",
            ) from None
        except Exception as error:  # whatever the parts that a config names may raise
            raise UserError(
                f"Training with {recipe.config} failed: {reason(error)}",
                "Fix that value in the config or on the command line, or name another config.",
            ) from error
        for name in (BEST, LAST):
            _for_any_machine(folder / name)
        if line := _keep_last(recipe, folder):
            print(line, flush=True)

    def hub_model(self, model: Path) -> None:
        """None: spaCy's models need spaCy."""


def steps_per_epoch(config_path: Path, overrides: Mapping[str, Any] | None = None) -> int:
    """Count the batches that a config makes of the training set in one pass.

    Args:
        config_path: A spaCy training config.
        overrides: Values of the config by their dotted names, among them `paths.train`.

    Raises:
        UserError: If the config can't be used.
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
            f"The config {config_path} can't be used: {reason(error)}", "Fix it, or name another config."
        ) from error


def find_transformers(config: Config) -> list[str]:
    """The names of a pipeline's components that are transformers."""
    return [
        name
        for name, component in config.get("components", {}).items()
        if component.get("factory") == "transformer" and name in config.get("nlp", {}).get("pipeline", [])
    ]


def _values(recipe: Recipe, gpu: int) -> dict[str, Any]:
    """The values of the config that make a recipe of it, by their dotted names."""
    train, dev = map(str, recipe.sets(SPACY))
    paths = {"paths.train": train, "paths.dev": dev}
    config = recipe.read_config()
    transformers = find_transformers(config)
    steps = steps_per_epoch(recipe.config, {**paths, **recipe.overrides})
    larger = {} if transformers or BATCH_WORDS in recipe.overrides else _larger_batches(config, steps)
    if larger:
        steps = steps_per_epoch(recipe.config, {**paths, **larger, **recipe.overrides})
    max_epochs, patience = recipe.max_epochs, recipe.patience_epochs * steps
    schedule = {}
    if _falls(config):
        # The rate falls to zero over these epochs. The last ones, at a low rate, are often the best: a run that five
        # noisy scores have stopped before has not had them.
        max_epochs = min(max_epochs, config["training"].get("max_epochs") or max_epochs)
        patience = max_epochs * steps
        schedule = _schedule(steps * max_epochs)
    else:
        max_epochs = min(max_epochs, max(FEWEST_EPOCHS, MOST_STEPS // steps))
        if not transformers:
            patience = max(patience, LEAST_PATIENCE)
    return {
        **paths,
        "system.seed": recipe.seed,
        "training.seed": recipe.seed,
        "training.max_epochs": max_epochs,
        "training.max_steps": 0,
        # Twice per epoch: the best model of a small corpus is often between two. A transformer takes too long for that.
        # spaCy counts from 0: the last epoch is scored only if that is a step before its end.
        "training.eval_frequency": max(1, steps - 1 if transformers else steps // 2),
        "training.patience": patience,
        **larger,
        **schedule,
        **_logged(config, steps),
        **(_on_gpu(transformers) if gpu >= 0 else {}),
        **recipe.overrides,
    }


def _larger_batches(config: Config, steps: int) -> dict[str, int]:
    """The words per step for a large training set; nothing where the config's own will do."""
    batcher = config["training"].get("batcher", {})
    size = batcher.get("size")
    if steps <= MANY_STEPS or batcher.get("@batchers") != "spacy.batch_by_words.v1" or not isinstance(size, int):
        return {}
    return {BATCH_WORDS: int(size * min(2, steps / MANY_STEPS))}


def _logged(config: Config, steps: int) -> dict[str, Any]:
    """What the logger has to know, if it is ours."""
    ours = config["training"].get("logger", {}).get("@loggers") == progress.LOGGER
    return {"training.logger.steps_per_epoch": steps} if ours else {}


def _falls(config: Config) -> bool:
    """Whether the learning rate rises first and then falls to zero."""
    schedule = config.get("training", {}).get("optimizer", {}).get("learn_rate")
    return isinstance(schedule, dict) and schedule.get("@schedules") == "warmup_linear.v1"


def _schedule(total: int) -> dict[str, Any]:
    """The steps over which the learning rate rises, a tenth of them, and all steps."""
    return {f"{LEARN_RATE}.warmup_steps": max(1, total // 10), f"{LEARN_RATE}.total_steps": total}


def _on_gpu(transformers: list[str]) -> dict[str, Any]:
    """What is faster on a GPU: half precision where it is exact enough, and one allocator for spaCy and PyTorch."""
    precision = {f"components.{name}.model.mixed_precision": True for name in transformers}
    return {**precision, "system.gpu_allocator": "pytorch"} if transformers else {}


def _keep_last(recipe: Recipe, folder: Path) -> str:
    """Put the last model in the place of the one with the highest score, unless that one is better by more than chance.

    The weights are averages over all steps, which get no worse with more of them. With a few dozen mentions in the
    early-stopping set, the highest of many scores is a lucky one, and may be that of a model of the second epoch.
    A transformer is left alone: it was not measured.

    Returns:
        What is said of it; empty if the model with the highest score stays.
    """
    # spaCy has filled in what the recipe's config leaves open.
    config = read_config(folder / LAST / "config.cfg")
    training = config["training"]
    weights = {name: weight for name, weight in training["score_weights"].items() if weight}
    of_mentions = weights and all(name.startswith("ents_") for name in weights)
    if find_transformers(config) or not training["optimizer"].get("use_averages") or not of_mentions:
        return ""
    best, last = (_score(folder / name, weights) for name in (BEST, LAST))
    mentions = sum(len(passage.spans) for passage in read_set(recipe.sets(SPACY)[1]))
    if best <= last or best - last > MORE_THAN_CHANCE * standard_error(best, mentions):
        return ""
    shutil.rmtree(folder / BEST)
    shutil.copytree(folder / LAST, folder / BEST)
    return (
        f"The last model is kept. Its score is {last:.3f} and the highest {best:.3f}: with {mentions} mentions in the "
        "dev set, the difference may be chance."
    )


def _score(model: Path, weights: Mapping[str, float]) -> float:
    """What early stopping compared: the mean of a model's scores by their weights."""
    scores = srsly.read_json(model / "meta.json")["performance"]
    return sum(weight * (scores[name] or 0) for name, weight in weights.items()) / sum(weights.values())


def standard_error(share: float, of: int) -> float:
    """The standard error of a share, with two successes and two failures added: Agresti & Coull, 1998.

    Without them, one right answer of one would be certain.
    """
    share = (share * of + 2) / (of + 4)
    return math.sqrt(share * (1 - share) / (of + 4))


def _for_any_machine(model: Path) -> None:
    """Remove from a trained model what is true only on the machine or in the process that trained it."""
    config = read_config(model / "config.cfg")
    for name in find_transformers(config):
        config["components"][name]["model"]["mixed_precision"] = False
    config["system"]["gpu_allocator"] = None
    config.to_disk(model / "config.cfg")
    meta = srsly.read_json(model / "meta.json")
    # spaCy has them in the order of a set, which differs from process to process.
    for name, scores in meta["performance"].items():
        if isinstance(scores, dict):
            meta["performance"][name] = dict(sorted(scores.items()))
    srsly.write_json(model / "meta.json", meta)


def _check_windows(config: Config, preset: Preset) -> None:
    """Refuse windows that may be longer than what the transformer reads: their ends would be cut off."""
    windows = config["components"]["transformer"]["model"].get("get_spans", {})
    longest = preset.tokenizer.get("model_max_length")
    if longest and windows.get("@span_getters") == BYTE_WINDOWS and windows.get("size", 0) + SPECIAL > longest:
        raise UserError(
            f"The base model {preset.name} reads {longest} word pieces at once; windows of {windows['size']} bytes may "
            "have more",
            f"Set size to {longest - SPECIAL} or less, and overlap to about a quarter of it, in "
            "[components.transformer.model.get_spans] of configs/transformer.cfg.",
        )
