"""The page about the break-even: from how many documents on a fine-tuned model is cheaper than an LLM."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from spacy_domain_ner.files import write_together
from spacy_domain_ner.llm.break_even import VOLUMES, BreakEven, Costs, Way, break_even
from spacy_domain_ner.rendering import page_environment

# In pixels: the chart's height, and the room above it.
HEIGHT, ROOM = 300, 12
# Points of each curve.
_POINTS = 60


def write_break_even(
    costs: Costs,
    output: str | Path | None = None,
    *,
    times: Iterable[str | Path] = (),
    annotations: str | Path = "assets/annotations.jsonl",
    metrics: str | Path = "metrics/metrics.json",
    decision: str | Path = "llm/decision.json",
) -> BreakEven:
    """Find from how many documents on a fine-tuned model is cheaper than an LLM, and write a page about it.

    Args:
        costs: What each way costs, as far as the user says it.
        output: The page to write, with the figures beside it as JSON; None writes nothing.
        times: As for `break_even`.
        annotations: As for `break_even`.
        metrics: As for `break_even`.
        decision: As for `break_even`.

    Returns:
        The result.

    Raises:
        UserError: A number is neither given nor found, or a file can't be read or written.
    """
    found = break_even(costs, times=times, annotations=annotations, metrics=metrics, decision=decision)
    if output is not None:
        page = Path(output)
        figures = json.dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n"
        write_together({page: [break_even_page(found)], page.with_suffix(".json"): [figures]})
    return found


def break_even_page(found: BreakEven) -> str:
    """Make the page, which refers to nothing outside it."""
    chart = _Chart(found)
    return page_environment("spacy_domain_ner.reports").get_template("break_even.html.jinja").render(
        found=found,
        chart=chart,
        height=HEIGHT,
        volumes=VOLUMES,
        dollars=dollars,
    )  # fmt: skip


def dollars(amount: float) -> str:
    """An amount as people read it: cents where it is small."""
    if amount >= 100:
        return f"{amount:,.0f}"
    return f"{amount:,.2f}" if amount >= 0.01 or not amount else f"{amount:.2g}"


@dataclass(frozen=True)
class _Curve:
    """A way's costs: places are per cent of the width, and pixels from the top."""

    way: Way
    path: str
    end: float


class _Chart:
    """Costs by documents, both on logarithmic axes."""

    def __init__(self, found: BreakEven) -> None:
        self._last = _whole_power(max(VOLUMES[-1], 10 * (found.documents or 0)))
        self._first = VOLUMES[0] / 10
        costs = [way.cost(number) for way in found.ways for number in (self._first, self._last)]
        positive = [cost for cost in costs if cost > 0] or [1.0]
        self._low = 10 ** math.floor(math.log10(min(positive)))
        self._high = max(_whole_power(max(positive)), 10 * self._low)
        self.curves = [self._curve(way) for way in found.ways]
        decades = range(round(math.log10(self._first)), round(math.log10(self._last)) + 1)
        self.across = [(self._x(10.0**power), _short(power)) for power in decades]
        powers = range(round(math.log10(self._low)), round(math.log10(self._high)) + 1)
        self.down = [(self._y(10.0**power), dollars(10.0**power)) for power in powers]
        is_shown = found.documents is not None and self._first <= found.documents <= self._last
        self.crossing = self._x(found.documents) if is_shown and found.documents else None

    def _x(self, documents: float) -> float:
        first, last = math.log10(self._first), math.log10(self._last)
        return round(100 * (math.log10(documents) - first) / (last - first), 2)

    def _y(self, cost: float) -> float:
        low, high = math.log10(self._low), math.log10(self._high)
        share = (math.log10(max(cost, self._low)) - low) / (high - low)
        return round(ROOM + (HEIGHT - ROOM) * (1 - share), 1)

    def _curve(self, way: Way) -> _Curve:
        step = (self._last / self._first) ** (1 / _POINTS)
        numbers = [self._first * step**number for number in range(_POINTS + 1)]
        places = [(self._x(number), self._y(way.cost(number))) for number in numbers]
        # The drawing is 1,000 wide, and stretched to the page's width.
        return _Curve(way, " ".join(f"{10 * x:.1f},{y}" for x, y in places), places[-1][1])


def _short(power: int) -> str:
    """A power of ten, so short that it fits on a phone: 100k."""
    thousands = max(0, min(power // 3, 3))
    return f"{10 ** (power - 3 * thousands):,}{('', 'k', 'M', 'B')[thousands]}"


def _whole_power(number: float) -> float:
    return float(10 ** math.ceil(math.log10(max(number, 1e-9)) - 1e-9))
