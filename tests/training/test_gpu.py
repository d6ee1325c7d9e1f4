"""What training runs on. No test here needs a GPU: each says what happens where there is none."""

import pytest
import spacy
from thinc.api import get_current_ops

from spacy_domain_ner.corpus.spacy_docs import write_docs
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.training import Recipe, gpu, train
from spacy_domain_ner.training.gpu import choose_gpu, gpu_name

no_gpu = pytest.mark.skipif(gpu_name(0) is not None, reason="this machine has a GPU")


@no_gpu
def test_auto_says_that_no_gpu_was_found_where_one_would_help():
    assert choose_gpu("auto", transformer=True) == (-1, "Training on the CPU: no GPU was found")


def test_auto_looks_for_no_gpu_for_a_small_network(monkeypatch):
    monkeypatch.setattr(gpu, "gpu_name", lambda number: pytest.fail("looked for a GPU"))
    assert choose_gpu("auto", transformer=False) == (-1, "Training on the CPU")


@pytest.mark.parametrize("wanted", ["-1", "-2"])
def test_a_negative_number_is_the_cpu(wanted):
    assert choose_gpu(wanted, transformer=True) == (-1, "Training on the CPU")


@no_gpu
@pytest.mark.parametrize("wanted", ["0", "7"])
def test_a_gpu_that_is_not_there_is_refused(wanted):
    before = get_current_ops()
    with pytest.raises(UserError, match=f"The GPU {wanted} can't be used") as raised:
        choose_gpu(wanted, transformer=True)
    assert "`gpu_id=-1`" in raised.value.hint
    assert get_current_ops() is before


@pytest.mark.parametrize("wanted", ["", "first", "cuda:0", "0.5"])
def test_what_is_no_number_is_refused(wanted):
    with pytest.raises(UserError, match="`gpu_id` is") as raised:
        choose_gpu(wanted, transformer=True)
    assert "auto" in raised.value.hint


def test_a_gpu_that_spacy_can_not_use_is_named_with_what_to_install(monkeypatch):
    # PyTorch sees it, and CuPy is not installed.
    monkeypatch.setattr(gpu, "gpu_name", lambda number: "Some GPU")

    def fails(number: int) -> None:
        raise ValueError("Cannot use GPU, CuPy is not installed")

    monkeypatch.setattr(gpu, "require_gpu", fails)
    number, line = choose_gpu("auto", transformer=True)
    assert number == -1
    assert "There is a GPU (Some GPU)" in line
    assert "CuPy is not installed" in line
    assert "pip install" in line


@no_gpu
def test_a_gpu_that_is_not_there_stops_training_before_anything_is_made(tmp_path, cnn_config, passages):
    write_docs(spacy.blank("en"), passages, tmp_path / "train.spacy")
    recipe = Recipe(cnn_config, tmp_path / "train.spacy", tmp_path / "train.spacy", gpu_id="0")
    with pytest.raises(UserError, match="The GPU 0 can't be used"):
        train(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
