"""How much a model reads at once: batches of bounded size."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

# A batch ends at this many characters (of input lines: bytes), however few items it has, so that memory stays bounded:
# a CNN takes about 1 MB for every 1,000 characters that it reads at once.
BATCH_SIZE = 250_000

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
