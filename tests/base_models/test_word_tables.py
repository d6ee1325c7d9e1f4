"""Word tables: the one that comes with the package, and those that are made from an encoder."""

import json
from hashlib import sha256

import pytest
from safetensors.numpy import load

from spacy_domain_ner.base_models.word_tables import SHIPPED, load_word_table
from spacy_domain_ner.errors import UserError


def test_the_table_that_comes_with_the_package_is_the_one_that_was_made():
    source = json.loads((SHIPPED / "SOURCE.json").read_text(encoding="utf8"))
    assert source["table"]["sha256"] == sha256(load_word_table("minilm")).hexdigest()


def test_the_safetensors_library_reads_a_table():
    tensors = load(load_word_table("minilm"))
    pieces = tensors["pieces"].tobytes().decode().split("\n")
    assert tensors["values"].shape == (len(pieces), 384)
    assert tensors["scales"].shape == (len(pieces), 1)
    assert {"[UNK]", "the", "##ing"} <= set(pieces)


def test_a_table_that_is_not_there_is_said_plainly():
    with pytest.raises(UserError, match="no word table 'pubmedbert'"):
        load_word_table("pubmedbert")
