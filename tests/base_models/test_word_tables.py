"""Word tables: the one that comes with the package, and those that are made from an encoder."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy
import pytest
from safetensors.numpy import load

from spacy_domain_ner.base_models.word_tables import (
    SHIPPED,
    about_words,
    build_word_table,
    fill_in_words,
    load_word_table,
)
from spacy_domain_ner.components.word_pieces import ARCHITECTURE, Table
from spacy_domain_ner.errors import UserError

FLAGS = {"lowercase": True, "strip_accents": True, "split_cjk": True, "unknown": "[UNK]"}


def config(words=None):
    """A config with what matters here: two layers beside each other."""
    pieces = {"@architectures": ARCHITECTURE, "width": 32, "words": words}
    layers = {"hashed": {"@architectures": "spacy.MultiHashEmbed.v2", "width": 64}, "pieces": pieces}
    return {"model": {"embed": {"@layers": "concatenate.v1", "*": layers}, "encode": {"width": 96}}}


def layers_of(filled):
    return filled["model"]["embed"]["*"]


def named(words, folder, before=None):
    """What the config names, filled in."""
    filled = config(before)
    fill_in_words(filled, words, folder)
    return layers_of(filled)["pieces"]["words"]


def test_null_is_filled_in_and_another_value_stays(tmp_path):
    assert named(None, tmp_path) is None
    assert named("minilm", tmp_path) == "minilm"
    # The default, since it is what training takes then.
    assert fill_in_words(config(), None, tmp_path) == [about_words(load_word_table("minilm"))]
    own = tmp_path / "own.safetensors"
    shutil.copy(SHIPPED / "minilm.safetensors", own)
    assert named("minilm", tmp_path, before=str(own)) == str(own)
    assert named("none", tmp_path, before=str(own)) == str(own)
    assert named(str(own), tmp_path) == str(own)


def test_without_known_words_there_is_a_table_of_the_training_passages_own(tmp_path):
    filled = config()
    assert fill_in_words(filled, "none", tmp_path) == []
    hashed = {**layers_of(filled)["pieces"]}
    assert (hashed["@architectures"], hashed["attrs"], hashed["width"]) == ("spacy.MultiHashEmbed.v2", ["NORM"], 32)
    assert fill_in_words(filled, "minilm", tmp_path) == []


def test_the_table_of_a_folder_is_a_file_whose_name_tells_its_content(tiny, tmp_path, monkeypatch):
    folder = shutil.copytree(tiny("wordpiece-uncased"), tmp_path / "My Encoder")
    monkeypatch.chdir(tmp_path)
    first = named(str(folder), Path("training"))
    assert first.startswith("training/words/my-encoder-")
    assert named(str(folder), Path("training")) == first
    assert about_words(load_word_table(first)) == {
        **FLAGS, "name": "my-encoder", "source": "My Encoder", "licence": "not stated",
    }  # fmt: skip
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    other = named(str(folder), Path("training"))
    assert other != first
    assert about_words(load_word_table(other))["licence"] == "mit"
    assert {Path(first).name, Path(other).name} == {path.name for path in Path("training/words").iterdir()}


def test_what_was_taken_from_the_hub_once_needs_no_connection_again(tmp_path, monkeypatch):
    content = build_word_table(["[UNK]", "a", "##b"], numpy.eye(3), {**FLAGS, "source": "acme/encoder", "name": "x"})
    made = tmp_path / "words" / "acme-encoder-12345678.safetensors"
    made.parent.mkdir()
    made.write_bytes(content)
    monkeypatch.setattr("spacy_domain_ner.base_models.word_tables.read_encoder", None)
    assert named("acme/encoder", tmp_path) == made.as_posix()


@pytest.mark.parametrize("words", ["", "cnn", "minilmm", "pubmed bert", "./nowhere", "MINILM"])
def test_words_that_are_nowhere_are_refused(words, tmp_path):
    with pytest.raises(UserError, match="neither a known encoder, nor a folder, nor a hub name"):
        named(words, tmp_path)


def test_a_preset_whose_vocabulary_is_not_wordpiece_is_refused_without_a_download(tmp_path):
    with pytest.raises(UserError, match="from roberta: its vocabulary is of the kind byte-level BPE"):
        named("roberta", tmp_path)


def test_a_small_table_has_what_can_occur():
    pieces = ["[UNK]", "[PAD]", "the", "The", "##s", "##!", "!", "é", "中", "##中", "a b", "", "##"]
    vectors = numpy.random.default_rng(0).normal(size=(len(pieces), 5))
    table = Table(build_word_table(pieces, vectors, FLAGS))
    assert table.pieces.tobytes().decode().split("\n") == ["[UNK]", "the", "##s", "!", "中"]
    # An odd width is filled up.
    assert table.embed(["thes", "", "die"]).shape == (3, 6)
    assert not numpy.allclose(table.embed(["the"]), table.embed(["thes"]))


def test_the_table_that_comes_with_the_package_is_the_one_that_was_made():
    source = json.loads((SHIPPED / "SOURCE.json").read_text(encoding="utf8"))
    assert source["table"]["sha256"] == sha256(load_word_table("minilm")).hexdigest()


def test_the_safetensors_library_reads_a_table():
    tensors = load(load_word_table("minilm"))
    pieces = tensors["pieces"].tobytes().decode().split("\n")
    assert tensors["codes"].shape == (len(pieces), 192)
    assert tensors["scales"].shape == (len(pieces), 1)
    assert {"[UNK]", "the", "##ing"} <= set(pieces)


@pytest.mark.parametrize("content", [b"", b"text", b"\x02" + bytes(7) + b"{}", b"\xff" * 50])
def test_a_file_that_is_not_a_word_table_is_said_plainly(content, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="not a word table, or it is damaged"):
        load_word_table(str(tmp_path / "x.safetensors"))


def test_a_table_that_is_not_there_is_said_plainly():
    with pytest.raises(UserError, match="no word table pubmedbert"):
        load_word_table("pubmedbert")
