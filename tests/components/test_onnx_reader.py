"""What reads with onnxruntime: batches of one length, and clear messages about files that do not fit."""

import sys
from collections.abc import Callable
from functools import cache

import pytest
from helpers.tiny_transformers import LONGEST
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.components.onnx_reader import ABOUT, GRAPH, PLACES, TOKENIZER, OnnxReader, batches
from spacy_domain_ner.deployment.onnx_graph import build_graph

for package in ("onnx", "onnxruntime", "transformers"):
    pytest.importorskip(package, reason="the extras transformers and onnx are not installed")


@pytest.fixture(scope="module")
def files(tiny) -> Callable[[str], dict[str, bytes]]:
    """The files of a tiny transformer of a kind."""
    from transformers import AutoModel, AutoTokenizer

    @cache
    def files(kind: str) -> dict[str, bytes]:
        graph = build_graph(AutoModel.from_pretrained(tiny(kind)).eval(), LONGEST)
        tokenizer = AutoTokenizer.from_pretrained(tiny(kind)).backend_tokenizer.to_str().encode()
        return OnnxReader().load(graph, tokenizer, longest=LONGEST, tags=["O"]).files

    return files


@given(st.lists(st.integers(1, 600)))
def test_batches_take_each_window_once_and_only_those_of_one_length(lengths):
    found = list(batches(lengths))
    assert sorted(number for batch in found for number in batch) == list(range(len(lengths)))
    for batch in found:
        assert len({lengths[number] for number in batch}) == 1
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= PLACES


def test_what_is_told_of_a_transformer_stays_with_it(files, tmp_path):
    OnnxReader().from_bytes(
        OnnxReader()
        .load(files("byte-bpe")[GRAPH], files("byte-bpe")[TOKENIZER], longest=9, tags=["O", "B-A"])
        .to_bytes()
    ).to_disk(tmp_path)
    reader = OnnxReader().from_disk(tmp_path)
    assert (reader.about["longest"], reader.about["tags"], reader.width) == (9, ["O", "B-A"], 32)


FOREIGN = "files of two models are mixed"
DAMAGES = {
    "a graph cut short": (lambda files, _: {**files, GRAPH: files[GRAPH][:5000]}, FOREIGN),
    "the graph of another model": (lambda files, other: {**files, GRAPH: other[GRAPH]}, FOREIGN),
    "the tokenizer of another model": (lambda files, other: {**files, TOKENIZER: other[TOKENIZER]}, FOREIGN),
    "without a graph": (lambda files, _: {key: files[key] for key in (TOKENIZER, ABOUT)}, "encoder.onnx .* is missing"),
    "without a tokenizer": (lambda files, _: {key: files[key] for key in (GRAPH, ABOUT)}, "tokenizer.json .* missing"),
    "without what it is": (lambda files, _: {key: files[key] for key in (GRAPH, TOKENIZER)}, "encoder.json is missing"),
    "with something else": (lambda files, _: {**files, ABOUT: b"\xff[1]"}, "encoder.json is missing or damaged"),
    "with a list": (lambda files, _: {**files, ABOUT: b"[1]"}, "encoder.json is missing or damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_file_is_told_in_one_line(files, tmp_path, damage):
    change, told = DAMAGES[damage]
    for name, content in change(files("byte-bpe"), files("wordpiece-cased")).items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=told) as raised:
        OnnxReader().from_disk(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("graph", "tokenizer"), [(b"no graph", None), (None, b"{}"), (b"", None)])
def test_files_that_were_never_a_model_are_told_in_one_line(files, graph, tokenizer):
    own = files("byte-bpe")
    with pytest.raises(ValueError, match="can't be loaded") as raised:
        OnnxReader().load(own[GRAPH] if graph is None else graph, tokenizer or own[TOKENIZER], longest=LONGEST)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_a_missing_package_is_named_with_what_installs_it(files, monkeypatch, package):
    own = files("byte-bpe")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=f"{package}.*python -m pip install onnxruntime tokenizers"):
        OnnxReader().load(own[GRAPH], own[TOKENIZER], longest=LONGEST)
