"""Windows that fit into a transformer however long a passage's paths and hashes are.

This module stands alone: a packaged model carries a copy of it.
"""

from collections.abc import Callable, Iterable

from spacy.tokens import Doc, Span
from spacy_transformers.util import registry


@registry.span_getters("spacy_domain_ner.byte_windows.v1")
def create_byte_windows(size: int = 500, overlap: int = 120) -> Callable[[Iterable[Doc]], list[list[Span]]]:
    """Make a span getter for a transformer's config.

    spacy-transformers' own windows count spaCy's tokens, and a path or a hash is one token of up to hundreds of word
    pieces: what goes beyond the transformer's longest input is cut off, and the model never sees those tokens. Each
    word piece stands for at least one byte of UTF-8, so a window has at most as many pieces as bytes, whatever the
    tokenizer (except for a few characters that normalisation writes out at length, such as U+FDFA).

    Args:
        size: The most bytes in a window. With the two special pieces it must stay below the transformer's longest
            input. A single token that is longer has a window of its own, of which the model sees the beginning.
        overlap: About how many bytes a window shares with the one before, so that what stands at its edge has context.

    Returns:
        A function that gives the windows of each Doc. Together they cover every token.

    Raises:
        ValueError: `overlap` is not less than `size`.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"overlap ({overlap}) must be 0 or more, and less than size ({size})")

    def byte_windows(docs: Iterable[Doc]) -> list[list[Span]]:
        return [_windows(doc, size, overlap) for doc in docs]

    return byte_windows


def _windows(doc: Doc, size: int, overlap: int) -> list[Span]:
    lengths = [len(token.text_with_ws.encode("utf8", "surrogatepass")) for token in doc]
    windows: list[Span] = []
    start = 0
    # An empty Doc has no window: spacy-transformers does not accept an empty one.
    while start < len(lengths):
        end, used = start, 0
        while end < len(lengths) and (end == start or used + lengths[end] <= size):
            used += lengths[end]
            end += 1
        windows.append(doc[start:end])
        if end >= len(lengths):
            break
        # Step back by the overlap, but not so far that the next window would end where this one does.
        shared, start = 0, end
        while shared + lengths[start - 1] <= min(overlap, size - lengths[end]) and start - 1 > windows[-1].start:
            start -= 1
            shared += lengths[start]
    return windows
