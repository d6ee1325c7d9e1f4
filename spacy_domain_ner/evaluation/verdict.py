"""What a type's scores mean, how certain that is, and what to do next."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any, Literal

from spacy_domain_ner.corpus.checks import GOOD, USABLE
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.analysis import Analysis
from spacy_domain_ner.evaluation.bootstrap import share_of_draws
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.mistakes import Mistake, MistakeKind
from spacy_domain_ner.text import shorten

FORMAT_VERSION = 2
# Of fewer mentions no verdict is given: with 10, one more that is found moves recall by ten points.
FEWEST = 10
# With fewer mentions than this, one more moves recall by over three points: said with the verdict.
FEW = 30
# A verdict that holds in so many of the draws is certain enough to act on.
CERTAIN = 0.9
# Of a type's errors, what is a cause worth naming.
WORTH_NAMING = 0.15
# A kind of name is worth naming where so many are lost, and found so much more rarely than others.
FEWEST_LOST = 5
FAR_FEWER = 0.15

Name = Literal["ready", "close", "fallback", "unknown"]
Action = Literal["use", "evaluate", "label", "clarify", "relabel", "boundaries", "tokenizer", "llm"]


@dataclass(frozen=True)
class Step:
    """Something to do next.

    action: What kind of thing.
    text: The advice, a sentence without a full stop.
    kind, other: Which of the type's errors it speaks of: those of one kind, or those with another type.
    """

    action: Action
    text: str
    kind: MistakeKind | None = None
    other: str = ""


@dataclass(frozen=True)
class Verdict:
    """What a type's F1 means.

    name: `ready` from the production gate, `close` from the fallback line, `fallback` below it, `unknown` where there
        are too few mentions to say.
    shares: In what part of the bootstrap's draws each of the first three holds.
    steps: What to do next, the most useful first.
    """

    name: Name
    shares: dict[str, float]
    support: int
    steps: list[Step]

    @property
    def certainty(self) -> str:
        """How certain the verdict is, in a few words; "" where there is nothing to add."""
        if self.name == "unknown":
            return f"only {self.support} mention(s) to judge by"
        said = []
        if self.shares[self.name] < CERTAIN:
            other = max((name for name in self.shares if name != self.name), key=self.shares.__getitem__)
            said.append(f"{_percent(self.shares[other])} of the bootstrap's draws say {other}")
        if self.support < FEW:
            said.append(f"only {self.support} mentions to judge by")
        return "; ".join(said)

    @property
    def advice(self) -> str:
        """The steps in one line."""
        return "; ".join(step.text for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """The verdict as it stands in metrics.json."""
        return {
            "verdict": self.name,
            "shares": {name: round(share, 3) for name, share in self.shares.items()},
            "certainty": self.certainty,
            "advice": self.advice,
            "steps": [{"action": step.action, "text": step.text} for step in self.steps],
        }


def judge(analysis: Analysis, label: str, gates: Gates = Gates(), forecast: Forecast | None = None) -> Verdict:
    """Say what a type's scores mean, and what follows from its errors.

    forecast: What more examples of the type are likely to give, for the same gate.
    """
    result = analysis.types[label]
    score = result.score
    bounds = {
        "ready": (gates.production, inf),
        "close": (gates.fallback, gates.production),
        "fallback": (0.0, gates.fallback),
    }
    shares = {name: share_of_draws(result.counts, *bound) for name, bound in bounds.items()}
    name: Name = "unknown"
    if score.support >= FEWEST and score.f1 is not None:
        name = "ready" if score.f1 >= gates.production else "close" if score.f1 >= gates.fallback else "fallback"
    # A training of the same passages that reached the gate says nothing of how many are missing.
    if forecast and forecast.f1 >= gates.production:
        forecast = None
    return Verdict(name, shares, score.support, _steps(analysis, label, name, forecast))


def to_metrics(analysis: Analysis, gates: Gates = Gates(), curve: LearningCurve | None = None) -> dict[str, Any]:
    """Everything as it is written to metrics.json; docs/metrics.md says what each entry is.

    curve: How F1 grows with the examples; its forecasts go into the verdicts.
    """
    figures = analysis.to_dict()
    forecasts = curve.forecasts if curve else {}
    return {
        "format_version": FORMAT_VERSION,
        "gates": {"production": gates.production, "fallback": gates.fallback},
        **figures,
        "types": {
            label: {**result, **judge(analysis, label, gates, forecasts.get(label)).to_dict()}
            for label, result in figures["types"].items()
        },
        "learning_curve": curve.to_dict() if curve else None,
    }


def _steps(analysis: Analysis, label: str, name: Name, forecast: Forecast | None) -> list[Step]:
    """The advice that follows from a type's errors: of several causes, that of most errors first."""
    support = analysis.types[label].score.support
    trained = None if analysis.trained_on is None else analysis.trained_on[label]
    if not support:
        return [Step("evaluate", "no mention in the evaluation set: annotate passages that have some")]
    if name == "unknown":
        few = (
            f"annotate more passages that have some: with fewer than {FEWEST} mentions to judge by, nothing can be said"
        )
        return [Step("evaluate", few), *_short_of_usable(trained)]
    if name == "ready":
        return [Step("use", "use it")]
    errors = analysis.errors_of(label)
    causes = [step for step in _causes(analysis, label, errors) if step[0] >= max(2, WORTH_NAMING * len(errors))]
    steps = [step for _, step in sorted(causes, key=lambda cause: -cause[0])]
    if not steps:
        steps = [Step("label", "label more examples")]
    # Where the first aim is to have enough examples at all, a second number would only be in the way.
    if short := _short_of_usable(trained):
        return [*short, *steps]
    if forecast:
        words = f"by the learning curve of {forecast.mentions} examples: {forecast.text.removeprefix(f'{label}: ')}"
        steps = [replace(step, text=f"{step.text}; {words}") if step.action == "label" else step for step in steps]
    return _with_llm(steps, trained, forecast) if name == "fallback" else steps


