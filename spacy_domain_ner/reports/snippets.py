"""An annotated and a predicted span, marked in the part of the text around them."""

from dataclasses import dataclass
from itertools import pairwise

from spacy_domain_ner.corpus.passage import Span

# In code points: how much text is kept on either side of the spans.
CONTEXT, SHORT_CONTEXT = 140, 50
# In code points: how far from there a space is looked for, to cut between words.
SLACK = 24


@dataclass(frozen=True)
class Piece:
    """A part of the text that is wholly within or wholly outside each of the two spans.

    Attributes:
        text: The part.
        annotated: The annotated span, if the part is in it.
        predicted: The predicted span, if the part is in it.
        annotated_ends: Whether the annotated span ends with the part.
        predicted_begins: Whether the predicted span begins with the part.
        predicted_ends: Whether the predicted span ends with the part.
    """

    text: str
    annotated: Span | None = None
    predicted: Span | None = None
    annotated_ends: bool = False
    predicted_begins: bool = False
    predicted_ends: bool = False


@dataclass(frozen=True)
class Snippet:
    """A text cut to the context of two spans.

    Attributes:
        pieces: The parts, in the order of the text.
        before: Whether text before them is left out.
        after: Whether text after them is left out.
    """

    pieces: list[Piece]
    before: bool
    after: bool


def snippet(text: str, annotated: Span | None, predicted: Span | None, context: int = CONTEXT) -> Snippet:
    """Cut a text to the context of two spans, and mark them.

    Args:
        text: The text.
        annotated: The annotated span; None where there is none.
        predicted: The predicted span; None where there is none. One of the two is needed.
        context: How much text to keep on either side, in code points.

    Returns:
        The snippet.
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
    """The start and end of the text around a span, between words where possible."""
    low, high = max(0, start - context), min(len(text), end + context)
    # Leaving out this little would save nothing.
    low, high = (low if low > SLACK else 0), (high if high < len(text) - SLACK else len(text))
    if low:
        low = next((offset + 1 for offset in range(low, min(start, low + SLACK)) if text[offset].isspace()), low)
    if high < len(text):
        high = next((offset for offset in range(high, max(end, high - SLACK), -1) if text[offset].isspace()), high)
    return low, high


def around(text: str, span: Span, context: int) -> str:
    """Cut a text to the context of a span, without marking it.

    Args:
        text: The text.
        span: The span.
        context: How much text to keep on either side, in code points.
    """
    cut = snippet(text, span, None, context)
    return f"{'… ' if cut.before else ''}{''.join(piece.text for piece in cut.pieces)}{' …' if cut.after else ''}"
