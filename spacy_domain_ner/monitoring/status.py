"""What to do about a model at work: one decision, made of the comparisons of its windows and of its estimates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_domain_ner.evaluation.scores import percent
from spacy_domain_ner.monitoring.due import CERTAIN, DROP, drop_probability, news_since, review_due
from spacy_domain_ner.monitoring.reference import Reference, hash_definitions
from spacy_domain_ner.monitoring.windows import Window, Windows, day_of, seconds
from spacy_domain_ner.schema import EntitySchema

RETRAIN, SAMPLE, RELABEL, COMPARE, NOTHING = "retrain", "sample", "relabel", "compare", "nothing"
# The share of the model's errors that reviewers confirm from which their figures are not to be used.
FOLLOWED = 0.15
# After so many days without a window, nobody is watching.
STALE_DAYS = 30


@dataclass(frozen=True)
class Decision:
    """What to do.

    Attributes:
        action: `retrain`, `sample`, `relabel`, `compare` or `nothing`.
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
    3. The text has changed since the last review, that review leaves a drop likely or has too few mentions, it is old,
       or nobody has reviewed this model yet: sample.
    4. No window was compared for a month: compare.
    5. Else nothing.

    Args:
        windows: The results, the oldest first.
        reference: What the windows were compared with, where it is at hand. Only results of its model count.
        schema: The entity types of today, where they are at hand.
        gate: The F1 from which a type is ready for production.
        review_days: After so many days without an estimate, passages are to be sampled.
        now: The time, in seconds since 1970.

    Returns:
        The decision.
    """
    model = _model_in_use(windows, reference)
    drifts = [window for window in windows.drifts if _is_of(window, model)]
    estimates = [window for window in windows.estimates if _is_of(window, model)]
    earlier = [window for window in windows.estimates if not _is_of(window, model)]
    latest = estimates[-1] if estimates else None
    return (
        _relabel(windows.agreements, reference, schema)
        or (latest and (_retrain(latest, reference, gate) or _review_again(latest)))
        or _sample(drifts, estimates, earlier, reference, review_days, now)
        or _compare(drifts, now)
        or _nothing(drifts, latest, reference)
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


def _retrain(estimate: Window, reference: Reference | None, gate: float) -> Decision | None:
    record = estimate.record
    by = record.get("drop", DROP)
    known = {label: found for label, found in record["types"].items() if found.get("f1")}
    reasons = []
    for name, found in (("all types together", record["micro"]), *known.items()):
        f1, before = found.get("f1"), _evaluated_f1(found)
        if not f1:
            # Too few mentions were reviewed.
            continue
        is_type = name in known and found is known[name]
        drop = found.get("drop_probability") if is_type else drop_probability(found, reference)
        # Of many types, one is that low by chance: as many errors are allowed for all of them as for one.
        certain = 1 - (1 - CERTAIN) / len(known) if is_type else CERTAIN
        now = f"F1 of {name} on live text is {_interval(f1)}"
        then = "" if before is None else f"; in the evaluation it was {percent(before, 1)}"
        if drop is not None and drop >= certain:
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
        f"{percent(confirmed['value'])} % of its errors. The estimate of {day_of(estimate)} is too good, by an "
        "unknown amount.",
        next_steps=[
            "Choose passages without the model's entities: `domain-ner monitor sample LIVE --model MODEL --blind 1 "
            "--output review.jsonl`",
            "Let people review them, and estimate again: `domain-ner monitor estimate`",
        ],
    )


def _sample(
    drifts: Sequence[Window],
    estimates: Sequence[Window],
    earlier: Sequence[Window],
    reference: Reference | None,
    review_days: int,
    now: float,
) -> Decision | None:
    due = review_due(drifts, estimates, earlier, reference, review_days, now)
    if due is None:
        return None
    first, *others = due.reasons
    what = f"Sample {due.passages:,} passages for a {'first ' if due.is_first else ''}review now"
    steps = [
        f"Choose them: `domain-ner monitor sample LIVE --model MODEL --size {due.passages} --output review.jsonl`",
        "Let people review them in your labelling tool (`domain-ner export`)",
        "See what they found: `domain-ner monitor estimate REVIEWED`, with its `--output` in this folder",
    ]
    if not drifts and due.is_first:
        steps.insert(0, "Let the model read live text: `domain-ner extract MODEL TEXTS --expected --output LIVE`")
    remarks = [f"{other[0].upper()}{other[1:]}." for other in others] + due.remarks
    if due.passages and reference and not others:
        remarks.append(f"So many show a drop of F1 by {100 * DROP:.0f} points, 4 times in 5.")
    return Decision(SAMPLE, f"{what}: {first}.", remarks, steps, due.passages)


def _compare(drifts: Sequence[Window], now: float) -> Decision | None:
    if not drifts or (days := (now - seconds(drifts[-1].time)) / 86_400) < STALE_DAYS:
        return None
    return Decision(
        COMPARE,
        f"Compare a window of live text: the last one is {days:.0f} days old ({day_of(drifts[-1])}), so nobody knows "
        "whether the text has changed since.",
        next_steps=[
            "See whether the server still writes its log, or `extract` its output",
            "`domain-ner monitor drift LIVE --model MODEL`, with its `--output` in this folder (in a project: "
            "`weasel run monitor`), once a week",
        ],
    )


def _nothing(drifts: Sequence[Window], latest: Window | None, reference: Reference | None) -> Decision:
    said, reasons = [], []
    if drifts:
        usual = sum(window.record["state"] == "usual" for window in drifts)
        state = drifts[-1].record["state"]
        if state == "unknown" and latest is None:
            most = max(window.record["passages"] for window in drifts)
            said.append(f"there is too little live text to compare or to review: {most} passages in a window")
        else:
            said.append(
                f"{usual} of {len(drifts)} windows are like the text that the model was evaluated on, the last of "
                f"{day_of(drifts[-1])}"
            )
        if state == "unusual":
            said.append("the last one is unusual, which may be chance: the next one will show it")
        if state == "unknown" and latest is not None:
            said.append("the last one is too small to say anything")
        if state == "alarm" and latest is not None and not news_since(drifts, latest):
            said.append("the text is other than the evaluation's, as it was when it was reviewed")
    if latest is not None:
        f1, drop = latest.record["micro"].get("f1") or {}, drop_probability(latest.record["micro"], reference)
        if f1.get("value") is not None:
            said.append(f"F1 on live text was {_interval(f1)} on {day_of(latest)}")
        if drop is not None:
            reasons.append(
                f"A drop of {100 * latest.record.get('drop', DROP):.0f} points or more against the evaluation has a "
                f"probability of {_share(drop)}."
            )
        unknown = [label for label, found in latest.record["types"].items() if not found.get("f1")]
        if unknown:
            reasons.append(f"Too few mentions were reviewed to say anything of {', '.join(unknown)}.")
    if latest is not None and not drifts:
        reasons.append("No window of this model was compared: `domain-ner monitor drift` sees when the text changes.")
    return Decision(NOTHING, f"Nothing to do: {'; '.join(said)}.", reasons)


def _model_in_use(windows: Windows, reference: Reference | None) -> str:
    """What tells the results of the model in use: its digest in brackets, or else how the last result names it."""
    if reference is not None and reference.model.get("digest"):
        return f"({reference.model['digest']})"
    results = sorted([*windows.drifts, *windows.estimates], key=lambda window: window.time)
    return str(results[-1].record["model"]) if results else ""


def _is_of(window: Window, model: str) -> bool:
    named = str(window.record["model"])
    return named == model or (model.startswith("(") and (named.endswith(model) or not named.endswith(")")))


def _evaluated_f1(found: Mapping[str, Any]) -> float | None:
    """F1 on the evaluation set, as an estimate has it beside its own."""
    f1 = (found.get("evaluated") or {}).get("f1")
    return float(f1["value"]) if f1 else None


def old_files(windows: Windows, days: int, now: float) -> list[Path]:
    """List the results that are older than so many days."""
    every: Iterable[Window] = [*windows.drifts, *windows.estimates]
    return [window.path for window in every if now - seconds(window.time) > days * 86_400]


def _interval(f1: Mapping[str, float]) -> str:
    return f"{percent(f1['value'], 1)} ({percent(f1['low'], 1)} to {percent(f1['high'], 1)})"


def _certain(probability: float) -> str:
    return "over 99 %" if probability > 0.99 else f"{percent(probability)} %"


def _share(probability: float) -> str:
    return "less than 1 %" if probability < 0.01 else f"{percent(probability)} %"


def _two(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
