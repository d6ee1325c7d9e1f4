"""What the evaluation report says: its sentences, its figures, and the data of its script."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from spacy_domain_ner.annotation.inconsistencies import Inconsistency
from spacy_domain_ner.annotation.suspects import Suspect
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.analysis import Analysis
from spacy_domain_ner.evaluation.bootstrap import Estimate, points, signed, with_interval
from spacy_domain_ner.evaluation.forecasts import LearningCurve
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.mistakes import KINDS, Mistake
from spacy_domain_ner.evaluation.progress import Change, Progress
from spacy_domain_ner.evaluation.verdict import Name, Step, judge
from spacy_domain_ner.reports.evaluation.charts import ConfidenceCharts, CurveCharts, F1Chart
from spacy_domain_ner.reports.snippets import CONTEXT, SLACK
from spacy_domain_ner.schema import COLOR_PATTERN, PALETTE, text_color_on
from spacy_domain_ner.text import shorten

# Errors that are shown at once, and that stand in the page itself: on paper, and where no script runs.
ERRORS_SHOWN = 50
# Of each list of the page but the errors: so much is seen at once, so much can be opened, and the rest is counted.
OPEN, LISTED = 8, 50
# Of a type's steps: those that stand there at once.
STEPS_OPEN = 2
# More names than this in the sentence of the whole are counted.
NAMED = 3

VERDICTS: dict[Name, str] = {
    "ready": "ready for production",
    "close": "close to ready",
    "fallback": "below the fallback line",
    "unknown": "too few mentions to judge",
}
KIND_WORDS = {
    "missed": "missed",
    "spurious": "predicted, not annotated",
    "type": "wrong type",
    "boundary": "wrong boundaries",
    "type and boundary": "wrong type and boundaries",
    "tokenization": "inside a token",
}
SCHEME_WORDS = {
    "strict": "start, end and type must be the same; all other figures here are of this scheme",
    "exact": "start and end must be the same, the type may differ",
    "partial": "the type may differ, and an overlap counts half",
    "type": "the type must be the same, an overlap is enough",
}


@dataclass(frozen=True)
class Filter:
    """The errors that a link leads to. query: What the page's address names them by; count: How many those are."""

    query: str
    count: int


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix.

    shade: From 0 to 1: of what is right, its part of the row; of what is wrong, against the cell that has most.
    correct: Whether the type is right.
    errors: How many of the count are errors all the same, and where they are; None where there are none.
    """

    count: int
    shade: float
    correct: bool
    errors: Filter | None
    words: str


@dataclass(frozen=True)
class Group:
    """Changes of one sort. better: Whether these are gains."""

    better: bool
    words: str
    changes: list[Change]


class Report:
    """What the page and its short form say, worked out from the figures."""

    def __init__(
        self,
        analysis: Analysis,
        gates: Gates,
        title: str,
        progress: Progress | None,
        curve: LearningCurve | None,
        suspects: Sequence[Suspect],
        inconsistencies: Sequence[Inconsistency],
        colors: Mapping[str, str],
    ) -> None:
        self.analysis, self.gates, self.title = analysis, gates, title
        self.progress, self.curve = progress, curve
        self.suspects, self.inconsistencies = suspects, inconsistencies
        forecasts = curve.forecasts if curve else {}
        self.verdicts = {label: judge(analysis, label, gates, forecasts.get(label)) for label in analysis.types}
        # Each of these draws anew when it is asked for.
        results = {"": analysis.micro, **analysis.types}
        self.precision = {label: result.precision for label, result in results.items()}
        self.recall = {label: result.recall for label, result in results.items()}
        self.f1 = {label: result.f1 for label, result in results.items()}
        self.macro = analysis.macro
        # Everything that has a colour, by its number in the page: a label may be any text.
        labels = [*analysis.types, *_other_labels(progress, curve, suspects, inconsistencies)]
        self.numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
        given = {label: color for label, color in colors.items() if COLOR_PATTERN.fullmatch(color)}
        free = [color for color in PALETTE if color not in given.values()]
        others = itertools.chain(free, itertools.cycle(PALETTE))
        self.colors = [given[label] if label in given else next(others) for label in self.numbers]
        self.text_colors = [text_color_on(color) for color in self.colors]

    @cached_property
    def ranked(self) -> list[str]:
        """The types in the order in which to look at them: what needs work before what can't be judged and the rest.

        Of those that need work, the type with most errors comes first.
        """
        counts = Counter(label for error in self.analysis.errors for label in {*error.types} if label)
        late = {"ready": 2, "unknown": 1}
        return sorted(self.verdicts, key=lambda label: (late.get(self.verdicts[label].name, 0), -counts[label]))

    @cached_property
    def sentence(self) -> str:
        """How many types are ready, and which are not, in a sentence."""
        names: dict[str, list[str]] = {"ready": [], "work": [], "unknown": []}
        for label in self.ranked:
            name = self.verdicts[label].name
            names[name if name in names else "work"].append(label)
        ready, work, unknown = names.values()
        total = len(self.verdicts)
        if not total:
            return "There is no entity type to judge."
        if len(unknown) == total:
            return "No type has enough mentions to judge by." if total > 1 else f"{_few(unknown)} to judge by."
        if total == 1:
            return f"{work[0]} is not ready for production yet." if work else f"{ready[0]} is ready for production."
        if len(ready) == total:
            return f"All {total} types are ready for production."
        said = [f"{len(ready) or 'None'} of {total} types {'is' if len(ready) < 2 else 'are'} ready for production"]
        if work and ready:
            said.append(f"{_listed(work)} {'needs' if len(work) == 1 else 'need'} work first")
        if unknown:
            said.append(f"{_few(unknown)} to judge by")
        return "; ".join(said) + "."

    @cached_property
    def start(self) -> tuple[str, Step] | None:
        """The type to begin with, and its first step; None where nothing is left to do."""
        for label in self.ranked:
            if self.verdicts[label].name != "ready" and self.verdicts[label].steps:
                return label, self.verdicts[label].steps[0]
        return None

    @property
    def used(self) -> set[Name]:
        """The verdicts that types have."""
        return {verdict.name for verdict in self.verdicts.values()}

    @property
    def basis(self) -> str:
        """What the figures are based on, in a sentence."""
        passages, mentions = len(self.analysis.passages), self.analysis.micro.score.support
        return (
            f"F1 over all types {with_interval(self.f1[''])}, on {_counted(passages, 'held-out passage')} "
            f"with {_counted(mentions, 'mention')}."
        )

    @property
    def known(self) -> str:
        """How much more of the names that training had are found, in a sentence; "" where training is not known."""
        seen, unseen = self.analysis.micro.seen, self.analysis.micro.unseen
        if not seen or not unseen or seen.recall is None or unseen.recall is None:
            return ""
        return (
            f"Recall is {seen.recall:.3f} for {_counted(seen.support, 'mention')} whose name training had, and "
            f"{unseen.recall:.3f} for {_counted(unseen.support, 'mention')} whose name it never had."
        )

    def errors_behind(self, label: str, step: Step) -> Filter | None:
        """The errors that a step speaks of; None where it speaks of none."""
        types = [label, *filter(None, [step.other])]
        if not step.kind and not step.other:
            return None
        query = [*(("type", name) for name in types), *([("kind", step.kind)] if step.kind else [])]
        count = sum(
            number
            for (kind, *of_error), number in self.sorts.items()
            if set(types) <= set(of_error) and step.kind in (None, kind)
        )
        return Filter(urlencode(query), count) if count else None

    @cached_property
    def sorts(self) -> Counter[tuple[str, str, str]]:
        """How many errors there are of each kind, annotated type and predicted type."""
        return Counter((error.kind, *error.types) for error in self.analysis.errors)

    @cached_property
    def chart(self) -> F1Chart:
        return F1Chart(self.analysis, self.f1, self.gates)

    @cached_property
    def curves(self) -> CurveCharts | None:
        return CurveCharts(self.curve, self.gates) if self.curve and self.curve.points else None

    @cached_property
    def confidence(self) -> ConfidenceCharts | None:
        """Where the model says how sure it is, and has found anything."""
        judged = self.analysis.judged
        return ConfidenceCharts(judged) if judged else None

    @cached_property
    def matrix(self) -> list[tuple[str, list[Cell]]]:
        """The rows of the confusion matrix: an annotated type, and how often it was predicted as which; "" is none."""
        counts = self.analysis.confusions
        wrong = Counter(error.types for error in self.analysis.errors)
        labels = [*self.analysis.types, ""]
        of_row, of_column = Counter[str](), Counter[str]()
        for (gold, predicted), count in counts.items():
            of_row[gold] += count
            of_column[predicted] += count

        def share(gold: str, predicted: str) -> float:
            """The part of the annotated mentions in the row, or else of the predictions in the column."""
            count = counts[gold, predicted]
            return count / (of_row[gold] if gold else of_column[predicted]) if count else 0.0

        most = max((share(*pair) for pair in counts if pair[0] != pair[1]), default=1.0)
        rows = []
        for gold in labels:
            cells = []
            for predicted in labels:
                count = counts[gold, predicted]
                shade = share(gold, predicted) / (1.0 if gold == predicted else most)
                query = urlencode({"annotated": gold, "predicted": predicted})
                found = wrong[gold, predicted]
                words = f"annotated {gold or 'nothing'}, predicted {predicted or 'nothing'}"
                errors = Filter(query, found) if found else None
                cells.append(Cell(count, shade, gold == predicted, errors, words))
            rows.append((gold, cells))
        return rows

    @cached_property
    def groups_of_changes(self) -> list[Group]:
        """What changed since the earlier run: what is worse first."""
        sorts = {
            (False, True): "mentions are missed now",
            (False, False): "predictions are wrong that were not there",
            (True, True): "mentions are found now",
            (True, False): "wrong predictions are gone",
        }
        of_sort: dict[tuple[bool, bool], list[Change]] = {sort: [] for sort in sorts}
        for change in self.progress.changes if self.progress else []:
            of_sort[change.better, change.annotated].append(change)
        return [Group(sort[0], sorts[sort], changes) for sort, changes in of_sort.items() if changes]

    @property
    def progress_in_words(self) -> str:
        """Whether this run is better than the earlier one, in a sentence or two."""
        assert self.progress
        micro, count = self.progress.micro, self.progress.passages
        on = f"on {_counted(count, 'passage')} that both runs predicted"
        said = "F1 can't be compared: neither run has a mention or a prediction there."
        if micro:
            size = f"{abs(100 * micro.value):.1f} points ({signed(100 * micro.low)} to {signed(100 * micro.high)})"
            said = {
                "better": f"F1 over all types rose by {size} {on}: more than chance.",
                "worse": f"F1 over all types fell by {size} {on}: more than chance.",
                "": f"No difference in F1 over all types that is more than chance: {points(micro)} points, {on}.",
            }[change_in_words(micro)]
        for word in ("better", "worse"):
            labels = [label for label, found in self.progress.types.items() if change_in_words(found) == word]
            if labels:
                said += f" {word.capitalize()}: {', '.join(labels)}."
        return said

    @cached_property
    def counts(self) -> dict[str, Counter[Any]]:
        """How many errors each filter leaves."""
        errors = self.analysis.errors
        return {
            "type": Counter(label for error in errors for label in {*error.types} if label),
            "kind": Counter(error.kind for error in errors),
            "seen": Counter(error.seen for error in errors),
        }

    @cached_property
    def data(self) -> dict[str, Any]:
        """The errors for the page's script: each passage once, offsets in UTF-16 units, labels by their number."""
        errors = self.analysis.errors
        numbers = {number: place for place, number in enumerate(dict.fromkeys(error.number for error in errors))}
        passages = [self.analysis.passages[number] for number in numbers]
        offsets = {number: _utf16_offsets(self.analysis.passages[number].text) for number in numbers}

        def of_span(span: Span | None, offset: Callable[[int], int]) -> list[int] | int:
            return [offset(span.start), offset(span.end), self.numbers[span.label]] if span else 0

        return {
            "labels": list(self.numbers),
            "kinds": [[kind, KIND_WORDS[kind]] for kind in KINDS],
            "passages": [[passage.text, origin(passage)] for passage in passages],
            "errors": [
                [
                    KINDS.index(error.kind),
                    numbers[error.number],
                    of_span(error.gold, offsets[error.number]),
                    of_span(error.predicted, offsets[error.number]),
                    -1 if error.seen is None else int(error.seen),
                    error.repeated,
                    differing_ends(error),
                ]
                for error in errors
            ],
            "shown": ERRORS_SHOWN,
            "context": CONTEXT,
            "slack": SLACK,
        }


