"""Batches of word pieces: few are padded, and each text gets what spacy-transformers gives it alone."""

import shutil

import numpy
import pytest
import spacy
from helpers.tiny_transformers import BARE, KINDS, LONGEST
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.models import PADDED_BATCHES, PIECE_BATCHES, load_model
from spacy_domain_ner.tokenization import create_customize_tokenizer

piece_batches = pytest.importorskip(
    "spacy_domain_ner.components.piece_batches", reason="the transformers extra is not installed"
)
BYTES = {"@span_getters": "spacy_domain_ner.byte_windows.v1", "size": 500, "overlap": 120}
SENTENCES = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 7, "stride": 5}
TEXTS = [
    "Redis",
    "",
    "Kafka is down, and checkout-api with it.",
    " \n\t ",
    f"Redis lost /{'a/' * 700}x and checkout-api failed.",
    "GET /api/v2/orders/{id} failed " * 60,
    "Cafe\u0301 🚀 東京 ﬁ \u00a0 [SEP] <pad> </s>",
    "a  b\r\n\r\nc\u200bd",
    "ﷺ" * 30,
    *(f"{'word ' * number}x9" for number in range(40)),
]


@given(st.lists(st.integers(1, 600)), st.integers(1, 700))
def test_batches_take_each_window_once_in_the_order_of_length_and_no_more_than_fit(lengths, places):
    batches = list(piece_batches.batches(lengths, places))
    taken = [number for batch in batches for number in batch]
    assert sorted(taken) == list(range(len(lengths)))
    assert [lengths[number] for number in taken] == sorted(lengths)
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[number] for number in batch) <= places


def pipeline(folder, architecture: str, windows: dict) -> spacy.Language:
    nlp = create_customize_tokenizer()(spacy.blank("en"))
    model = {
        "@architectures": architecture, "name": str(folder), "get_spans": windows,
        "tokenizer_config": {"use_fast": True, "model_max_length": LONGEST},
    }  # fmt: skip
    nlp.add_pipe("transformer", config={"model": model, "max_batch_items": 100_000})
    nlp.initialize()
    return nlp


def vectors(doc) -> numpy.ndarray:
    """The mean of each token's word pieces."""
    data = doc._.trf_data
    if not len(data.align.lengths):
        return numpy.zeros((0, 0))
    flat = data.model_output.last_hidden_state.reshape(-1, data.width)
    ends = data.align.lengths.cumsum()
    rows = [flat[data.align.dataXd[end - count : end]] for end, count in zip(ends, data.align.lengths, strict=True)]
    return numpy.array([row.mean(axis=0) if len(row) else numpy.zeros(data.width) for row in rows])


@pytest.mark.parametrize("windows", [BYTES, SENTENCES], ids=["bytes", "tokens"])
@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_a_text_among_others_has_the_vectors_that_spacy_transformers_gives_it_alone(tiny, kind, windows):
    ours, theirs = (pipeline(tiny(kind), architecture, windows) for architecture in (PIECE_BATCHES, PADDED_BATCHES))
    for text, doc in zip(TEXTS, ours.pipe(TEXTS), strict=True):
        alone = theirs(text)
        assert doc.text == text
        numpy.testing.assert_array_equal(doc._.trf_data.align.lengths, alone._.trf_data.align.lengths)
        numpy.testing.assert_allclose(vectors(doc), vectors(alone), atol=2e-5)
        assert doc._.trf_data.wordpieces.strings == alone._.trf_data.wordpieces.strings


def test_few_places_are_padding(tiny):
    nlp = pipeline(tiny("wordpiece-cased"), PIECE_BATCHES, BYTES)
    transformer, places = nlp.get_pipe("transformer").model.transformer, []
    transformer.register_forward_pre_hook(
        lambda _, __, inputs: places.append(inputs["input_ids"].numel()), with_kwargs=True
    )
    # Of one number of tokens, and of very different numbers of pieces.
    texts = [f"{'Redis ' * number}{'zq9xk7wv' * (20 - number)} down" for number in range(20)] * 6
    pieces = sum(sum(doc._.trf_data.wordpieces.lengths) for doc in nlp.pipe(texts, batch_size=120))
    assert sum(places) < 1.1 * pieces
    assert max(places) <= piece_batches.PLACES_CPU


def test_a_model_of_before_is_loaded_with_batches_of_word_pieces_and_finds_the_same(trained, tmp_path):
    shutil.copytree(trained("byte-bpe", "spacy") / "training/model-best", tmp_path / "model")
    config = spacy.util.load_config(tmp_path / "model/config.cfg")
    del config["components"]["transformer"]["model"]["places"]
    config["components"]["transformer"]["model"]["@architectures"] = PADDED_BATCHES
    config.to_disk(tmp_path / "model/config.cfg")
    (tmp_path / "model/transformer/cfg").write_text('{"max_batch_items":512}', encoding="utf8")
    before, now = spacy.load(tmp_path / "model"), load_model(tmp_path / "model")
    assert before.get_pipe("transformer").cfg["max_batch_items"] == 512
    assert now.get_pipe("transformer").cfg["max_batch_items"] > 10_000
    assert now.config["components"]["transformer"]["model"]["@architectures"] == PIECE_BATCHES
    texts = [*TEXTS, *(passage.text for passage in passages(trained))]
    expected = [found(doc) for doc in before.pipe(texts)]
    assert [found(doc) for doc in now.pipe(texts)] == expected
    assert sum(map(len, expected)) >= 20


def passages(trained) -> list:
    from spacy_domain_ner.corpus import read_valid_passages

    return list(read_valid_passages(trained("byte-bpe", "spacy") / "train.jsonl"))


def found(doc) -> list[tuple[int, int, str]]:
    return [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
