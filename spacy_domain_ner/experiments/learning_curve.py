"""The learning curve measured: a config trained on growing parts of the training set, and each model scored.

Every part is contained in the next larger one: what differs between two trainings is what was added, not chance alone.
"""

import gc
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy
import srsly
from pydantic import BaseModel, ConfigDict, Field, model_validator
from spacy.language import Language

from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline
from spacy_domain_ner.corpus.split import group_of
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.evaluation.forecasts import FEWEST_SIZES, LearningCurve, Measured, learn_from
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.evaluation.scores import predict_spans
from spacy_domain_ner.experiments.runs import (
    Inputs,
    Place,
    TrainingRun,
    bare,
    check_file,
    check_seed,
    identity_of,
    md5,
    measured,
    read_evaluation_set,
    run_once,
    train_on,
)
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training.gpu import AUTO
from spacy_domain_ner.training.spacy_training import no_entities

SIZES = (0.125, 0.25, 0.5, 1.0)
# From fewer passages nothing is learned that a curve could go through.
FEWEST_PASSAGES = 10
MEASURE = "Measure the curve: weasel run learning-curve"


@dataclass(frozen=True)
class Settings:
    """What is trained on, and how.

    train, dev, eval: The training, early-stopping and evaluation sets (.jsonl).
    output: The file of the curve. What is kept of each run lies in a folder beside it.
    sizes: The parts of the training set, as shares of its passages; the largest is 1, for that is where a forecast
        begins.
    seed: Of what goes into a part, and of the trainings.
    max_epochs, patience_epochs, gpu_id: As for `train`.
    gate: The F1 that is to be reached.
    """

    train: Path = Path("corpus/train.jsonl")
    dev: Path = Path("corpus/dev.jsonl")
    eval: Path = Path("corpus/eval.jsonl")
    output: Path = Path("metrics/learning_curve.json")
    sizes: tuple[float, ...] = SIZES
    seed: int = 0
    max_epochs: int = 30
    patience_epochs: int = 5
    gpu_id: str | int = AUTO
    gate: float = GATE


class PartRun(TrainingRun):
    """A training with a part of the passages. passages: How many those are; mentions: Of each type in them."""

    passages: int
    mentions: dict[str, int]


class MeasuredPart(BaseModel):
    """What the curve's file has of a run. The entries are those of `learning_curve.Measured`."""

    model_config = ConfigDict(extra="forbid")

    passages: int
    mentions: dict[str, int]
    counts: dict[str, list[tuple[int, int, int]]]


