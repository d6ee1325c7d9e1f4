"""Embeddings that are looked up are those that the layer below would make now, whatever was asked before."""

import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest
import spacy
from helpers.memorized import examples_of
from spacy.ml.models import CharacterEmbed, MultiHashEmbed
from thinc.api import Adam, concatenate

from spacy_domain_ner.components.memoized_embed import create_memoized_embed
from spacy_domain_ner.corpus import Passage, Span

NLP = spacy.blank("en")
TEXTS = [
    "checkout-api calls Redis.",
    "",
    "Redis   and\n\nKafka don't start, cafe\u0301 🚀",
    "redis REDIS Redis",
    "the deploy of billing-worker restarted Redis, and checkout-api with it",
]
WORDS = [f"word{number}" for number in range(300)]


def layer(capacity=1000, attrs=("NORM", "PREFIX", "SUFFIX", "SHAPE")):
    """A layer with values of its own, and none of them remembered yet."""
    words = MultiHashEmbed(16, list(attrs), [50] * len(attrs), include_static_vectors=False)
    characters = CharacterEmbed(8, 50, 4, 6, include_static_vectors=False, feature="SHAPE")
    model = create_memoized_embed(concatenate(words, characters), capacity)
    model.initialize(X=docs_of(TEXTS))
    return model


def docs_of(texts):
    return [NLP.make_doc(text) for text in texts]


def assert_right(model, docs):
    expected = model.layers[0].predict(docs)
    found = model.predict(docs)
    assert [array.shape for array in found] == [array.shape for array in expected]
    for one, other in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u200e", "\u2066"])
def test_an_invisible_character_in_a_word_changes_nothing_of_its_embedding(hidden):
    model = layer()
    plain, marked = (docs_of([f"don't restart Ku{mark}bernetes or {mark}Redis"]) for mark in ("", hidden))
    for train in (False, True):
        [expected], _ = model(plain, train)
        [found], _ = model(marked, train)
        numpy.testing.assert_allclose(found, expected, atol=1e-6)


def embedded(model, monkeypatch, docs):
    """How many tokens the layer below is given for these docs."""
    seen = []
    embed = model.layers[0]
    with monkeypatch.context() as patch:
        patch.setattr(
            type(embed), "predict", lambda self, docs: (seen.append(sum(map(len, docs))), self(docs, False)[0])[1]
        )
        model.attrs["memory"].read(embed, docs)
    return sum(seen)


def test_they_are_what_the_layer_gives():
    model = layer()
    assert_right(model, docs_of(TEXTS))
    assert_right(model, docs_of(reversed(TEXTS)))
    assert_right(model, docs_of([" ".join(TEXTS)]))
    for text in filter(None, TEXTS):
        assert_right(model, docs_of([text]))


def test_each_word_is_embedded_once(monkeypatch):
    model = layer()
    assert embedded(model, monkeypatch, docs_of(["Redis calls Redis", "Kafka calls Redis"])) == 3
    assert embedded(model, monkeypatch, docs_of(["Kafka calls Kafka and Redis"])) == 1
    assert embedded(model, monkeypatch, docs_of(["Redis and Kafka"])) == 0


def test_a_token_with_another_norm_is_another_one():
    model = layer()
    docs = docs_of(["Redis calls Redis"])
    docs[0][2].norm_ = "kafka"
    assert_right(model, docs)
    assert not numpy.allclose(*model.predict(docs)[0][[0, 2]])


def test_attributes_that_depend_on_the_text_around_count_too():
    model = layer(attrs=("ORTH", "SPACY", "POS"))
    docs = docs_of(["Redis Redis-Redis"])
    docs[0][0].pos_ = "NOUN"
    assert_right(model, docs)
    first, second, _, last = model.predict(docs)[0]
    assert not numpy.allclose(first, last)
    assert numpy.allclose(second, last)


@pytest.mark.parametrize("capacity", [1, 2, 7, 40])
def test_more_words_than_are_remembered(capacity):
    model = layer(capacity)
    generator = random.Random(0)
    for _ in range(30):
        count = generator.choice([1, 3, 10])
        assert_right(model, docs_of([" ".join(generator.choices(WORDS, k=count)) for _ in range(3)]))
        assert len(model.attrs["memory"].rows) <= capacity


