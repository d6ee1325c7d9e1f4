"""This run against an earlier one: what got better, what got worse, and whether that is more than chance."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy

from spacy_domain_ner.corpus.jsonl import passage_lines, read_valid_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.analysis import Analysis, Predicted
from spacy_domain_ner.evaluation.bootstrap import Estimate, count_passages, estimate_difference, signed

# A type has taken the place of one that is gone if it is annotated at this share of what was predicted as that one.
SAME_TYPE = 0.25


@dataclass(frozen=True)
class Change:
    """A span that only one of the two runs predicted.

    Attributes:
        number: The passage's index in the evaluation set, from 0.
        span: The span.
        better: Whether this run is the one that is right.
        annotated: Whether the span is annotated: a mention that one run found, or else a wrong prediction.
    """

    number: int
    span: Span
    better: bool
    annotated: bool


@dataclass(frozen=True)
class Progress:
    """The difference between two runs on the passages of both, scored on today's annotation.

    Attributes:
        passages: The number of passages that both runs predicted.
        micro: How much higher F1 over all types is than in the earlier run; None where it is undefined.
        types: The same for each type.
        changes: What only one of the runs got right, in the order of the text.
        renamed: The types that the earlier run predicted and this evaluation no longer has, each with the type that its
            predictions are counted as; "" where they are left out, since no type has taken its place.
    """

    passages: int
    micro: Estimate | None
    types: dict[str, Estimate | None]
    changes: list[Change]
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def renamed_in_words(self) -> str:
        """How types were counted that only the earlier run had, in sentences; "" where there are none."""
        sentences = [
            f"{old} of the earlier run is counted as {new}." if new else f"{old} of the earlier run is left out."
            for old, new in self.renamed.items()
        ]
        return " ".join(sentences)

    def to_dict(self) -> dict[str, Any]:
        """The differences as metrics.json holds them."""
        return {
            "passages": self.passages,
            "micro": self.micro.to_dict() if self.micro else None,
            "types": {label: found.to_dict() if found else None for label, found in self.types.items()},
            "better": sum(change.better for change in self.changes),
            "worse": sum(not change.better for change in self.changes),
            "renamed": self.renamed,
        }


def compare_runs(analysis: Analysis, earlier: Iterable[Passage]) -> Progress | None:
    """Compare a run with an earlier one.

    Args:
        analysis: This run.
        earlier: The passages of the earlier evaluation set, with the spans that were predicted then. Passages that are
            no longer in the evaluation set are left out.

    Returns:
        The difference; None where the two runs have no passage in common.
    """
    of_identity = {passage.identity: passage.spans for passage in earlier}
    both = [number for number, passage in enumerate(analysis.passages) if passage.identity in of_identity]
    if not both:
        return None
    passages = [analysis.passages[number] for number in both]
    now = [analysis.predictions[number] for number in both]
    then, renamed = _renamed([of_identity[passage.identity] for passage in passages], passages, analysis.types)
    none = numpy.zeros((len(both), 3), dtype=numpy.int64)
    counts_now = {label: result.counts[both] for label, result in analysis.types.items()}
    counts_then = count_passages(passages, then, analysis.types)
    types = {label: estimate_difference(counts_now.get(label, none), counts) for label, counts in counts_then.items()}
    micro = estimate_difference(analysis.micro.counts[both], sum(counts_then.values(), none))
    changes = []
    for number, passage, new, old in zip(both, passages, now, then, strict=True):
        gold, found, before = Counter(passage.spans), Counter(passage.judged(new)), Counter(passage.judged(old))
        for span in sorted(found - before | (before - found)):
            changes.append(Change(number, span, better=(span in gold) == (span in new), annotated=span in gold))
    return Progress(len(both), micro, types, changes, renamed)


def _renamed(
    predicted: Sequence[list[Span]], passages: Sequence[Passage], types: Collection[str]
) -> tuple[list[list[Span]], dict[str, str]]:
    """Give an earlier run's spans today's types: what a renamed type would gain says nothing about the model.

    Args:
        predicted: The spans that the earlier run predicted for each passage.
        passages: The passages, with today's annotation.
        types: Today's types.

    Returns:
        The spans, and the type that has taken the place of each one that is gone: the one that today's annotation most
        often has where it was predicted, or "". A type that is new today takes its own part of one that was divided.
    """
    labels = {span.label for spans in predicted for span in spans}
    gone = sorted(labels - set(types))
    if not gone:
        return list(predicted), {}
    annotated = [{(span.start, span.end): span.label for span in passage.spans} for passage in passages]
    places: dict[str, Counter[str]] = {label: Counter() for label in gone}
    for spans, gold in zip(predicted, annotated, strict=True):
        for span in spans:
            if span.label in places:
                places[span.label][gold.get((span.start, span.end), "")] += 1
    renamed = {label: _successor(found) for label, found in places.items()}
    taken = {"", *labels, *renamed.values()}

    def today(span: Span, gold: dict[tuple[int, int], str]) -> Span:
        if span.label not in renamed:
            return span
        label, own = renamed[span.label], gold.get((span.start, span.end), "")
        return replace(span, label=own if label and own not in taken else label)

    spans_today = [[today(span, gold) for span in spans] for spans, gold in zip(predicted, annotated, strict=True)]
    return [[span for span in spans if span.label] for spans in spans_today], renamed


def _successor(places: Counter[str]) -> str:
    """The type that most often is annotated where another one was predicted ("": none is); "" if it rarely is."""
    label = max(places, key=lambda label: (label != "", places[label], label))
    return label if places[label] >= SAME_TYPE * places.total() else ""


def rotate_predictions(
    path: Path, passages: Sequence[Passage], predicted: Sequence[Predicted]
) -> tuple[list[Passage], Mapping[Path, Iterable[str]]]:
    """Return the predictions of the run before, and what to write so that the next run finds those of this one.

    The run before is the latest one with other predictions, so that evaluating the same model again changes nothing.
    Its predictions are kept in a file beside `path` whose name ends in `-before`.

    Args:
        path: The file of the predictions (JSON lines).
        passages: The evaluation set.
        predicted: The prediction for each passage.

    Returns:
        The passages of the run before with the spans that were predicted then; none where there was no such run. And
        the lines of each file to be written.

    Raises:
        UserError: A file can't be read.
    """
    before = path.with_name(f"{path.stem}-before{path.suffix}")
    now = [
        Passage(
            passage.text, sorted(found.spans), {"source": passage.meta["source"]} if "source" in passage.meta else {}
        )
        for passage, found in zip(passages, predicted, strict=True)
    ]
    last = read_valid_passages(path) if path.is_file() else []
    spans_of = {passage.identity: passage.spans for passage in now}
    # Only passages of both count: the same model on an evaluation set that has grown is not another run.
    contents = {path: passage_lines(now, [found.confidences for found in predicted])}
    if any(spans_of.get(passage.identity, passage.spans) != passage.spans for passage in last):
        return last, {before: passage_lines(last), **contents}
    return read_valid_passages(before) if before.is_file() else [], contents


def direction(difference: Estimate | None) -> Literal["better", "worse", ""]:
    """Say which way a score moved, if that is more than chance: if the interval of the difference leaves out 0.

    Args:
        difference: The difference; None where it is undefined.

    Returns:
        `better` or `worse`, "" where the difference may be chance.
    """
    if difference is None:
        return ""
    return "better" if difference.low > 0 else "worse" if difference.high < 0 else ""


def in_words(difference: Estimate) -> str:
    """Describe a difference of F1: how much it is, and whether it is more than chance.

    Args:
        difference: The difference.
    """
    value, low, high = (signed(100 * share) for share in (difference.value, difference.low, difference.high))
    chance = "more than chance" if direction(difference) else "not more than chance"
    return f"{value} points of F1 ({low} to {high}), {chance}"