def _with_llm(steps: list[Step], trained: int | None, forecast: Forecast | None) -> list[Step]:
    """Steps with the one to take where a type stays below: before that to label more, where that will hardly help."""
    if forecast and not forecast.worth_it:
        step = Step("llm", "use an LLM for this type: by the learning curve more examples will hardly help")
        place = next((number for number, other in enumerate(steps) if other.action == "label"), len(steps))
        return [*steps[:place], step, *steps[place:]]
    if trained is not None and trained >= GOOD:
        return [*steps, Step("llm", f"with {trained} examples it is still below: use an LLM for this type")]
    return [*steps, Step("llm", "if that does not help, use an LLM for this type")]


def _short_of_usable(trained: int | None) -> list[Step]:
    if trained is None or trained >= USABLE:
        return []
    return [Step("label", f"label {USABLE - trained} more examples: training has {trained}, {USABLE} are usable")]


def _causes(analysis: Analysis, label: str, errors: Sequence[Mistake]) -> list[tuple[int, Step]]:
    """What errors of a type can be put down to: to how many, and what to do about it."""
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
        text = f"make the guide clearer where a mention begins and ends: {kinds['boundary']} have other ends{often}"
        causes.append((kinds["boundary"], Step("boundaries", text, kind="boundary")))
    invented = [error for error in errors if error.kind == "spurious"]
    text = (
        f"look through {len(invented)} predictions where nothing is annotated{_most_common(analysis, invented)}: "
        f"annotate what was forgotten, and say in the guide why the rest is no {label}"
    )
    causes.append((len(invented), Step("relabel", text, kind="spurious")))
    text = (
        f"{kinds['tokenization']} mentions begin or end inside a token: mend the annotation, or the tokenizer's rules"
    )
    causes.append((kinds["tokenization"], Step("tokenizer", text, kind="tokenization")))
    return causes


def _label(analysis: Analysis, label: str, missed: Sequence[Mistake]) -> str:
    """Which examples to label: the kinds of names and the texts in which most are missed."""
    text = f"label more examples: {len(missed)} are missed"
    known = Counter(error.seen for error in missed)
    if 2 * known[False] > len(missed):
        text += f", {known[False]} of them names that training never had"
    elif 2 * known[True] > len(missed):
        text += f", {known[True]} of them names that training has, in other contexts"
    hard = [_hardest(analysis, label, _shape, "of names")]
    for key in analysis.groups:
        hard.append(_hardest(analysis, label, partial(_value, key), f"of those in {key}"))
    return "; ".join([text, *filter(None, hard)])


def _hardest(analysis: Analysis, label: str, kind_of: Callable[[Passage, Span], str], words: str) -> str:
    """The kind of mention with most misses of those of which far fewer are found than of the others; "" for none."""
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
            text = f"{words} {kind} {_percent(share)} are found, of others {_percent(of_others)}"
            hard.append((lost, text))
    return max(hard, default=(0, ""))[1]


def _shape(passage: Passage, span: Span) -> str:
    """How a name is written."""
    form = passage.surface(span)
    if "/" in form:
        return "with slashes"
    if re.search(r"\s", form):
        return "of several words"
    if re.search(r"[-_.:@]", form):
        return "with hyphens, dots and the like"
    if form.isupper():
        return "in capitals"
    if form.islower():
        return "in small letters"
    return "with a capital" if form.istitle() else "in mixed case"


def _value(key: str, passage: Passage, _: Span) -> str:
    value = passage.meta.get(key)
    return value if isinstance(value, str) else ""


def _most_common(analysis: Analysis, errors: Sequence[Mistake]) -> str:
    """The surface form that most of the errors have, for the middle of a sentence; "" where none has two."""
    forms = Counter(analysis.passages[error.number].surface(error.span) for error in errors)
    [(form, count)] = forms.most_common(1) or [("", 0)]
    return f" ({_times(count)} {shorten(form, 40)!r})" if count > 1 else ""


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _percent(share: float) -> str:
    return f"{round(100 * share)} %"
