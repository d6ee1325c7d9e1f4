"""Base models compared: each is trained on the same passages, with each seed, and measured on the held-out ones."""

import gc
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

import numpy
from spacy.language import Language

from spacy_domain_ner.base_models import Framework, Preset, configure
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import (
    Counts,
    Estimate,
    estimate,
    estimate_difference,
    f1,
    precision,
    recall,
    signed,
)  # fmt: skip
from spacy_domain_ner.evaluation.scores import predict_spans
from spacy_domain_ner.experiments.runs import (
    Inputs,
    Place,
    TrainingRun,
    check_file,
    check_seed,
    md5,
    measured,
    read_evaluation_set,
    run_once,
    train_timed,
)
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training.gpu import AUTO

# Passes over the evaluation set whose median is the speed, after one that is not counted.
TIMED = 3


@dataclass(frozen=True)
class Choice:
    """A base model to compare, and what trains it; both as `configure` takes them."""

    base_model: str
    framework: Framework = "spacy"

    @property
    def name(self) -> str:
        """What the model is called in the results."""
        return self.base_model if self.framework == "spacy" else f"{self.base_model}@{self.framework}"


@dataclass(frozen=True)
class Settings:
    """What all models have in common.

    configs: The folder of the configs.
    train, dev: The training and early-stopping sets (.spacy, with the .jsonl beside it for the framework huggingface).
    eval: The held-out passages (.jsonl).
    output: The folder for the results and for what is kept of each run.
    seeds: Each model is trained once with each.
    max_epochs, patience_epochs, gpu_id: As for `train`.
    keep: Keep the trained models, in `models` of the output folder.
    """

    configs: Path = Path("configs")
    train: Path = Path("corpus/train.spacy")
    dev: Path = Path("corpus/dev.spacy")
    eval: Path = Path("corpus/eval.jsonl")
    output: Path = Path("comparison")
    seeds: tuple[int, ...] = (0, 1)
    max_epochs: int = 30
    patience_epochs: int = 5
    gpu_id: str | int = AUTO
    keep: bool = False


class Run(TrainingRun):
    """One training of a base model and what was measured of it, as its file has it.

    size_mb: The model's folder on disk, in millions of bytes.
    documents_per_second: Evaluation passages predicted in a second, right after training.
    """

    model: str
    size_mb: float
    documents_per_second: float


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 of all seeds together; None where one is undefined."""

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


@dataclass(frozen=True)
class Compared:
    """A base model's results. preset: None for a config of the user's own.

    difference: Of the micro F1, against the first model; None for the first itself.
    """

    choice: Choice
    preset: Preset | None
    runs: list[Run]
    micro: Scores
    types: dict[str, Scores]
    difference: Estimate | None

    @property
    def name(self) -> str:
        return self.choice.name

    @property
    def training_seconds(self) -> float:
        """The mean of the runs, as are the other two."""
        return fmean(run.training_seconds for run in self.runs)

    @property
    def size_mb(self) -> float:
        return fmean(run.size_mb for run in self.runs)

    @property
    def documents_per_second(self) -> float:
        return fmean(run.documents_per_second for run in self.runs)


@dataclass(frozen=True)
class Comparison:
    """All results. mentions: The annotated mentions of each type in the evaluation set, the most frequent first."""

    models: list[Compared]
    settings: Settings
    passages: int
    mentions: dict[str, int]

    @property
    def verdict(self) -> str:
        """The outcome in a sentence or two."""
        first = self.models[0]
        best = max(self.models, key=f1_of)
        if len(self.models) == 1:
            found = first.micro.f1
            assert found
            return f"{first.name}: F1 {found.value:.3f} ({found.low:.3f} to {found.high:.3f})."
        if len(self.models) == 2:
            return f"{self.in_words(self.models[1])}."
        said = f"Of {len(self.models)} models {best.name} has the highest F1, {f1_of(best):.3f}."
        return said if best is first else f"{said} {self.in_words(best)}."

    def in_words(self, model: Compared) -> str:
        """What a model gains over the first one. No full stop: it may stand within a sentence."""
        first, found = self.models[0].name, model.difference
        if found is None:
            return f"{model.name} is what the others are compared with"
        points = 100 * numpy.array([found.value, found.low, found.high])
        if found.low > 0:
            return f"{model.name} gains {points[0]:.1f} points ({points[1]:.1f} to {points[2]:.1f}) over {first}"
        if found.high < 0:
            return f"{model.name} loses {-points[0]:.1f} points ({-points[2]:.1f} to {-points[1]:.1f}) against {first}"
        return (
            f"{model.name} and {first}: no difference that {self.passages} passages can show "
            f"({signed(points[0])} points, {signed(points[1])} to {signed(points[2])})"
        )

    @property
    def notes(self) -> list[str]:
        """What limits the figures."""
        seeds = len(self.settings.seeds)
        notes = [
            "The intervals hold 95 % of 1,000 bootstrap draws of the passages: they say what other passages would "
            "change, "
            + (
                f"with the predictions of {'both' if seeds == 2 else f'all {seeds}'} seeds on a passage drawn together."
                if seeds > 1
                else "not what another seed would. Compare with more seeds before you decide on a small difference."
            ),
        ]
        runs = [run for model in self.models for run in model.runs]
        if any(_but_gpu(run.environment) != _but_gpu(runs[0].environment) for run in runs):
            notes.append(
                "Not all runs were measured with the same versions and on the same machine: don't compare their times "
                "and speeds. Delete the folder of runs to measure all of them again."
            )
        devices = {model.name: str(model.runs[0].environment["gpu"] or "the CPU") for model in self.models}
        if len(set(devices.values())) > 1:
            where = ", ".join(f"{name} on {device}" for name, device in devices.items())
            notes.append(f"Trained and timed on different devices: {where}.")
        if few := [label for label, count in self.mentions.items() if not count]:
            notes.append(f"The evaluation set has no mention of {', '.join(few)}: only inventions are counted there.")
        return notes


def f1_of(model: Compared) -> float:
    """A model's F1 over all types."""
    assert model.micro.f1
    return model.micro.f1.value


