"""The errors as the script of the evaluation report reads them."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.evaluation.analysis import Analysis
from spacy_domain_ner.evaluation.mistakes import KINDS
from spacy_domain_ner.reports.evaluation.contents import ERRORS_SHOWN, KIND_WORDS, differing_ends, origin
from spacy_domain_ner.reports.snippets import CONTEXT, SLACK


def script_data(analysis: Analysis, numbers: Mapping[str, int]) -> dict[str, Any]:
    """Collect the errors for the page's script.

    Args:
        analysis: The analysis with the errors.
        numbers: The number of each label, in the order of the numbers.

    Returns:
        Each passage once, and the errors with offsets in UTF-16 code units, as browsers count, and labels and kinds by
        their number.
    """
    errors = analysis.errors
    indices = {number: index for index, number in enumerate(dict.fromkeys(error.number for error in errors))}
    passages = [analysis.passages[number] for number in indices]
    offsets = {number: _utf16_offsets(analysis.passages[number].text) for number in indices}

    def row(span: Span | None, offset: Callable[[int], int]) -> list[int] | int:
        return [offset(span.start), offset(span.end), numbers[span.label]] if span else 0

    return {
        "labels": list(numbers),
        "kinds": [[kind, KIND_WORDS[kind]] for kind in KINDS],
        "passages": [[passage.text, origin(passage)] for passage in passages],
        "errors": [
            [
                KINDS.index(error.kind),
                indices[error.number],
                row(error.gold, offsets[error.number]),
                row(error.predicted, offsets[error.number]),
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


def _utf16_offsets(text: str) -> Callable[[int], int]:
    """Map offsets in code points to offsets in UTF-16 code units."""
    if not text or max(text) <= "\uffff":
        return lambda offset: offset
    offsets = list(itertools.accumulate((1 + (character > "\uffff") for character in text), initial=0))
    return offsets.__getitem__
