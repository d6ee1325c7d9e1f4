"""This run against an earlier one: what got better, what got worse, and whether that is more than noise."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from spacy_domain_ner.corpus.jsonl import read_valid_passages, write_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.analysis import Analysis
from spacy_domain_ner.evaluation.bootstrap import Estimate, count_passages, estimate_difference, signed


@dataclass(frozen=True)
class Change:
    """An annotated mention that only one of the two runs found, or a prediction that only one of them invented.

    number: Of the passage, in the order of the evaluation set, from 0.
    better: Whether it is this run that is right.
    """

    number: int
    span: Span
    better: bool
    annotated: bool


@dataclass(frozen=True)
class Progress:
    """The difference between two runs on the passages that both predicted, scored on today's annotation.

    passages: How many those are.
    micro, types: How much higher F1 is than in the earlier run; None where a type is not in these passages.
    changes: What only one of them got right, in the order of the text.
    """

    passages: int
    micro: Estimate | None
    types: dict[str, Estimate | None]
    changes: list[Change]

    def to_dict(self) -> dict[str, Any]:
        """The differences as they stand in metrics.json."""
        return {
            "passages": self.passages,
            "micro": _rounded(self.micro),
            "types": {label: _rounded(found) for label, found in self.types.items()},
            "better": sum(change.better for change in self.changes),
            "worse": sum(not change.better for change in self.changes),
        }


def compare_runs(analysis: Analysis, earlier: Iterable[Passage]) -> Progress | None:
    """Compare a run with an earlier one.

    earlier: Passages of the evaluation set with the spans that were predicted then. Those that are not in the
        evaluation set any more are passed over.
    RETURNS: None where no passage is in both.
    """
    of_identity = {passage.identity: passage.spans for passage in earlier}
    both = [number for number, passage in enumerate(analysis.passages) if passage.identity in of_identity]
    if not both:
        return None
    passages = [analysis.passages[number] for number in both]
    now = [analysis.predictions[number] for number in both]
    then = [of_identity[passage.identity] for passage in passages]
    counts_now = count_passages(passages, now, analysis.types)
    counts_then = count_passages(passages, then, analysis.types)
    none = numpy.zeros((len(passages), 3), dtype=numpy.int64)
    types = {
        label: estimate_difference(counts_now.get(label, none), counts_then.get(label, none))
        for label in {**counts_now, **counts_then}
    }
    micro = estimate_difference(sum(counts_now.values(), none), sum(counts_then.values(), none))
    changes = []
    for number, passage, new, old in zip(both, passages, now, then, strict=True):
        gold = Counter(passage.spans)
        for span in sorted(Counter(new) - Counter(old) | (Counter(old) - Counter(new))):
            changes.append(Change(number, span, better=(span in gold) == (span in new), annotated=span in gold))
    return Progress(len(both), micro, types, changes)


def rotate_predictions(path: Path, analysis: Analysis) -> list[Passage]:
    """Keep a run's predictions, and give those of the run before.

    The run before is the latest whose predictions differ: to evaluate the same model twice changes nothing. Its
    predictions move to a file beside `path` whose name ends in `-before`.

    path: JSON lines with the predicted spans of each passage.
    RETURNS: The predictions of the run before; none where there was none.
    RAISES: UserError where a file can't be read or written.
    """
    before = path.with_name(f"{path.stem}-before{path.suffix}")
    now = [
        Passage(passage.text, sorted(spans), {"source": passage.meta["source"]} if "source" in passage.meta else {})
        for passage, spans in zip(analysis.passages, analysis.predictions, strict=True)
    ]
    last = read_valid_passages(path) if path.is_file() else []
    spans_of = {passage.identity: passage.spans for passage in now}
    # On the passages of both: an evaluation set that has grown makes no other run of the same model.
    if any(spans_of.get(passage.identity, passage.spans) != passage.spans for passage in last):
        write_passages(before, last)
    write_passages(path, now, analysis.confidences)
    return read_valid_passages(before) if before.is_file() else []


def in_words(difference: Estimate) -> str:
    """A difference of F1 in a sentence: how much, and whether it is more than other passages would change."""
    value, low, high = (signed(100 * share) for share in (difference.value, difference.low, difference.high))
    more = "more" if difference.low > 0 or difference.high < 0 else "no more"
    return f"{value} points of F1 ({low} to {high}), {more} than chance"


def _rounded(found: Estimate | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {"value": round(found.value, 4), "low": round(found.low, 4), "high": round(found.high, 4)}
