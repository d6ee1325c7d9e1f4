"""Whether people should review a sample now, how many passages, and why."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.evaluation.scores import percent
from spacy_domain_ner.monitoring.reference import Reference
from spacy_domain_ner.monitoring.review_size import REVIEWED, evaluated_f1, passages_to_review
from spacy_domain_ner.monitoring.windows import Window, day_of, seconds
from spacy_domain_ner.monitoring.words import in_unit, moved

# A drop of so much F1 is one to act on, and it is certain enough from here on, or likely enough to look closer.
DROP, CERTAIN, LIKELY = 0.05, 0.95, 0.5


@dataclass(frozen=True)
class Due:
    """A review that is due.

    Attributes:
        passages: How many passages to review.
        reasons: Why, a sentence part each, the most important first.
        remarks: What else there is to know, a sentence each.
        is_first: Whether nobody has reviewed what this model finds.
    """

    passages: int
    reasons: list[str]
    remarks: list[str]
    is_first: bool


def review_due(
    drifts: Sequence[Window],
    estimates: Sequence[Window],
    earlier: Sequence[Window],
    reference: Reference | None,
    review_days: int,
    now: float,
) -> Due | None:
    """Tell whether a review is due.

    Args:
        drifts: The windows of the model, the oldest first.
        estimates: Its estimates.
        earlier: The estimates of other models.
        reference: What the windows were compared with, where it is at hand.
        review_days: After so many days without an estimate, one is due.
        now: The time, in seconds since 1970.

    Returns:
        The review; None where none is due, or where there is too little live text to review.
    """
    size = passages_to_review(reference, DROP) if reference else REVIEWED
    latest = estimates[-1] if estimates else None
    news = news_since(drifts, latest)
    reasons = []
    if news:
        reasons.append(_changed(news[-1]))
    if latest is None:
        if drifts and all(window.record["state"] == "unknown" for window in drifts):
            return None
        reasons.append(_first(drifts, earlier))
        return Due(size, reasons, _said_by_the_model(drifts, reference) + _several(news), True)
    f1 = latest.record["micro"].get("f1")
    drop = drop_probability(latest.record["micro"], reference)
    days = (now - seconds(latest.time)) / 86_400
    if not f1:
        mentions = latest.record["micro"].get("mentions", 0)
        size = latest.record["micro"].get("more_passages") or size
        reasons.append(
            f"the review of {day_of(latest)} has only {mentions} verified mention{'' if mentions == 1 else 's'}, too "
            "few to say how good the model is"
        )
    elif drop is not None and LIKELY <= drop < CERTAIN:
        reasons.append(
            f"the last estimate ({day_of(latest)}) makes a drop of {100 * DROP:.0f} points or more likely "
            f"({percent(drop)} %), not certain"
        )
    if days >= review_days:
        reasons.append(
            f"{days:.0f} days have passed since the last estimate ({day_of(latest)}), and only a review shows what is "
            "missed"
        )
    return Due(size, reasons, _several(news), False) if reasons else None


def news_since(drifts: Sequence[Window], latest: Window | None) -> list[Window]:
    """List the windows with an alarm that the last review does not cover.

    Text that was already so when it was reviewed raises the alarm in each window, since the reference is still the
    evaluation set: that is not news, unless it has moved on by as much as chance lets it move.
    """
    since = "" if latest is None else latest.time
    alarms = [window for window in drifts if window.record["state"] == "alarm" and window.time > since]
    covered = [window for window in drifts if window.time <= since]
    if not covered:
        return alarms
    then = _statistics(covered[-1])
    return [
        window
        for window in alarms
        if any(_is_news(then.get(name), _statistics(window).get(name)) for name in window.record["alarming"])
    ]


def _is_news(then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> bool:
    if then is None or now is None or then["state"] == "usual":
        return True
    return bool(abs(now["value"] - then["value"]) > (now["high"] - now["low"]) / 2)


def drop_probability(found: Mapping[str, Any], reference: Reference | None) -> float | None:
    """The probability of a drop, as an estimate has it; where it does not, by the F1 of the reference.

    Args:
        found: The estimate's figures of all types.
        reference: The evaluation set's counts.
    """
    given = found.get("drop_probability")
    if given is not None:
        return float(given)
    f1, before = found.get("f1"), evaluated_f1(reference) if reference else None
    if not f1 or before is None:
        return None
    widths = f1["high"] - f1["low"], before.high - before.low
    deviation = max(math.hypot(*widths) / (2 * 1.96), 1e-9)
    return 0.5 * (1 + math.erf((before.value - f1["value"] - DROP) / deviation / math.sqrt(2)))


def _changed(window: Window) -> str:
    found = _statistics(window)
    alarming = sorted(
        (found[name] for name in window.record["alarming"] if name in found), key=lambda one: -abs(one["score"])
    )
    what = [moved(one["title"], one["unit"], one["value"], one["reference"]) for one in alarming]
    more = f"; and {len(what) - 3} more" if len(what) > 3 else ""
    return (
        f"the text has changed ({day_of(window)}), and nobody knows yet what that did to the model: "
        f"{'; '.join(what[:3])}{more}"
    )


def _first(drifts: Sequence[Window], earlier: Sequence[Window]) -> str:
    if earlier:
        before = earlier[-1].record["model"] or "a model that is not named"
        return (
            f"the model has changed since the last review ({day_of(earlier[-1])}, of {before}), and only a review "
            "shows what it misses in live text"
        )
    if not drifts:
        return "nothing is known of the model on live text: there is neither a window nor a review"
    return "nobody has reviewed what the model finds in live text, and only a review shows what it misses"


def _said_by_the_model(drifts: Sequence[Window], reference: Reference | None) -> list[str]:
    """What there is to know before a first review."""
    remarks = []
    before = evaluated_f1(reference) if reference else None
    if before:
        remarks.append(
            f"In the evaluation, F1 was {percent(before.value, 1)} ({percent(before.low, 1)} to "
            f"{percent(before.high, 1)}). Live text may be harder."
        )
    last = _statistics(drifts[-1]) if drifts else {}
    said = [
        f"{title} {in_unit('%', last[name]['value'])} ({in_unit('%', last[name]['reference'])} in the evaluation)"
        for name, title in (("said_precision", "a precision of"), ("said_misses", "misses of"))
        if name in last
    ]
    if said:
        remarks.append(f"The model itself says {' and '.join(said)}. It does not suspect all that it misses.")
    return remarks


def _several(alarms: Sequence[Window]) -> list[str]:
    if len(alarms) < 2:
        return []
    return [f"{len(alarms)} windows since {day_of(alarms[0])} have raised an alarm."]


def _statistics(window: Window) -> dict[str, Mapping[str, Any]]:
    statistics: Iterable[Mapping[str, Any]] = window.record["statistics"]
    return {str(one["name"]): one for one in statistics}
