"""Base models compared, and the files about it: figures (JSON), tables for a pull request (Markdown), a page (HTML)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.evaluation.bootstrap import SETTINGS, Estimate, points, signed, with_interval
from spacy_domain_ner.evaluation.gates import FALLBACK, GATE, Gates
from spacy_domain_ner.experiments.comparison import Comparison, ModelResult, Scores, read_choice, run_comparison
from spacy_domain_ner.files import write_together
from spacy_domain_ner.rendering import Scale, escape_markdown, markdown_table, page_environment
from spacy_domain_ner.text import shorten
from spacy_domain_ner.training.recipe import Recipe

FORMAT_VERSION = 1
# Colours and shapes of the chart. Their numbers have no common factor, so that 42 models have a pair of their own.
COLORS, SHAPES = 6, 7
# In pixels: a type's heading, a model's lane below it, the gap between two types.
HEADING, LANE, GAP = 22, 15, 14


def compare(
    base_models: Sequence[str],
    recipe: Recipe = Recipe(),
    *,
    configs: str | Path = Path("configs"),
    eval: str | Path = Path("corpus/eval.jsonl"),
    output: str | Path = Path("comparison"),
    seeds: Sequence[int] = (0, 1),
    words: str | None = None,
    gate: float = GATE,
    fallback: float = FALLBACK,
    without_silver: bool = False,
    keep: bool = False,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Train several base models on the same passages, measure each on the held-out ones, and write the results.

    Writes comparison.html, comparison.md and comparison.json. What was measured is kept in `runs` of the output folder,
    so that an interrupted comparison continues where it was.

    Args:
        base_models: The base models as `configure` takes them; `@` and a framework may follow a name, as in
            `minilm@huggingface`; after `cnn`, `+` and its words, as in `cnn+pubmedbert`. The others are compared with
            the first.
        recipe: What the runs have in common. Its config and seed do not count: each run has its own.
        configs: The folder of the configs.
        eval: The held-out passages (.jsonl).
        output: The folder for the results, and for what is kept of each run.
        seeds: Each model is trained once with each.
        words: What `cnn` knows about words, as `configure` takes it, where no `+` follows its name.
        gate: The F1 from which a type is ready for production.
        fallback: The F1 below which a type needs another way.
        without_silver: Train each base model without the passages that have first labels, too, and first: the
            difference says what those are worth.
        keep: Keep the trained models, in `models` of the output folder.
        say: Gets a line for each run.

    Returns:
        All figures.

    Raises:
        UserError: If there is nothing to compare, a base model or a file is missing, or training is not possible.
    """
    gates = Gates(gate, fallback)
    choices = [read_choice(base_model) for base_model in base_models]
    paths = {"configs": Path(configs), "eval": Path(eval), "output": Path(output)}
    comparison = run_comparison(
        choices, recipe, **paths, seeds=seeds, words=words, without_silver=without_silver, keep=keep, say=say
    )
    write(comparison, gates, Path(output))
    return comparison


def verdict(comparison: Comparison) -> str:
    """The outcome in a sentence or two."""
    models = comparison.models
    first, best = models[0], max(models, key=_f1)
    if len(models) == 1:
        found = first.micro.f1
        assert found
        return f"{first.name}: F1 {found.value:.3f} ({found.low:.3f} to {found.high:.3f})."
    if len(models) == 2:
        return f"{in_words(comparison, models[1])}."
    said = f"{best.name} has the highest F1 of {len(models)} models: {_f1(best):.3f}."
    return said if best is first else f"{said} {in_words(comparison, best)}."


def in_words(comparison: Comparison, model: ModelResult) -> str:
    """What a model gains over the first one, without a full stop: it may stand within a sentence."""
    first, found = comparison.models[0].name, model.difference
    if found is None:
        return f"{model.name} is what the others are compared with"
    value, low, high = (100 * share for share in (found.value, found.low, found.high))
    if low > 0:
        return f"{model.name} gains {value:.1f} points ({low:.1f} to {high:.1f}) over {first}"
    if high < 0:
        return f"{model.name} loses {-value:.1f} points ({-high:.1f} to {-low:.1f}) against {first}"
    return (
        f"{model.name} and {first}: no difference that {comparison.passages} passages can show "
        f"({signed(value)} points, {signed(low)} to {signed(high)})"
    )


def at_the_gates(comparison: Comparison, gates: Gates) -> str:
    """How many types of each model reach the gate, and how many are below the fallback line, in two sentences."""
    measured = [label for label, count in comparison.mentions.items() if count]

    def count(fits: Callable[[float], bool]) -> str:
        return ", ".join(
            f"{model.name} {sum(fits(found.value) for label in measured if (found := model.types[label].f1))}"
            for model in comparison.models
        )

    reaching = count(lambda value: value >= gates.production)
    below = count(lambda value: value < gates.fallback)
    return (
        f"Types that reach F1 {gates.production:g}, out of {len(measured)}: {reaching}. "
        f"Types below F1 {gates.fallback:g}: {below}."
    )


