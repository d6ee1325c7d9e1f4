"""How a model at work stands: the decision, the history, and a page with control charts."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import srsly
from markupsafe import Markup, escape

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.gates import GATE, Gates
from spacy_domain_ner.evaluation.scores import percent
from spacy_domain_ner.files import at_work, write_together
from spacy_domain_ner.monitoring.history import DECISION, extend_history, read_history
from spacy_domain_ner.monitoring.reference import find_reference
from spacy_domain_ner.monitoring.status import NOTHING, Decision, decide, old_files
from spacy_domain_ner.monitoring.windows import (
    DRIFT,
    ESTIMATE,
    FORMAT_VERSION,
    HISTORY,
    ISO,
    PAGE,
    STATUS,
    Windows,
    read_windows,
)
from spacy_domain_ner.monitoring.words import in_unit
from spacy_domain_ner.rendering import page_environment
from spacy_domain_ner.schema import read_schema

# Days without an estimate, after which one is due.
REVIEW_DAYS = 90
# Windows that the charts show; the history has all.
SHOWN = 26
# In pixels: a chart's height, and the room above and below.
HEIGHT, ROOM = 120, 14
# Statistics whose chart is always shown; the others are shown where they were not usual.
_FIRST = ("entities", "unseen_forms", "unseen_words", "said_misses", "said_precision")


@dataclass(frozen=True)
class Status:
    """How a model at work stands.

    Attributes:
        decision: What to do.
        windows: The results in the folder.
        history: A line per window and estimate, and per change of the decision, the oldest first.
        removed: Results that were removed, since they were too old.
        notes: What was left out, and why.
    """

    decision: Decision
    windows: Windows
    history: list[dict[str, Any]]
    removed: list[Path]
    notes: list[str] = field(default_factory=list)

    @property
    def calls_for_action(self) -> bool:
        """Whether there is something to do."""
        return self.decision.action != NOTHING


def monitor_status(
    folder: str | Path,
    *,
    model: str | Path | None = None,
    reference: str | Path | None = None,
    schema: str | Path | None = None,
    gate: float = GATE,
    review_days: int = REVIEW_DAYS,
    keep_days: int | None = None,
    redact: bool = False,
) -> Status:
    """Decide what to do about a model at work, and write the history and a page about it.

    Writes `history.jsonl`, `status.json` and `status.html` into the folder. The history keeps a line of each window and
    estimate, without texts, also when their files are gone.

    Args:
        folder: Where `monitor drift` and `monitor estimate` have written their results.
        model: The model; with it and its reference, the number of passages to review is worked out for it, and changed
            definitions are seen.
        reference: The file that `evaluate` wrote; None takes the one in the model's package.
        schema: The entity types of today, to see whether their definitions have changed. A file that does not exist is
            left out.
        gate: The F1 from which a type is ready for production.
        review_days: After so many days without an estimate, passages are to be sampled.
        keep_days: Removes results that are older than so many days; their figures stay in the history. None keeps all.
        redact: Show no words, names and passages on the page.

    Returns:
        How the model stands.

    Raises:
        UserError: The folder or the history can't be read, an argument does not fit, or another run is at work there.
    """
    Gates(gate, min(gate, Gates().fallback))
    for name, days in (("review_days", review_days), ("keep_days", keep_days)):
        if days is not None and days < 1:
            raise UserError(f"`{name}` is {days}", "Give a number of days, 1 or more.")
    folder = Path(folder)
    windows = read_windows(folder)
    known = find_reference(model, reference) if model is not None else None
    types = read_schema(schema) if schema is not None and Path(schema).is_file() else None
    now = time.time()
    with at_work(folder / HISTORY):
        history = extend_history(read_history(folder / HISTORY), windows)
        decision = decide(windows, reference=known, schema=types, gate=gate, review_days=review_days, now=now)
        said = [line for line in history if line["kind"] == DECISION]
        if not said or (said[-1]["action"], said[-1]["said"]) != (decision.action, decision.said):
            made = time.strftime(ISO, time.gmtime(now))
            history.append({"kind": DECISION, "time": made, "action": decision.action, "said": decision.said})
        notes = [f"Left out: {foreign}" for foreign in windows.foreign]
        page = _page(decision, windows, history, gate, redact, now)
        status = {
            "kind": "status", "format_version": FORMAT_VERSION, "created": time.strftime(ISO, time.gmtime(now)),
            **decision.to_dict(), "notes": notes,
        }  # fmt: skip
        write_together(
            {
                folder / HISTORY: (json.dumps(line, ensure_ascii=False) + "\n" for line in history),
                folder / STATUS: [srsly.json_dumps(status, indent=2), "\n"],
                folder / PAGE: [page],
            }
        )
        removed = old_files(windows, keep_days, now) if keep_days is not None else []
        # Last: their figures are in the history now.
        for path in removed:
            with suppress(FileNotFoundError):
                path.unlink()
    return Status(decision, windows, history, removed, notes)


def _page(
    decision: Decision, windows: Windows, history: Sequence[Mapping[str, Any]], gate: float, redact: bool, now: float
) -> str:
    """One page that refers to nothing outside it."""
    drifts = [line for line in history if line["kind"] == DRIFT][-SHOWN:]
    estimates = [line for line in history if line["kind"] == ESTIMATE][-SHOWN:]
    charts = _charts(drifts)
    first = [chart for chart in charts if chart.name in _FIRST or chart.is_unusual]
    alarms = [window.record for window in windows.drifts if window.record["state"] == "alarm"]
    last = alarms[-1] if alarms and not redact else None
    environment = page_environment("spacy_domain_ner.reports")
    environment.filters["code"] = _with_code
    return environment.get_template("monitoring.html.jinja").render(
        decision=decision,
        created=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now)),
        model=(drifts or estimates or [{"model": ""}])[-1]["model"],
        drifts=drifts,
        quality=_Quality(estimates, gate) if estimates else None,
        charts=first,
        others=[chart for chart in charts if chart not in first],
        changes=last,
        changes_day=(last.get("last") or last["created"])[:10] if last else "",
        redacted=redact or bool(alarms and alarms[-1].get("redacted")),
        decisions=[line for line in history if line["kind"] == DECISION][-10:][::-1],
        height=HEIGHT,
    )  # fmt: skip


@dataclass(frozen=True)
class _Point:
    """A window in a control chart: places are per cent of the width, and pixels from the top."""

    x: float
    y: float
    left: float
    width: float
    top: float
    bottom: float
    middle: float
    state: str
    title: str


@dataclass(frozen=True)
class _Chart:
    """The control chart of a statistic."""

    name: str
    title: str
    last: str
    usual: str
    points: list[_Point]
    ticks: list[tuple[float, str]]
    days: tuple[str, str]

    @property
    def is_unusual(self) -> bool:
        return any(point.state != "usual" for point in self.points)

    @property
    def state(self) -> str:
        return self.points[-1].state


def _charts(drifts: Sequence[Mapping[str, Any]]) -> list[_Chart]:
    names = dict.fromkeys(name for line in reversed(drifts) for name in line["statistics"])
    return [_chart(name, drifts) for name in names]


def _chart(name: str, drifts: Sequence[Mapping[str, Any]]) -> _Chart:
    lines = [
        (number, line, line["statistics"][name]) for number, line in enumerate(drifts) if name in line["statistics"]
    ]
    values = [one[key] for _, _, one in lines for key in ("value", "reference", "low", "high")]
    lowest, highest = min(values), max(values)
    span = (highest - lowest) or abs(highest) or 1.0
    wide = 100 / len(drifts)

    def down(value: float) -> float:
        return round(ROOM + (HEIGHT - 2 * ROOM) * (highest - value) / span, 1)

    def point(number: int, line: Mapping[str, Any], one: Mapping[str, Any]) -> _Point:
        title = (
            f"{line['time'][:10]}: {in_unit(one['unit'], one['value'])}; usual {_usual(one)}; "
            f"{line['passages']:,} passages; {one['state']}"
        )
        left, width = round(wide * (number + 0.1), 2), round(wide * 0.8, 2)
        top, bottom, middle = (down(one[key]) for key in ("high", "low", "reference"))
        x, y = round(wide * (number + 0.5), 2), down(one["value"])
        return _Point(x, y, left, width, top, bottom, middle, one["state"], title)

    last = lines[-1][2]
    unit = " per 1,000 words" if last["unit"] == "per 1,000 words" else ""
    return _Chart(
        name,
        last["title"] + unit,
        in_unit(last["unit"], last["value"]),
        _usual(last),
        [point(*line) for line in lines],
        [(down(value), in_unit(last["unit"], value)) for value in (lowest, highest)],
        (lines[0][1]["time"][:10], lines[-1][1]["time"][:10]),
    )


def _usual(one: Mapping[str, Any]) -> str:
    return f"{in_unit(one['unit'], one['low'])} to {in_unit(one['unit'], one['high'])}"


class _Quality:
    """The chart and the table of the estimates."""

    def __init__(self, estimates: Sequence[Mapping[str, Any]], gate: float) -> None:
        known = [line for line in estimates if line["micro"].get("f1")]
        self.gate = gate
        self.rows = [
            (
                line["time"][:10],
                [
                    *(_score(line["micro"].get(score)) for score in ("precision", "recall", "f1")),
                    _score(line.get("evaluated")),
                ],
            )
            for line in reversed(known)
        ]
        self.types = [(label, _score(found.get("f1"))) for label, found in known[-1]["types"].items()] if known else []


def _score(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "unknown"
    return f"{percent(found['value'], 1)} ({percent(found['low'], 1)} to {percent(found['high'], 1)})"


def _with_code(text: str) -> Markup:
    """A sentence as HTML, with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