def _other_labels(
    progress: Progress | None,
    curve: LearningCurve | None,
    suspects: Sequence[Suspect],
    inconsistencies: Sequence[Inconsistency],
) -> Iterator[str]:
    """The labels that may stand outside the analysis: annotations and types change between runs."""
    if progress:
        yield from progress.types
        yield from (change.span.label for change in progress.changes)
    if curve:
        yield from curve.forecasts
        yield from (label for point in curve.points for label in point.f1)
    yield from (span.label for one in suspects for span in (one.annotated, one.predicted) if span)
    yield from (label for one in inconsistencies for label in (*one.labels, *one.examples) if label)


def change_in_words(found: Estimate | None) -> str:
    """`better` or `worse` where a difference is more than chance: where its interval excludes 0."""
    if found is None:
        return ""
    return "better" if found.low > 0 else "worse" if found.high < 0 else ""


def differing_ends(error: Mistake) -> str:
    """In what the boundaries differ, in words; "" where they don't."""
    return "; ".join(shorten(part, 80) for part in error.edges.parts)


def origin(passage: Passage) -> str:
    """Where a passage is found again: file and line, and its source. A page that is handed on names no folder."""
    source = passage.meta.get("source")
    place = f"{Path(passage.file).name}:{passage.line}" if passage.file else ""
    return " · ".join(filter(None, [place, source if isinstance(source, str) else ""]))


def as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def _utf16_offsets(text: str) -> Callable[[int], int]:
    """From offsets in code points to those that a browser counts in."""
    if not text or max(text) <= "\uffff":
        return lambda offset: offset
    offsets = list(itertools.accumulate((1 + (character > "\uffff") for character in text), initial=0))
    return offsets.__getitem__


def _few(labels: Sequence[str]) -> str:
    return f"{_listed(labels)} {'has' if len(labels) == 1 else 'have'} too few mentions"


def _listed(names: Sequence[str]) -> str:
    """Names for the middle of a sentence: A, B and C."""
    if len(names) > NAMED:
        return f"{len(names)} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"
