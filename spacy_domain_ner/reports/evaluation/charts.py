"""The geometry of the evaluation report's charts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from spacy_domain_ner.confidence import (
    Judged,
    chance_calibration_error,
    expected_calibration_error,
    reliability,
    risk_coverage,
    surest,
)
from spacy_domain_ner.evaluation.analysis import Result
from spacy_domain_ner.evaluation.bootstrap import Estimate, with_interval
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.rendering import Scale
from spacy_domain_ner.text import shorten

# The height of a type's heading and the mark below it, in pixels.
ROW = 46
# The page states the precision of the surest entities for these shares of all entities.
SUREST = (0.5, 0.8, 1.0)
# The precision of fewer entities than this says nothing and is not drawn.
FEWEST_COVERED = 20
# The size of a small chart and the ends of its axes, in pixels.
WIDTH, HEIGHT = 320, 196
LEFT, RIGHT, TOP, BOTTOM = 36, 296, 14, 160


@dataclass(frozen=True)
class Row:
    """A type's F1 in the chart.

    Attributes:
        type: The type; "" for all types.
        label: Its name in the chart.
        mentions: The number of annotated mentions.
        score: The F1 as text.
        interval: Its interval as text.
        y: The base line of the heading, in pixels.
        x: The F1, in per cent of the width; None where there is no F1 to draw.
        left: The lower end of the interval, in per cent of the width.
        right: The upper end of the interval, in per cent of the width.
    """

    type: str
    label: str
    mentions: int
    score: str
    interval: str
    y: int
    x: float | None
    left: float
    right: float


class F1Chart:
    """F1 over all types and per type. Widths are in per cent, so that the chart fits any page, heights in pixels."""

    def __init__(self, results: Mapping[str, Result], gates: Gates) -> None:
        """Lay out the chart.

        Args:
            results: The result of each type, and under "" that of all types.
            gates: The F1 values that a type is judged by.
        """
        self.scale = Scale([*(found.f1.low for found in results.values() if found.f1), gates.fallback])
        self.top = 24
        self.rows = [
            self._row(label, result.score.support, result.f1, self.top + 15 + ROW * index)
            for index, (label, result) in enumerate(results.items())
        ]
        self.bottom = self.top + ROW * len(results)
        self.height = self.bottom + 26

    def _row(self, label: str, mentions: int, found: Estimate | None, y: int) -> Row:
        name = shorten(label, 40) or "All types"
        if found is None or not mentions:
            # Without a mention F1 is 0 whatever a model does: a mark at 0 would mislead.
            return Row(label, name, mentions, "–", "", y, None, 0, 0)
        score, _, interval = with_interval(found).partition(" ")
        x, left, right = (self.scale.across(value) for value in (found.value, found.low, found.high))
        return Row(label, name, mentions, score, f" {interval}", y, x, left, right)


@dataclass(frozen=True)
class Dot:
    """A point of a small chart, in pixels, and what it says."""

    x: float
    y: float
    title: str


@dataclass(frozen=True)
class Curve:
    """A type's learning curve, in pixels.

    Attributes:
        label: The type; "" for all types together.
        unit: What the axis counts.
        dots: The F1 at each size of the training set.
        forecast: The likely F1 with twice the examples; None where there is no forecast.
        low: The lower end of the range of that.
        high: The upper end of the range of that.
        ticks: The numbers of the axis and where they stand.
        text: The forecast in a sentence.
    """

    label: str
    unit: str
    dots: list[Dot]
    forecast: Dot | None
    low: float
    high: float
    ticks: list[tuple[float, str]]
    text: str

    @property
    def path(self) -> str:
        """The line through the dots."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


