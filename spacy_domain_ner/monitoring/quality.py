"""How good a model is on live text: what an estimate gives, and how JSON has it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.evaluated import FIGURES

FORMAT_VERSION = 1
# Fewer verified mentions of a type tell nothing.
FEWEST_MENTIONS = 30
# As likely as this, lot alone explains what looks as if reviewers followed the model.
BY_LOT = 0.01


@dataclass(frozen=True)
class LiveFigures:
    """How good a model is on live text, for a type or for all.

    Attributes:
        precision: With its 95 % interval; None where it is unknown.
        recall: Likewise.
        f1: Likewise.
        mentions: How many mentions the reviewers have verified.
        evaluated: The figures on the evaluation set; empty where they are not known.
        drop_probability: The probability that F1 is lower than on the evaluation set by the drop that was asked for;
            None where one of the two is unknown.
        more_passages: Where there are fewer than 30 verified mentions, about how many more passages are needed; None
            where there are enough, or nothing tells how many.
    """

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    mentions: int
    evaluated: Mapping[str, Estimate] = field(default_factory=dict)
    drop_probability: float | None = None
    more_passages: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether there are enough verified mentions."""
        return self.mentions >= FEWEST_MENTIONS

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON has them."""
        figures = {name: getattr(self, name) for name in FIGURES}
        return {
            **{name: found.to_dict() if found else None for name, found in figures.items()},
            "mentions": self.mentions,
            "known": self.is_known,
            "more_passages": self.more_passages,
            "evaluated": {name: found.to_dict() for name, found in self.evaluated.items()},
            "drop_probability": None if self.drop_probability is None else round(self.drop_probability, 4),
        }


@dataclass(frozen=True)
class LiveCalibration:
    """Whether the model's confidence means on live text what it says.

    Attributes:
        said: The precision that the model says it has: the mean confidence of all that it has found.
        precision: The precision that it has.
        error: The mean distance between confidence and precision over bins, as `evaluate` measures it.
        by_chance: What that would be if the confidence were exact, from so few entities.
    """

    said: float
    precision: Estimate | None
    error: float
    by_chance: float


@dataclass(frozen=True)
class Anchoring:
    """How far reviewers follow what the model has filled in.

    Attributes:
        confirmed: The share of the model's errors that they confirmed where they saw them, against the blind passages,
            with its interval. None where the blind passages show no error. Below 0: they found more errors there.
        blind: How many passages were reviewed blind.
        seen: How many were reviewed with the model's entities filled in.
        errors_blind: How many errors of the model they found in the blind ones, per error that it expects.
        errors_seen: Likewise in the others.
        f1_blind: F1 by the blind passages alone: few, but nobody followed the model there.
        by_lot: How probable it is that blind passages have so many more errors by lot alone.
        blind_needed: About how many blind passages show, 4 times in 5, that reviewers confirm 30 % of the errors; None
            where no error was found.
    """

    confirmed: Estimate | None
    blind: int
    seen: int
    errors_blind: float
    errors_seen: float
    f1_blind: Estimate | None
    by_lot: float
    blind_needed: int | None

    @property
    def is_certain(self) -> bool:
        """Whether lot alone does not explain it: in 1 of 100 reviews without such errors it does."""
        return self.confirmed is not None and self.by_lot <= BY_LOT


@dataclass(frozen=True)
class LiveQuality:
    """How good a model is on live text.

    Attributes:
        model: The model.
        rows: How many live rows the figures are of.
        sampled: How many passages were sampled of them.
        reviewed: How many of these were reviewed and count.
        drop: The drop of F1 whose probability is given.
        micro: The figures of all mentions together.
        types: The figures of each type.
        calibration: Whether the confidence is justified; None where the model has found nothing.
        anchoring: How far reviewers follow the model; None where all or none of the passages were blind.
        evaluated: Where the figures of the evaluation set come from, "" where there are none.
        notes: What did not count and why, a sentence each.
        last: When the last of the live rows was read, in ISO form (UTC); where they do not say it, when the sample was
            drawn; "" where that is not known.
    """

    model: str
    rows: float
    sampled: int
    reviewed: int
    drop: float
    micro: LiveFigures
    types: Mapping[str, LiveFigures]
    calibration: LiveCalibration | None
    anchoring: Anchoring | None
    evaluated: str = ""
    notes: Sequence[str] = ()
    last: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        calibration, anchoring = self.calibration, self.anchoring
        return {
            "kind": "estimate",
            "format_version": FORMAT_VERSION,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "last": self.last,
            "model": self.model,
            "rows": self.rows,
            "sampled": self.sampled,
            "reviewed": self.reviewed,
            "drop": self.drop,
            "micro": self.micro.to_dict(),
            "types": {label: found.to_dict() for label, found in self.types.items()},
            "calibration": calibration and {
                "said": round(calibration.said, 4),
                "precision": calibration.precision.to_dict() if calibration.precision else None,
                "error": round(calibration.error, 4),
                "error_by_chance": round(calibration.by_chance, 4),
            },
            "anchoring": anchoring and {
                "confirmed": anchoring.confirmed.to_dict() if anchoring.confirmed else None,
                "certain": anchoring.is_certain,
                "by_lot": round(anchoring.by_lot, 4),
                "blind_needed": anchoring.blind_needed,
                "blind": anchoring.blind,
                "seen": anchoring.seen,
                "errors_per_expected": {
                    "blind": round(anchoring.errors_blind, 4), "seen": round(anchoring.errors_seen, 4)
                },
                "f1_blind": anchoring.f1_blind.to_dict() if anchoring.f1_blind else None,
            },
            "evaluated": self.evaluated,
            "notes": list(self.notes),
        }  # fmt: skip
