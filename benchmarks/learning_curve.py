"""Measure whether forecasts come true: python benchmarks/learning_curve.py --seeds 7 8

The template's CPU config is trained on 1/32, 1/16, 1/8, 1/4, 1/2 and all of 1,000 passages of a corpus, each part
contained in the next, and every model is scored on the same held-out passages. From the four sizes up to 250, and from
the four up to 500, the F1 of each type with twice the passages is forecast, as `learning-curve` does it, and compared
with what training on them gave. What is counted, over types with a forecast:

- inside: how often the F1 lies in the stated range, which is to hold four fifths;
- below, above: how often it lies on either side of it;
- less: how often the forecast was less than what had been measured already;
- error: the mean distance between the forecast and the F1, and the same for "it stays as it is".

Each training leaves a JSON file in the results folder, and is not repeated while that file is there. `--judge-only`
counts what is there.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cpu_config import REPOSITORY, divide, versions, write_template_config

from spacy_domain_ner.corpus.jsonl import write_passages
from spacy_domain_ner.evaluation.forecasts import Measured, learn_from
from spacy_domain_ner.experiments.learning_curve import measure_learning_curve, read_measurements
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training import Recipe

SUMMARY = REPOSITORY / "benchmarks" / "results" / "learning_curve.json"
TRAINING, EARLY_STOPPING, SCORED = 1000, 250, 1500
SIZES = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)
# A forecast is made from this many sizes, as the template measures them.
POINTS = 4
# A project of 500 training passages has about this many evaluation passages.
AS_IN_A_PROJECT = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=REPOSITORY / ".." / "shared" / "data" / "corpora")
    parser.add_argument("--corpora", nargs="+", default=["bc5cdr", "stackoverflow_ner", "wnut17"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[7])
    parser.add_argument("--results", type=Path, default=REPOSITORY / "build" / "learning_curve")
    parser.add_argument("--judge-only", action="store_true")
    arguments = parser.parse_args()
    forecasts, curves = [], []
    for seed in arguments.seeds:
        for corpus in arguments.corpora:
            folder = arguments.results / f"{corpus}-{seed}"
            if not arguments.judge_only:
                measure(arguments.data / corpus, seed, folder)
            if (folder / "curve.json").exists():
                measured = read_measurements(folder / "curve.json")
                points = {point.passages: round(point.micro or 0.0, 3) for point in learn_from(measured).points}
                curves.append({"corpus": corpus, "seed": seed, "f1": points})
                forecasts += [{"corpus": corpus, "seed": seed, **row} for row in judge(measured)]
    rows = [
        {"scored": scored, **count([one for one in forecasts if one["scored"] == scored])}
        for scored in (AS_IN_A_PROJECT, SCORED)
    ]
    for row in rows:
        print(json.dumps(row))
    with replacing(SUMMARY) as stream:
        json.dump({"versions": versions(), "curves": curves, "rows": rows, "forecasts": forecasts}, stream, indent=1)
        stream.write("\n")


def measure(corpus: Path, seed: int, folder: Path) -> None:
    """Train on each part, and keep the counts of each model."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("train.jsonl", "dev.jsonl", "eval.jsonl")]
    for path, side in zip(paths, divide(corpus, seed, (TRAINING, EARLY_STOPPING, SCORED)), strict=True):
        write_passages(path, side)
    write_template_config(folder / "config.cfg")
    recipe = Recipe(folder / "config.cfg", *paths[:2], seed=seed)
    measure_learning_curve(recipe, eval=paths[2], output=folder / "curve.json", sizes=SIZES)


def judge(measured: list[Measured]) -> Iterator[dict[str, Any]]:
    """Forecast from the sizes before, and compare with the F1 that was measured."""
    for scored in (AS_IN_A_PROJECT, SCORED):
        parts = [
            Measured(part.passages, part.mentions, {label: counts[:scored] for label, counts in part.counts.items()})
            for part in measured
        ]
        for last in range(POINTS - 1, len(parts) - 1):
            curve = learn_from(parts[last - POINTS + 1 : last + 1])
            came = learn_from(parts[: last + 2]).points[-1]
            for label, forecast in curve.forecasts.items():
                value, low, high = forecast.doubled
                yield {
                    "scored": scored,
                    "passages": parts[last].passages,
                    "label": label,
                    "mentions": forecast.mentions,
                    "measured": round(forecast.f1, 4),
                    "forecast": [round(value, 4), round(low, 4), round(high, 4)],
                    "mentions_later": came.mentions[label],
                    "later": round(came.f1[label], 4),
                }


def count(forecasts: list[dict[str, Any]]) -> dict[str, Any]:
    """How often the forecasts held."""
    if not forecasts:
        return {"forecasts": 0}
    total = len(forecasts)
    below = sum(one["later"] < one["forecast"][1] for one in forecasts)
    above = sum(one["later"] > one["forecast"][2] for one in forecasts)
    return {
        "forecasts": total,
        "inside": round((total - below - above) / total, 3),
        "below": round(below / total, 3),
        "above": round(above / total, 3),
        "less": round(sum(one["forecast"][0] < one["measured"] for one in forecasts) / total, 3),
        "width": round(sum(one["forecast"][2] - one["forecast"][1] for one in forecasts) / total, 3),
        "error": round(sum(abs(one["forecast"][0] - one["later"]) for one in forecasts) / total, 3),
        "error_if_unchanged": round(sum(abs(one["measured"] - one["later"]) for one in forecasts) / total, 3),
    }


if __name__ == "__main__":
    main()
