"""Between characters, spaCy's tokens and a tokenizer's word pieces, in text that has more than plain letters."""

from types import SimpleNamespace

import numpy
import pytest
import spacy
from helpers.tiny_transformers import BARE, KINDS
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spacy_domain_ner.components.huggingface_ner import HuggingFaceNER, decode, encode, first_pieces
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.text import without_invisible
from spacy_domain_ner.tokenization import create_customize_tokenizer
from spacy_domain_ner.training.huggingface import Section, tagged, tagged_windows

REASON = "the transformers extra is not installed"
torch = pytest.importorskip("torch", reason=REASON)
spacy_align = pytest.importorskip("spacy_transformers.align", reason=REASON)
transformer_model = pytest.importorskip("spacy_transformers.layers.transformer_model", reason=REASON)
windows_of_bytes = pytest.importorskip("spacy_domain_ner.components.byte_windows", reason=REASON)

NLP = create_customize_tokenizer()(spacy.blank("en"))
FRAGMENTS = {
    "plain words": "The checkout-api is down",
    "a path": "GET /api/v2/orders/{id}?expand=items,lines&sha=0a1b2c3d4e5f",
    "accents, composed": "café Zürich naïve Ångström",
    "accents, decomposed": "cafe\u0301 Zu\u0308rich nai\u0308ve A\u030angstro\u0308m",
    "emoji": "🚀 deploy 🎉🎉 done👍",
    "emoji of several characters": "👨‍👩‍👧 🏳️‍🌈 1️⃣ 👍🏽",
    "astral letters": "𝒳𝒴 𐍈𐌰 𠀀𠀁",
    "carriage returns": "one\r\ntwo\r\n\r\nthree",
    "tabs": "\tkey\t=\tvalue",
    "double blanks": "a  b   c ",
    "blanks of other kinds": "a\u00a0b\u2003c\u3000d\u200be\u2028f",
    "CJK": "東京都の服务器 서버 ひらがな",
    "ligatures and such": "ﬁle ﬃ ½ ① ㍿ Ⅷ ™ … ﷺ",
    "right to left": "שרת الخادم",
    "brackets": "(x)()[]{}<>",
    "what tokenizers take for their own": "[CLS] <s> [UNK] </s> ▁ Ġ [MASK] ##ing",
    "control characters": "a\x00b\x07c\x1f d\ufeff e\ufffd",
    "a blank before a combining mark": "a \u0301b",
}
TEXTS = [*FRAGMENTS.values(), " ".join(FRAGMENTS.values()), "  ".join(reversed(FRAGMENTS.values()))]


@pytest.fixture(scope="module")
def tokenizers(tiny):
    from transformers import AutoTokenizer

    return {kind: AutoTokenizer.from_pretrained(tiny(kind)) for kind in (*KINDS, *BARE)}


def offsets_without_blanks(text: str, offset) -> tuple[int, int]:
    start, end = map(int, offset)
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


@pytest.mark.parametrize("kind", [*KINDS, *BARE])
@pytest.mark.parametrize("text", TEXTS, ids=[*FRAGMENTS, "all", "all, reversed"])
def test_spacy_transformers_gives_each_token_the_word_pieces_of_its_characters(tokenizers, kind, text):
    """And with DeBERTa's tokenizer one more: the first piece of the next word.

    Its pieces count the blank before a word as theirs, and spacy-transformers counts the blank behind a token as the
    token's. So the ids of those pieces are in the alignment twice (spaCy issue 13730). No token is without its own
    pieces and nothing is out of place: what the entity recognizer reads of a token is the mean of its pieces and of the
    next word's first. It does so in training, too. The blur is there, but the same on both sides.
    """
    doc = NLP.make_doc(text)
    [windows] = windows_of_bytes.create_byte_windows(100, 30)([doc])
    encoded = transformer_model.huggingface_tokenize(tokenizers[kind], [window.text for window in windows])
    alignment = spacy_align.get_alignment_via_offset_mapping(windows, encoded["offset_mapping"])
    pieces = [
        (row, *offset)
        for row, (window, offsets) in enumerate(zip(windows, encoded["offset_mapping"], strict=True))
        for offset in (
            (number + window.start_char for number in (*offsets_without_blanks(window.text, offset), *map(int, offset)))
            if offset[1] > offset[0]
            else (-1, -1, -1, -1)
            for offset in offsets
        )
    ]
    ends = numpy.cumsum(alignment.lengths)
    for token, length, end in zip(doc, alignment.lengths, ends, strict=True):
        if token.is_space:
            continue
        aligned = set(alignment.data[end - length : end].ravel().tolist())
        stop = token.idx + len(token)
        own = {
            number
            for number, (row, start, behind, _, _) in enumerate(pieces)
            if token in windows[row] and start < stop and behind > token.idx
        }
        assert own <= aligned, token
        for number in aligned - own:
            assert kind.startswith("sentencepiece"), token
            # The piece begins with the blank behind the token.
            assert pieces[number][3] == stop
            assert token.whitespace_ or doc[token.i + 1].is_space


