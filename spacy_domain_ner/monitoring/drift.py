"""Whether live text has changed against what the model was evaluated on, and in what."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy
import srsly

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.files import replacing
from spacy_domain_ner.monitoring.changes import Grown, Kept, examples_of, grown_words, new_forms
from spacy_domain_ner.monitoring.live import Live, LiveRow, open_live
from spacy_domain_ner.monitoring.measures import PLACE, Measures, Sums
from spacy_domain_ner.monitoring.reference import Reference, find_reference
from spacy_domain_ner.monitoring.statistics import BINS, Compared, Statistic, compare
from spacy_domain_ner.monitoring.windows import DRIFT, FORMAT_VERSION, ISO, read_windows

# Of fewer passages nothing is said: hardly any change would be more than chance.
FEWEST_PASSAGES = 30
# Of so many passages the model is asked how many entities it expects, where the rows do not say it.
ASKED = 1000
# Different texts that are counted; a window with more is large in any case.
DISTINCT = 100_000
# Entities that the reference lets expect below the least confidence of the live ones, and none is there.
CUT = 10
ENTITY_STATISTICS = (
    "entities", "unseen_forms", "known_entities", "said_precision", "said_misses", "confidence_shape",
)  # fmt: skip
USUAL, UNUSUAL, ALARM, UNKNOWN = "usual", "unusual", "alarm", "unknown"


@dataclass(frozen=True)
class Drift:
    """How a window of live text compares with what the model was evaluated on.

    Attributes:
        state: `usual`; `unusual`, which may be chance; `alarm`; `unknown` where the window is too small.
        files: What was read.
        model: The model that has read the window.
        passages: How many passages it has.
        words: How many words.
        entities: How many entities the model has found.
        first: When the first passage was read, in ISO form (UTC); "" where the rows do not say it.
        last: When the last one was read.
        statistics: Each statistic beside the reference's.
        alarming: The names of those that raise the alarm.
        twice: The names of those that were unusual in the window before, too.
        words_grown: Words that more passages have than training's.
        names_new: Names that the model finds and training never had.
        examples: Passages that show an alarming statistic best, by its name.
        reference: What the window is compared with: `passages`, `rows` and `by`.
        created: When this was worked out.
        notes: What could not be compared, and why, a sentence each.
    """

    state: str
    files: list[str]
    model: str
    passages: int
    words: int
    entities: int
    first: str
    last: str
    statistics: list[Compared]
    alarming: list[str]
    twice: list[str]
    words_grown: list[Grown]
    names_new: list[Grown]
    examples: dict[str, list[str]]
    reference: dict[str, Any]
    created: str = ""
    notes: list[str] = field(default_factory=list)

    def to_dict(self, redact: bool = False) -> dict[str, Any]:
        """As JSON holds it.

        Args:
            redact: Whether to leave out words, names and passages.
        """
        return {
            "kind": DRIFT,
            "format_version": FORMAT_VERSION,
            "state": self.state,
            "created": self.created,
            "files": self.files,
            "model": self.model,
            "passages": self.passages,
            "words": self.words,
            "entities": self.entities,
            "first": self.first,
            "last": self.last,
            "reference": self.reference,
            "statistics": [_statistic(found) for found in self.statistics],
            "alarming": self.alarming,
            "twice": self.twice,
            "redacted": redact,
            "words_grown": [] if redact else [grown.to_dict() for grown in self.words_grown],
            "names_new": [] if redact else [grown.to_dict() for grown in self.names_new],
            "examples": {} if redact else self.examples,
            "notes": self.notes,
        }


@dataclass
class Window:
    """What was counted in a window of live text.

    Attributes:
        sums: The sums of what `Measures` counts.
        distinct: How many different texts there are.
        asked: How many rows say what the model expects.
        left_out: How many rows are too old.
        first: When the first passage was read, in ISO form (UTC); "" where the rows do not say it.
        last: When the last one was read.
        latest: When the last one of those was read that are too old.
    """

    sums: Sums
    distinct: int = 0
    asked: int = 0
    left_out: int = 0
    first: str = ""
    last: str = ""
    latest: str = ""


def measure_drift(
    live: Iterable[str | Path],
    model: str | Path,
    *,
    reference: str | Path | None = None,
    output: str | Path | None = None,
    redact: bool = False,
    days: int | None = None,
    text_key: str = "text",
    model_version: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> Drift:
    """Compare a window of live text with what the model was evaluated on.

    Args:
        live: What `extract` has written and what the server has logged since the last window.
        model: The model that has read it: its folder, or the name of its package.
        reference: The file that `evaluate` wrote; None takes the one in the model's package.
        output: Writes the result to this JSON file; a folder gets a file named after the day on which the window ends.
            Where the folder has the result of an earlier window, a statistic that is unusual in both raises the alarm.
        redact: Keep no words, names and passages in the file.
        days: Take the rows of the last so many days only, by the time that the server has logged. Rows that do not say
            theirs are taken. None takes all.
        text_key: The key of the text, as it was given to `extract`.
        model_version: Leave out the rows of other models, as `open_live` does. None leaves out those that say to be of
            another model.
        progress: Called with the share of the rows that was read, from 0 to 1.

    Returns:
        The comparison.

    Raises:
        UserError: The rows or the reference can't be read, are of another model, or there is not a row.
    """
    if days is not None and days < 1:
        raise UserError(f"`days` is {days}", "Give a number of days, 1 or more.")
    now = time.time()
    since = "" if days is None else time.strftime(ISO, time.gmtime(now - days * 86_400))
    known = find_reference(model, reference)
    measures = Measures(known.vocabulary, known.labels)
    kept = Kept()
    # A log has rows of the model before, too, for some days after it was replaced.
    digest = known.model.get("digest", "")
    with open_live(live, text_key=text_key, model_version=model_version, digest=digest, progress=progress) as rows:
        window = _count(rows, measures, kept, since)
    return compare_window(rows, window, kept, measures, known, model, output=output, redact=redact, days=days, now=now)


def compare_window(
    rows: Live,
    window: Window,
    kept: Kept,
    measures: Measures,
    known: Reference,
    model: str | Path,
    *,
    output: str | Path | None,
    redact: bool,
    days: int | None,
    now: float,
) -> Drift:
    """Compare a window that was counted with the reference: see `measure_drift`.

    Args:
        rows: The live rows, after they were read.
        window: What was counted in them.
        kept: A random part of them.
        measures: What has counted them.
        known: The reference.
        model: As for `measure_drift`.
        output: As for `measure_drift`.
        redact: As for `measure_drift`.
        days: As for `measure_drift`.
        now: The time, in seconds.

    Returns:
        The comparison.

    Raises:
        UserError: The rows are of another model, or there is not one of these days.
    """
    _check_model(rows.model or "", known)
    passages = int(window.sums[0])
    if not passages:
        raise UserError(
            f"No row of {', '.join(rows.names)} is of the last {days} days: the last one is of {window.latest}",
            "Give a larger number of `days`, or look whether the server still writes its log.",
        )
    notes = _told(rows, window, days)
    asked = window.asked
    if not asked and known.rows[:, PLACE["expected"]].any():
        asked = _ask(model, kept, measures, window.sums, notes)
    elif 0 < asked < passages:
        notes.append(f"{passages - asked} rows do not say what the model expects: its misses are those of the rest.")
    without = [*_incomparable(rows, window.sums, known, notes), *known.lacking]
    enough = passages >= FEWEST_PASSAGES
    if not enough:
        notes.append(f"{passages} passages are too few to say anything: a window needs {FEWEST_PASSAGES} at least.")
    counted = _count_kept(kept, measures)
    found = (
        compare(
            window.sums, known.rows, known.labels, rows=numpy.array([row for _, row in counted]),
            distinct=window.distinct, asked=asked, without=without,
        )
        if enough
        else []
    )  # fmt: skip
    path = None if output is None else _file(Path(output), window.last or time.strftime(ISO, time.gmtime(now)))
    twice = _twice(found, path, rows.model or "")
    alarming = [one.statistic.name for one in found if one.state == "far out" or one.statistic.name in twice]
    state = UNKNOWN if not enough else ALARM if alarming else UNUSUAL if any(map(_is_unusual, found)) else USUAL
    drift = Drift(
        state, rows.names, rows.model or "", passages, int(window.sums[PLACE["words"]]),
        int(window.sums[PLACE["entities"]]), window.first, window.last, found, alarming, twice,
        grown_words(kept.rows, known.vocabulary) if alarming else [],
        new_forms(kept.rows, known.vocabulary) if alarming else [],
        _examples(found, alarming, counted),
        {"passages": known.passages, "rows": len(known.rows), "by": known.by},
        time.strftime(ISO, time.gmtime(now)), notes,
    )  # fmt: skip
    if path is not None:
        with replacing(path) as stream:
            stream.write(srsly.json_dumps(drift.to_dict(redact), indent=2) + "\n")
    return drift


def _count(rows: Live, measures: Measures, kept: Kept, since: str) -> Window:
    """Sum the counts of all rows since then, and keep some of the rows."""
    batch: list[list[float]] = []
    window = Window(numpy.zeros(measures.width))
    seen: set[int] = set()
    for row in rows:
        if row.time and row.time < since:
            window.latest = max(window.latest, row.time)
            window.left_out += 1
            continue
        window.asked += row.expected is not None
        batch.append(measures.count(row.text, row.found, row.expected))
        kept.offer(row)
        if len(seen) < DISTINCT:
            seen.add(hash(row.text))
        if row.time:
            window.first = min(window.first or row.time, row.time)
            window.last = max(window.last, row.time)
        if len(batch) == 1000:
            window.sums += numpy.array(batch).sum(axis=0)
            batch = []
    if batch:
        window.sums += numpy.array(batch).sum(axis=0)
    window.distinct = len(seen) if len(seen) < DISTINCT else rows.rows - window.left_out
    return window


def _check_model(named: str, known: Reference) -> None:
    digest = named.rpartition("(")[2].rstrip(")") if named.endswith(")") else ""
    own = known.model.get("digest", "")
    if digest and own and digest != own:
        raise UserError(
            f"The live rows are of {named}, and the reference is of {known.model['name']} {known.model['version']} "
            f"({own})",
            "Name the model that has read the rows as `model`, with the reference that was made of it.",
        )


def _file(output: Path, end: str) -> Path:
    """The file of a window's result: in a folder, it is named after the window's end."""
    if not (output.is_dir() or not output.suffix):
        return output
    return output / f"drift-{end[:19].replace(':', '')}.json"


def _told(rows: Live, window: Window, days: int | None) -> list[str]:
    """What the reader has left out, a sentence each."""
    notes = [f"{count} rows of {name or 'a model that is not named'} are left out." for name, count in
             rows.of_other_models.items()]  # fmt: skip
    if window.left_out:
        notes.append(f"{window.left_out} rows are older than {days} days, and are left out.")
    if rows.refused:
        shown = "; ".join(rows.refusals[:3])
        notes.append(f"{rows.refused} line(s) could not be read: {shown}")
    elif rows.refusals:
        notes += rows.refusals[:3]
    return notes


def _ask(model: str | Path, kept: Kept, measures: Measures, sums: Sums, notes: list[str]) -> int:
    """Ask the model how many entities it expects in a part of the window; return in how many passages."""
    asked = kept.rows[:ASKED]
    try:
        expected = list(Extractor(model).expected(row.text for row in asked))
    except UserError as error:
        notes.append(f"What the model says of its misses is not compared: {error.what}.")
        return 0
    places = [PLACE["expected"], PLACE["found_confidence"]]
    kept.rows[: len(asked)] = [replace(row, expected=told) for row, told in zip(asked, expected, strict=True)]
    counted = [measures.count(row.text, row.found, row.expected) for row in kept.rows[: len(asked)]]
    sums[places] = numpy.array(counted).sum(axis=0)[places]
    return len(asked)


def _incomparable(rows: Live, sums: Sums, known: Reference, notes: list[str]) -> Sequence[str]:
    """The statistics of entities, where an LLM has found some of them or only sure ones were written."""
    counted = [*ENTITY_STATISTICS, *(f"entities_{label}" for label in known.labels)]
    if rows.helped:
        notes.append(
            f"An LLM has helped with {rows.helped} of {rows.rows} rows, and the reference is of the model alone: what "
            "is counted of entities is not compared."
        )
        return counted
    return counted if _is_cut(sums, known, notes) else ()


def _is_cut(sums: Sums, known: Reference, notes: list[str]) -> bool:
    """Whether only sure entities were written."""
    bins, of_reference = sums[BINS], known.rows[:, BINS].sum(axis=0)
    if not bins.any() or not of_reference.any():
        return False
    lowest = int(numpy.flatnonzero(bins)[0])
    missing = of_reference[:lowest].sum() / of_reference.sum() * bins.sum()
    if missing < CUT:
        return False
    notes.append(
        f"No entity has a confidence below {lowest / 10:g}, where the evaluation lets expect {missing:.0f}: it looks "
        "as if only sure entities were written. What is counted of entities is not compared; `extract` without "
        "--min-confidence and --precision, or the server's log, has all of them."
    )
    return True


def _twice(found: Iterable[Compared], output: Path | None, model: str) -> list[str]:
    """The statistics that are unusual in this window and, in the same direction, in the one before."""
    if output is None:
        return []
    before: dict[str, dict[str, Any]] = {}
    with suppress(UserError):
        earlier = [window for window in read_windows(output.parent).drifts if window.path != output]
        if earlier and earlier[-1].record["model"] == model:
            before = {one["name"]: one for one in earlier[-1].record["statistics"] if one["state"] != "usual"}
    return [
        one.statistic.name
        for one in found
        if _is_unusual(one)
        and one.statistic.name in before
        and (one.score > 0) == (before[one.statistic.name]["score"] > 0)
    ]


def _is_unusual(one: Compared) -> bool:
    return one.state != "usual"


def _count_kept(kept: Kept, measures: Measures) -> list[tuple[LiveRow, Sums]]:
    """The rows that were kept, each text once, with their counts."""
    rows = {row.text: row for row in kept.rows}.values()
    return [(row, numpy.array(measures.count(row.text, row.found, row.expected))) for row in rows]


def _examples(
    found: Iterable[Compared], alarming: list[str], counted: Sequence[tuple[LiveRow, Sums]]
) -> dict[str, list[str]]:
    return {
        one.statistic.name: examples_of(counted, one.statistic, one.value > one.reference)
        for one in found
        if one.statistic.name in alarming
    }


def _statistic(found: Compared) -> dict[str, Any]:
    statistic: Statistic = found.statistic
    return {
        "name": statistic.name, "title": statistic.title, "unit": statistic.unit, "type": statistic.of,
        "value": round(found.value, 5), "reference": round(found.reference, 5), "low": round(found.low, 5),
        "high": round(found.high, 5), "score": round(found.score, 2), "state": found.state,
    }  # fmt: skip
