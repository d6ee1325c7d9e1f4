"""What a type's scores mean, how certain that is, and what to do next."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import Any, Literal

import numpy

from spacy_domain_ner.corpus.checks import GOOD, USABLE
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.analysis import Analysis, Result
from spacy_domain_ner.evaluation.bootstrap import draw, f1, share_of_draws
from spacy_domain_ner.evaluation.forecasts import Forecast
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.mistakes import Mistake, MistakeKind
from spacy_domain_ner.evaluation.scores import counted, percent
from spacy_domain_ner.text import shorten

# Fewer mentions get no verdict: with 10, one more that is found moves recall by ten points.
FEWEST = 10
# With fewer mentions than this, one more moves recall by over three points, which the verdict mentions.
FEW = 30
# A verdict that holds in this share of the draws is certain enough to act on, and the quantile of the normal
# distribution that leaves the rest of them below it.
CERTAIN, CERTAIN_QUANTILE = 0.9, 1.2816
# Nobody annotates more than this many times the mentions that an evaluation set has, only to be certain.
MOST_TIMES = 10
# A cause is worth naming from this share of a type's errors.
WORTH_NAMING = 0.15
# A kind of name is worth naming where at least this many are missed, and recall is this much lower than elsewhere.
FEWEST_LOST = 5
FAR_FEWER = 0.15

VerdictName = Literal["ready", "probably ready", "close", "fallback", "unknown"]
StepAction = Literal["use", "evaluate", "label", "clarify", "relabel", "boundaries", "tokenizer", "llm"]


@dataclass(frozen=True)
class Step:
    """Something to do next.

    Attributes:
        action: What kind of step it is.
        text: The advice, a sentence without a full stop.
        kind: The kind of the errors that it is about; None for all kinds.
        other: The other type of the errors that it is about; "" for any.
    """

    action: StepAction
    text: str
    kind: MistakeKind | None = None
    other: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a type's F1 means.

    Attributes:
        name: `ready` from the production gate, or `probably ready` where the evidence is thin: few mentions, an F1 that
            other passages could bring below the gate, or names that training never had and that are found too rarely.
            `close` from the fallback line, `fallback` below that line, `unknown` with too few mentions to say.
        shares: The share of the bootstrap's draws in which F1 reaches the gate (`ready`), lies between the two lines
            (`close`) or below them (`fallback`).
        support: The number of annotated mentions.
        steps: What to do next, the most useful first.
    """

    name: VerdictName
    shares: dict[str, float]
    support: int
    steps: list[Step]

    @property
    def certainty(self) -> str:
        """What makes the verdict uncertain, in a few words; "" where nothing does."""
        if self.name == "unknown":
            return f"only {counted(self.support, 'mention')} to judge by" if self.support else "no mention to judge by"
        said = []
        own = "ready" if self.name == "probably ready" else self.name
        if self.shares[own] < CERTAIN:
            other = max((name for name in self.shares if name != own), key=self.shares.__getitem__)
            said.append(f"{percent(self.shares[other])} of 100 other evaluation sets would say {other}")
        if self.support < FEW:
            said.append(f"only {self.support} mentions to judge by")
        return "; ".join(said)

    @property
    def advice(self) -> str:
        """The steps in one line."""
        return "; ".join(step.text for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as metrics.json holds it."""
        return {
            "verdict": self.name,
            "shares": {name: round(share, 3) for name, share in self.shares.items()},
            "certainty": self.certainty,
            "advice": self.advice,
            "steps": [{"action": step.action, "text": step.text} for step in self.steps],
        }


def judge(analysis: Analysis, label: str, gates: Gates = Gates(), forecast: Forecast | None = None) -> Verdict:
    """Judge a type by its F1, and derive the next steps from its errors.

    Args:
        analysis: The analysis of all types.
        label: The type.
        gates: The F1 values to judge by.
        forecast: How much more examples of the type are likely to help, for the same gates.

    Returns:
        The verdict.
    """
    result = analysis.types[label]
    score = result.score
    bounds = {
        "ready": (gates.production, inf),
        "close": (gates.fallback, gates.production),
        "fallback": (0.0, gates.fallback),
    }
    shares = {name: share_of_draws(result.counts, *bound) for name, bound in bounds.items()}
    doubts: list[Step] = []
    name: VerdictName = "unknown"
    if score.support >= FEWEST and score.f1 is not None:
        name = "ready" if score.f1 >= gates.production else "close" if score.f1 >= gates.fallback else "fallback"
    if name == "ready" and (doubts := _doubts(result, shares["ready"], gates)):
        name = "probably ready"
    # If the curve's own model reached the gate, the curve cannot say how many examples are missing.
    if forecast and forecast.f1 >= gates.production:
        forecast = None
    return Verdict(name, shares, score.support, _label_once([*doubts, *_steps(analysis, label, name, forecast)]))


def _label_once(steps: list[Step]) -> list[Step]:
    """Make one step of all that say to label more, with what each of them knows: two numbers would only confuse."""
    labels = [step for step in steps if step.action == "label"]
    if len(labels) < 2:
        return steps
    first, *others = labels
    details = [step.text.partition(": ")[2] for step in others]
    kind = next((step.kind for step in labels if step.kind), None)
    merged = replace(first, text="; ".join([first.text, *filter(None, details)]), kind=kind)
    return [merged if step is first else step for step in steps if step is first or step.action != "label"]


def _doubts(result: Result, certainty: float, gates: Gates) -> list[Step]:
    """Why a type that reaches the gate may not be ready, each with what would tell or help."""
    steps = []
    support, value = result.score.support, result.score.f1 or 0.0
    if support < FEW or certainty < CERTAIN:
        # The spread of F1 falls with the root of the number of mentions.
        spread = float(numpy.nanstd(f1(draw(result.counts))))
        above = value - gates.production
        wanted = support * (CERTAIN_QUANTILE * spread / above) ** 2 if above > 0 else inf
        more = max(FEW - support, wanted - support)
        if more <= MOST_TIMES * support:
            text = f"judge on about {10 * max(1, ceil(more / 10))} more mentions before you rely on it"
        else:
            text = f"F1 is too near the gate of {gates.production:.2f} for a judgement: judge on many more mentions"
        steps.append(Step("evaluate", text))
    unseen = result.unseen
    if unseen and unseen.support >= FEWEST and (unseen.recall or 0.0) < gates.fallback:
        share = f"recall is {percent(unseen.recall)} % for {unseen.support} mentions whose name training never had"
        steps.append(Step("label", f"label examples with new names: {share}"))
    return steps


def _steps(analysis: Analysis, label: str, name: VerdictName, forecast: Forecast | None) -> list[Step]:
    """The advice that follows from a type's errors, that on the most frequent cause first."""
    support = analysis.types[label].score.support
    trained = None if analysis.trained_on is None else analysis.trained_on[label]
    if not support:
        return [Step("evaluate", f"annotate passages with a {label} in them: the evaluation set has none")]
    if name == "unknown":
        needed = f"a verdict needs {FEWEST} mentions in the evaluation set, which has {support}"
        # Both would say the same: to label more.
        if short := _short_of_usable(trained):
            return [replace(short[0], text=f"{short[0].text}; {needed}")]
        return [Step("evaluate", f"annotate more passages with a {label} in them: {needed}")]
    if name == "ready":
        return [Step("use", "use it")]
    errors = analysis.errors_of(label)
    causes = [step for step in _causes(analysis, label, errors) if step[0] >= max(2, WORTH_NAMING * len(errors))]
    steps = [step for _, step in sorted(causes, key=lambda cause: -cause[0])]
    if name == "probably ready":
        return [*_short_of_usable(trained), *steps]
    if not steps:
        steps = [Step("label", "label more examples")]
    # Where there are not enough examples to start with, a second number would only confuse.
    if short := _short_of_usable(trained):
        return [*short, *steps]
    if forecast:
        words = f"by the learning curve of {forecast.mentions} examples: {forecast.text.removeprefix(f'{label}: ')}"
        steps = [replace(step, text=f"{step.text}; {words}") if step.action == "label" else step for step in steps]
    return _with_llm(steps, trained, forecast) if name == "fallback" else steps


def _with_llm(steps: list[Step], trained: int | None, forecast: Forecast | None) -> list[Step]:
    """Add the step for a type that stays below: before the step to label more where that will hardly help."""
    if forecast and not forecast.worth_it:
        step = Step("llm", "use an LLM for this type: by the learning curve more examples will hardly help")
        index = next((index for index, other in enumerate(steps) if other.action == "label"), len(steps))
        return [*steps[:index], step, *steps[index:]]
    if trained is not None and trained >= GOOD:
        return [*steps, Step("llm", f"F1 is still low with {trained} examples: use an LLM for this type")]
    return [*steps, Step("llm", "if that does not help, use an LLM for this type")]


def _short_of_usable(trained: int | None) -> list[Step]:
    if trained is None or trained >= USABLE:
        return []
    text = f"label {USABLE - trained} more examples: training has {trained} of the {USABLE} that make a type usable"
    return [Step("label", text)]


def _causes(analysis: Analysis, label: str, errors: Sequence[Mistake]) -> list[tuple[int, Step]]:
    """The causes of a type's errors: the number of errors, and what to do about them."""
    causes: list[tuple[int, Step]] = []
    kinds = Counter(error.kind for error in errors)
    missed = [error for error in errors if error.kind == "missed"]
    causes.append((len(missed), Step("label", _label(analysis, label, missed), kind="missed")))
    others = Counter(other for error in errors for other in error.types if other not in ("", label))
    for other, count in others.most_common():
        text = f"make the guide clearer between {label} and {other}, then relabel: they were confused {_times(count)}"
        causes.append((count, Step("clarify", text, other=other)))
    edges = Counter(part for error in errors if error.kind == "boundary" for part in error.edges.parts)
    if edges:
        [(part, count)] = edges.most_common(1)
        often = f", {_times(count)} {shorten(part, 50)}" if count > 1 else ""
        differ = f"{kinds['boundary']} mentions have other ends"
        text = f"make the guide clearer on where a mention begins and ends: {differ}{often}"
        causes.append((kinds["boundary"], Step("boundaries", text, kind="boundary")))
    invented = [error for error in errors if error.kind == "spurious"]
    text = (
        f"look through {len(invented)} predictions where nothing is annotated{_most_common(analysis, invented)}: "
        f"annotate what was forgotten, and say in the guide why the others are not {label}"
    )
    causes.append((len(invented), Step("relabel", text, kind="spurious")))
    text = f"fix the annotation or the tokenizer's rules: {kinds['tokenization']} mentions begin or end inside a token"
    causes.append((kinds["tokenization"], Step("tokenizer", text, kind="tokenization")))
    return causes


def _label(analysis: Analysis, label: str, missed: Sequence[Mistake]) -> str:
    """Which examples to label: the kinds of names, and the texts, in which most are missed."""
    text = f"label more examples: {len(missed)} are missed"
    known = Counter(error.seen for error in missed)
    if 2 * known[False] > len(missed):
        text += f", {known[False]} of them names that training never had"
    elif 2 * known[True] > len(missed):
        text += f", {known[True]} of them names that training has, in other contexts"
    hard = [_hardest(analysis, label, _shape, "names")]
    for key in analysis.groups:
        hard.append(_hardest(analysis, label, partial(_value, key), key))
    return "; ".join([text, *filter(None, hard)])


def _hardest(analysis: Analysis, label: str, kind_of: Callable[[Passage, Span], str], words: str) -> str:
    """The kind of mention that is missed most often, among those with a far lower recall than the rest; "" for none."""
    found: Counter[str] = Counter()
    annotated: Counter[str] = Counter()
    for passage, matches in zip(analysis.passages, analysis.matches, strict=True):
        for one in matches:
            if one.gold and one.gold.label == label and (kind := kind_of(passage, one.gold)):
                annotated[kind] += 1
                found[kind] += one.kind == "correct"
    hard = []
    for kind, count in annotated.items():
        others = annotated.total() - count
        lost = count - found[kind]
        if lost < FEWEST_LOST or others < FEWEST_LOST:
            continue
        share, of_others = found[kind] / count, (found.total() - found[kind]) / others
        if share < of_others - FAR_FEWER:
            text = f"recall is {percent(share)} % for {words} {kind} and {percent(of_others)} % for others"
            hard.append((lost, text))
    return max(hard, default=(0, ""))[1]


def _shape(passage: Passage, span: Span) -> str:
    """How a name is written, in a few words."""
    form = passage.surface(span)
    if "/" in form:
        return "with slashes"
    if re.search(r"\s", form):
        return "of several words"
    if re.search(r"[-_.:@]", form):
        return "with hyphens, dots or similar signs"
    if form.isupper():
        return "in capitals"
    if form.islower():
        return "in lower case"
    return "with a capital" if form.istitle() else "in mixed case"


def _value(key: str, passage: Passage, _: Span) -> str:
    value = passage.meta.get(key)
    return value if isinstance(value, str) else ""


def _most_common(analysis: Analysis, errors: Sequence[Mistake]) -> str:
    """The most frequent surface form of the errors, for the middle of a sentence; "" where none occurs twice."""
    forms = Counter(analysis.passages[error.number].surface(error.span) for error in errors)
    [(form, count)] = forms.most_common(1) or [("", 0)]
    return f" ({_times(count)} {shorten(form, 40)!r})" if count > 1 else ""


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
