"""Matrix products: NumPy's BLAS where that of thinc is generic, in one thread."""

import pytest
from thinc.api import NumpyOps, get_current_ops, set_current_ops
from threadpoolctl import threadpool_info, threadpool_limits

from spacy_domain_ner import blas


@pytest.mark.parametrize("generic", [True, False])
def test_models_made_in_the_block_multiply_with_numpys_blas_where_blis_is_generic(
    generic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blas, "_is_generic", lambda: generic)
    before = get_current_ops()
    with blas.fast_products():
        assert get_current_ops().use_blis is not generic
        # Layers ask for exactly this class: others stand for other processors.
        assert type(get_current_ops()) is NumpyOps
    assert get_current_ops() is before


def test_other_operations_than_thincs_for_any_processor_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    class AppleOps(NumpyOps):
        pass

    monkeypatch.setattr(blas, "_is_generic", lambda: True)
    before, apple = get_current_ops(), AppleOps()
    set_current_ops(apple)
    try:
        with blas.fast_products():
            assert get_current_ops() is apple
    finally:
        set_current_ops(before)


@pytest.mark.parametrize("variable", [None, *blas.THREADS])
def test_products_take_one_thread_unless_the_user_has_set_a_number(
    variable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in blas.THREADS:
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "2")
    with threadpool_limits(2, "blas"), blas.one_thread():
        numbers = {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    assert numbers == {2 if variable else 1}


def test_a_blis_that_does_not_say_which_kernels_it_has_counts_as_generic(monkeypatch: pytest.MonkeyPatch) -> None:
    import blis.cy

    monkeypatch.setattr(blis.cy, "__file__", "/nowhere/cy.so")
    assert blas._is_generic.__wrapped__()
