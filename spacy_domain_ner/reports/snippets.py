"""An annotated and a predicted span, marked in the part of the text around them."""

from dataclasses import dataclass
from itertools import pairwise

from spacy_domain_ner.corpus.passage import Span

# In code points: what is left of the text on either side, also where it has to be short, and how far from there a
# space is looked for.
CONTEXT, SHORT_CONTEXT, SLACK = 140, 50, 24


@dataclass(frozen=True)
class Piece:
    """A part of the text that is wholly within or wholly outside each of the two spans.

    annotated, predicted: The span that it is in.
    annotated_ends, predicted_begins, predicted_ends: Whether that span ends or begins with it.
    """

    text: str
    annotated: Span | None = None
    predicted: Span | None = None
    annotated_ends: bool = False
    predicted_begins: bool = False
    predicted_ends: bool = False


@dataclass(frozen=True)
class Snippet:
    """The pieces in the order of the text. before, after: Whether text is left out there."""

    pieces: list[Piece]
    before: bool
    after: bool


def snippet(text: str, annotated: Span | None, predicted: Span | None, context: int = CONTEXT) -> Snippet:
    """Cut a text to the context of two spans, and mark them.

    annotated, predicted: One of them may be missing.
    context: How much is left on either side, in code points.
    """
    spans = [span for span in (annotated, predicted) if span]
    low, high = _window(text, min(span.start for span in spans), max(span.end for span in spans), context)
    cuts = sorted({low, high, *(end for span in spans for end in (span.start, span.end))})
    pieces = []
    for start, end in pairwise(cuts):
        of_annotated, of_predicted = (
            span if span and span.start <= start and end <= span.end else None for span in (annotated, predicted)
        )
        pieces.append(
            Piece(
                text[start:end],
                of_annotated,
                of_predicted,
                annotated_ends=of_annotated is not None and of_annotated.end == end,
                predicted_begins=of_predicted is not None and of_predicted.start == start,
                predicted_ends=of_predicted is not None and of_predicted.end == end,
            )
        )
    return Snippet(pieces, low > 0, high < len(text))


def _window(text: str, start: int, end: int, context: int) -> tuple[int, int]:
    """The part of a text around a span, cut between words where there are any."""
    low, high = max(0, start - context), min(len(text), end + context)
    # So little more is no longer than what would stand for it.
    low, high = (low if low > SLACK else 0), (high if high < len(text) - SLACK else len(text))
    if low:
        low = next((place + 1 for place in range(low, min(start, low + SLACK)) if text[place].isspace()), low)
    if high < len(text):
        high = next((place for place in range(high, max(end, high - SLACK), -1) if text[place].isspace()), high)
    return low, high


def around(text: str, span: Span, context: int) -> str:
    """A span in its context, unmarked."""
    cut = snippet(text, span, None, context)
    return f"{'… ' if cut.before else ''}{''.join(piece.text for piece in cut.pieces)}{' …' if cut.after else ''}"
