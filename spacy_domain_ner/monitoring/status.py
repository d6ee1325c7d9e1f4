"""What to do about a model at work: one decision, made of the comparisons of its windows and of its estimates."""

import calendar
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_domain_ner.evaluation.scores import percent
from spacy_domain_ner.monitoring.reference import Reference, hash_definitions
from spacy_domain_ner.monitoring.review_size import passages_to_review
from spacy_domain_ner.monitoring.windows import ISO, Window, Windows
from spacy_domain_ner.monitoring.words import moved
from spacy_domain_ner.schema import EntitySchema

RETRAIN, SAMPLE, RELABEL, NOTHING = "retrain", "sample", "relabel", "nothing"
# A drop of so much F1 is one to act on, and it is certain enough from here on, or likely enough to look closer.
DROP, CERTAIN, LIKELY = 0.05, 0.95, 0.5
# The share of the model's errors that reviewers confirm from which their figures are not to be used.
FOLLOWED = 0.15
# Passages to review where the reference does not tell how many show such a drop.
REVIEWED = 200


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        action: `retrain`, `sample`, `relabel` or `nothing`.
        said: The decision in a sentence or two, with its numbers.
        reasons: What else speaks for it, a sentence each.
        next_steps: What to run, or to do, in order.
        passages: For `sample`, how many passages to review; for `retrain`, how many were reviewed.
    """

    action: str
    said: str
    reasons: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)
    passages: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "action": self.action, "said": self.said, "reasons": self.reasons, "next_steps": self.next_steps,
            "passages": self.passages,
        }  # fmt: skip


def decide(
    windows: Windows,
    *,
    reference: Reference | None = None,
    schema: EntitySchema | None = None,
    gate: float,
    review_days: int,
    now: float,
) -> Decision:
    """Decide what to do: the first of these that holds.

    1. The entity types mean something else than when the model was evaluated, or annotators do not agree: relabel.
    2. F1 on live text is down for certain, or below the gate for certain where it was above it: retrain. Where it is
       not, and reviewers have followed the model's errors: review again (relabel).
    3. The text has changed since the last estimate, or that leaves a drop likely, or it is old: sample.
    4. Else nothing.

    Args:
        windows: The results, the oldest first.
        reference: What the windows were compared with, where it is at hand.
        schema: The entity types of today, where they are at hand.
        gate: The F1 from which a type is ready for production.
        review_days: After so many days without an estimate, passages are to be sampled.
        now: The time, in seconds since 1970.

    Returns:
        The decision.
    """
    model = _latest_model(windows)
    drifts = [window for window in windows.drifts if window.record["model"] == model]
    estimates = [window for window in windows.estimates if window.record["model"] == model]
    latest = estimates[-1] if estimates else None
    return (
        _relabel(windows.agreements, reference, schema)
        or (latest and (_retrain(latest, gate) or _review_again(latest)))
        or _sample(drifts, latest, reference, review_days, now)
        or _nothing(drifts, latest)
    )


def _relabel(agreements: Sequence[Window], reference: Reference | None, schema: EntitySchema | None) -> Decision | None:
    if reference and schema and reference.definitions:
        today = hash_definitions(schema)
        changed = [label for label, told in today.items() if reference.definitions.get(label, told) != told]
        added = [label for label in today if label not in reference.definitions]
        if changed or added:
            names = ", ".join([*changed, *(f"{label} (new)" for label in added)])
            return Decision(
                RELABEL,
                f"Relabel: the definitions in entity_types.yml have changed since the model was evaluated: {names}. "
                "What is annotated does not say what the types mean today, and neither does the model.",
                next_steps=[
                    "Correct the annotations of these types, for instance by the verbs `export` and `import`",
                    "Train and evaluate again: `weasel run all`",
                ],
            )
    if agreements:
        last = agreements[-1].record
        unreliable = [label for label, found in last["types"].items() if found.get("verdict") == "unreliable"]
        if unreliable:
            said = ", ".join(f"{label} (F1 {_two(last['types'][label].get('f1'))})" for label in unreliable)
            return Decision(
                RELABEL,
                f"Relabel: annotators do not agree on {said}. No model can be better than that, nor an estimate.",
                next_steps=[
                    "Make the definitions clearer in entity_types.yml, and let people label the passages again"
                ],
            )
    return None


def _retrain(estimate: Window, gate: float) -> Decision | None:
    record = estimate.record
    by = record.get("drop", DROP)
    reasons = []
    for name, found in (("all types together", record["micro"]), *record["types"].items()):
        f1, before = found.get("f1"), _evaluated_f1(found)
        if not f1:
            # Too few mentions were reviewed.
            continue
        drop = found.get("drop_probability")
        now = f"F1 of {name} on live text is {_interval(f1)}"
        then = "" if before is None else f"; in the evaluation it was {percent(before, 1)}"
        if drop is not None and drop >= CERTAIN:
            reasons.append(f"{now}{then}: it is down by {100 * by:.0f} points or more ({_certain(drop)} certain).")
        elif before is not None and before >= gate > f1["high"]:
            reasons.append(f"{now}{then}: it has fallen below the gate of {percent(gate)}.")
    if not reasons:
        return None
    return Decision(
        RETRAIN,
        f"Retrain with the {record['reviewed']} passages that were reviewed: {reasons[0]}",
        reasons=reasons[1:],
        next_steps=[
            "Put the reviewed passages, as your labelling tool exports them, into the folder `reviewed/`",
            "`weasel run retrain`: it imports them, trains, and makes a new package only if the new model is not worse",
        ],
        passages=record["reviewed"],
    )


def _review_again(estimate: Window) -> Decision | None:
    anchoring = estimate.record.get("anchoring") or {}
    confirmed = anchoring.get("confirmed") or {}
    if not anchoring.get("certain") or confirmed.get("value", 0) < FOLLOWED:
        return None
    return Decision(
        RELABEL,
        f"Review again, without the model's entities: where reviewers saw them, they confirmed "
        f"{percent(confirmed['value'])} % of its errors. The estimate of {_day(estimate.time)} is too good, by an "
        "unknown amount.",
        next_steps=[
            "Choose passages without the model's entities: `domain-ner monitor sample LIVE --model MODEL --blind 1 "
            "--output review.jsonl`",
            "Let people review them, and estimate again: `domain-ner monitor estimate`",
        ],
    )


def _sample(
    drifts: Sequence[Window], latest: Window | None, reference: Reference | None, review_days: int, now: float
) -> Decision | None:
    size = passages_to_review(reference, DROP) if reference else REVIEWED
    since = "" if latest is None else latest.time
    alarms = [window for window in drifts if window.record["state"] == "alarm" and window.time > since]
    reasons: list[str] = []
    if alarms:
        record = alarms[-1].record
        found = {one["name"]: one for one in record["statistics"]}
        alarming = sorted(
            (found[name] for name in record["alarming"] if name in found), key=lambda one: -abs(one["score"])
        )
        what = [moved(one["title"], one["unit"], one["value"], one["reference"]) for one in alarming]
        said = f"the text has changed ({_day(alarms[-1].time)}), and nobody knows yet what that did to the model: "
        said += "; ".join(what[:3]) + (f"; and {len(what) - 3} more" if len(what) > 3 else "")
        if len(alarms) > 1:
            reasons.append(f"{len(alarms)} windows since {_day(alarms[0].time)} have raised an alarm.")
    elif latest is not None and LIKELY <= (latest.record["micro"].get("drop_probability") or 0) < CERTAIN:
        share = percent(latest.record["micro"]["drop_probability"])
        said = (
            f"the last estimate ({_day(latest.time)}) makes a drop of {100 * DROP:.0f} points or more likely "
            f"({share} %), not certain"
        )
    elif first := since or (drifts[0].time if drifts else ""):
        days = (now - seconds(first)) / 86_400
        if days < review_days:
            return None
        what_then = "the last estimate" if latest is not None else "the first window"
        said = f"{days:.0f} days have passed since {what_then} ({_day(first)}), and only a review shows what is missed"
    else:
        return None
    return Decision(
        SAMPLE,
        f"Sample {size} passages for review now: {said}.",
        reasons=reasons,
        next_steps=[
            f"Choose them: `domain-ner monitor sample LIVE --model MODEL --size {size} --output review.jsonl`",
            "Let people review them in your labelling tool (`domain-ner export`)",
            "See what they found: `domain-ner monitor estimate REVIEWED`, with its `--output` in this folder",
        ],
        passages=size,
    )


def _nothing(drifts: Sequence[Window], latest: Window | None) -> Decision:
    said = []
    if drifts:
        usual = sum(window.record["state"] == "usual" for window in drifts)
        said.append(
            f"{usual} of {len(drifts)} windows are like the text that the model was evaluated on, the last of "
            f"{_day(drifts[-1].time)}"
        )
        if drifts[-1].record["state"] == "unusual":
            said.append("the last one is unusual, which may be chance: the next one will show it")
        if drifts[-1].record["state"] == "unknown":
            said.append("the last one is too small to say anything")
    if latest is not None:
        f1 = latest.record["micro"].get("f1") or {}
        if f1.get("value") is not None:
            said.append(f"F1 on live text was {_interval(f1)} on {_day(latest.time)}")
    elif drifts:
        said.append("nobody has reviewed a sample yet, and only a review shows what the model misses")
    words = "; ".join(said) if said else "there is no window yet"
    return Decision(NOTHING, f"Nothing to do: {words}.")


def _latest_model(windows: Windows) -> str:
    results = sorted([*windows.drifts, *windows.estimates], key=lambda window: window.time)
    return str(results[-1].record["model"]) if results else ""


def _evaluated_f1(found: Mapping[str, Any]) -> float | None:
    """F1 on the evaluation set, as an estimate has it beside its own."""
    f1 = (found.get("evaluated") or {}).get("f1")
    return float(f1["value"]) if f1 else None


def seconds(moment: str) -> float:
    """A time in ISO form (UTC) as seconds since 1970; 0 where it is something else."""
    try:
        return float(calendar.timegm(time.strptime(moment[:19], ISO[:-1])))
    except ValueError:
        return 0.0


def old_files(windows: Windows, days: int, now: float) -> list[Path]:
    """List the results that are older than so many days."""
    every: Iterable[Window] = [*windows.drifts, *windows.estimates]
    return [window.path for window in every if now - seconds(window.time) > days * 86_400]


def _day(moment: str) -> str:
    return moment[:10]


def _interval(f1: Mapping[str, float]) -> str:
    return f"{percent(f1['value'], 1)} ({percent(f1['low'], 1)} to {percent(f1['high'], 1)})"


def _certain(probability: float) -> str:
    return "over 99 %" if probability > 0.99 else f"{percent(probability)} %"


def _two(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
