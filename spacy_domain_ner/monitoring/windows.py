"""The folder in which `monitor` keeps its results: comparisons of windows, and estimates."""

import calendar
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import refuse_newer_format

DRIFT, ESTIMATE, AGREEMENT = "drift", "estimate", "agreement"
FORMAT_VERSION = 1
ISO = "%Y-%m-%dT%H:%M:%SZ"
# What `status` itself keeps there.
HISTORY, STATUS, PAGE = "history.jsonl", "status.json", "status.html"
# What must be in a result to be read.
_NEEDED = {
    DRIFT: ("state", "created", "model", "passages", "statistics", "alarming"),
    ESTIMATE: ("model", "micro", "types", "reviewed"),
    AGREEMENT: ("types",),
}
# What tells the results that do not say their kind.
_OF_AGREEMENT = AGREEMENT, ("all", "types", "pairs_of_people")
_OF_ESTIMATE = ESTIMATE, ("micro", "types", "sampled", "reviewed", "drop")


@dataclass(frozen=True)
class Window:
    """A result of `monitor drift` or `monitor estimate`.

    Attributes:
        path: Its file.
        record: What it holds.
        time: When the live text was read, in ISO form (UTC); where the rows did not say it, when the sample was drawn
            or the result was made.
    """

    path: Path
    record: Mapping[str, Any]

    @property
    def time(self) -> str:
        return str(self.record.get("last") or self.record["created"])


@dataclass
class Windows:
    """The results in a folder, the oldest first.

    Attributes:
        drifts: The comparisons.
        estimates: The estimates.
        agreements: Results of `domain-ner agreement`.
        foreign: Files that are something else or can't be read, each with the reason.
    """

    drifts: list[Window] = field(default_factory=list)
    estimates: list[Window] = field(default_factory=list)
    agreements: list[Window] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def read_windows(folder: str | Path) -> Windows:
    """Read the results in a folder.

    Args:
        folder: Where `monitor drift` and `monitor estimate` were told to write their results (`output`).

    Raises:
        UserError: There is not such a folder.
    """
    if not Path(folder).is_dir():
        raise UserError(f"There is no folder {folder}", "Name the folder of the results: `monitor drift` writes one.")
    windows = Windows()
    for path in sorted(Path(folder).glob("*.json")):
        if path.name == STATUS or path.name.startswith("."):
            continue
        try:
            record = _read(path)
        except UserError as error:
            windows.foreign.append(error.what)
            continue
        {DRIFT: windows.drifts, ESTIMATE: windows.estimates, AGREEMENT: windows.agreements}[record["kind"]].append(
            Window(path, record)
        )
    for results in (windows.drifts, windows.estimates, windows.agreements):
        results.sort(key=lambda window: (window.time, window.path.name))
    return windows


def _read(path: Path) -> dict[str, Any]:
    try:
        record = srsly.read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} can't be read: {error}") from None
    for name, keys in (_OF_AGREEMENT, _OF_ESTIMATE):
        if isinstance(record, dict) and "kind" not in record and all(key in record for key in keys):
            made = time.strftime(ISO, time.gmtime(path.stat().st_mtime))
            record = {"kind": name, "created": made, **record}
    kind = record.get("kind") if isinstance(record, dict) else None
    if kind not in _NEEDED:
        raise UserError(f"{path.name} is not a result of `monitor drift`, `monitor estimate` or `agreement`")
    refuse_newer_format(path, record.get("format_version"), FORMAT_VERSION)
    if missing := [key for key in _NEEDED[kind] if key not in record]:
        raise UserError(f"{path.name} lacks {', '.join(missing)}")
    return record


def seconds(moment: str) -> float:
    """A time in ISO form (UTC) as seconds since 1970; 0 where it is something else."""
    try:
        return float(calendar.timegm(time.strptime(moment[:19], ISO[:-1])))
    except ValueError:
        return 0.0


def day_of(window: Window) -> str:
    """The day on which a window ended."""
    return window.time[:10]