def notes(comparison: Comparison) -> list[str]:
    """What limits the figures."""
    seeds = len(comparison.seeds)
    if seeds > 1:
        drawn = f"The predictions of {'both' if seeds == 2 else f'all {seeds}'} seeds on a passage are drawn together."
    else:
        drawn = "They do not say what another seed would change: compare with more seeds before you decide on a small "
        drawn += "difference."
    said = [
        "The intervals hold 95 % of 1,000 bootstrap draws of the passages: they say what other passages would change. "
        f"{drawn}"
    ]
    runs = [run for model in comparison.models for run in model.runs]
    if any(_without_gpu(run.environment) != _without_gpu(runs[0].environment) for run in runs):
        said.append(
            "Not all runs were measured with the same versions and on the same machine: don't compare their times and "
            "speeds. Delete the folder of runs to measure all of them again."
        )
    devices = {model.name: str(model.runs[0].environment["gpu"] or "the CPU") for model in comparison.models}
    if len(set(devices.values())) > 1:
        where = ", ".join(f"{name} on {device}" for name, device in devices.items())
        said.append(f"Trained and timed on different devices: {where}.")
    if missing := [label for label, count in comparison.mentions.items() if not count]:
        said.append(f"The evaluation set has no mention of {', '.join(missing)}: only false positives count there.")
    return said


def write(comparison: Comparison, gates: Gates, folder: Path) -> None:
    """Write comparison.json, comparison.md and comparison.html.

    Args:
        comparison: The figures.
        gates: The F1 values that a type has to reach.
        folder: Where the files are written.

    Raises:
        UserError: If a file can't be written.
    """
    contents = {
        "json": srsly.json_dumps(to_dict(comparison, gates), indent=2) + "\n",
        "md": to_markdown(comparison, gates),
        "html": to_html(comparison, gates),
    }
    write_together({folder / f"comparison.{suffix}": [text] for suffix, text in contents.items()})


def to_dict(comparison: Comparison, gates: Gates) -> dict[str, Any]:
    """All figures, as comparison.json holds them."""
    recipe = comparison.recipe
    return {
        "format_version": FORMAT_VERSION,
        "verdict": verdict(comparison),
        "notes": notes(comparison),
        "environment": comparison.models[0].runs[0].environment,
        "settings": {
            "train": recipe.train.as_posix(),
            "dev": recipe.dev.as_posix(),
            "eval": comparison.eval.as_posix(),
            "seeds": list(comparison.seeds),
            "max_epochs": recipe.max_epochs,
            "patience": recipe.patience_epochs,
        },
        "bootstrap": SETTINGS,
        "gates": {"production": gates.production, "fallback": gates.fallback},
        "passages": comparison.passages,
        "mentions": comparison.mentions,
        "models": [_model(comparison, model) for model in comparison.models],
    }


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The table of the models, each cell as text: name, F1, training, size, documents per second, difference."""
    return [
        (
            model.name,
            with_interval(model.micro.f1),
            duration(model.training_seconds),
            f"{_short(model.size_mb)} MB",
            _short(model.documents_per_second),
            points(model.difference),
        )
        for model in comparison.models
    ]


def header(comparison: Comparison) -> tuple[str, ...]:
    """The headings of `rows`."""
    return (
        "base model", "F1 (95 % interval)", "training", "size", "documents/s",
        f"points against {comparison.models[0].name}",
    )  # fmt: skip


def type_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The table of the types: name, mentions, and the F1 of each model."""
    return [
        (label, str(count), *(with_interval(model.types[label].f1) for model in comparison.models))
        for label, count in comparison.mentions.items()
    ]


def to_markdown(comparison: Comparison, gates: Gates) -> str:
    """The verdict, the tables and the notes as Markdown."""
    lines = [
        f"**{escape_markdown(verdict(comparison))}**",
        "",
        *markdown_table(header(comparison), rows(comparison)),
        "",
    ]
    headings = ("F1 per type", "mentions", *(model.name for model in comparison.models))
    lines += [
        *markdown_table(headings, type_rows(comparison)),
        "",
        escape_markdown(at_the_gates(comparison, gates)),
        "",
    ]
    lines += [escape_markdown(line) for line in (basis(comparison), *notes(comparison))]
    return "\n".join(lines) + "\n"


