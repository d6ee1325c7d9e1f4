"""Trainings that are measured once: the result is kept in a file, and read from it if the inputs are the same.

So an interrupted command of many trainings continues where it was, and running it again repeats nothing.
"""

import os
import platform
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, TypeVar

import srsly
from pydantic import BaseModel, ConfigDict, ValidationError
from spacy.language import Language
from thinc.api import NumpyOps, get_current_ops, require_cpu

from spacy_domain_ner.corpus.jsonl import read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.spacy_docs import write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import count_passages
from spacy_domain_ner.evaluation.scores import score
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training import Recipe, train
from spacy_domain_ner.training.gpu import gpu_name
from spacy_domain_ner.training.recipe import JSONL, SPACY, RunInputs, digest


class TrainingRun(BaseModel):
    """One training and what was measured of it, as its file holds it.

    Attributes:
        format_version: The version of the file format.
        seed: The seed of the training.
        inputs: What the result depends on: a run with the same inputs is not repeated.
        training_seconds: Wall-clock time, with that of loading the base model.
        environment: The versions and the machine of the measurement.
        micro: Precision, recall, F1 and counts over all types.
        types: The same for each type.
        counts: For each type a row per passage: true positives, false positives, false negatives.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1] = 1
    seed: int
    inputs: dict[str, str | int]
    training_seconds: float
    environment: dict[str, str | int | None]
    micro: dict[str, float | int | None]
    types: dict[str, dict[str, float | int | None]]
    counts: dict[str, list[tuple[int, int, int]]]


AnyRun = TypeVar("AnyRun", bound=TrainingRun)


@dataclass(frozen=True)
class RunFolder:
    """Where a run is kept.

    Attributes:
        folder: Has the run's file in `runs`, and its model, while there is one, in `models`.
        name: What the run is called there; the digest of its inputs is added.
        keep: Whether to keep the trained model.
    """

    folder: Path
    name: str
    keep: bool = False


def run_once(
    kind: type[AnyRun],
    inputs: RunInputs,
    measure: Callable[[Path], AnyRun],
    kept_in: RunFolder,
    title: str,
    say: Callable[[str], None],
    left: float = 0,
) -> AnyRun:
    """Read the run with these inputs from its file; measure and keep it if there is no such file.

    Args:
        kind: What the file holds.
        inputs: What the result depends on.
        measure: Trains into a folder, which is new, and returns what it measured.
        kept_in: Where the run is kept.
        title: What the run is called for the reader.
        say: Gets a line before the training and one after it, or one that says that it was not needed.
        left: How much training comes after it, in trainings like this one; 0 where that is not known.
    """
    name = f"{kept_in.name}-{digest(inputs)[:8]}"
    file, models = kept_in.folder / "runs" / f"{name}.json", kept_in.folder / "models" / name
    if (run := _read(kind, file, inputs)) and not (kept_in.keep and not (models / "model-best").is_dir()):
        say(f"{title}: measured before ({file})")
        return run
    say(title)
    # What a killed run has left.
    shutil.rmtree(models, ignore_errors=True)
    try:
        run = measure(models)
        with replacing(file) as stream:
            stream.write(srsly.json_dumps(run.model_dump()) + "\n")
    finally:
        if not kept_in.keep:
            shutil.rmtree(models, ignore_errors=True)
            with suppress(OSError):
                models.parent.rmdir()
    found = run.micro["f1"]
    minutes, seconds = divmod(round(left * run.training_seconds), 60)
    rest = f", about {minutes}:{seconds:02} left" if left else ""
    say(f"{title}: F1 {found:.3f}, {run.training_seconds:.0f} s of training{rest}")
    return run


def _read(kind: type[AnyRun], file: Path, inputs: RunInputs) -> AnyRun | None:
    """A run's file; None if there is none with these inputs, or its content is damaged."""
    try:
        run = kind.model_validate(srsly.read_json(file))
    except (OSError, ValueError, ValidationError):
        return None
    return run if run.inputs == inputs else None


