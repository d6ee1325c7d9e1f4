"""Trainings that are measured once: the result is kept in a file, and read from it where the inputs are the same.

So a command of many trainings that was interrupted goes on where it was, and one that is given again repeats nothing.
"""

import hashlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from spacy_domain_ner.training import train
from spacy_domain_ner.training.gpu import gpu_name

# numpy takes no other seeds.
MOST = 2**32 - 1

Inputs = Mapping[str, str | int]


class TrainingRun(BaseModel):
    """One training and what was measured of it, as its file has it.

    inputs: What the result depends on: a run with the same is not repeated.
    training_seconds: Of the clock on the wall, loading the base model included.
    environment: The versions and the machine that it was measured with.
    micro, types: Precision, recall, F1 and counts over all types, and of each.
    counts: For each type a row for each passage: true positives, false positives, false negatives.
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
class Place:
    """Where a run is kept.

    folder: Its file is in `runs`, and its model, while there is one, in `models`.
    name: What the run is called there. The digest of its inputs comes behind it.
    keep: Keep the trained model.
    """

    folder: Path
    name: str
    keep: bool = False


def run_once(
    kind: type[AnyRun],
    inputs: Inputs,
    measure: Callable[[Path], AnyRun],
    place: Place,
    title: str,
    say: Callable[[str], None],
) -> AnyRun:
    """The run with these inputs: from its file where it has one, else measured and kept.

    kind: What the file holds.
    measure: Trains into a folder, which is new, and says what it found.
    title: What the run is called for the reader.
    say: Gets a line before the training and one after it, or one that it was not needed.
    """
    name = f"{place.name}-{digest(inputs)[:8]}"
    file, models = place.folder / "runs" / f"{name}.json", place.folder / "models" / name
    if (run := _read(kind, file, inputs)) and not (place.keep and not (models / "model-best").is_dir()):
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
        if not place.keep:
            shutil.rmtree(models, ignore_errors=True)
            with suppress(OSError):
                models.parent.rmdir()
    found = run.micro["f1"]
    say(f"{title}: F1 {found:.3f}, {run.training_seconds:.0f} s of training")
    return run


def _read(kind: type[AnyRun], file: Path, inputs: Inputs) -> AnyRun | None:
    """A run's file; None where there is none with these inputs, or someone has spoilt it."""
    try:
        run = kind.model_validate(srsly.read_json(file))
    except (OSError, ValueError, ValidationError):
        return None
    return run if run.inputs == inputs else None


def train_timed(config: Path, folder: Path, train_path: Path, dev_path: Path, **settings: Any) -> float:
    """Train a model, `model-best` of the folder; all is as for `train`. RETURNS: The seconds that it took."""
    # The run before may have left the GPU switched on, and this one not want it.
    require_cpu()
    started = perf_counter()
    train(config, folder, train_path, dev_path, **settings)
    return perf_counter() - started


def train_on(
    config: Path, nlp: Language, folder: Path, train: list[Passage], dev: list[Passage], **settings: Any
) -> tuple[Language, float]:
    """Train a config on passages, in a folder.

    nlp: The config's tokenizer.
    train, dev: The training and early-stopping sets.
    settings: As for `train`.
    RETURNS: The best model, and the seconds that its training took.
    """
    # Each framework reads one of the two forms.
    for name, side in (("train", train), ("dev", dev)):
        write_passages(folder / f"{name}.jsonl", side)
        write_docs(nlp, side, folder / f"{name}.spacy")
    seconds = train_timed(config, folder, folder / "train.spacy", folder / "dev.spacy", **settings)
    return load_model(folder / "model-best"), seconds


def measured(
    inputs: Inputs,
    seconds: float,
    passages: list[Passage],
    predictions: list[list[Span]],
    labels: Iterable[str] = (),
) -> dict[str, Any]:
    """What every run holds: the fields of TrainingRun.

    seconds: Of the training.
    passages, predictions: The evaluation set, and what the model makes of it.
    labels: The entity types that come first; others that occur come behind them.
    """
    scores = score(passages, predictions, labels)
    return {
        "seed": inputs["seed"],
        "inputs": dict(inputs),
        "training_seconds": round(seconds, 2),
        "environment": _environment(),
        "micro": scores.micro.to_dict(),
        "types": {label: found.to_dict() for label, found in scores.types.items()},
        "counts": {label: counts.tolist() for label, counts in count_passages(passages, predictions, labels).items()},
    }


def bare(passages: Sequence[Passage]) -> list[Passage]:
    """What a model sees of passages: metadata that changes asks for no new training."""
    return [Passage(passage.text, passage.spans) for passage in passages]


def identity_of(passages: Sequence[Passage]) -> str:
    """A digest of passages' texts and annotations."""
    spans = [[(span.start, span.end, span.label) for span in passage.spans] for passage in passages]
    return digest([[passage.text, of_passage] for passage, of_passage in zip(passages, spans, strict=True)])


def digest(value: Any) -> str:
    """The MD5 of a value that JSON can hold."""
    return md5(srsly.json_dumps(value, sort_keys=True).encode())


def md5(content: bytes) -> str:
    """The MD5 in hexadecimal digits. It tells contents apart, and guards nothing."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def read_evaluation_set(path: Path) -> list[Passage]:
    """The held-out passages. RAISES: UserError where there is nothing to measure by."""
    check_file(path, "split")
    passages = read_valid_passages(path)
    if not any(passage.spans for passage in passages):
        raise UserError(f"{path} has no annotated mention", "Annotate more passages, then run the split again.")
    return passages


def check_file(path: Path, step: str) -> None:
    """RAISES: UserError where there is no such file, naming the step that makes it."""
    if not path.is_file():
        raise UserError(f"There is no file {path}", f"Make it first: weasel run {step}. Or name another.")


def check_seed(seed: int) -> None:
    """RAISES: UserError where a seed is out of range."""
    if not 0 <= seed <= MOST:
        raise UserError(f"The seed {seed} is not between 0 and {MOST}", "Give a whole number, for instance 0.")


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