class CurveFile(BaseModel):
    """The file of a curve: what was measured, on which passages, and what follows from it.

    evaluation_set: The digest of its passages.
    points, forecasts: As `LearningCurve.to_dict` gives them, for the gate that was asked for.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1] = 1
    evaluation_set: str
    settings: dict[str, Any]
    points: list[dict[str, Any]]
    forecasts: dict[str, dict[str, Any]]
    measured: list[MeasuredPart] = Field(min_length=FEWEST_SIZES)

    @model_validator(mode="after")
    def _of_the_same_passages(self) -> "CurveFile":
        if len({len(counts) for part in self.measured for counts in part.counts.values()}) > 1:
            raise ValueError("the counts are not of the same passages")
        return self


def measure_learning_curve(
    config: Path, settings: Settings = Settings(), say: Callable[[str], None] = print
) -> LearningCurve:
    """Train a config on growing parts of the training set, score each model, fit the curve, and write its file.

    What was measured is kept in `runs` of a folder beside the output: a run whose config, sets, seed, epochs and
    patience are the same is not repeated, so that an interrupted command goes on where it was. The models are deleted.

    config: A spaCy training config, or one with a section `[huggingface]`.
    say: Gets a line for each run.
    RAISES: UserError where a file is missing, a size is no good, or there is too little to train on.
    """
    _check_sizes(settings.sizes)
    check_seed(settings.seed)
    if not 0 <= settings.gate <= 1:
        raise UserError(f"The gate is {settings.gate}", "Give an F1 between 0 and 1, for instance 0.85.")
    check_file(config, "configure")
    check_file(settings.train, "split")
    check_file(settings.dev, "split")
    passages = read_evaluation_set(settings.eval)
    dev = bare(read_valid_passages(settings.dev))
    if not any(passage.spans for passage in dev):
        raise no_entities(settings.dev, len(dev))
    parts = draw_parts(read_valid_passages(settings.train), settings.sizes, settings.seed)
    nlp = load_tokenizing_pipeline(config)
    common: dict[str, str | int] = {
        "config": md5(config.read_bytes()),
        "dev": identity_of(dev),
        "eval": identity_of(passages),
        "seed": settings.seed,
        "max_epochs": settings.max_epochs,
        "patience": settings.patience_epochs,
    }
    runs = []
    for number, part in enumerate(map(bare, parts), 1):
        inputs = {**common, "train": identity_of(part)}
        measure = partial(_measure, config, nlp, inputs, part, dev, passages, settings)
        place = Place(settings.output.with_name(f"{settings.output.stem}_runs"), str(len(part)))
        title = f"Run {number} of {len(parts)}: {len(part)} of {len(parts[-1])} passages"
        runs.append(run_once(PartRun, inputs, measure, place, title, say))
    curve = learn_from([_measured(run) for run in runs], settings.gate)
    _write(config, settings, passages, runs, curve)
    return curve


def read_learning_curve(path: Path, gate: float = GATE) -> LearningCurve:
    """Read what `measure_learning_curve` has written, and fit the curve for a gate.

    RAISES: UserError where the file is missing or is no such file.
    """
    return learn_from([_measured(part) for part in _read(path).measured], gate)


def measured_on(path: Path, passages: Sequence[Passage]) -> bool:
    """Whether a curve was measured on these passages and annotations. RAISES: UserError as `read_learning_curve`."""
    return _read(path).evaluation_set == identity_of(passages)


def draw_parts(passages: list[Passage], sizes: Sequence[float], seed: int = 0) -> list[list[Passage]]:
    """Draw parts of a training set each of which is contained in the next.

    A group of passages (`meta.source`) is in a part as a whole or not at all wherever the part comes nearer to its own
    size that way than to another's; where a group is too large for that, it is cut. Which group comes in first is
    decided by a hash of its name, so that passages that are added change no more than they must.

    sizes: Shares of the passages.
    seed: The hash's salt.
    RETURNS: The parts, the smallest first, each in the order of the passages.
    RAISES: UserError where the smallest part has too few passages or no mention, or two are the same.
    """
    sizes = sorted(sizes)
    wanted = [round(size * len(passages)) for size in sizes]
    hint = "Annotate more passages, or give larger sizes, for instance: --sizes 0.5,0.75,1"
    if wanted[0] < FEWEST_PASSAGES:
        raise UserError(
            f"A part of {sizes[0]:g} is {wanted[0]} of {len(passages)} training passages, and {FEWEST_PASSAGES} are "
            "the fewest to train on",
            hint,
        )
    if twice := [pair for pair, counts in zip(pairwise(sizes), pairwise(wanted), strict=True) if len({*counts}) == 1]:
        small, large = twice[0]
        raise UserError(
            f"The sizes {small:g} and {large:g} are the same part of {len(passages)} training passages", hint
        )
    order, ends = _in_whole_groups(passages, seed)
    # The size before the first is nothing; behind the last no passage is left.
    neighbours = [0, *wanted, 2 * len(passages) + 1]
    parts = []
    for place, count in enumerate(wanted, 1):
        low, high = (neighbours[place - 1] + count) / 2, (count + neighbours[place + 1]) / 2
        near = (end for end in ends if end >= FEWEST_PASSAGES and low < end < high)
        end = min(near, key=lambda end: abs(end - count), default=count)
        parts.append([passages[number] for number in sorted(order[:end])])
    if not any(passage.spans for passage in parts[0]):
        raise UserError(f"The smallest part, {len(parts[0])} training passages, has no annotated mention", hint)
    return parts


def _in_whole_groups(passages: list[Passage], seed: int) -> tuple[list[int], list[int]]:
    """The numbers of the passages, group behind group, and where in that order each group ends."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, passage in enumerate(passages):
        groups[group_of(passage)].append(number)
    drawn = sorted(groups, key=lambda group: hashlib.blake2b(f"{seed} {group}".encode(), digest_size=8).digest())
    return [number for group in drawn for number in groups[group]], list(accumulate(len(groups[g]) for g in drawn))


