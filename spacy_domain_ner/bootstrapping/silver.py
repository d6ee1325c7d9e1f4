"""Passages with first labels: what is sure, what is known to be wrong, and what nobody knows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from spacy_domain_ner.bootstrapping.ordinary import OrdinaryTokens, tokens_in
from spacy_domain_ner.bootstrapping.reliability import Candidate
from spacy_domain_ner.corpus.passage import ORIGIN, SILVER, TRAINING_ONLY, Passage, Span

if TYPE_CHECKING:
    from spacy.tokens import Doc

# From so probable on a span is an entity, and up to this it is none.
SURE, WRONG = 0.6, 0.1


@dataclass
class Labelled:
    """A passage with first labels.

    Attributes:
        passage: The passage, with spans, unknown parts and spans that are known to be wrong.
        probabilities: How probable each of its spans is.
        left: The candidates that are left unknown.
        misaligned: The sure spans that no tokens can express: they are left unknown, too.
        tokens: How many tokens are in a name, outside of all names, and unknown.
    """

    passage: Passage
    probabilities: dict[Span, float] = field(default_factory=dict)
    left: list[Candidate] = field(default_factory=list)
    misaligned: int = 0
    tokens: tuple[int, int, int] = (0, 0, 0)


def label(
    passage: Passage, doc: "Doc", candidates: Sequence[Candidate], ordinary: OrdinaryTokens, sure: float = SURE
) -> Labelled:
    """Label a passage as far as it is known.

    Args:
        passage: The passage, without annotation.
        doc: Its tokens.
        candidates: What the sources have found in it, with probabilities.
        ordinary: Says which tokens are outside of all names.
        sure: From so probable on a span is an entity.
    """
    found = Labelled(passage)
    spans, left = [], []
    for one in candidates:
        if one.probability < sure:
            left.append(one)
        elif doc.char_span(one.span.start, one.span.end) is None:
            found.misaligned += 1
            left.append(one)
        else:
            spans.append(one.span)
            found.probabilities[one.span] = one.probability
    inside = tokens_in(doc, ((span.start, span.end) for span in spans))
    found.left = [one for one in left if one.probability > WRONG]
    doubtful = tokens_in(doc, ((one.span.start, one.span.end) for one in found.left)) - inside
    outside = ordinary.outside(doc)
    unmarked = {token.i for token in doc if token.i not in inside and token.i not in doubtful and not outside[token.i]}
    unknown = [Span(doc[first].idx, doc[last].idx + len(doc[last]), "") for first, last in _runs(unmarked)]
    left_open = len(unmarked | doubtful)
    found.tokens = (len(inside), len(doc) - len(inside) - left_open, left_open)
    found.passage = replace(
        passage,
        spans=sorted(spans),
        # What a source has found there stays as the label of the part.
        unknown=sorted([*unknown, *(one.span for one in found.left)]),
        incorrect=sorted(one.span for one in left if one.probability <= WRONG),
        meta={**passage.meta, ORIGIN: SILVER, TRAINING_ONLY: True},
    )
    return found


def _runs(numbers: set[int]) -> list[tuple[int, int]]:
    """The first and last number of each run of numbers that follow one another."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
