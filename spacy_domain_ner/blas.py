"""Matrix products on a CPU: which library makes them, and in how many threads.

thinc multiplies with BLIS. Its wheel has kernels for the processors that it knows, and generic ones for all others,
among them current ones of AMD: those make a third of what NumPy's BLAS makes on the same core.

BLIS is asked which kernels it has taken. A trial of both would decide by the clock, and on a machine where they are
about as fast, the same seed would give another model from one run to the next.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

# The user's own numbers of threads: where one is set, it stays.
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def fast_products() -> Iterator[None]:
    """Let the models that are made in the block multiply with NumPy's BLAS where that of thinc is generic.

    They do so for as long as they exist. Nothing else changes: not on a GPU, nor with the operations that thinc has for
    Apple's processors, nor the products of spaCy's own parsers, which thinc makes with BLIS in any case.
    """
    from thinc.api import NumpyOps, get_current_ops, set_current_ops

    before = get_current_ops()
    if type(before) is NumpyOps and before.use_blis and _is_generic():
        set_current_ops(NumpyOps(use_blis=False))
    try:
        yield
    finally:
        set_current_ops(before)


def one_thread() -> AbstractContextManager[object]:
    """Let NumPy's BLAS use one thread in the block, unless the user has set a number.

    The products of a small network are too small to be divided: the threads wait for each other, and wherever another
    process wants a core, they wait long. The results are the same.
    """
    if any(os.environ.get(name) for name in THREADS):
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1, "blas")
    return limits


@cache
def _is_generic() -> bool:
    """Whether BLIS has taken its generic kernels, or does not say which, as on Windows."""
    import ctypes

    try:
        import blis.cy

        library = ctypes.CDLL(blis.cy.__file__)
        library.bli_arch_string.restype = ctypes.c_char_p
        return bool(library.bli_arch_string(library.bli_arch_query_id()) == b"generic")
    except (ImportError, OSError, AttributeError):
        return True