class CurveCharts:
    """A small chart per type, all with the same axis of F1: a glance shows how far each type has to go."""

    def __init__(self, curve: LearningCurve, gates: Gates) -> None:
        """Lay out the charts.

        Args:
            curve: The learning curve.
            gates: The F1 values that a type is judged by.
        """
        values = [value for point in curve.points for value in (point.micro, *point.f1.values())]
        values += [end for forecast in curve.forecasts.values() for end in forecast.doubled]
        self.scale = Scale([*values, gates.fallback])
        self.ticks = [(value, self.down(value)) for value, _ in self.scale.ticks]
        self.curves = [
            _curve("", "passages", [(point.passages, point.micro) for point in curve.points], None, self),
            *self._types(curve),
        ]

    def down(self, value: float) -> float:
        """Where a score is drawn, in pixels from the top.

        Args:
            value: The score.
        """
        return round(BOTTOM - (BOTTOM - TOP) * min(1.0, max(0.0, self.scale.across(value) / 100)), 1)

    def _types(self, curve: LearningCurve) -> Iterator[Curve]:
        for label in dict.fromkeys([*(label for point in curve.points for label in point.f1), *curve.forecasts]):
            points = [
                (point.mentions[label], point.f1[label])
                for point in curve.points
                if label in point.f1 and label in point.mentions
            ]
            if points:
                yield _curve(label, "examples", points, curve.forecasts.get(label), self)


class ConfidenceCharts:
    """Two small charts of how far confidence can be trusted. All axes run from 0 to 1.

    Attributes:
        bins: The reliability diagram: for each tenth of the confidence, the mean confidence of its entities (x) and
            their precision (y).
        bars: Below each point of the diagram a bar, whose height is the number of entities.
        covered: The risk-coverage curve: the share of the entities that is kept (x) and its precision (y).
    """

    def __init__(self, judged: Sequence[Judged]) -> None:
        """Lay out the charts.

        Args:
            judged: The predicted entities that have a confidence, each with whether it is right.
        """
        self.error = expected_calibration_error(judged) or 0.0
        self.by_chance = chance_calibration_error(judged) or 0.0
        self.ticks = [(value / 10, self.down(value / 10), self.across(value / 10)) for value in range(0, 11, 2)]
        found = reliability(judged)
        most = max(one.count for one in found)
        self.bins = [
            Dot(
                self.across(one.confidence),
                self.down(one.right),
                f"{one.count} entities, confidence {one.confidence:.2f}: {one.right:.2f} are right",
            )
            for one in found
        ]
        # The bar of the fullest bin takes a quarter of the chart's height.
        self.bars = [
            (self.across(one.confidence), round((BOTTOM - TOP) / 4 * one.count / most, 1), dot.title)
            for one, dot in zip(found, self.bins, strict=True)
        ]
        points = risk_coverage(judged)
        drawn = [point for point in points if point.covered * len(judged) >= FEWEST_COVERED] or points
        self.covered = " ".join(f"{self.across(point.covered)},{self.down(point.precision)}" for point in drawn)
        self.dots = [
            Dot(
                self.across(point.covered),
                self.down(point.precision),
                (f"the surest {100 * point.covered:.0f} %" if point.covered < 1 else "all")
                + f" (confidence {point.confidence:.2f} and above): {100 * point.precision:.0f} % are right",
            )
            for point in dict.fromkeys(surest(points, share) for share in SUREST)
        ]

    @staticmethod
    def across(value: float) -> float:
        """Where a share is drawn, in pixels from the left.

        Args:
            value: The share.
        """
        return round(LEFT + (RIGHT - LEFT) * value, 1)

    @staticmethod
    def down(value: float) -> float:
        """Where a share is drawn, in pixels from the top.

        Args:
            value: The share.
        """
        return round(BOTTOM - (BOTTOM - TOP) * value, 1)


def _curve(
    label: str, unit: str, points: list[tuple[int, float]], forecast: Forecast | None, charts: CurveCharts
) -> Curve:
    today = forecast.mentions if forecast else max((count for count, _ in points), default=0)
    widest = max(1, 2 * today if forecast else today)

    def across(count: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * count / widest, 1)

    dots = [Dot(across(count), charts.down(f1), f"{count} {unit}: F1 {f1:.3f}") for count, f1 in points]
    ticks = [(across(0), "0"), (across(today), str(today))]
    if not forecast:
        return Curve(label, unit, dots, None, 0, 0, ticks, "")
    likely, low, high = forecast.doubled
    title = f"{2 * today} {unit}: F1 likely {likely:.3f} ({low:.3f} to {high:.3f})"
    dot = Dot(across(2 * today), charts.down(likely), title)
    ticks.append((across(2 * today), str(2 * today)))
    return Curve(label, unit, dots, dot, charts.down(low), charts.down(high), ticks, forecast.text)
