"""The learning curve measured: a config trained on growing parts of the training set, and each model scored.

Every part is contained in the next larger one, so that two trainings differ by what was added and not by chance alone.
"""

import gc
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
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
    RunFolder,
    TrainingRun,
    bare,
    check_file,
    identity_of,
    read_evaluation_set,
    run_once,
    run_record,
    train_on,
)
from spacy_domain_ner.files import at_work, replacing
from spacy_domain_ner.training.recipe import JSONL, Recipe, RunInputs, read_set

SIZES = (0.125, 0.25, 0.5, 1.0)
# A model learns nothing from fewer passages that a curve could go through.
FEWEST_PASSAGES = 10
MEASURE = "Measure the curve: weasel run learning-curve"


class PartRun(TrainingRun):
    """A training on a part of the training set.

    Attributes:
        passages: The number of passages in the part.
        mentions: The number of mentions of each type in it.
    """

    passages: int
    mentions: dict[str, int]


class PartResult(BaseModel):
    """What the curve's file holds of a part: the fields of `forecasts.Measured`."""

    model_config = ConfigDict(extra="forbid")

    passages: int
    mentions: dict[str, int]
    counts: dict[str, list[tuple[int, int, int]]]


class CurveFile(BaseModel):
    """The file of a curve: what was measured, on which passages, and what follows from it.

    Attributes:
        format_version: The version of the file format.
        evaluation_set: The digest of the passages that the models were scored on.
        settings: What was trained on, and how.
        points: The points of the curve, as `LearningCurve.to_dict` gives them.
        forecasts: The forecasts for the gate that was asked for, as `LearningCurve.to_dict` gives them.
        measured: The counts that both follow from.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: Literal[1] = 1
    evaluation_set: str
    settings: dict[str, Any]
    points: list[dict[str, Any]]
    forecasts: dict[str, dict[str, Any]]
    measured: list[PartResult] = Field(min_length=FEWEST_SIZES)

    @model_validator(mode="after")
    def _of_the_same_passages(self) -> "CurveFile":
        if len({len(counts) for part in self.measured for counts in part.counts.values()}) > 1:
            raise ValueError("the counts are not of the same passages")
        return self


def measure_learning_curve(
    recipe: Recipe = Recipe(),
    *,
    eval: str | Path = Path("corpus/eval.jsonl"),
    output: str | Path = Path("metrics/learning_curve.json"),
    sizes: Sequence[float] = SIZES,
    gate: float = GATE,
    say: Callable[[str], None] = print,
) -> LearningCurve:
    """Train on growing parts of the training set, score each model, fit the curve, and write its file.

    What was measured is kept in `runs` of a folder beside the output. A run whose config, sets, seed, epochs and
    patience are the same is not repeated, so that an interrupted measurement continues where it was. The models are
    deleted.

    Args:
        recipe: What is trained on, and how. Its seed also decides what goes into a part.
        eval: The held-out passages (.jsonl).
        output: The file of the curve.
        sizes: The parts of the training set, as shares of its passages. The largest must be 1: a forecast starts there.
        gate: The F1 to reach.
        say: Gets a line for each run.

    Returns:
        The curve, with a forecast for each type of which enough is known.

    Raises:
        UserError: If a file is missing, a size is out of range, or there is too little to train on.
    """
    output, sizes = Path(output), sorted(sizes)
    _check_sizes(sizes)
    if not 0 <= gate <= 1:
        raise UserError(f"`gate` is {gate}", "Give an F1 between 0 and 1, for instance 0.85.")
    check_file(recipe.config, "configure")
    train_path, dev_path = recipe.sets(JSONL)
    check_file(train_path, "split")
    check_file(dev_path, "split")
    passages = read_evaluation_set(Path(eval))
    dev = bare(read_set(dev_path))
    train = read_valid_passages(train_path)
    sizes = _large_enough(sizes, len(train), say)
    parts = [bare(part) for part in draw_parts(train, sizes, recipe.seed)]
    nlp = load_tokenizing_pipeline(recipe.config)
    sets = {"dev": identity_of(dev), "eval": identity_of(passages)}
    runs = []
    with at_work(output):
        for number, part in enumerate(parts, 1):
            inputs = recipe.inputs(train=identity_of(part), **sets)
            measure = partial(_measure, recipe, nlp, inputs, part, dev, passages)
            kept_in = RunFolder(output.with_name(f"{output.stem}_runs"), str(len(part)))
            title = f"Run {number} of {len(parts)}: {len(part)} of {len(parts[-1])} passages"
            left = sum(map(len, parts[number:])) / len(part)
            runs.append(run_once(PartRun, inputs, measure, kept_in, title, say, left))
    curve = learn_from([_to_measured(run) for run in runs], gate)
    file = CurveFile(
        evaluation_set=sets["eval"],
        settings={
            "config": recipe.config.as_posix(),
            "train": train_path.as_posix(),
            "dev": dev_path.as_posix(),
            "eval": Path(eval).as_posix(),
            "sizes": sizes,
            "seed": recipe.seed,
            "max_epochs": recipe.max_epochs,
            "patience": recipe.patience_epochs,
            "gate": gate,
        },
        **curve.to_dict(),
        measured=[PartResult(passages=run.passages, mentions=run.mentions, counts=run.counts) for run in runs],
    )
    with replacing(output) as stream:
        stream.write(srsly.json_dumps(file.model_dump()) + "\n")
    return curve


def read_learning_curve(path: Path, gate: float = GATE) -> LearningCurve:
    """Read what `measure_learning_curve` has written, and fit the curve for a gate.

    Args:
        path: The file of the curve.
        gate: The F1 to reach.

    Raises:
        UserError: If the file is missing or is not a learning curve.
    """
    return learn_from(read_measurements(path), gate)


def read_measurements(path: Path) -> list[Measured]:
    """Read the counts that a curve's forecasts follow from.

    Args:
        path: The file of the curve.

    Raises:
        UserError: If the file is missing or is not a learning curve.
    """
    return [_to_measured(part) for part in _read(path).measured]


def is_curve_of(path: Path, passages: Sequence[Passage]) -> bool:
    """Whether a curve was measured on these passages and annotations.

    Args:
        path: The file of the curve.
        passages: The evaluation set.

    Raises:
        UserError: If the file is missing or is not a learning curve.
    """
    return _read(path).evaluation_set == identity_of(passages)


def draw_parts(passages: list[Passage], sizes: Sequence[float], seed: int = 0) -> list[list[Passage]]:
    """Draw parts of a training set so that each is contained in the next.

    A part ends where a group of passages (`meta.source`) ends, if such an end is nearer to the size of this part than
    to that of another. If there is none, because a group is too large, the group is cut. A hash of its name decides
    which group comes first, so that passages that are added change no more than they must.

    Args:
        passages: The training set.
        sizes: Shares of the passages.
        seed: The hash's salt.

    Returns:
        The parts, the smallest first, each in the order of the passages.

    Raises:
        UserError: If the smallest part has too few passages or no mention, or two parts are the same.
    """
    sizes = sorted(sizes)
    wanted = [round(size * len(passages)) for size in sizes]
    hint = (
        "Annotate more passages, or give larger `sizes`, for instance 0.5,0.75,1. In a project: "
        "weasel run learning-curve . --vars.learning_curve_sizes 0.5,0.75,1"
    )
    if wanted[0] < FEWEST_PASSAGES:
        raise UserError(
            f"A part of {sizes[0]:g} is {wanted[0]} of {len(passages)} training passages; at least {FEWEST_PASSAGES} "
            "are needed",
            hint,
        )
    if twice := [pair for pair, counts in zip(pairwise(sizes), pairwise(wanted), strict=True) if len({*counts}) == 1]:
        small, large = twice[0]
        raise UserError(
            f"The sizes {small:g} and {large:g} are the same part of {len(passages)} training passages", hint
        )
    order, ends = _in_whole_groups(passages, seed)
    # A part may end where it is nearer to its own size than to that of a neighbour: between the two middles. The
    # smallest part has 0 below it. The size above the largest is made up, so that the middle lies after all passages.
    neighbours = [0, *wanted, 2 * len(passages) + 1]
    parts = []
    for below, count, above in zip(neighbours, wanted, neighbours[2:], strict=False):
        low, high = (below + count) / 2, (count + above) / 2
        near = (end for end in ends if end >= FEWEST_PASSAGES and low < end < high)
        end = min(near, key=lambda end: abs(end - count), default=count)
        parts.append([passages[index] for index in sorted(order[:end])])
    if not any(passage.spans for passage in parts[0]):
        raise UserError(f"The smallest part, {len(parts[0])} training passages, has no annotated mention", hint)
    return parts


def _large_enough(sizes: list[float], passages: int, say: Callable[[str], None]) -> list[float]:
    """The sizes without those that are too few passages to train on, if the others still make a curve."""
    large = [size for size in sizes if round(size * passages) >= FEWEST_PASSAGES]
    if len(large) == len(sizes) or len(large) < FEWEST_SIZES:
        return sizes
    small = ", ".join(f"{size:g}" for size in sizes if size not in large)
    say(f"Left out: {small} of {passages} training passages, which is fewer than {FEWEST_PASSAGES} passages")
    return large


def _in_whole_groups(passages: list[Passage], seed: int) -> tuple[list[int], list[int]]:
    """The indices of the passages, group after group, and where in that order each group ends."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, passage in enumerate(passages):
        groups[group_of(passage)].append(index)
    drawn = sorted(groups, key=lambda group: hashlib.blake2b(f"{seed} {group}".encode(), digest_size=8).digest())
    return [index for group in drawn for index in groups[group]], list(accumulate(len(groups[g]) for g in drawn))


