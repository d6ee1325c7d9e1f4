"""What stays of every window and estimate, a line each, also when their files are gone: figures, no texts."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.monitoring.windows import DRIFT, ESTIMATE, Window, Windows

DECISION = "decision"
_SCORES = ("precision", "recall", "f1")
_SHOWN = ("title", "unit", "value", "reference", "low", "high", "score", "state")
_SHOWN = ("title", "unit", "value", "reference", "low", "high", "score", "state")


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the lines of an earlier status; none where there is no file.

    Raises:
        UserError: The file is something else.
    """
    if not path.exists():
        return []
    lines = []
    for number, line in enumerate(path.read_text("utf8").splitlines(), 1):
        try:
            record = json.loads(line)
            if record["kind"] not in (DRIFT, ESTIMATE, DECISION):
                raise ValueError
            lines.append({**record, "time": str(record["time"])})
        except (ValueError, KeyError, TypeError, RecursionError):
            raise UserError(
                f"{path}:{number}: this is not a line of the history",
                "Restore the file, or move it away: a new one is made of the results that are there.",
            ) from None
    return lines


def extend_history(history: Iterable[Mapping[str, Any]], windows: Windows) -> list[dict[str, Any]]:
    """Put the results of a folder into the history: a file that is there already is replaced.

    Args:
        history: The lines so far.
        windows: The results.

    Returns:
        The lines, the oldest first.
    """
    lines = [_of_drift(window) for window in windows.drifts] + [_of_estimate(window) for window in windows.estimates]
    now = {(line["kind"], line["file"]) for line in lines}
    kept = [dict(line) for line in history if (line["kind"], line.get("file")) not in now]
    return sorted(kept + lines, key=lambda line: (line["time"], line["kind"] == DECISION))


def _of_drift(window: Window) -> dict[str, Any]:
    record = window.record
    return {
        "kind": DRIFT, "file": window.path.name, "time": window.time, "model": record["model"],
        "state": record["state"], "passages": record["passages"], "alarming": record["alarming"],
        "statistics": {
            one["name"]: {key: one[key] for key in _SHOWN}
            for one in record["statistics"]
        },
    }  # fmt: skip


def _of_estimate(window: Window) -> dict[str, Any]:
    record = window.record
    scores = {score: record["micro"].get(score) for score in _SCORES}
    return {
        "kind": ESTIMATE, "file": window.path.name, "time": window.time, "model": record["model"], "micro": scores,
        "evaluated": (record["micro"].get("evaluated") or {}).get("f1"),
        "types": {label: {score: found.get(score) for score in _SCORES} for label, found in record["types"].items()},
    }  # fmt: skip
