"""Base models compared: each is trained on the same passages with each seed, and measured on the held-out ones."""

import gc
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

import numpy
from spacy.language import Language

from spacy_domain_ner.base_models.presets import CNN, Preset
from spacy_domain_ner.corpus.jsonl import read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline, write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import (
    Counts,
    Estimate,
    estimate,
    estimate_difference,
    f1,
    precision,
    recall,
)
from spacy_domain_ner.evaluation.scores import predict_spans
from spacy_domain_ner.experiments.runs import (
    RunFolder,
    TrainingRun,
    check_file,
    read_evaluation_set,
    run_once,
    run_record,
    train_timed,
)
from spacy_domain_ner.files import at_work
from spacy_domain_ner.models import load_model
from spacy_domain_ner.training.configure import configure
from spacy_domain_ner.training.frameworks import FRAMEWORKS, find_framework
from spacy_domain_ner.training.recipe import JSONL, SPACY, Recipe, RunInputs, check_seed, md5

# Passes over the evaluation set. Their median is the speed; one more before them is not counted.
TIMED = 3


@dataclass(frozen=True)
class Choice:
    """A base model to compare.

    Attributes:
        base_model: Its name, as `configure` takes it.
        framework: Its framework, the same.
        words: What it knows about words, the same.
        with_silver: Whether it is trained on passages with first labels, too, which nobody has reviewed.
    """

    base_model: str
    framework: str = "spacy"
    words: str | None = None
    with_silver: bool = True

    @property
    def name(self) -> str:
        """What the model is called in the results."""
        words = f"+{self.words}" if self.words else ""
        name = self.base_model + words if self.framework == "spacy" else f"{self.base_model}@{self.framework}"
        return name if self.with_silver else f"{name} without first labels"


class Run(TrainingRun):
    """One training of a base model and what was measured of it, as its file holds it.

    Attributes:
        model: What the model is called in the results.
        size_mb: The size of the model's folder on disk, in millions of bytes.
        documents_per_second: Evaluation passages that it reads in a second, right after training.
    """

    model: str
    size_mb: float
    documents_per_second: float


@dataclass(frozen=True)
class Scores:
    """Precision, recall and F1 over all seeds; None if one is undefined."""

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None


@dataclass(frozen=True)
class ModelResult:
    """The results of a base model.

    Attributes:
        choice: The base model and its framework.
        preset: Its preset; None for a config of the user's own.
        runs: Its trainings, one for each seed.
        micro: The scores over all types.
        types: The scores of each type.
        difference: The difference of its F1 over all types from that of the first model; None for the first itself.
    """

    choice: Choice
    preset: Preset | None
    runs: list[Run]
    micro: Scores
    types: dict[str, Scores]
    difference: Estimate | None

    @property
    def name(self) -> str:
        """What the model is called in the results."""
        return self.choice.name

    @property
    def training_seconds(self) -> float:
        """The mean training time of the runs."""
        return fmean(run.training_seconds for run in self.runs)

    @property
    def size_mb(self) -> float:
        """The mean size of the runs' models."""
        return fmean(run.size_mb for run in self.runs)

    @property
    def documents_per_second(self) -> float:
        """The mean speed of the runs' models."""
        return fmean(run.documents_per_second for run in self.runs)


@dataclass(frozen=True)
class Comparison:
    """All figures of a comparison.

    Attributes:
        models: The results of each base model. The others are compared with the first.
        recipe: What the runs have in common; each has a config and a seed of its own.
        eval: The file of the held-out passages.
        seeds: The seeds that each model was trained with.
        passages: The number of held-out passages.
        mentions: The number of annotated mentions of each type in them, the most frequent type first.
    """

    models: list[ModelResult]
    recipe: Recipe
    eval: Path
    seeds: tuple[int, ...]
    passages: int
    mentions: dict[str, int]


def read_choice(text: str) -> Choice:
    """Read a base model as a user gives it.

    `@` and a framework's name may follow it, as in `minilm@huggingface`; and after `cnn`, `+` and what it knows about
    words, as in `cnn+pubmedbert`.
    """
    if text.strip().startswith(f"{CNN}+"):
        return Choice(CNN, words=text.strip().removeprefix(f"{CNN}+"))
    base_model, _, framework = text.strip().rpartition("@")
    return Choice(base_model, framework) if base_model and framework in FRAMEWORKS else Choice(text.strip())