def _check_sizes(sizes: Sequence[float]) -> None:
    hint = "Give three or more shares of the training set, up to 1, for instance 0.125,0.25,0.5,1."
    # NaN is not between them either.
    if wrong := [size for size in sizes if not 0 < size <= 1]:
        raise UserError(f"The size {wrong[0]:g} is not between 0 and 1", hint)
    if twice := [size for size, count in Counter(sizes).items() if count > 1]:
        raise UserError(f"The size {twice[0]:g} is given twice", hint)
    if len(sizes) < FEWEST_SIZES:
        raise UserError(f"{len(sizes)} size(s) don't make a curve: at least {FEWEST_SIZES} are needed", hint)
    if max(sizes) < 1:
        raise UserError(f"The largest size is {max(sizes):g}, but a forecast starts at 1, the whole set", hint)


def _measure(
    recipe: Recipe,
    nlp: Language,
    inputs: RunInputs,
    part: list[Passage],
    dev: list[Passage],
    passages: list[Passage],
    folder: Path,
) -> PartRun:
    """Train on a part in a folder, and score the model on the evaluation passages."""
    model, seconds = train_on(recipe, nlp, folder, part, dev)
    predictions = predict_spans(model, passages)
    del model
    gc.collect()
    # Most frequent type first.
    labels = [label for label, _ in _count(passages).most_common()]
    record = run_record(inputs, recipe.seed, seconds, passages, predictions, labels)
    return PartRun(passages=len(part), mentions=_count(part), **record)


def _count(passages: Sequence[Passage]) -> Counter[str]:
    """The number of mentions of each type."""
    return Counter(span.label for passage in passages for span in passage.spans)


def _to_measured(part: PartRun | PartResult) -> Measured:
    counts = {label: numpy.array(rows, dtype=numpy.int64) for label, rows in part.counts.items()}
    return Measured(part.passages, part.mentions, counts)


def _read(path: Path) -> CurveFile:
    try:
        return CurveFile.model_validate(srsly.json_loads(path.read_bytes()))
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", MEASURE) from None
    except ValueError:
        raise UserError(f"{path} is not a learning curve, or not of this version", f"Delete it. {MEASURE}") from None