def to_html(comparison: Comparison, gates: Gates) -> str:
    """One page that refers to nothing outside it."""
    environment = page_environment("spacy_domain_ner.reports")
    environment.filters.update(signed=signed)
    environment.filters.update(duration=duration, short=_short)
    marks = [(number % COLORS, number % SHAPES) for number in range(len(comparison.models))]
    said = verdict(comparison)
    words = [f"{in_words(comparison, model)}." for model in comparison.models[1:]]
    return environment.get_template("comparison.html.jinja").render(
        comparison=comparison,
        verdict=said,
        others=[sentence for sentence in words if sentence not in said],
        notes=notes(comparison),
        marks=marks,
        chart=_Chart(comparison, gates),
        basis=basis(comparison),
        environment=comparison.models[0].runs[0].environment,
        gpus=sorted({str(gpu) for model in comparison.models if (gpu := model.runs[0].environment["gpu"])}),
        gates=gates,
        at_the_gates=at_the_gates(comparison, gates),
    )


def basis(comparison: Comparison) -> str:
    """What the figures are based on, in a sentence."""
    recipe = comparison.recipe
    seeds = ", ".join(map(str, comparison.seeds))
    epochs = "1 epoch" if recipe.max_epochs == 1 else f"{recipe.max_epochs} epochs"
    return (
        f"{comparison.passages} held-out passages with {sum(comparison.mentions.values())} mentions, exact spans by "
        f"character offsets; {'seeds' if len(comparison.seeds) > 1 else 'seed'} {seeds}; at most {epochs}, "
        f"stopped after {recipe.patience_epochs} without a better F1."
    )


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass(frozen=True)
class _Mark:
    """A model's score in a row of the chart.

    Attributes:
        model: The model's index.
        x: Where its F1 is, in per cent of the width.
        left: Where the interval starts, in per cent of the width.
        right: Where the interval ends, in per cent of the width.
        y: Its lane, in pixels from the top.
        title: Its name and figures.
    """

    model: int
    x: float
    left: float
    right: float
    y: int
    title: str


@dataclass(frozen=True)
class _Row:
    """A type in the chart.

    Attributes:
        label: The type's name.
        mentions: Its mentions in the evaluation set.
        y: The base line of its heading, in pixels from the top.
        marks: The models' scores.
    """

    label: str
    mentions: int
    y: int
    marks: list[_Mark]


class _Chart:
    """The chart's geometry: per cent of the width across, so that it fits any width, and pixels down."""

    def __init__(self, comparison: Comparison, gates: Gates) -> None:
        self.models = comparison.models
        shown = [("All types", sum(comparison.mentions.values()), [model.micro for model in self.models])]
        # An F1 without a mention is 0 whatever a model does: it has no place in a chart.
        shown += [
            (label, count, [model.types[label] for model in self.models])
            for label, count in comparison.mentions.items()
            if count
        ]
        lows = [scores.f1.low for *_, of_models in shown for scores in of_models if scores.f1]
        self.scale = Scale([*lows, gates.fallback])
        self.top = 24
        self.rows: list[_Row] = []
        y = self.top
        for label, count, of_models in shown:
            marks = list(self._marks(of_models, y + HEADING))
            self.rows.append(_Row(shorten(label, 40), count, y + 15, marks))
            y += HEADING + LANE * len(self.models) + GAP
        self.bottom = y
        self.height = y + 26

    def _marks(self, scores: list[Scores], y: int) -> Iterator[_Mark]:
        for number, (model, of_model) in enumerate(zip(self.models, scores, strict=True)):
            if found := of_model.f1:
                x, left, right = (self.scale.across(value) for value in (found.value, found.low, found.high))
                title = f"{model.name}: {with_interval(found)}"
                yield _Mark(number, x, left, right, y + LANE * number + LANE // 2, title)


def _model(comparison: Comparison, model: ModelResult) -> dict[str, Any]:
    return {
        "name": model.name,
        "base_model": model.choice.base_model,
        "framework": model.choice.framework,
        "hub": model.preset.hub if model.preset else None,
        "licence": model.preset.licence if model.preset else None,
        "micro": _scores(model.micro),
        "types": {label: _scores(scores) for label, scores in model.types.items()},
        "difference": {
            **(_rounded(model.difference) or {}), "words": in_words(comparison, model),
        } if model.difference else None,
        "training_seconds": round(model.training_seconds, 2),
        "size_mb": round(model.size_mb, 3),
        "documents_per_second": round(model.documents_per_second, 2),
        "runs": [run.model_dump(exclude={"counts", "format_version", "model"}) for run in model.runs],
    }  # fmt: skip


def _scores(scores: Scores) -> dict[str, Any]:
    return {name: _rounded(getattr(scores, name)) for name in ("precision", "recall", "f1")}


def _rounded(found: Estimate | None) -> dict[str, float] | None:
    return None if found is None else {name: round(value, 4) for name, value in asdict(found).items()}


def _short(number: float) -> str:
    """A positive number with three digits or more."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.1f}"


def _f1(model: ModelResult) -> float:
    """A model's F1 over all types."""
    assert model.micro.f1
    return model.micro.f1.value


def _without_gpu(environment: dict[str, str | int | None]) -> dict[str, str | int | None]:
    return {name: value for name, value in environment.items() if name != "gpu"}
