"""How far an import is."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


class ImportProgress:
    """Tells how far an import is: the first half is reading, the second is what is done with it afterwards."""

    def __init__(self, callback: Callable[[float], None] | None) -> None:
        self.bytes_in_all = 0
        self._callback = callback
        self._bytes = 0
        self._told = 0.0

    def tell(self, share: float) -> None:
        if self._callback is not None and share > self._told:
            self._told = share
            self._callback(share)

    def read(self, size: int) -> None:
        self._bytes += size
        self.tell(0.5 * min(1, self._bytes / max(self.bytes_in_all, 1)))

    def over(
        self, items: Iterable[Item], total: int, start: float, end: float, size: Callable[[Item], int] = lambda _: 1
    ) -> Iterator[Item]:
        """Pass items through, while the share that is told goes evenly from start to end.

        Args:
            items: What to pass through.
            total: The sum of the items' sizes.
            start: The share before the first item.
            end: The share after the last one.
            size: Computes an item's size.
        """
        done = 0
        for number, item in enumerate(items):
            yield item
            done += size(item)
            if number % 256 == 0:
                self.tell(start + (end - start) * min(1, done / max(total, 1)))