def numbers_of_labels() -> dict[str, int]:
    return {"O": 0, "B-A": 1, "I-A": 2, "B-B": 3, "I-B": 4}


class Oracle:
    """Stands for a model that has learned everything: it gives each window the tags that training shows it."""

    device = torch.device("cpu")
    config = SimpleNamespace(
        id2label={number: tag for tag, number in numbers_of_labels().items()}, label2id=numbers_of_labels()
    )

    def __init__(self, windows: list[dict]) -> None:
        self.answers = {tuple(window["input_ids"]): window["labels"] for window in windows}
        # The same word pieces with other tags: no model could tell them apart.
        self.can_know = all(self.answers[tuple(window["input_ids"])] == window["labels"] for window in windows)

    def __call__(self, input_ids, attention_mask, **_):
        scores = torch.zeros(*input_ids.shape, len(self.config.id2label))
        for row, (ids, mask) in enumerate(zip(input_ids.tolist(), attention_mask.tolist(), strict=True)):
            answer = self.answers[tuple(ids[: sum(mask)])]
            for number, label in enumerate(answer):
                # The special pieces have no tag: whatever a model says there must not matter.
                scores[row, number, label if label >= 0 else 1] = 50.0
        return SimpleNamespace(logits=scores)


def through_tags(tokenizer, doc, spans: list[Span], max_length: int, overlap: int) -> list | None:
    """Spans to the word pieces' tags, as training makes them, and back, as prediction reads them.

    RETURNS: The entities; None where two windows are the same and their tags are not.
    """
    windows = encode(tokenizer, [doc.text], max_length, overlap)
    component = HuggingFaceNER(doc.vocab, max_length=max_length, overlap=overlap)
    component.tokenizer = tokenizer
    component.model = Oracle([tagged(window, spans, numbers_of_labels()) for window in windows])
    component.tags = list(numbers_of_labels())
    if not component.model.can_know:
        return None
    [found] = component.predict([doc])
    return list(found)


def real_pieces(tokenizer, text: str) -> list[tuple[int, int]]:
    """Start and end of the word pieces that stand for characters, of the whole text."""
    found = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    offsets = (offsets_without_blanks(text, offset) for offset in found)
    return [(start, end) for start, end in offsets if end > start]


@st.composite
def passages(draw) -> str:
    parts = draw(st.lists(st.sampled_from([*FRAGMENTS.values(), "x" * 40, "/a/b/c/d/e/f/g/h/i/j/k/l"]), min_size=1))
    return draw(st.sampled_from(["", " ", "  ", "\r\n"])).join(parts[:8])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=passages(), data=st.data(), windows=st.sampled_from([(512, 64), (24, 8), (12, 4), (24, 0)]))
def test_spans_come_back_as_they_went_in(tokenizers, kind, text, data, windows):
    # What nobody sees is not read: then the windows of the text are others.
    assume(without_invisible(text) == text)
    tokenizer = tokenizers[kind]
    doc = NLP.make_doc(text)
    pieces = real_pieces(tokenizer, text)
    seen = [any(s < token.idx + len(token) and e > token.idx for s, e in pieces) for token in doc]
    # A span can begin where a token does that has word pieces, and no piece belongs to the token before as well.
    cut = {len(doc)} | {
        number for number, token in enumerate(doc) if not any(start < token.idx < end for start, end in pieces)
    }
    seen_tokens = [number for number, is_seen in enumerate(seen) if is_seen and doc[number].text.strip()]
    assume(seen_tokens)
    spans, expected, free = [], [], 0
    for _ in range(data.draw(st.integers(1, 6))):
        starts = [number for number in seen_tokens if number >= free and number in cut]
        if not starts:
            break
        start = data.draw(st.sampled_from(starts))
        ends = [number + 1 for number in seen_tokens if number >= start and number + 1 in cut][:8]
        if not ends:
            break
        free = data.draw(st.sampled_from(ends))
        label = data.draw(st.sampled_from("AB"))
        spans.append(Span(doc[start].idx, doc[free - 1].idx + len(doc[free - 1]), label))
        expected.append((start, free, label))
    found = through_tags(tokenizer, doc, spans, *windows)
    assume(found is not None)
    assert found == expected


