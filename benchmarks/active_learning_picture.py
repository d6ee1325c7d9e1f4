"""The picture of the curves of `active_learning.py`."""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Any

# These two have thicker lines, and a faint one for each seed.
COMPARED = ("random", "select")
# Of a chart in the picture, and the space before and above each.
WIDTH, HEIGHT, LEFT, TOP = 360, 220, 55, 86
COLOURS = (
    "#555555", "#999999", "#c0792a", "#7a9a3a", "#8a5aa0", "#1f6fb2", "#2f9e6b", "#b0303a", "#d4a017",
)  # fmt: skip


def picture(curves: Sequence[dict[str, Any]], strategies: Sequence[str]) -> str:
    """Draw F1 against the passages and against the time: a row for each corpus, a line for each strategy.

    A line is the mean over the seeds.

    Args:
        curves: The curves, as the summary has them.
        strategies: Those that are shown. Each has the same colour in every picture.

    Returns:
        An SVG.
    """
    colours = dict(zip(strategies, COLOURS, strict=True))
    curves = [one for one in curves if one["strategy"] in colours]
    corpora = list(dict.fromkeys(one["corpus"] for one in curves))
    shown = [name for name in strategies if any(one["strategy"] == name for one in curves)]
    parts = []
    for number, name in enumerate(shown):
        x, y, colour = LEFT + number % 5 * 150, 16 + number // 5 * 18, colours[name]
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 28}" y="{y + 4}">{name}</text>')
    for row, corpus in enumerate(corpora):
        ours = [one for one in curves if one["corpus"] == corpus]
        for column, (currency, unit, scale) in enumerate((("passages", "passages", 1), ("seconds", "hours", 3600))):
            corner = (LEFT + column * (WIDTH + LEFT), TOP + row * (HEIGHT + TOP))
            parts += panel(corpus, ours, colours, (currency, unit, scale), corner)
    width, height = 2 * (WIDTH + LEFT) + 15, len(corpora) * (HEIGHT + TOP) + TOP - 20
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    return "\n".join([f'{head} font-size="12" fill="#333">', '<rect width="100%" height="100%" fill="#fff"/>', *parts,
                      "</svg>"]) + "\n"  # fmt: skip


def panel(
    corpus: str,
    curves: Sequence[dict[str, Any]],
    colours: dict[str, str],
    axis: tuple[str, str, int],
    corner: tuple[int, int],
) -> list[str]:
    """Draw the curves of a corpus against one currency, in its unit, which has so many of what is counted."""
    left, top = corner
    currency, unit, scale = axis
    points = [point for one in curves for point in one["points"]]
    most = max(point[currency] for point in points) / scale
    low, high = (rounded(f(point["f1"] for point in points), 0.1) for f, rounded in ((min, down), (max, up)))

    def across(value: float) -> float:
        return round(left + value / most * WIDTH, 1)

    def along(f1: float) -> float:
        return round(top + HEIGHT - (f1 - low) / (high - low) * HEIGHT, 1)

    parts = [f'<text x="{left}" y="{top - 8}" font-weight="bold">{corpus}</text>']
    for tenth in range(round(low * 10), round(high * 10) + 1):
        y = along(tenth / 10)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + WIDTH}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tenth / 10:.1f}</text>')
    step = next(step for step in (0.5, 1, 2, 5, 100, 250) if most / step < 6)
    for number in range(int(most / step) + 1):
        x, said = across(number * step), f"{number * step:g}"
        parts.append(f'<text x="{x}" y="{top + HEIGHT + 16}" text-anchor="middle">{said}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{top + HEIGHT + 32}" text-anchor="middle">{unit} labelled</text>')
    for name, colour in colours.items():
        same = [one["points"] for one in curves if one["strategy"] == name]
        drawn = [(0.8, 0.35, points) for points in same] if name in COMPARED and len(same) > 1 else []
        if same:
            drawn.append((2.2 if name in COMPARED else 1.3, 1, means(same, currency)))
        for thick, opacity, line in drawn:
            places = [(across(point[currency] / scale), along(point["f1"])) for point in line]
            joined = " ".join(f"{x},{y}" for x, y in places)
            style = f'fill="none" stroke="{colour}" stroke-width="{thick}" opacity="{opacity}"'
            parts.append(f'<polyline points="{joined}" {style}/>')
            if opacity == 1:
                parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{colour}"/>' for x, y in places]
    return parts


def means(curves: Sequence[Sequence[dict[str, Any]]], currency: str) -> list[dict[str, float]]:
    """The mean curve of several seeds, as far as all of them go."""
    points = zip(*curves, strict=False)
    return [{key: fmean(point[key] for point in same) for key in (currency, "f1")} for same in points]


def down(value: float, step: float) -> float:
    """The highest multiple of a step that is not above a value."""
    return math.floor(value / step) * step


def up(value: float, step: float) -> float:
    """The lowest multiple of a step that is not below a value."""
    return math.ceil(value / step) * step
