"""What the evaluation report says: the order of its types, its sentences, and where its links lead."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.evaluation.analysis import Result
from spacy_domain_ner.evaluation.assessment import Assessment
from spacy_domain_ner.evaluation.bootstrap import points, signed, with_interval
from spacy_domain_ner.evaluation.mistakes import Mistake, MistakeKind
from spacy_domain_ner.evaluation.progress import Change, Progress, direction
from spacy_domain_ner.evaluation.scores import counted
from spacy_domain_ner.evaluation.verdict import Step, VerdictName
from spacy_domain_ner.reports.evaluation.charts import ConfidenceCharts, CurveCharts, F1Chart
from spacy_domain_ner.reports.evaluation.matrix import Filter
from spacy_domain_ner.schema import assign_colors, text_color_on
from spacy_domain_ner.text import shorten

# The errors that are shown at first, and that the page itself contains: for paper, and where no script runs.
ERRORS_SHOWN = 50
# Every other list of the page shows this many entries, opens this many, and counts the rest.
OPEN, LISTED = 8, 50
# The steps of a type that are shown at first.
STEPS_OPEN = 2
# If the sentence about all types would name more types than this, it counts them.
NAMED = 3

VERDICT_WORDS: dict[VerdictName, str] = {
    "ready": "ready for production",
    "probably ready": "probably ready",
    "close": "close to ready",
    "fallback": "below the fallback line",
    "unknown": "too few mentions to judge",
}
KIND_WORDS: dict[MistakeKind, str] = {
    "missed": "missed",
    "spurious": "predicted, not annotated",
    "type": "wrong type",
    "boundary": "wrong boundaries",
    "type and boundary": "wrong type and boundaries",
    "tokenization": "inside a token",
}
SCHEME_WORDS = {
    "strict": "start, end and type must be the same; all other figures on this page use this scheme",
    "exact": "start and end must be the same, the type may differ",
    "partial": "the type may differ, and an overlap counts half",
    "type": "the type must be the same, an overlap is enough",
}


@dataclass(frozen=True)
class ChangeGroup:
    """Changes of the same sort since the earlier run.

    Attributes:
        better: Whether they are gains.
        words: What happened, in words.
        changes: The changes.
    """

    better: bool
    words: str
    changes: list[Change]


class Report:
    """What the page and its short form say about an assessment.

    Attributes:
        assessment: The assessment.
        title: What was evaluated.
        results: The result of each type, and under "" that of all mentions together.
        numbers: The number of every label on the page. The page refers to colours by number: a label may be any text.
        colors: The colour of each number.
        text_colors: Black or white for text on each of these colours.
    """

    def __init__(self, assessment: Assessment, title: str, colors: Mapping[str, str]) -> None:
        self.assessment = assessment
        self.title = title
        self.results: dict[str, Result] = {"": assessment.micro, **assessment.types}
        labels = dict.fromkeys([*assessment.types, *_other_labels(assessment)])
        self.numbers = {label: number for number, label in enumerate(labels)}
        self.colors = list(assign_colors(self.numbers, colors).values())
        self.text_colors = [text_color_on(color) for color in self.colors]

    @cached_property
    def ranked(self) -> list[str]:
        """The types in the order in which to look at them.

        Types that need work come first, those with the most errors at the top. Types that can't be judged follow, then
        those that are probably ready, and those that are ready.
        """
        counts = Counter(label for error in self.assessment.errors for label in {*error.types} if label)
        later = {"unknown": 1, "probably ready": 2, "ready": 3}
        types = self.assessment.types
        return sorted(types, key=lambda label: (later.get(types[label].verdict.name, 0), -counts[label]))

    @cached_property
    def verdict_sentence(self) -> str:
        """How many types are ready, and which types are not."""
        names = {label: self.assessment.types[label].verdict.name for label in self.ranked}
        ready = [label for label, name in names.items() if name == "ready"]
        probably = [label for label, name in names.items() if name == "probably ready"]
        unknown = [label for label, name in names.items() if name == "unknown"]
        work = [label for label, name in names.items() if name in ("close", "fallback")]
        total = len(names)
        if not total:
            return "There is no entity type to judge."
        if len(unknown) == total:
            return "No type has enough mentions to judge by." if total > 1 else f"{_too_few(unknown)} to judge by."
        if total == 1 and probably:
            return f"{probably[0]} is probably ready for production; the evidence is thin."
        if total == 1:
            return f"{work[0]} is not ready for production yet." if work else f"{ready[0]} is ready for production."
        if len(ready) == total:
            return f"All {total} types are ready for production."
        said = [f"{len(ready) or 'None'} of {total} types {'is' if len(ready) < 2 else 'are'} ready for production"]
        if probably:
            said.append(f"{_listed(probably)} probably {'is' if len(probably) == 1 else 'are'}")
        if work and (ready or probably):
            said.append(f"{_listed(work)} {'needs' if len(work) == 1 else 'need'} work first")
        if unknown:
            said.append(f"{_too_few(unknown)} to judge by")
        return "; ".join(said) + "."

    @cached_property
    def first_step(self) -> tuple[str, Step] | None:
        """The type to begin with and its first step; None where nothing is left to do."""
        for label in self.ranked:
            verdict = self.assessment.types[label].verdict
            if verdict.name != "ready" and verdict.steps:
                return label, verdict.steps[0]
        return None

    @property
    def verdicts_used(self) -> set[VerdictName]:
        """The verdicts that occur."""
        return {result.verdict.name for result in self.assessment.types.values()}

    @property
    def basis_sentence(self) -> str:
        """The F1 over all types, and what it is measured on."""
        micro = self.assessment.micro
        return (
            f"F1 over all types {with_interval(micro.f1)}, on "
            f"{counted(len(self.assessment.passages), 'held-out passage')} "
            f"with {counted(micro.score.support, 'mention')}."
        )

    @property
    def seen_unseen_sentence(self) -> str:
        """The recall on names that training had and on others; "" where the training set is not known."""
        seen, unseen = self.assessment.micro.seen, self.assessment.micro.unseen
        if not seen or not unseen or seen.recall is None or unseen.recall is None:
            return ""
        return (
            f"Recall is {seen.recall:.3f} for {counted(seen.support, 'mention')} whose name training had, and "
            f"{unseen.recall:.3f} for {counted(unseen.support, 'mention')} whose name it never had."
        )

    def errors_of_step(self, label: str, step: Step) -> Filter | None:
        """The errors that a step is about; None where it is about none.

        Args:
            label: The type.
            step: One of its steps.
        """
        if not step.kind and not step.other:
            return None
        types = [label, *filter(None, [step.other])]
        query = [*(("type", name) for name in types), *([("kind", step.kind)] if step.kind else [])]
        count = sum(
            number
            for (kind, *of_error), number in self._sorts.items()
            if set(types) <= set(of_error) and step.kind in (None, kind)
        )
        return Filter(urlencode(query), count) if count else None

    @cached_property
    def _sorts(self) -> Counter[tuple[str, str, str]]:
        """How many errors there are of each kind, annotated type and predicted type."""
        return Counter((error.kind, *error.types) for error in self.assessment.errors)

    @cached_property
    def chart(self) -> F1Chart:
        """The chart of F1 per type."""
        return F1Chart(self.results, self.assessment.gates)

    @cached_property
    def curves(self) -> CurveCharts | None:
        """The charts of the learning curve; None where it was not measured."""
        curve = self.assessment.curve
        return CurveCharts(curve, self.assessment.gates) if curve and curve.points else None

    @cached_property
    def confidence(self) -> ConfidenceCharts | None:
        """The charts of the confidence; None where the model states none or has found nothing."""
        judged = self.assessment.judged
        return ConfidenceCharts(judged) if judged else None

    @cached_property
    def groups_of_changes(self) -> list[ChangeGroup]:
        """What changed since the earlier run, the losses first."""
        sorts = {
            (False, True): "mentions are missed now",
            (False, False): "wrong predictions are new",
            (True, True): "mentions are found now",
            (True, False): "wrong predictions are gone",
        }
        of_sort: dict[tuple[bool, bool], list[Change]] = {sort: [] for sort in sorts}
        progress = self.assessment.progress
        for change in progress.changes if progress else []:
            of_sort[change.better, change.annotated].append(change)
        return [ChangeGroup(sort[0], sorts[sort], changes) for sort, changes in of_sort.items() if changes]

    @property
    def progress_in_words(self) -> str:
        """Whether this run is better than the earlier one; "" without an earlier one."""
        return _in_words(self.assessment.progress) if self.assessment.progress else ""

    @cached_property
    def counts(self) -> dict[str, Counter[Any]]:
        """How many errors each value of a filter leaves."""
        errors = self.assessment.errors
        return {
            "type": Counter(label for error in errors for label in {*error.types} if label),
            "kind": Counter(error.kind for error in errors),
            "seen": Counter(error.seen for error in errors),
        }


def differing_ends(error: Mistake) -> str:
    """How the boundaries of an error differ, in words; "" where they do not."""
    return "; ".join(shorten(part, 80) for part in error.edges.parts)


def origin(passage: Passage) -> str:
    """Where a passage comes from: its file, line and source. Folders are left out, since a page is passed on."""
    source = passage.meta.get("source")
    line = f"{Path(passage.file).name}:{passage.line}" if passage.file else ""
    return " · ".join(filter(None, [line, source if isinstance(source, str) else ""]))


def as_sentence(text: str) -> str:
    """A text with a capital at the start and a full stop at the end."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _other_labels(assessment: Assessment) -> Iterator[str]:
    """The labels that may not be among the types: annotations and types change between runs."""
    if progress := assessment.progress:
        yield from progress.types
        yield from (change.span.label for change in progress.changes)
    if curve := assessment.curve:
        yield from curve.forecasts
        yield from (label for point in curve.points for label in point.f1)
    yield from (span.label for one in assessment.suspects for span in (one.annotated, one.predicted) if span)
    yield from (label for one in assessment.inconsistencies for label in (*one.labels, *one.examples) if label)


def _in_words(progress: Progress) -> str:
    micro = progress.micro
    on = f"on {counted(progress.passages, 'passage')} that both runs predicted"
    said = "F1 can't be compared: neither run has a mention or a prediction there."
    if micro:
        size = f"{abs(100 * micro.value):.1f} points ({signed(100 * micro.low)} to {signed(100 * micro.high)})"
        said = {
            "better": f"F1 over all types rose by {size} {on}: more than chance.",
            "worse": f"F1 over all types fell by {size} {on}: more than chance.",
            "": f"F1 over all types changed by {points(micro)} points {on}: not more than chance.",
        }[direction(micro)]
    for word in ("better", "worse"):
        labels = [label for label, found in progress.types.items() if direction(found) == word]
        if labels:
            said += f" {word.capitalize()}: {', '.join(labels)}."
    return f"{said} {progress.renamed_in_words}".strip()


def _too_few(labels: Sequence[str]) -> str:
    return f"{_listed(labels)} {'has' if len(labels) == 1 else 'have'} too few mentions"


def _listed(names: Sequence[str]) -> str:
    """Names for the middle of a sentence: A, B and C."""
    if len(names) > NAMED:
        return f"{len(names)} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
