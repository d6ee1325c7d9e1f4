"""How long people took to label, by Label Studio's own clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.recognise import find_exports
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.stream import json_values, peek

# A task that was left open over lunch counts as so many times the median.
_LONGEST = 10


@dataclass(frozen=True)
class LabellingTimes:
    """How long people took.

    Attributes:
        annotations: How many annotations have a time.
        seconds: The mean time of one, each capped at ten times the median.
        median: The median time.
        capped: How many were capped.
    """

    annotations: int
    seconds: float
    median: float
    capped: int


def read_labelling_times(exports: Iterable[str | Path]) -> LabellingTimes:
    """Read how long people took from exports of Label Studio (JSON or JSON_MIN), which have `lead_time`.

    Args:
        exports: Files, folders and zip archives.

    Returns:
        The times.

    Raises:
        UserError: A file can't be read, or none has a time.
    """
    times: list[float] = []
    with find_exports(exports, "utf-8") as sources:
        for source in sources:
            look = peek(source)
            if look.layout in ("list", "lines", "objects"):
                for _, value in json_values(source, look.layout):
                    if not isinstance(value, RefusedError):
                        times += _times(value)
    if not times:
        raise UserError(
            "No annotation in the exports has a `lead_time`",
            "Label Studio's JSON and JSON_MIN have it. Else say how long a passage takes with `seconds_per_label`.",
        )
    middle = median(times)
    most = _LONGEST * middle
    return LabellingTimes(len(times), fmean(min(one, most) for one in times), middle, sum(one > most for one in times))


def _times(value: Any) -> list[float]:
    if not isinstance(value, dict):
        return []
    lists = [value.get(key) for key in ("annotations", "completions")]
    items = [item for one in lists if isinstance(one, list) for item in one if isinstance(item, dict)]
    found = [item.get("lead_time") for item in (items or [value]) if item.get("was_cancelled") is not True]
    return [float(time) for time in found if isinstance(time, int | float) and not isinstance(time, bool) and time > 0]