def compare(choices: Sequence[Choice], settings: Settings, say: Callable[[str], None] = print) -> Comparison:
    """Train each base model with each seed, and measure it on the evaluation set.

    All base models are looked up before the first is trained. What was measured is kept in `runs` of the output folder:
    a run whose config, sets, seed, epochs and patience are the same is not repeated, so that an interrupted comparison
    goes on where it was. The models are trained and timed one after the other, each timed right after its training,
    since it is deleted then unless `keep` is set.

    choices: The base models. The others are compared with the first.
    say: Gets a line for each run.
    RETURNS: The results; `comparison_report.write` makes files of them.
    RAISES: UserError where there is nothing to compare, a base model or a file is missing, or training is not possible.
    """
    _check_choices(choices, settings.seeds)
    passages = read_evaluation_set(settings.eval)
    for choice in choices:
        _check_sets(choice, settings)
    configured = [_configured(choice, path, settings) for choice, path in _config_paths(choices, settings.output)]
    _check_different(choices, [text for _, text, _ in configured])
    total = len(choices) * len(settings.seeds)
    runs: list[list[Run]] = []
    for done, (choice, (config, text, _)) in enumerate(zip(choices, configured, strict=True)):
        runs.append([])
        for number, seed in enumerate(settings.seeds, done * len(settings.seeds) + 1):
            inputs = _inputs(choice, text, seed, settings)
            measure = partial(_measure, choice, config, inputs, passages, settings)
            place = Place(settings.output, f"{config.stem}-{seed}", settings.keep)
            title = f"Run {number} of {total}: {choice.name}, seed {seed}"
            runs[-1].append(run_once(Run, inputs, measure, place, title, say))
    return _compared(choices, [preset for *_, preset in configured], runs, passages, settings)


def _check_choices(choices: Sequence[Choice], seeds: Sequence[int]) -> None:
    hint = "Give them with commas, for instance cnn,minilm. `domain-ner presets` lists those that have a name."
    if not choices or not all(choice.base_model.strip() for choice in choices):
        raise UserError("A base model is missing in the list", hint)
    if twice := [name for name, count in Counter(choice.name for choice in choices).items() if count > 1]:
        raise UserError(f"The base model {twice[0]} is named twice", hint)
    hint = "Give whole numbers with commas, for instance 0,1: each model is trained once with each."
    if not seeds:
        raise UserError("There are no seeds", hint)
    for seed in seeds:
        check_seed(seed)
    if len(set(seeds)) < len(seeds):
        raise UserError("A seed is named twice", hint)


def _check_sets(choice: Choice, settings: Settings) -> None:
    for path in (settings.train, settings.dev):
        check_file(_read_by(choice, path), "convert" if choice.framework == "spacy" else "split")