def train_timed(recipe: Recipe, folder: Path) -> float:
    """Train a model into a folder, as `train` does, and return the seconds that it took."""
    # The run before may have left the GPU switched on, and this one may not want it.
    require_cpu()
    started = perf_counter()
    train(recipe, folder)
    return perf_counter() - started


def train_on(
    recipe: Recipe, nlp: Language, folder: Path, train_set: list[Passage], dev_set: list[Passage]
) -> tuple[Language, float]:
    """Train a recipe on other passages than its own, in a folder.

    Args:
        recipe: What is trained, and how.
        nlp: The config's tokenizer.
        folder: Gets the sets and the model.
        train_set: The passages to train on.
        dev_set: The passages for early stopping.

    Returns:
        The best model, and the seconds that its training took.
    """
    own = replace(recipe, train=folder / f"train{JSONL}", dev=folder / f"dev{JSONL}")
    # Each framework reads one of the two files.
    for path, passages in ((own.train, train_set), (own.dev, dev_set)):
        write_passages(path, passages)
        write_docs(nlp, passages, path.with_suffix(SPACY))
    seconds = train_timed(own, folder)
    return load_model(folder / "model-best"), seconds


def run_record(
    inputs: RunInputs,
    seed: int,
    seconds: float,
    passages: list[Passage],
    predictions: list[list[Span]],
    labels: Iterable[str] = (),
) -> dict[str, Any]:
    """What every run's file holds: the fields of TrainingRun.

    Args:
        inputs: What the result depends on.
        seed: The seed of the training.
        seconds: How long the training took.
        passages: The passages that the model was measured on.
        predictions: What it finds in each.
        labels: The entity types that come first; others that occur come after them.
    """
    scores = score(passages, predictions, labels)
    return {
        "seed": seed,
        "inputs": dict(inputs),
        "training_seconds": round(seconds, 2),
        "environment": _environment(),
        "micro": scores.micro.to_dict(),
        "types": {label: found.to_dict() for label, found in scores.types.items()},
        "counts": {label: counts.tolist() for label, counts in count_passages(passages, predictions, labels).items()},
    }


def bare(passages: Sequence[Passage]) -> list[Passage]:
    """What a model sees of passages: metadata that changes needs no new training."""
    return [
        Passage(passage.text, passage.spans, unknown=passage.unknown, incorrect=passage.incorrect)
        for passage in passages
    ]


def identity_of(passages: Sequence[Passage]) -> str:
    """A digest of passages' texts and annotations."""

    def rows(spans: Sequence[Span]) -> list[tuple[int, int, str]]:
        return [(span.start, span.end, span.label) for span in spans]

    return digest(
        [
            [
                passage.text,
                rows(passage.spans),
                *([rows(passage.unknown)] if passage.unknown or passage.incorrect else []),
                *([rows(passage.incorrect)] if passage.incorrect else []),
            ]
            for passage in passages
        ]
    )


def read_evaluation_set(path: Path) -> list[Passage]:
    """Read the held-out passages.

    Raises:
        UserError: If the file is missing or has no annotated mention.
    """
    check_file(path, "split")
    passages = read_valid_passages(path)
    if not any(passage.spans for passage in passages):
        raise UserError(f"{path} has no annotated mention", "Annotate more passages, then run the split again.")
    return passages


def check_file(path: Path, step: str) -> None:
    """Check that a file is there.

    Args:
        path: The file.
        step: The step of the project that makes it.

    Raises:
        UserError: If there is no such file.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}", f"Make it first: weasel run {step}. Or name another file.")


def _environment() -> dict[str, str | int | None]:
    """The versions and the machine; None for what is not installed."""
    versions: dict[str, str | int | None] = {"python": platform.python_version()}
    for package in ("spacy", "torch", "transformers"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    on_cpu = isinstance(get_current_ops(), NumpyOps)
    return {**versions, "cpu_count": os.cpu_count(), "gpu": None if on_cpu else gpu_name(0) or "unnamed"}
