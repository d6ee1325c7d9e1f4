"""What is read of an encoder: its vocabulary, its tokenizer's ways, its table; or why it can't be used."""

import json
import pickle
import shutil
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from spacy_domain_ner.base_models.encoders import read_encoder
from spacy_domain_ner.base_models.word_tables import build_word_table
from spacy_domain_ner.components.word_pieces import Table
from spacy_domain_ner.errors import UserError

TABLE = "embeddings.word_embeddings.weight"
WORDS = [
    "restart",
    "Restart",
    "CHECKOUT-api",
    "café",
    "Ünïcode",
    "don't",
    "中文",
    "Kubernetes",
    "/api/v2",
    "x" * 101,
    "🚀",
]


@pytest.mark.parametrize("kind", ["wordpiece-cased", "wordpiece-uncased", "wordpiece-bare"])
def test_words_fall_into_the_pieces_that_transformers_makes(tiny, kind):
    encoder = read_encoder(str(tiny(kind)))
    table = Table(build_word_table(encoder.pieces, encoder.vectors, encoder.tokenizer))
    pieces = table.pieces.tobytes().decode().split("\n")
    # transformers lower-cases for the vocabulary with capitals that comes without a tokenizer_config.json.
    told = {"do_lower_case": False} if kind == "wordpiece-bare" else {}
    tokenizer = AutoTokenizer.from_pretrained(tiny(kind), **told)
    for word in WORDS:
        assert [pieces[number] for number in table.tokenize(word)] == tokenizer.tokenize(word), word


def test_the_rows_are_those_of_the_weights(tiny):
    folder = tiny("wordpiece-uncased")
    encoder = read_encoder(str(folder))
    expected = load_file(folder / "model.safetensors")[TABLE].numpy()
    numpy.testing.assert_array_equal(encoder.vectors, expected)
    table = Table(build_word_table(encoder.pieces, encoder.vectors, encoder.tokenizer))
    kept = [encoder.pieces.index(piece) for piece in table.pieces.tobytes().decode().split("\n")]
    assert len(kept) > 500
    centred = expected[kept] - expected[kept].mean(axis=0)
    found = table.vectors_of(range(len(kept)))
    # Four bits per value: as the rounding of a normal distribution to 16 levels.
    error = numpy.square(found - centred / numpy.sqrt(numpy.square(centred).mean())).mean()
    assert error < 0.012


@pytest.fixture
def copied(tiny, tmp_path):
    """A copy of the folder of an encoder that a test may change."""
    return shutil.copytree(tiny("wordpiece-cased"), tmp_path / "encoder")


def test_weights_in_each_form_give_the_same_table(copied):
    expected = read_encoder(str(copied)).vectors
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    for zipped in (True, False):
        torch.save(weights, copied / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        numpy.testing.assert_array_equal(read_encoder(str(copied)).vectors, expected)
    save_file({f"bert.{key}": value for key, value in weights.items()}, copied / "part-2.safetensors")
    index = {"weight_map": {f"bert.{key}": "part-2.safetensors" for key in weights}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    numpy.testing.assert_array_equal(read_encoder(str(copied)).vectors, expected)
    for kind in (torch.float16, torch.bfloat16, torch.float64):
        save_file({key: value.to(kind) for key, value in weights.items()}, copied / "model.safetensors")
        numpy.testing.assert_allclose(read_encoder(str(copied)).vectors, expected, rtol=1e-2, atol=1e-3)


def test_a_table_may_be_longer_than_the_vocabulary(copied):
    expected = read_encoder(str(copied)).vectors
    weights = load_file(copied / "model.safetensors")
    weights[TABLE] = torch.cat([weights[TABLE], torch.ones(8, weights[TABLE].shape[1])])
    save_file(weights, copied / "model.safetensors")
    numpy.testing.assert_array_equal(read_encoder(str(copied)).vectors, expected)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("byte-bpe", "kind BPE"), ("sentencepiece", "kind Unigram"), ("sentencepiece-bare", "kind SentencePiece")],
)
def test_a_vocabulary_of_another_kind_is_refused_with_the_reason(tiny, kind, told):
    with pytest.raises(UserError, match=f"of the {told}, and a packaged model"):
        read_encoder(str(tiny(kind)))


