"""Sharing the machine's cores among processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Read by numpy's and PyTorch's libraries when they are first imported.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")


@contextmanager
def shared_cores(processes: int, kept: int = 0) -> Iterator[None]:
    """Processes that are started in the block share the cores: none of them starts a thread for each core.

    What the environment says already stays.

    Args:
        processes: How many they are.
        kept: How many cores are left to other work.
    """
    threads = str(max(1, ((os.cpu_count() or 1) - kept) // processes))
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update({name: value or threads for name, value in before.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