def run_comparison(
    choices: Sequence[Choice],
    recipe: Recipe,
    *,
    configs: Path,
    eval: Path,
    output: Path,
    seeds: Sequence[int],
    words: str | None = None,
    without_silver: bool = False,
    keep: bool = False,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Train each base model with each seed, and measure it on the evaluation set.

    All base models are looked up before the first is trained. What was measured is kept in `runs` of the output folder.
    A run whose config, sets, seed, epochs and patience are the same is not repeated, so that an interrupted comparison
    continues where it was. The models are trained one after the other, and each is timed right after its training,
    because it is deleted then.

    Args:
        choices: The base models. The others are compared with the first.
        recipe: What the runs have in common; each gets a config and a seed of its own.
        configs: The folder of the configs.
        eval: The held-out passages (.jsonl).
        output: The folder for what is kept of each run.
        seeds: Each model is trained once with each.
        words: What `cnn` knows about words, as `configure` takes it, where a choice does not say it.
        without_silver: Train each base model without the passages that have first labels, too, and first.
        keep: Keep the trained models, in `models` of the output folder.
        say: Gets a line for each run.

    Raises:
        UserError: If there is nothing to compare, a base model or a file is missing, or training is not possible.
    """
    _check_choices(choices, seeds)
    if without_silver:
        choices = [replace(choice, with_silver=kept) for choice in choices for kept in (False, True)]
    passages = read_evaluation_set(eval)
    paths = config_paths(choices, output)
    presets = [
        configure(choice.base_model, configs, path, framework=choice.framework, words=choice.words or words)
        for choice, path in zip(choices, paths, strict=True)
    ]
    _check_different(choices, paths)
    recipes = [replace(recipe, config=path) for path in paths]
    for own in recipes:
        _check_sets(own)
    recipes = [
        own if choice.with_silver else _without_silver(own, output / "sets" / own.config.stem)
        for choice, own in zip(choices, recipes, strict=True)
    ]
    total = len(choices) * len(seeds)
    runs: list[list[Run]] = []
    with at_work(output / "runs"):
        for done, (choice, of_choice) in enumerate(zip(choices, recipes, strict=True)):
            runs.append([])
            for number, seed in enumerate(seeds, done * len(seeds) + 1):
                own = replace(of_choice, seed=seed)
                inputs = _inputs(own, eval)
                kept_in = RunFolder(output, f"{own.config.stem}-{seed}", keep)
                title = f"Run {number} of {total}: {choice.name}, seed {seed}"
                runs[-1].append(
                    run_once(Run, inputs, partial(_measure, choice, own, inputs, passages), kept_in, title, say)
                )
    models, mentions = summarize(choices, presets, runs, passages)
    return Comparison(models, recipe, eval, tuple(seeds), len(passages), mentions)


def _check_choices(choices: Sequence[Choice], seeds: Sequence[int]) -> None:
    hint = "Give a list, for instance cnn,minilm. `domain-ner presets` lists the base models that have a name."
    if not choices or not all(choice.base_model.strip() for choice in choices):
        raise UserError("A base model is missing in the list", hint)
    if twice := [name for name, count in Counter(choice.name for choice in choices).items() if count > 1]:
        raise UserError(f"The base model {twice[0]} is given twice", hint)
    hint = "Give whole numbers, for instance 0,1: each model is trained once with each."
    if not seeds:
        raise UserError("There are no seeds", hint)
    for seed in seeds:
        check_seed(seed)
    if len(set(seeds)) < len(seeds):
        raise UserError("A seed is given twice", hint)


def config_paths(choices: Sequence[Choice], output: Path) -> list[Path]:
    """The file of each model's config. Different names never have the same file."""
    paths = []
    taken: Counter[str] = Counter()
    for choice in choices:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", choice.name).strip("-.")[:60] or "model"
        taken[name.lower()] += 1
        count = taken[name.lower()]
        paths.append(output / "configs" / (f"{name}.cfg" if count == 1 else f"{name}-{count}.cfg"))
    return paths


def _check_different(choices: Sequence[Choice], paths: Sequence[Path]) -> None:
    seen: dict[tuple[bytes, bool], str] = {}
    for choice, path in zip(choices, paths, strict=True):
        text = path.read_bytes(), choice.with_silver
        if text in seen:
            raise UserError(
                f"{seen[text]} and {choice.name} are the same base model with the same config", "Leave out one of them."
            )
        seen[text] = choice.name


def _check_sets(recipe: Recipe) -> None:
    for path in _sets(recipe):
        check_file(path, "convert" if path.suffix == SPACY else "split")


def _without_silver(recipe: Recipe, folder: Path) -> Recipe:
    """The same recipe, with a training set in a folder that has no passages with first labels."""
    train = recipe.train.with_suffix(JSONL)
    check_file(train, "split")
    passages = read_valid_passages(train)
    reviewed = [passage for passage in passages if not passage.is_silver]
    if len(reviewed) == len(passages):
        raise UserError(
            f"{train} has no passages with first labels, so there is nothing to compare them with",
            "`domain-ner bootstrap` makes them, and `split` adds them to the training set with its option --silver.",
        )
    own = replace(recipe, train=folder / train.name)
    write_passages(own.train, reviewed)
    write_docs(load_tokenizing_pipeline(recipe.config), reviewed, own.train.with_suffix(SPACY))
    return own


def _sets(recipe: Recipe) -> tuple[Path, Path]:
    """The files of the training and early-stopping sets that the config's framework reads."""
    return recipe.sets(find_framework(recipe.read_config()).reads)


def _inputs(recipe: Recipe, eval: Path) -> RunInputs:
    """What a run's result depends on."""
    train, dev = _sets(recipe)
    return recipe.inputs(train=md5(train.read_bytes()), dev=md5(dev.read_bytes()), eval=md5(eval.read_bytes()))


def _measure(choice: Choice, recipe: Recipe, inputs: RunInputs, passages: list[Passage], folder: Path) -> Run:
    """Train in a folder, and measure the model there."""
    seconds = train_timed(recipe, folder)
    model = folder / "model-best"
    nlp = load_model(model)
    # The first pass is not timed: it fills caches.
    predictions = predict_spans(nlp, passages)
    speed = _documents_per_second(nlp, passages)
    del nlp
    gc.collect()
    return Run(
        model=choice.name,
        size_mb=round(sum(path.stat().st_size for path in model.rglob("*") if path.is_file()) / 1e6, 3),
        documents_per_second=round(speed, 2),
        **run_record(inputs, recipe.seed, seconds, passages, predictions),
    )


def _documents_per_second(nlp: Language, passages: list[Passage]) -> float:
    times = []
    for _ in range(TIMED):
        started = perf_counter()
        predict_spans(nlp, passages)
        times.append(perf_counter() - started)
    return len(passages) / median(times)


def summarize(
    choices: Sequence[Choice],
    presets: Sequence[Preset | None],
    runs: Sequence[list[Run]],
    passages: Sequence[Passage],
) -> tuple[list[ModelResult], dict[str, int]]:
    """Estimate the scores of each model from its runs, and its difference from the first.

    Args:
        choices: The base models.
        presets: The preset of each; None for a config of the user's own.
        runs: The runs of each, one for each seed.
        passages: The evaluation set.

    Returns:
        The results of each model, and the number of annotated mentions of each type, the most frequent type first.
    """
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
        ModelResult(
            choice,
            preset,
            of_model,
            _scores(total),
            {label: _scores(of_types[label]) for label in labels},
            estimate_difference(total, totals[0]) if index else None,
        )
        for index, (choice, preset, of_model, of_types, total) in enumerate(
            zip(choices, presets, runs, counts, totals, strict=True)
        )
    ]
    return models, {label: gold[label] for label in labels}


def _scores(counts: Counts) -> Scores:
    return Scores(*(estimate(counts, statistic) for statistic in (precision, recall, f1)))