def test_a_bpe_vocabulary_without_tokenizer_json_is_refused_with_the_reason(tiny, tmp_path):
    folder = shutil.copytree(tiny("byte-bpe"), tmp_path / "encoder")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="kind BPE"):
        read_encoder(str(folder))


class Hostile:
    def __reduce__(self):
        return Path.mkdir, (Path("hostile"),)


def torch_weights(content):
    def change(folder):
        (folder / "model.safetensors").unlink()
        (folder / "pytorch_model.bin").write_bytes(content)

    return change


def tokenizer_json(*path, value):
    def change(folder):
        content = section = json.loads((folder / "tokenizer.json").read_text())
        for key in path[:-1]:
            section = section[key]
        section[path[-1]] = value
        (folder / "tokenizer.json").write_text(json.dumps(content))

    return change


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def written(name, text):
    return lambda folder: (folder / name).write_bytes(text)


def table_of(tensor):
    return lambda folder: save_file({TABLE: tensor}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("model.safetensors"), "no weights"),
        (without("tokenizer.json", "vocab.txt"), "neither a vocab.txt nor a tokenizer.json"),
        (written("model.safetensors", b""), "model.safetensors is damaged"),
        (written("model.safetensors", b"\xff" * 100), "model.safetensors is damaged"),
        (written("model.safetensors", b"\x02" + bytes(7) + b"{}"), "no embeddings.word_embeddings.weight"),
        (written("tokenizer.json", b"{"), "tokenizer.json is not JSON"),
        (written("tokenizer.json", b"[]"), "kind unknown"),
        (written("tokenizer_config.json", b"\xff\xfe"), "tokenizer_config.json can't be read"),
        (torch_weights(b"nothing"), "damaged or not only weights"),
        (torch_weights(pickle.dumps({TABLE: Hostile()})), "damaged or not only weights"),
        (table_of(torch.ones(10, 4)), "10 rows for"),
        (table_of(torch.full((5000, 4), float("nan"))), "not numbers"),
        (tokenizer_json("normalizer", value={"type": "Lowercase"}), "Lowercase and BertPreTokenizer"),
        (tokenizer_json("normalizer", value=None), "none and BertPreTokenizer"),
        (tokenizer_json("pre_tokenizer", value={"type": "Whitespace"}), "BertNormalizer and Whitespace"),
        (tokenizer_json("model", "continuing_subword_prefix", value="@@"), "continue with '@@'"),
        (tokenizer_json("model", "vocab", value={"a": 5}), "not numbered from 0"),
        (tokenizer_json("model", "vocab", value={"a": 0}), r"no piece \[UNK\]"),
    ],
)
def test_what_cannot_be_used_is_said_plainly(copied, change, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    change(copied)
    with pytest.raises(UserError, match=told):
        read_encoder(str(copied))
    assert not Path("hostile").exists()


@pytest.fixture
def hub(tiny, tmp_path, monkeypatch):
    """The hub's cache with one encoder in it, and no connection."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / "hub" / "models--acme--encoder"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0" * 40)
    return shutil.copytree(tiny("wordpiece-uncased"), folder / "snapshots" / ("0" * 40))


def test_an_encoder_of_the_hub_is_read_from_what_was_downloaded_before(tiny, hub):
    (hub / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n\n# An encoder\n")
    encoder = read_encoder("acme/encoder")
    numpy.testing.assert_array_equal(encoder.vectors, read_encoder(str(tiny("wordpiece-uncased"))).vectors)
    assert encoder.licence == "apache-2.0"


def test_without_a_connection_what_is_missing_is_not_blamed_on_the_encoder(hub):
    (hub / "model.safetensors").unlink()
    for name in ("acme/encoder", "acme/other"):
        with pytest.raises(UserError, match=f"encoder {name} can't be downloaded"):
            read_encoder(name)