def test_after_a_step_of_training_they_are_new_ones():
    model = layer()
    docs = docs_of(TEXTS)
    before = numpy.vstack(model.predict(docs))
    optimizer = Adam(0.01)
    for _ in range(3):
        vectors, backprop = model(docs, is_train=True)
        backprop([numpy.ones_like(rows) for rows in vectors])
        model.finish_update(optimizer)
        assert_right(model, docs)
    assert not numpy.allclose(before, numpy.vstack(model.predict(docs)))
    # As evaluation during training does, and goes back.
    averages = {key: value + 1 for key, value in optimizer.averages.items()}
    with model.use_params(averages):
        assert_right(model, docs)
    assert_right(model, docs)


def test_other_values_from_bytes_are_used():
    model, other = layer(), layer()
    for node in other.walk():
        for name in node.param_names:
            node.set_param(name, node.get_param(name) + 0.5)
    docs = docs_of(TEXTS)
    model.predict(docs)
    model.from_bytes(other.to_bytes())
    assert_right(model, docs)
    for one, same in zip(model.predict(docs), other.predict(docs), strict=True):
        numpy.testing.assert_allclose(one, same, atol=1e-6)


@pytest.mark.parametrize("copied", [lambda model: model.copy(), lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_remembers_for_itself(copied):
    model = layer()
    docs = docs_of(TEXTS)
    model.predict(docs)
    copy = copied(model)
    assert copy.attrs["memory"] is not model.attrs["memory"]
    for node in copy.walk():
        for name in node.param_names:
            node.set_param(name, node.get_param(name) * 2)
    assert_right(copy, docs)
    assert_right(model, docs)


def test_threads_share_it():
    model = layer(capacity=60)
    batches = [docs_of([" ".join(random.Random(seed).choices(WORDS, k=20))]) for seed in range(200)]
    expected = [model.layers[0].predict(docs)[0] for docs in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda docs: model.predict(docs)[0], batches))
    for one, other in zip(found, expected, strict=True):
        numpy.testing.assert_allclose(one, other, atol=1e-6)


def test_vectors_that_may_be_exchanged_are_not_remembered():
    nlp = spacy.blank("en")
    for word in ("Redis", "calls"):
        nlp.vocab.set_vector(word, numpy.random.default_rng(0).random(4, "f"))
    model = create_memoized_embed(MultiHashEmbed(16, ["NORM"], [50], include_static_vectors=True))
    docs = [nlp.make_doc("Redis calls Redis")]
    model.initialize(X=docs)
    [before] = model.predict(docs)
    nlp.vocab.set_vector("Redis", numpy.ones(4, "f"))
    [after] = model.predict(docs)
    assert numpy.allclose(before[1], after[1])
    assert not numpy.allclose(before[0], after[0])


def test_docs_of_different_vocabularies():
    model = layer()
    assert_right(model, [NLP.make_doc("Redis calls"), spacy.blank("de").make_doc("Zebra calls Redis")])
    assert_right(model, [spacy.blank("de").make_doc("Zebra und Kafka")])


def test_nothing_to_remember_is_refused():
    with pytest.raises(ValueError, match="1 or more"):
        create_memoized_embed(MultiHashEmbed(16, ["NORM"], [50], include_static_vectors=False), 0)


def test_in_a_pipeline_that_is_trained_and_saved(cnn_config, tmp_path):
    nlp = spacy.util.load_model_from_config(spacy.util.load_config(cnn_config), auto_fill=True)
    names = [node.name for node in nlp.get_pipe("ner").model.walk()]
    assert "memoized_embed" in names
    passage = Passage("checkout-api calls Redis", [Span(19, 24, "INFRA")])
    nlp.initialize(lambda: examples_of(nlp, [passage]))
    text = passage.text
    vectors = nlp.get_pipe("ner").model.get_ref("tok2vec").predict([nlp.make_doc(text)])
    nlp.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model").get_pipe("ner").model.get_ref("tok2vec").predict([nlp.make_doc(text)])
    numpy.testing.assert_allclose(vectors[0], again[0], atol=1e-6)
