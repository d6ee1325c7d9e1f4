"""What monitoring has found, in words."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy_domain_ner.monitoring.drift import Drift


def in_words(drift: "Drift") -> str:
    """Say how a window stands, in a sentence or two."""
    passages = f"{drift.passages:,} passage{'' if drift.passages == 1 else 's'}"
    if drift.state == "unknown":
        return f"Too little to say anything: {passages}."
    if drift.state == "usual":
        return f"{passages}: like the text that the model was evaluated on."
    names = {one.statistic.name: one for one in drift.statistics}
    what = [one for one in drift.statistics if one.state != "usual"]
    if drift.state == "unusual":
        said = "; ".join(moved(one.statistic.title, one.statistic.unit, one.value, one.reference) for one in what)
        return f"{passages}: unusual, which may be chance: {said}. It is an alarm if the next window shows it, too."
    said = "; ".join(
        moved(one.statistic.title, one.statistic.unit, one.value, one.reference)
        + (" (for the second time)" if name in drift.twice else "")
        for name in sorted(drift.alarming, key=lambda name: -abs(names[name].score))
        for one in [names[name]]
    )
    return f"{passages}: the text has changed. {said[0].upper()}{said[1:]}."


def moved(title: str, unit: str, value: float, reference: float) -> str:
    """Say how a statistic has moved."""
    if unit == "points":
        return f"{in_unit(unit, value)} of the {title} ({in_unit(unit, reference)} by chance)"
    of = f" {unit}" if unit == "per 1,000 words" else ""
    return f"{title}: {in_unit(unit, value)}{of} instead of {in_unit(unit, reference)}"


def in_unit(unit: str, value: float) -> str:
    """A statistic's value as people read it."""
    if unit in ("%", "points"):
        return f"{100 * value:.1f} %"
    return f"{value:.1f}"