def _config_paths(choices: Sequence[Choice], output: Path) -> list[tuple[Choice, Path]]:
    """A config's place for each model. Different names never have the same."""
    paths: list[tuple[Choice, Path]] = []
    taken: Counter[str] = Counter()
    for choice in choices:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", choice.name).strip("-.")[:60] or "model"
        taken[name.lower()] += 1
        count = taken[name.lower()]
        paths.append((choice, output / "configs" / (f"{name}.cfg" if count == 1 else f"{name}-{count}.cfg")))
    return paths


def _configured(choice: Choice, path: Path, settings: Settings) -> tuple[Path, str, Preset | None]:
    preset = configure(choice.base_model, settings.configs, path, framework=choice.framework)
    return path, path.read_text(encoding="utf8"), preset


def _check_different(choices: Sequence[Choice], configs: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for choice, text in zip(choices, configs, strict=True):
        if text in seen:
            raise UserError(
                f"{seen[text]} and {choice.name} are the same base model with the same config", "Leave out one of them."
            )
        seen[text] = choice.name


def _inputs(choice: Choice, config: str, seed: int, settings: Settings) -> Inputs:
    """What a run's result depends on."""
    return {
        "config": md5(config.encode()),
        "train": md5(_read_by(choice, settings.train).read_bytes()),
        "dev": md5(_read_by(choice, settings.dev).read_bytes()),
        "eval": md5(settings.eval.read_bytes()),
        "seed": seed,
        "max_epochs": settings.max_epochs,
        "patience": settings.patience_epochs,
    }


def _read_by(choice: Choice, path: Path) -> Path:
    """The form of a set that the framework reads."""
    return path.with_suffix(".jsonl") if choice.framework == "huggingface" else path


def _measure(
    choice: Choice, config: Path, inputs: Inputs, passages: list[Passage], settings: Settings, folder: Path
) -> Run:
    seconds = train_timed(
        config,
        folder,
        settings.train,
        settings.dev,
        max_epochs=settings.max_epochs,
        patience_epochs=settings.patience_epochs,
        seed=inputs["seed"],
        gpu_id=settings.gpu_id,
    )
    model = folder / "model-best"
    nlp = load_model(model)
    # The first pass, which is not timed: it fills caches.
    predictions = predict_spans(nlp, passages)
    speed = _documents_per_second(nlp, passages)
    del nlp
    gc.collect()
    return Run(
        model=choice.name,
        size_mb=round(sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6, 3),
        documents_per_second=round(speed, 2),
        **measured(inputs, seconds, passages, predictions),
    )


def _documents_per_second(nlp: Language, passages: list[Passage]) -> float:
    times = []
    for _ in range(TIMED):
        started = perf_counter()
        predict_spans(nlp, passages)
        times.append(perf_counter() - started)
    return len(passages) / median(times)


def _but_gpu(environment: dict[str, str | int | None]) -> dict[str, str | int | None]:
    return {name: value for name, value in environment.items() if name != "gpu"}


def _compared(
    choices: Sequence[Choice],
    presets: Sequence[Preset | None],
    runs: Sequence[list[Run]],
    passages: list[Passage],
    settings: Settings,
) -> Comparison:
    gold = Counter(span.label for passage in passages for span in passage.spans)
    invented = {label for of_model in runs for run in of_model for label in run.counts}
    labels = sorted(gold.keys() | invented, key=lambda label: (-gold[label], label))
    empty = numpy.zeros((len(passages), 3), dtype=numpy.int64)
    counts: list[dict[str, Counts]] = [
        {
            # A passage is drawn with the predictions of all seeds: they are of the same text.
            label: sum((numpy.array(run.counts.get(label, empty)) for run in of_model), empty)
            for label in labels
        }
        for of_model in runs
    ]
    totals = [sum(of_types.values(), empty) for of_types in counts]
    models = [
        Compared(
            choice,
            preset,
            of_model,
            _scores(total),
            {label: _scores(of_types[label]) for label in labels},
            estimate_difference(total, totals[0]) if place else None,
        )
        for place, (choice, preset, of_model, of_types, total) in enumerate(
            zip(choices, presets, runs, counts, totals, strict=True)
        )
    ]
    return Comparison(models, settings, len(passages), {label: gold[label] for label in labels})


def _scores(counts: Counts) -> Scores:
    return Scores(*(estimate(counts, statistic) for statistic in (precision, recall, f1)))
