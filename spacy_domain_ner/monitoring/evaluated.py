"""The figures that a model had when it was evaluated, with their uncertainty: what live figures are compared with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.intervals import NORMAL
from spacy_domain_ner.reading.objects import read_object

FIGURES = ("precision", "recall", "f1")
_HINT = "Make it first: weasel run evaluate"
_OTHERWISE = "does not hold the scores of `evaluate`"


@dataclass(frozen=True)
class Evaluated:
    """A model's figures on its evaluation set.

    Attributes:
        source: Where they stand.
        micro: Precision, recall and F1 of all mentions.
        types: The same for each type.
    """

    source: str
    micro: Mapping[str, Estimate]
    types: Mapping[str, Mapping[str, Estimate]]


def read_evaluated(metrics: str | Path) -> Evaluated:
    """Read what `evaluate` has written.

    Args:
        metrics: Its metrics.json, or a packaged model's meta.json or folder.

    Raises:
        UserError: It can't be read, or has no such figures.
    """
    path = Path(metrics)
    if path.is_dir():
        path = path / "meta.json"
    values = read_object(path, _OTHERWISE, _HINT)
    try:
        if "performance" in values:
            return _of_package(path, values)
        types = {label: _figures(scores) for label, scores in values["types"].items()}
        return Evaluated(str(path), _figures(values["micro"]), types)
    except UserError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} {_OTHERWISE}", _HINT) from None


def _figures(scores: Mapping[str, Any]) -> dict[str, Estimate]:
    intervals = scores.get("intervals") or {}
    found = {}
    for name in FIGURES:
        value = scores[name]
        if value is not None:
            low, high = intervals.get(name) or _by_support(value, scores["support"])
            found[name] = Estimate(value, low, high)
    return found


def _of_package(path: Path, meta: Mapping[str, Any]) -> Evaluated:
    """A package's scores are those of the evaluation set; a model that is not packaged has those of the dev set."""
    scores = meta["performance"]
    if "entity_types" not in meta:
        raise UserError(
            f"{path} has the scores of the dev set, by which training was stopped",
            "Give metrics/metrics.json, or a packaged model.",
        )
    of_types = scores["ents_per_type"]
    intervals = scores.get("ents_intervals") or {"micro": {}, "types": {}}
    keys = dict(zip(FIGURES, "prf", strict=True))
    types = {
        label: _figures(
            {
                "support": one["support"],
                "intervals": intervals["types"].get(label),
                **{name: one[key] for name, key in keys.items()},
            }
        )
        for label, one in of_types.items()
    }
    whole = {name: scores[f"ents_{key}"] for name, key in keys.items()}
    support = sum(one["support"] for one in of_types.values())
    return Evaluated(str(path), _figures({"support": support, "intervals": intervals["micro"], **whole}), types)


def _by_support(value: float, support: int) -> tuple[float, float]:
    """An interval where only the number of mentions is known: that of independent ones."""
    half = NORMAL * math.sqrt(max(value * (1 - value), 0.01) / max(1, support))
    return max(0.0, value - half), min(1.0, value + half)
