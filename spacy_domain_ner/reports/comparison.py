"""What a comparison is written as: figures (JSON), a table for a pull request (Markdown), one page (HTML)."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.evaluation.bootstrap import SETTINGS, Estimate, points, signed, with_interval
from spacy_domain_ner.evaluation.gates import FALLBACK, GATE
from spacy_domain_ner.experiments.comparison import Compared, Comparison, Scores
from spacy_domain_ner.files import replacing
from spacy_domain_ner.rendering import Scale, escape_markdown, markdown_table, page_environment
from spacy_domain_ner.text import shorten

FORMAT_VERSION = 1
# Colours and shapes of the chart. Their numbers have no common factor, so that 42 models have a pair of their own.
COLORS, SHAPES = 6, 7
# In pixels: a type's heading, a model's lane below it, what is left between two types.
HEADING, LANE, GAP = 22, 15, 14


def write(comparison: Comparison, folder: Path) -> None:
    """Write comparison.json, comparison.md and comparison.html. RAISES: UserError where that is not possible."""
    contents = {
        "json": srsly.json_dumps(to_dict(comparison), indent=2) + "\n",
        "md": to_markdown(comparison),
        "html": to_html(comparison),
    }
    for suffix, text in contents.items():
        with replacing(folder / f"comparison.{suffix}") as stream:
            stream.write(text)


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """All figures, as they stand in comparison.json."""
    settings = comparison.settings
    return {
        "format_version": FORMAT_VERSION,
        "verdict": comparison.verdict,
        "notes": comparison.notes,
        "environment": comparison.models[0].runs[0].environment,
        "settings": {
            **{name: getattr(settings, name).as_posix() for name in ("train", "dev", "eval")},
            "seeds": list(settings.seeds),
            "max_epochs": settings.max_epochs,
            "patience": settings.patience_epochs,
        },
        "bootstrap": SETTINGS,
        "gates": {"production": GATE, "fallback": FALLBACK},
        "passages": comparison.passages,
        "mentions": comparison.mentions,
        "models": [_model(comparison, model) for model in comparison.models],
    }


def rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """The table of the models, each cell as text: name, F1, training, size, documents a second, difference."""
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


def to_markdown(comparison: Comparison) -> str:
    """The tables as Markdown."""
    lines = [
        f"**{escape_markdown(comparison.verdict)}**",
        "",
        *markdown_table(header(comparison), rows(comparison)),
        "",
    ]
    headings = ("F1 per type", "mentions", *(model.name for model in comparison.models))
    lines += [*markdown_table(headings, type_rows(comparison)), "", escape_markdown(basis(comparison))]
    lines += [escape_markdown(note) for note in comparison.notes]
    return "\n".join(lines) + "\n"


def to_html(comparison: Comparison) -> str:
    """One page without any reference to something outside it."""
    environment = page_environment("spacy_domain_ner.reports")
    environment.filters.update(signed=signed)
    environment.filters.update(duration=duration, short=_short)
    marks = [(number % COLORS, number % SHAPES) for number in range(len(comparison.models))]
    words = [f"{comparison.in_words(model)}." for model in comparison.models[1:]]
    return environment.get_template("comparison.html.jinja").render(
        comparison=comparison,
        others=[sentence for sentence in words if sentence not in comparison.verdict],
        marks=marks,
        chart=_Chart(comparison),
        basis=basis(comparison),
        environment=comparison.models[0].runs[0].environment,
        gpus=sorted({str(gpu) for model in comparison.models if (gpu := model.runs[0].environment["gpu"])}),
        gate=GATE,
        fallback=FALLBACK,
    )


def basis(comparison: Comparison) -> str:
    """What the figures are based on, in a sentence."""
    settings = comparison.settings
    seeds = ", ".join(map(str, settings.seeds))
    epochs = "1 epoch" if settings.max_epochs == 1 else f"{settings.max_epochs} epochs"
    return (
        f"{comparison.passages} held-out passages with {sum(comparison.mentions.values())} mentions, exact spans by "
        f"character offsets; {'seeds' if len(settings.seeds) > 1 else 'seed'} {seeds}; at most {epochs}, "
        f"stopped after {settings.patience_epochs} without a better F1."
    )


def duration(seconds: float) -> str:
    """A time as one says it."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


@dataclass(frozen=True)
class _Mark:
    """A model's score in a row of the chart. x, left, right: per cent of the width; y: pixels; model: its number."""

    model: int
    x: float
    left: float
    right: float
    y: int
    title: str


@dataclass(frozen=True)
class _Row:
    """A type in the chart. y: pixels, of the heading's base line."""

    label: str
    mentions: int
    y: int
    marks: list[_Mark]


class _Chart:
    """The chart's geometry: across in per cent of its width, so that it fits any, and down in pixels."""

    def __init__(self, comparison: Comparison) -> None:
        self.models = comparison.models
        shown = [("All types", sum(comparison.mentions.values()), [model.micro for model in self.models])]
        # Without a mention an F1 is 0 whatever a model does: that is no place in a chart.
        shown += [
            (label, count, [model.types[label] for model in self.models])
            for label, count in comparison.mentions.items()
            if count
        ]
        self.scale = Scale(scores.f1.low for *_, of_models in shown for scores in of_models if scores.f1)
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


def _model(comparison: Comparison, model: Compared) -> dict[str, Any]:
    return {
        "name": model.name,
        "base_model": model.choice.base_model,
        "framework": model.choice.framework,
        "hub": model.preset.hub if model.preset else None,
        "licence": model.preset.licence if model.preset else None,
        "micro": _scores(model.micro),
        "types": {label: _scores(scores) for label, scores in model.types.items()},
        "difference": {
            **(_rounded(model.difference) or {}), "words": comparison.in_words(model),
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
    """A positive number in three digits or more."""
    return f"{number:,.0f}" if number >= 99.95 else f"{number:.1f}"
