"""How much a model reads at once: batches of bounded size, and windows of a text that is too long."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from spacy.tokenizer import Tokenizer

from spacy_domain_ner.corpus.sentences import LINE_END, SENTENCE_END

# A batch ends at this many characters (of input lines: bytes), however few items it has, so that memory stays bounded:
# a CNN takes about 1 MB for every 1,000 characters that it reads at once.
BATCH_SIZE = 250_000
_WHITE_SPACE = re.compile(r"\s+")
# Characters before a cut in a run without white space that are read to find where a token begins.
_TOKENIZED = 1_000

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], most: int, size: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Collect items in lists.

    Args:
        items: What is to be collected, in order.
        most: The most items of a batch.
        size: An item's size. A batch also ends where the sum reaches `BATCH_SIZE`.

    Yields:
        The batches, none of them empty.
    """
    batch: list[Item] = []
    total = 0
    for item in items:
        batch.append(item)
        total += size(item)
        if len(batch) >= most or total >= BATCH_SIZE:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def windows(text: str, longest: int, tokenizer: Tokenizer) -> Iterator[tuple[int, str]]:
    """Cut a text in windows that do not overlap and leave nothing out.

    A cut is at the last sentence end in the second half of a window; where there is none, at the last line end there;
    else at the last white space of the window; else before its last token. A token that is longer than a window is cut.

    Args:
        text: The text.
        longest: The most characters of a window.
        tokenizer: The pipeline's tokenizer, which tells where tokens begin.

    Yields:
        The offset at which a window begins, in code points, and its text. A text that is not too long is one window.
    """
    start = 0
    while len(text) - start > longest:
        end = _find_cut(text, start, start + longest, tokenizer)
        yield start, text[start:end]
        start = end
    yield start, text[start:]


def _find_cut(text: str, start: int, end: int, tokenizer: Tokenizer) -> int:
    middle = (start + end) // 2
    for place, first in ((SENTENCE_END, middle), (LINE_END, middle), (_WHITE_SPACE, start)):
        cuts = [found.end() for found in place.finditer(text, first, end)]
        if cuts:
            return cuts[-1]
    first = max(start, end - _TOKENIZED)
    last_token = tokenizer(text[first:end])[-1]
    return first + last_token.idx if last_token.idx else end