@pytest.mark.parametrize("kind", KINDS)
def test_spans_at_the_edges_of_windows_come_back(tokenizers, kind):
    # Every other word is one: wherever a window begins and ends, a span lies there.
    text = " ".join(f"checkout-api-{number} and" for number in range(60))
    doc = NLP.make_doc(text)
    spans = [Span(token.idx, token.idx + len(token), "AB"[token.i // 2 % 2]) for token in doc if token.i % 2 == 0]
    expected = [(token.i, token.i + 1, "AB"[token.i // 2 % 2]) for token in doc if token.i % 2 == 0]
    for max_length in (16, 17, 18, 19, 64, 512):
        for overlap in (0, 1, 4, 12):
            assert through_tags(tokenizers[kind], doc, spans, max_length, overlap) == expected, (max_length, overlap)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_longer_than_a_window_comes_back(tokenizers, kind):
    text = f"/{'a/b-c_' * 40}x /{'d/e-f_' * 40}y"
    doc = NLP.make_doc(text)
    assert len(doc) == 2
    spans = [Span(token.idx, token.idx + len(token), "A") for token in doc]
    assert through_tags(tokenizers[kind], doc, spans, 32, 8) == [(0, 1, "A"), (1, 2, "A")]


@pytest.mark.parametrize(("max_length", "overlap"), [(16, 4), (16, 100), (3, 0), (100_000, 64)])
@pytest.mark.parametrize("kind", [*KINDS, *BARE])
def test_windows_of_word_pieces_cover_the_text_and_are_never_too_long(tokenizers, kind, max_length, overlap):
    text = " ".join(FRAGMENTS.values())
    windows = encode(tokenizers[kind], [text, "", text], max_length, overlap)
    assert {window["text"] for window in windows} == {0, 1, 2}
    covered = {tuple(offset) for window in windows if window["text"] == 2 for offset in window["offsets"].tolist()}
    assert covered >= set(real_pieces(tokenizers[kind], text))
    for window in windows:
        assert len(window["input_ids"]) == len(window["offsets"]) <= max_length
        # first_pieces finds a token's by their ends.
        ends = window["offsets"][window["offsets"][:, 1] > 0, 1]
        assert (numpy.diff(ends) >= 0).all()


def test_no_texts_make_no_windows(tokenizers):
    assert encode(tokenizers["wordpiece-cased"], [], 16, 4) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_span_that_misses_tokens_is_tagged_by_its_characters(tokenizers, kind):
    [window] = encode(tokenizers[kind], ["see checkout now"], 32, 4)
    labels = tagged(window, [Span(6, 10, "A")], numbers_of_labels())["labels"]
    touched = [
        number
        for number, (start, end) in enumerate(window["offsets"].tolist())
        if end > start and start < 10 and end > 6
    ]
    assert [labels[number] for number in touched] == [1, *[2] * (len(touched) - 1)]
    assert {label for number, label in enumerate(labels) if number not in touched} == {0, -100}


def test_passages_of_which_nothing_but_rejected_suggestions_is_known_make_no_windows(tokenizers):
    text = "see checkout now"
    passages = [
        Passage(text, unknown=[Span(0, len(text), "")], incorrect=[Span(4, 12, "A")]),
        Passage(text, [Span(4, 12, "A")], unknown=[Span(0, 3, "")]),
    ]
    section = Section(name="tiny", max_length=32, overlap=4)
    [window] = tagged_windows(tokenizers[KINDS[0]], numbers_of_labels(), passages, section)
    assert 1 in window["labels"]


@pytest.mark.parametrize("kind", KINDS)
def test_word_pieces_of_unknown_parts_teach_nothing(tokenizers, kind):
    [window] = encode(tokenizers[kind], ["see checkout now"], 32, 4)
    known, labels = (
        tagged(window, [Span(0, 3, "A")], numbers_of_labels(), unknown)["labels"]
        for unknown in ((), (Span(2, 10, ""),))
    )
    for number, (start, end) in enumerate(window["offsets"].tolist()):
        inside = end > start and 3 <= start < 10
        assert labels[number] == (-100 if inside else known[number])


@pytest.mark.parametrize(
    ("tags", "real", "spans"),
    [
        ("O O", None, []),
        ("B-A I-A O", None, [(0, 2, "A")]),
        ("B-A B-A I-A", None, [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A O I-B", None, [(0, 2, "A"), (3, 4, "B")]),
        ("B-A I-B I-A", None, [(0, 1, "A"), (1, 2, "B"), (2, 3, "A")]),
        ("B-A O I-A", "101", [(0, 3, "A")]),
        ("B-A B-B I-A", "101", [(0, 3, "A")]),
        ("B-A O O", "100", [(0, 1, "A")]),
        ("O B-A I-A", "010", [(1, 2, "A")]),
        ("", None, []),
    ],
)
def test_tags_are_read_as_entities(tags, real, spans):
    counts = [mark == "1" for mark in real] if real else None
    assert list(decode(tags.split(), counts)) == spans


def test_each_token_gets_its_first_piece():
    tokens = numpy.array([(0, 3), (3, 3), (4, 9), (9, 10), (12, 14)])
    pieces = numpy.array([(0, 0), (0, 3), (4, 6), (6, 10), (0, 0)])
    numbers, found = first_pieces(tokens, pieces)
    assert (numbers.tolist(), found.tolist()) == ([0, 2, 3], [1, 2, 3])
    for empty in (tokens[:0], tokens):
        assert not len(first_pieces(empty, pieces[:1])[0])
