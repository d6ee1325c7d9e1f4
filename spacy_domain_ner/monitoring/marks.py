"""What a sampled passage carries in `meta.monitor` while people review it, so that an estimate can be made of it later.

    {"sample": "5f0c", "part": "uniform", "blind": false, "probability": 0.0125, "weight": 3,
     "model": "en_software_ner 0.2.0 (1f0c9a3e)", "last": "2026-03-02T06:00:00Z", "fingerprint": "…", "found": "…",
     "window": "…"}

What the model has found is packed: labelling tools show `meta`, and whoever reviews a blind passage must not see it.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from spacy_domain_ner.monitoring.live import Found, fingerprint

# The key of `meta`.
MONITOR = "monitor"
UNIFORM, BY_ERROR = "uniform", "error"
# No window has more types; what unpacks to more is nothing of ours.
_LONGEST = 1 << 20


@dataclass(frozen=True)
class Totals:
    """What the live rows of a window add up to, each row as often as it stands for: what an estimate leans on.

    Attributes:
        rows: How many live rows there are.
        size: How many passages were sampled of them.
        predicted: How many entities of each type the model has found.
        right: How many of these it expects to be right: the sum of their confidences.
        expected: How many entities of each type it expects, found and missed ones.
    """

    rows: float
    size: int
    predicted: Mapping[str, float] = field(default_factory=dict)
    right: Mapping[str, float] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Mark:
    """What is known of a sampled passage.

    Attributes:
        sample: What identifies the sample.
        part: "uniform" for the passages that are a uniform sample by themselves, "error" for the others, which were
            drawn since the model is likely to be wrong in them.
        blind: Whether the reviewer does not see what the model has found.
        probability: The probability with which the passage was drawn from the live rows.
        weight: How many live rows it stands for, itself and its copies. A row of a log that has one row in twenty
            stands for twenty.
        share: The probability with which a row came into the log.
        model: The model that has read it.
        fingerprint: The passage's fingerprint (`live.fingerprint`), to tell whether its text has changed.
        found: What the model has found; offsets do not count white space, which labelling tools change.
        expected: How many entities of each type the model expects.
        totals: What the live rows add up to.
        last: When the last of the live rows was read, in ISO form (UTC); where they do not say it, when the sample was
            drawn.
    """

    sample: str
    part: str
    blind: bool
    probability: float
    weight: float
    share: float
    model: str
    fingerprint: str
    found: tuple[Found, ...]
    expected: Mapping[str, float]
    totals: Totals
    last: str = ""

    def to_meta(self) -> dict[str, Any]:
        """The mark as it stands in `meta.monitor`."""
        totals = self.totals
        labels = sorted({*totals.predicted, *totals.expected})
        rows = [[label, *(_short(side.get(label, 0)) for side in _sides(totals))] for label in labels]
        return {
            "sample": self.sample, "part": self.part, "blind": self.blind,
            "probability": self.probability, "weight": self.weight,
            **({} if self.share == 1 else {"share": self.share}),
            "model": self.model, "last": self.last, "fingerprint": self.fingerprint,
            "found": _pack([list(map(list, self.found)), {label: _short(n) for label, n in self.expected.items()}]),
            "window": _pack([totals.rows, totals.size, rows]),
        }  # fmt: skip

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> "Mark | None":
        """Read the mark of a passage.

        Args:
            meta: The passage's `meta`, perhaps after a tool has made a text of what is in it.

        Returns:
            The mark; None where the passage was not sampled.

        Raises:
            ValueError: The mark is damaged.
        """
        values = meta.get(MONITOR)
        if isinstance(values, str):
            values = json.loads(values)
        if values is None:
            return None
        try:
            found, expected = _unpack(values["found"])
            rows, size, of_types = _unpack(values["window"])
            totals = Totals(rows, size, *({row[0]: row[side] for row in of_types} for side in (1, 2, 3)))
            mark = cls(
                str(values["sample"]), str(values["part"]), values["blind"] is True, float(values["probability"]),
                float(values["weight"]), float(values.get("share", 1)), str(values["model"]),
                str(values["fingerprint"]), tuple(Found(*one) for one in found), expected, totals,
                str(values.get("last") or ""),
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        if not (0 < mark.probability <= 1 and mark.weight > 0 and 0 < mark.share <= 1):
            raise ValueError("a probability or a weight is out of range")
        return mark

    def is_of(self, text: str) -> bool:
        """Whether a text is the one that was sampled, apart from its white space."""
        return fingerprint(text) == self.fingerprint


def without_blanks(text: str) -> list[int]:
    """For each offset of a text, and for its end, how many characters before it are not white space."""
    return [0, *accumulate(not character.isspace() for character in text)]


def _sides(totals: Totals) -> tuple[Mapping[str, float], ...]:
    return totals.predicted, totals.right, totals.expected


def _short(number: float) -> float:
    return round(number, 4)


def _pack(value: Any) -> str:
    return base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode("utf8"), 9)).decode("ascii")


def _unpack(packed: str) -> Any:
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), _LONGEST)
        return json.loads(data)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from None
