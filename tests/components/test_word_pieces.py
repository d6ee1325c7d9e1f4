"""Words fall into the pieces that the vocabulary's own tokenizer makes, and only the projection is trained."""

import copy
import json
import pickle
import unicodedata
from functools import cache
from pathlib import Path

import numpy
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.ml.models import MultiHashEmbed
from thinc.api import Model, concatenate

from spacy_domain_ner.base_models.word_tables import build_word_table, load_word_table
from spacy_domain_ner.components.memoized_embed import create_memoized_embed
from spacy_domain_ner.components.word_pieces import Table, create_word_piece_embed

tokenizers = pytest.importorskip("tokenizers", reason="the transformers extra is not installed")
NLP = spacy.blank("en")
CORPORA = Path(__file__).parents[3] / "shared" / "data" / "corpora"
KINDS = [(lowercase, accents, cjk) for lowercase in (True, False) for accents in (True, False) for cjk in (True, False)]
LETTERS = (
    "abceghinorstuzABCİıßẞſσςΣéÉñ\u0301\u0327\u3099가각한中国𠀀が０１٣🚀👩_-/.,:;'’“„¿।、。@#€™"
    "\u200b\u200d\ufe0f\u00ad\ufffd\x00\x07\x85\u00a0\u3000\t\n "
)
WORDS = [
    "", " ", "\n\n", "\u200b", "the", "The", "THE", "kubernetes", "checkout-api", "/api/v2/orders/{id}", "don't",
    "café", "cafe\u0301", "İstanbul", "ΣΊΣΥΦΟΣ", "Straße", "STRAẞE", "中文", "𠀀𪜀", "日本語テキスト", "한국어",
    "שָׁלוֹם", "مرحبا", "👩‍🚀", "🚀🚀", "a\u00adb", "x" * 100, "x" * 101, "é" * 101, "the" * 34, "a.b" * 60,
    "[CLS]", "[UNK]", "##ing", "[unused1]", "naïve", "ﬁn", "Ⅷ", "½", "\x00a", "a\x85b", "\ufffd", "¡hola!", "a⹃b",
    "\u1734x", "\ufdfa", "$12.50", "ไทย", "हिन्दी",
]  # fmt: skip


def vocabulary(lowercase):
    """A vocabulary of single characters and of some longer pieces."""
    characters = sorted({*LETTERS, *map(chr, range(33, 127))} - set(" \t\n\r\x85\u00a0\u3000"))
    longer = [
        "the",
        "##the",
        "ing",
        "##ing",
        "kube",
        "##rnetes",
        "check",
        "##out",
        "api",
        "café",
        "xx",
        "##xx",
        "αν",
        "中文",
    ]
    pieces = ["[PAD]", "[UNK]", "[unused1]", *characters, *(f"##{character}" for character in characters), *longer]
    return list(dict.fromkeys(piece.lower() if lowercase else piece for piece in pieces[3:])) + pieces[:3]


@cache
def both(lowercase, accents, cjk):
    """A table, and the tokenizer of the same vocabulary."""
    pieces = vocabulary(lowercase)
    vectors = numpy.random.default_rng(0).normal(size=(len(pieces), 8))
    about = {"lowercase": lowercase, "strip_accents": accents, "split_cjk": cjk, "unknown": "[UNK]"}
    numbers = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(numbers, unk_token="[UNK]", max_input_chars_per_word=100)
    )
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=lowercase, strip_accents=accents, handle_chinese_chars=cjk
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return Table(build_word_table(pieces, vectors, about)), tokenizer


def assert_same(kind, words):
    table, tokenizer = both(*kind)
    found = [pieces_of(table, word) for word in words]
    assert found == [encoded.tokens for encoded in tokenizer.encode_batch(list(words), add_special_tokens=False)]


def pieces_of(table, word):
    pieces = table.pieces.tobytes().decode().split("\n")
    return [pieces[number] for number in table.tokenize(word)]


@pytest.mark.parametrize("kind", KINDS)
def test_words_fall_into_the_pieces_of_the_tokenizers_library(kind):
    assert_same(kind, WORDS)


@settings(max_examples=150, deadline=None)
@given(words=st.lists(st.text(st.sampled_from(LETTERS) | st.characters(exclude_categories=["Cs", "Cn"]), max_size=12)))
def test_any_text_falls_into_the_pieces_of_the_tokenizers_library(words):
    for kind in KINDS[:3] + KINDS[-2:]:
        assert_same(kind, words)


def test_each_character_counts_as_it_does_in_the_tokenizers_library():
    """In whatever version of Unicode this Python knows."""
    # Every seventh of the many that stand for whole syllables and words.
    some = [*range(0x3400), *range(0x3400, 0xD800, 7), *range(0xF900, 0x20000), *range(0x20000, 0x32000, 97)]
    known = [chr(number) for number in some if unicodedata.category(chr(number)) != "Cn"]
    assert_same((True, True, True), [f"a{character}b" for character in known])


