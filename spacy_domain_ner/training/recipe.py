"""What is trained on, and how: all that the result of a training depends on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import srsly
from thinc.api import Config

from spacy_domain_ner.base_models.configs import read_config
from spacy_domain_ner.corpus.checks import no_entities
from spacy_domain_ner.corpus.docbin import read_docs
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import INCORRECT
from spacy_domain_ner.errors import UserError, reason

# The two files of a set, side by side: `split` writes its passages as .jsonl, `convert` its tokens as .spacy.
JSONL, SPACY = ".jsonl", ".spacy"
# NumPy takes no larger seed.
LARGEST_SEED = 2**32 - 1

# Names and values by which two trainings are known to be the same.
RunInputs = Mapping[str, str | int]


@dataclass(frozen=True)
class Recipe:
    """What is trained on, and how.

    Attributes:
        config: A spaCy training config, or one with a section `[huggingface]`.
        train: The training set, named by its .jsonl or its .spacy file: the framework reads the one that it needs.
        dev: The early-stopping set, named like the training set.
        max_epochs: The most passes over the training set. Where the learning rate falls to zero, as it does for
            transformers, it falls over the config's own number of epochs, and that is not exceeded. Otherwise large
            sets take fewer with spaCy, 10 at least: see `spacy_training.MOST_STEPS`.
        patience_epochs: Training stops after this many epochs without a better F1, but not while the learning rate
            falls, and with spaCy not before 1,000 steps without one: see `spacy_training.LEAST_PATIENCE`. Without a
            transformer, the last model is kept unless an earlier one is better by more than chance.
        seed: The seed of everything random.
        gpu_id: The GPU's number, or -1 for the CPU; `auto` takes a GPU for a transformer, if there is one.
        overrides: Further values of the config by their dotted names, for instance `training.dropout`.

    Raises:
        UserError: If a number is out of range.
    """

    config: Path = Path("training/config.cfg")
    train: Path = Path("corpus/train.jsonl")
    dev: Path = Path("corpus/dev.jsonl")
    max_epochs: int = 30
    patience_epochs: int = 5
    seed: int = 0
    gpu_id: str | int = "auto"
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("config", "train", "dev"):
            # Text will do for a path.
            object.__setattr__(self, name, Path(getattr(self, name)))
        for name in ("max_epochs", "patience_epochs"):
            if (number := getattr(self, name)) < 1:
                raise UserError(f"`{name}` is {number}", "It must be 1 or more; 10 to 30 epochs are usual.")
        check_seed(self.seed)

    def read_config(self) -> Config:
        """Read the config, with the overrides in it.

        Raises:
            UserError: If it can't be read.
        """
        return read_config(self.config, self.overrides)

    def sets(self, suffix: str) -> tuple[Path, Path]:
        """The files of the training and early-stopping sets that end in `.jsonl` or `.spacy`.

        A file with another ending is taken as it is.
        """
        train, dev = (
            path.with_suffix(suffix) if path.suffix in (JSONL, SPACY) else path for path in (self.train, self.dev)
        )
        return train, dev

    def inputs(self, **sets: str) -> RunInputs:
        """What the result depends on, as digests and numbers. Trainings that have the same give the same model.

        Args:
            sets: The digests of the sets by their names: `train`, `dev`, and what the model is measured on.
        """
        values: dict[str, str | int] = {
            "config": md5(self.config.read_bytes()),
            **sets,
            "seed": self.seed,
            "max_epochs": self.max_epochs,
            "patience": self.patience_epochs,
        }
        return {**values, "overrides": digest(dict(self.overrides))} if self.overrides else values


def check_seed(seed: int) -> None:
    """Check that a seed is one.

    Raises:
        UserError: If it is out of range.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"The seed {seed} is not between 0 and {LARGEST_SEED}", "Give a whole number, for instance 0.")


def read_set(path: Path) -> list[Passage]:
    """Read a set that is trained on or stopped by.

    Args:
        path: The set's file: .jsonl, or .spacy, which gives the spans that its tokens can express.

    Raises:
        UserError: If the file can't be read or has no entities.
    """
    passages = _read_passages(path) if path.suffix == JSONL else _read_docs(path)
    if not any(passage.spans for passage in passages):
        raise no_entities(path, len(passages))
    return passages


def _read_passages(path: Path) -> list[Passage]:
    try:
        return read_valid_passages(path)
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", "Split the passages again: weasel run split") from None


def _read_docs(path: Path) -> list[Passage]:
    hint = "Convert the sets again: weasel run convert"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", hint) from None
    return [
        Passage(
            doc.text,
            [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents],
            unknown=[Span(token.idx, token.idx + len(token), "") for token in doc if not token.ent_iob],
            incorrect=[Span(one.start_char, one.end_char, one.label_) for one in doc.spans.get(INCORRECT, ())],
        )
        for doc in read_docs(data, str(path), hint)
    ]


def digest(value: Any) -> str:
    """The MD5 of a value that JSON can hold."""
    return md5(srsly.json_dumps(value, sort_keys=True).encode())


def md5(content: bytes) -> str:
    """The MD5 in hexadecimal digits. It tells contents apart; it protects nothing."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
