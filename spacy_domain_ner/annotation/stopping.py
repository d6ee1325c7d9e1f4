"""When to stop labelling: what the next passages are likely to gain, for the time that they take.

What is left of the errors, 1 - F1, falls by about the same share with every doubling of the examples: see
`spacy_domain_ner.evaluation.forecasts`. The share is read off the batches that were chosen before, where there are
enough of them, else off the learning curve. A small evaluation set hardly tells one batch from the next, so what it
says is weighed against what is usual.
"""

import json
from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path
from typing import Any

from spacy_domain_ner.evaluation.gains import Gain, errors, points_after
from spacy_domain_ner.files import replacing

Figures = Mapping[str, Any]

# Fewer points of F1 by the next passages, for each type, and it is time to stop.
WORTH_IT = 0.5
# So many evaluations, each after further passages, tell how F1 grows.
FEWEST_RUNS = 3
# By how much -log(1 - F1) of a type usually rises with each doubling of the passages: the median of 306 steps by
# `select` between 100 and 1,000 passages (benchmarks/active_learning.py). The standard deviation is about that of the
# types with many held-out mentions (0.09 on bc5cdr, 0.15 on wnut17).
USUAL_RISE, USUAL_SPREAD = 0.18, 0.1
# The quantile of the normal distribution at the ends of an interval.
QUANTILE_95 = 1.96


def expected_gains(
    figures: Figures, history: Sequence[Figures], passages: int, mentions: Mapping[str, float], hours: float
) -> list[Gain]:
    """Say what the next passages are likely to gain.

    Args:
        figures: The figures of the last evaluation, as metrics.json holds them.
        history: What was known when passages were chosen before, as `remember` keeps it.
        passages: How many passages are to be labelled.
        mentions: How many mentions of each type the model expects in them.
        hours: How long they take.

    Returns:
        The gain of each type of which enough is known.
    """
    forecasts = (figures.get("learning_curve") or {}).get("forecasts") or {}
    found = []
    for label in sorted(mentions):
        of_type = figures["types"].get(label) or {}
        today = of_type.get("f1")
        if today is None:
            continue
        points = [(one["labelled"], one["f1"][label]) for one in history if label in one["f1"]]
        if len(points) >= FEWEST_RUNS:
            before, more, rise = points[-1][0], float(passages), _rise_per_doubling(points, of_type)
        elif label in forecasts and forecasts[label]["mentions"] > 0:
            one = forecasts[label]
            before, more, rise = one["mentions"], mentions[label], errors(one["doubled"][0]) - errors(one["f1"])
        else:
            continue
        points_more = points_after(today, rise, before, more)
        found.append(Gain(label, today, points_more, hours, len(points) >= FEWEST_RUNS))
    return found


def advice(gains: Sequence[Gain], passages: int) -> str:
    """Say in a sentence whether to go on; "" where nothing is known."""
    if not gains:
        return ""
    best = max(gains, key=lambda gain: gain.points)
    if best.points < WORTH_IT:
        return (
            f"Stop labelling text of this kind: the next {passages} passages are likely to raise no type's F1 by "
            f"{WORTH_IT:g} points. A clearer description or another kind of text helps more."
        )
    return f"The next {passages} passages are worth it: they take about {best.hours:.1f} hours."


def remember(path: Path, labelled: int, figures: Figures) -> list[dict[str, Any]]:
    """Keep the figures of an evaluation with the number of labelled passages, and give all that were kept.

    Args:
        path: The file; one that is damaged is begun anew.
        labelled: How many passages are labelled.
        figures: The figures of the evaluation, as metrics.json holds them.

    Returns:
        For each number of labelled passages, rising, `labelled` and the `f1` of each type.
    """
    f1 = {label: one["f1"] for label, one in figures["types"].items() if one.get("f1") is not None}
    kept = {one["labelled"]: one for one in read_history(path)}
    kept = {count: one for count, one in kept.items() if count < labelled}
    # The same figures again: the model has not been trained since, or not evaluated.
    if f1 and not any(one["f1"] == f1 for one in kept.values()):
        kept[labelled] = {"labelled": labelled, "f1": f1}
    history = [kept[count] for count in sorted(kept) if count > 0]
    with replacing(path) as stream:
        stream.write(json.dumps(history, indent=1) + "\n")
    return history


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read what `remember` has kept. A missing or damaged file gives an empty list."""
    try:
        kept = json.loads(path.read_bytes())
        return [one for one in kept if isinstance(one["labelled"], int) and isinstance(one["f1"], dict)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []


def _rise_per_doubling(points: Sequence[tuple[int, float]], figures: Figures) -> float:
    """By how much -log(1 - F1) rises with each doubling: the slope of the line through the last points, and the usual.

    Each counts by how sure it is. Each F1 is taken to be as sure as the last one.
    """
    last = points[-FEWEST_RUNS:]
    xs, ys = [log2(count) for count, _ in last], [errors(f1) for _, f1 in last]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    try:
        low, high = figures["intervals"]["f1"]
        variance = ((errors(high) - errors(low)) / (2 * QUANTILE_95)) ** 2 / spread
    except (KeyError, TypeError, ValueError):
        # The file was not written by an evaluation.
        return slope
    return (slope * USUAL_SPREAD**2 + USUAL_RISE * variance) / (USUAL_SPREAD**2 + variance)
