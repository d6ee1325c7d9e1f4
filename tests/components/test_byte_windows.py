"""Windows of bytes: they cover everything, and no tokenizer makes more of them than a transformer reads."""

import random
from itertools import pairwise

import pytest
import spacy
from helpers.tiny_transformers import BARE, KINDS, LONGEST
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_domain_ner.tokenization import create_customize_tokenizer

windows_of_bytes = pytest.importorskip(
    "spacy_domain_ner.components.byte_windows", reason="the transformers extra is not installed"
)
create_byte_windows = windows_of_bytes.create_byte_windows
VOCAB = spacy.blank("en").vocab
WORDS = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12), st.booleans()), max_size=60
)


def size_of(text: str) -> int:
    return len(text.encode("utf8"))


@given(WORDS, st.integers(1, 60), st.integers(0, 59))
@settings(max_examples=300)
def test_windows_cover_every_token_fit_and_overlap(words, size, overlap):
    overlap = min(overlap, size - 1)
    doc = Doc(VOCAB, words=[word for word, _ in words], spaces=[blank for _, blank in words])
    [windows] = create_byte_windows(size, overlap)([doc])
    assert sorted({token.i for window in windows for token in window}) == list(range(len(doc)))
    for window in windows:
        assert len(window) == 1 or size_of(window.text) <= size
    for before, after in pairwise(windows):
        # Each reaches beyond the one before, so there is an end of it, and none is inside another.
        assert before.start < after.start <= before.end < after.end
        shared = size_of(doc[after.start : before.end].text_with_ws)
        assert shared <= overlap
        one_more = size_of(doc[after.start - 1 : before.end].text_with_ws)
        with_the_next = one_more + size_of(doc[before.end].text_with_ws)
        # As much as was asked for, unless a token more would be too much, or would leave nothing but the window before.
        assert one_more > overlap or with_the_next > size or after.start - 1 == before.start


@pytest.mark.parametrize(("size", "overlap"), [(100, 100), (100, 120), (100, -1), (0, 0), (-5, 0)])
def test_windows_that_would_never_end_are_refused(size, overlap):
    with pytest.raises(ValueError, match="must be 0 or more, and less than size"):
        create_byte_windows(size, overlap)


def test_a_text_of_two_thousand_windows_takes_no_time():
    doc = Doc(VOCAB, words=["word"] * 200_000)
    [windows] = create_byte_windows()([doc])
    assert 2000 < len(windows) < 4000


def long_passage() -> str:
    """About 3,000 characters of paths, hashes and ordinary words, as in a log."""
    choose = random.Random(0)
    parts: list[str] = []
    while len(" ".join(parts)) < 3000:
        names = ["api", "v2", "orders", "{id}", "_x9", "änd"]
        path = "/".join(choose.choice(names) for _ in range(choose.randint(2, 60)))
        digits = "".join(choose.choice("0123456789abcdef") for _ in range(choose.choice([7, 40, 64])))
        parts += [f"GET /{path}?sha256={digits}", "failed with", digits, "in checkout-api."]
    return " ".join(parts)


def tokens_that_are_cut_off(kind_folder, get_spans: dict, text: str, **tokenizer) -> tuple[int, list[str]]:
    """RETURNS: The most word pieces in a window as the tokenizer makes them, and the tokens without any in the end."""
    nlp = create_customize_tokenizer()(spacy.blank("en"))
    model = {"name": str(kind_folder), "get_spans": get_spans, "tokenizer_config": {"use_fast": True, **tokenizer}}
    transformer = nlp.add_pipe("transformer", config={"model": model})
    nlp.initialize()
    doc = nlp(text)
    windows = transformer.model.attrs["get_spans"]([doc])[0]
    most = max(len(ids) for ids in transformer.model.tokenizer([window.text for window in windows])["input_ids"])
    lengths = doc._.trf_data.align.lengths
    assert len(lengths) == len(doc)
    return most, [token.text for token, pieces in zip(doc, lengths, strict=True) if not pieces and not token.is_space]


BYTES = {"@span_getters": "spacy_domain_ner.byte_windows.v1", "size": 500, "overlap": 120}
TOKENS = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}


@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_no_window_has_more_word_pieces_than_the_transformer_reads(tiny, kind):
    most, lost = tokens_that_are_cut_off(tiny(kind), BYTES, long_passage())
    assert most <= LONGEST
    assert lost == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_of_so_many_tokens_does_overflow(tiny, kind):
    # What byte windows are for (spaCy issue 12622).
    most, lost = tokens_that_are_cut_off(tiny(kind), TOKENS, long_passage())
    assert most > LONGEST
    assert lost


@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_a_token_longer_than_a_window_is_seen_by_its_beginning_and_its_neighbours_whole(tiny, kind):
    text = f"Redis lost /{'a/' * 700}x and checkout-api failed."
    # As configure tells it where a model's folder does not.
    _, lost = tokens_that_are_cut_off(tiny(kind), BYTES, text, model_max_length=LONGEST)
    assert lost == []


@pytest.mark.parametrize("kind", KINDS)
def test_empty_texts_beside_others_and_texts_of_blanks_go_through(tiny, kind):
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {"name": str(tiny(kind)), "get_spans": BYTES}})
    nlp.initialize()
    texts = ["", "Redis", " \n\t ", "", "\u00a0", "Kafka is down"]
    for docs in (list(nlp.pipe(texts)), list(nlp.pipe(texts, batch_size=1)), [nlp(text) for text in texts]):
        assert [len(doc._.trf_data.align.lengths) for doc in docs] == [len(doc) for doc in docs]
