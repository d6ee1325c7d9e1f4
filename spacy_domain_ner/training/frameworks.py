"""The frameworks: what can train a config. A further one is a class as below and a line in FRAMEWORKS."""

from pathlib import Path
from typing import Protocol

from thinc.api import Config

from spacy_domain_ner.base_models.presets import Preset
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training.huggingface import HuggingFace
from spacy_domain_ner.training.recipe import Recipe
from spacy_domain_ner.training.spacy_training import Spacy


class Framework(Protocol):
    """What can train a config.

    Attributes:
        name: What the user calls it.
        config_file: The config in `configs/` that `configure` fills in for a transformer.
        reads: Which file of a set it reads: `.jsonl` (passages) or `.spacy` (tokens).
    """

    name: str
    config_file: str
    reads: str

    def applies(self, config: Config) -> bool:
        """Whether a config is one for this framework."""

    def trains_transformer(self, config: Config) -> bool:
        """Whether a config trains a transformer, which is where a GPU helps."""

    def fill(self, config: Config, preset: Preset) -> None:
        """Fill in what a config leaves open for a transformer.

        Raises:
            UserError: If the config does not fit the transformer.
        """

    def train(self, recipe: Recipe, folder: Path, gpu: int) -> None:
        """Train with early stopping, and write a spaCy pipeline.

        Args:
            recipe: What is trained on, and how. Both sets have been read before and have entities.
            folder: Gets `model-best`, and whatever other `model-*` the framework keeps.
            gpu: The GPU's number, -1 for the CPU.

        Raises:
            UserError: If a package is missing or a value can't be trained with.
        """

    def hub_model(self, model: Path) -> Path | None:
        """The folder in a trained model that Hugging Face's tools load, without spaCy; None if there is none."""


# By name. The last is asked first whether a config is its own: spaCy takes whatever is left.
FRAMEWORKS: dict[str, Framework] = {"spacy": Spacy(), "huggingface": HuggingFace()}


def find_framework(config: Config) -> Framework:
    """The framework that trains a config."""
    return next(framework for framework in reversed(FRAMEWORKS.values()) if framework.applies(config))


def hub_models(model: Path) -> list[Path]:
    """The folders in a trained model that Hugging Face's tools load, without spaCy."""
    return [folder for framework in FRAMEWORKS.values() if (folder := framework.hub_model(model))]


def framework_named(name: str) -> Framework:
    """The framework of that name.

    Raises:
        UserError: If there is none.
    """
    if name not in FRAMEWORKS:
        raise UserError(f"`framework` is {name!r}, which is not known", f"Choose one of: {', '.join(FRAMEWORKS)}")
    return FRAMEWORKS[name]
