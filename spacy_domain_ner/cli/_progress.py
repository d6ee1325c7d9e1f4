"""A progress bar for the verbs that take a while."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[..., None]]:
    """Show a progress bar on standard error; show nothing where that is not a terminal.

    Args:
        text: The text before the bar.

    Yields:
        A function to call with the share that is done, from 0 to 1, and perhaps another text.
    """
    if not sys.stderr.isatty():
        yield lambda share, text=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        row = progress.add_task(text, total=1)

        def tell(share: float, text: str | None = None) -> None:
            progress.update(row, completed=share, description=text)

        yield tell