def _check_sizes(sizes: Sequence[float]) -> None:
    hint = "Give three or more shares of the training set with commas, up to 1, for instance 0.125,0.25,0.5,1."
    # Not a number is not between them either.
    if wrong := [size for size in sizes if not 0 < size <= 1]:
        raise UserError(f"The size {wrong[0]:g} is not between 0 and 1", hint)
    if twice := [size for size, count in Counter(sizes).items() if count > 1]:
        raise UserError(f"The size {twice[0]:g} is named twice", hint)
    if len(sizes) < FEWEST_SIZES:
        raise UserError(f"{len(sizes)} size(s) make no curve: {FEWEST_SIZES} are the fewest", hint)
    if max(sizes) < 1:
        raise UserError(f"The largest size is {max(sizes):g}, and a forecast begins at 1, the whole set", hint)


def _measure(
    config: Path,
    nlp: Language,
    inputs: Inputs,
    part: list[Passage],
    dev: list[Passage],
    passages: list[Passage],
    settings: Settings,
    folder: Path,
) -> PartRun:
    """Train in the folder and score there.

    nlp: The config's tokenizer.
    part, dev, passages: The training, early-stopping and evaluation sets.
    """
    model, seconds = train_on(
        config,
        nlp,
        folder,
        part,
        dev,
        max_epochs=settings.max_epochs,
        patience_epochs=settings.patience_epochs,
        seed=settings.seed,
        gpu_id=settings.gpu_id,
    )
    predictions = predict_spans(model, passages)
    del model
    gc.collect()
    # The most frequent type is the first that one reads of.
    labels = [label for label, _ in _count(passages).most_common()]
    return PartRun(
        passages=len(part),
        mentions=_count(part),
        **measured(inputs, seconds, passages, predictions, labels),
    )


def _count(passages: Sequence[Passage]) -> Counter[str]:
    """The mentions of each type."""
    return Counter(span.label for passage in passages for span in passage.spans)


def _measured(part: PartRun | MeasuredPart) -> Measured:
    counts = {label: numpy.array(rows, dtype=numpy.int64) for label, rows in part.counts.items()}
    return Measured(part.passages, part.mentions, counts)


def _write(
    config: Path, settings: Settings, passages: list[Passage], runs: Sequence[PartRun], curve: LearningCurve
) -> None:
    file = CurveFile(
        evaluation_set=identity_of(passages),
        settings={
            "config": config.as_posix(),
            **{name: getattr(settings, name).as_posix() for name in ("train", "dev", "eval")},
            "sizes": sorted(settings.sizes),
            "seed": settings.seed,
            "max_epochs": settings.max_epochs,
            "patience": settings.patience_epochs,
            "gate": settings.gate,
        },
        **curve.to_dict(),
        measured=[MeasuredPart(passages=run.passages, mentions=run.mentions, counts=run.counts) for run in runs],
    )
    with replacing(settings.output) as stream:
        stream.write(srsly.json_dumps(file.model_dump()) + "\n")


def _read(path: Path) -> CurveFile:
    try:
        return CurveFile.model_validate(srsly.json_loads(path.read_bytes()))
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", MEASURE) from None
    except ValueError:
        raise UserError(f"{path} is no learning curve, or not of this version", f"Delete it. {MEASURE}") from None