def test_the_words_of_real_passages_fall_into_the_pieces_of_the_tokenizers_library():
    files = sorted(CORPORA.glob("*/dev.jsonl"))
    if not files:
        pytest.skip("the corpora are not here")
    texts = [json.loads(line)["text"] for file in files for line in file.read_text(encoding="utf8").splitlines()]
    words = sorted({word for text in texts[::5] for word in text.split()})
    assert len(words) > 1000
    for kind in KINDS[:1] + KINDS[-1:]:
        assert_same(kind, words)


TABLE = both(True, True, True)[0]
TEXTS = ["The checkout-api calls Kubernetes.", "", "the API", "   \n the the THE"]


def layer(width=4):
    model = create_word_piece_embed(width, "somewhere")
    model.attrs["table"] = Table(TABLE.content)
    model.initialize()
    return model


def docs_of(texts):
    return [NLP.make_doc(text) for text in texts]


def test_a_token_is_the_projected_mean_of_its_pieces():
    model = layer()
    docs = docs_of(TEXTS)
    for train in (False, True, True, False):
        found, _ = model(docs, train)
        for doc, vectors in zip(docs, found, strict=True):
            assert vectors.shape == (len(doc), 4)
            for token, vector in zip(doc, vectors, strict=True):
                rows = TABLE.tokenize(token.text)
                mean = (TABLE.vectors_of(rows)).mean(axis=0) if rows else numpy.zeros(8)
                expected = model.get_param("W") @ mean + model.get_param("b")
                numpy.testing.assert_allclose(vector, expected, rtol=1e-4, atol=1e-5)


def test_the_gradient_is_that_of_a_projection_of_every_token():
    model = layer()
    docs = docs_of(TEXTS)
    found, backprop = model(docs, True)
    given = [numpy.random.default_rng(1).normal(size=vectors.shape).astype("f") for vectors in found]
    assert backprop(given) == []
    means = numpy.concatenate([TABLE.embed([token.text for token in doc]) for doc in docs if len(doc)])
    gradients = numpy.concatenate(given)
    numpy.testing.assert_allclose(model.get_grad("W"), gradients.T @ means, rtol=1e-4, atol=1e-5)
    numpy.testing.assert_allclose(model.get_grad("b"), gradients.sum(axis=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("docs", [[], docs_of([""]), docs_of(["", ""])])
def test_no_tokens_are_no_vectors(docs):
    found, backprop = layer()(docs, True)
    assert [vectors.shape for vectors in found] == [(0, 4)] * len(docs)
    assert backprop(found) == []


def test_docs_may_be_of_several_vocabularies():
    model = layer()
    texts = ["first word", "another one"]
    apart = [spacy.blank("en").make_doc(text) for text in texts]
    for one, other in zip(model.predict(apart), model.predict(docs_of(texts)), strict=True):
        numpy.testing.assert_array_equal(one, other)


def test_more_words_than_training_remembers_are_embedded_all_the_same(monkeypatch):
    monkeypatch.setattr("spacy_domain_ner.components.word_pieces.CAPACITY", 3)
    model = layer()
    for text in ("the api", "check out", "the api check", "a b c d e f", "api"):
        expected = layer_with(model).predict(docs_of([text]))
        for train in (True, False):
            numpy.testing.assert_allclose(model(docs_of([text]), train)[0][0], expected[0], rtol=1e-5)


def layer_with(model):
    """The same layer that remembers nothing."""
    fresh = model.copy()
    fresh.attrs["table"] = Table(TABLE.content)
    return fresh


def test_a_saved_layer_needs_no_file(tmp_path):
    model = layer()
    content = model.to_bytes()
    assert content.count(TABLE.content) == 1
    assert len(content) < len(TABLE.content) + 2000
    loaded = create_word_piece_embed(4, "nowhere").from_bytes(content)
    numpy.testing.assert_array_equal(loaded.predict(docs_of(TEXTS))[0], model.predict(docs_of(TEXTS))[0])
    # Training goes on from an initialized copy of it, which has the same table.
    loaded.initialize()
    assert loaded.attrs["table"].content == TABLE.content


def test_copies_share_the_table():
    model = layer()
    assert model.copy().attrs["table"] is model.attrs["table"]
    assert copy.deepcopy(model.attrs)["table"] is model.attrs["table"]
    assert pickle.loads(pickle.dumps(model.attrs["table"])).content == TABLE.content


def test_it_is_remembered_beside_hashed_words():
    pieces = layer()
    words = MultiHashEmbed(8, ["NORM"], [50], include_static_vectors=False)
    model = create_memoized_embed(concatenate(words, pieces), 100)
    model.initialize(X=docs_of(TEXTS))
    expected = model.layers[0].predict(docs_of(TEXTS))
    for _ in range(2):
        for one, other in zip(model.predict(docs_of(TEXTS)), expected, strict=True):
            numpy.testing.assert_allclose(one, other, atol=1e-6)
    _, backprop = model(docs_of(TEXTS), True)
    backprop([numpy.ones_like(vectors) for vectors in expected])
    assert pieces.has_grad("W")


def test_initializing_reads_the_table_that_comes_with_the_plugin():
    model: Model = create_word_piece_embed(16)
    model.initialize()
    assert model.get_param("W").shape == (16, 384)
    assert model.attrs["table"].content == load_word_table("minilm")
    [vectors] = model.predict(docs_of(["the restart of Kubernetes"]))
    assert numpy.isfinite(vectors).all()
