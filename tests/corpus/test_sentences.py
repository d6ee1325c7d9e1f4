"""Cutting passages at sentence ends, and long texts in windows: nothing is lost, and no span is cut."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import sentences
from spacy_domain_ner.corpus.passage import PART_OF, PART_START, Passage, Span
from spacy_domain_ner.corpus.sentences import cut_at_sentences, windows

KEY = b"\1" * 16
TOKENIZER = spacy.blank("en").tokenizer


@pytest.mark.parametrize(
    ("text", "spans", "parts"),
    [
        ("Redis is down. Kafka is up.", [], ["Redis is down.", "Kafka is up."]),
        ("Redis is down.  \n Kafka is up!\n", [], ["Redis is down.", "Kafka is up!"]),
        ("No end here", [], ["No end here"]),
        ("One sentence.\n", [], ["One sentence.\n"]),
        ("First\n\nsecond", [], ["First", "second"]),
        ("Ask Dr. Smith, e.g. Redis. Done.", [], ["Ask Dr. Smith, e.g. Redis.", "Done."]),
        ("1. Introduction. It begins.", [], ["1. Introduction.", "It begins."]),
        ("Version 2.1 is out. Use v3.", [], ["Version 2.1 is out.", "Use v3."]),
        ("停了。好了。", [], ["停了。", "好了。"]),
        ("It is J. Doe. Yes.", [], ["It is J. Doe.", "Yes."]),
        # A span keeps sentences together.
        ("See Yahoo! Inc now. Bye.", ["Yahoo! Inc"], ["See Yahoo! Inc now.", "Bye."]),
        ("Not now. Then go. End it.", ["now. Then"], ["Not now. Then go.", "End it."]),
        ("x" * 600 + "\n" + "y" * 600 + "\nz", [], ["x" * 600, "y" * 600, "z"]),
        ("x\ny", [], ["x\ny"]),
    ],
)
def test_a_passage_is_cut_into_its_sentences(text: str, spans: list[str], parts: list[str]) -> None:
    found = [Span(text.index(mention), text.index(mention) + len(mention), "X") for mention in spans]
    cut = cut_at_sentences(Passage(text, found), KEY)
    assert [part.text for part in cut] == parts
    assert [part.surface(span) for part in cut for span in part.spans] == spans


@given(st.text("ab.!? \n。A", max_size=60), st.lists(st.tuples(st.integers(0, 59), st.integers(1, 20)), max_size=4))
def test_the_parts_have_all_text_and_all_spans(text: str, places: list[tuple[int, int]]) -> None:
    spans = [Span(start, min(start + size, len(text)), "X") for start, size in places if start < len(text)]
    spans = [s for s in spans if text[s.start : s.end] == text[s.start : s.end].strip()]
    parts = cut_at_sentences(Passage(text, spans[:2], {"a": 1}, {"id": 7}, unknown=spans[2:]), KEY)
    assert "".join("".join(part.text.split()) for part in parts) == "".join(text.split())
    if len(parts) > 1:
        assert [part.extra["id"] for part in parts] == [f"7-{number + 1}" for number in range(len(parts))]
        assert {part.meta[PART_OF] for part in parts} == {KEY.hex()}
        back = [
            Span(s.start + part.meta[PART_START], s.end + part.meta[PART_START], "X")
            for part in parts
            for s in [*part.spans, *part.unknown]
        ]
        assert sorted(back) == sorted(spans)
        assert all(s.end <= len(part.text) for part in parts for s in part.spans)


@pytest.mark.parametrize(
    ("text", "longest", "parts"),
    [
        ("", 5, [""]),
        ("fits", 4, ["fits"]),
        # At the last sentence end of the second half of the window.
        ("It is. Is it? No! Yes it is.", 20, ["It is. Is it? No! ", "Yes it is."]),
        ("He said «no.» Then it was over", 20, ["He said «no.» ", "Then it was over"]),
        ("A title\n\nText that is long", 14, ["A title\n\n", "Text that is ", "long"]),
        ("一二三。四五六七八九十", 6, ["一二三。", "四五六七八九", "十"]),
        # A small letter after a full stop: an abbreviation, perhaps, so the white space after it is as good.
        ("abcdef etc. and then", 18, ["abcdef etc. and ", "then"]),
        # A sentence that ends early leaves too small a window: the line end is later.
        ("A b. c d e f g h\ni j k l m n", 20, ["A b. c d e f g h\n", "i j k l m n"]),
        # No sentence end and no line end: white space, also in the first half.
        ("one two three four", 11, ["one two ", "three four"]),
        ("one twothreefourfive six", 18, ["one ", "twothreefourfive ", "six"]),
        # No white space: before a token.
        ("one,two,three,four", 12, ["one,two,", "three,four"]),
        # One token: nowhere else.
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
    ],
)
def test_a_long_text_is_cut_where_it_hurts_least(text: str, longest: int, parts: list[str]) -> None:
    assert [part for _, part in windows(text, longest, TOKENIZER)] == parts


@given(st.text(st.sampled_from("ab,. \n。😀\u0301"), max_size=60), st.integers(1, 20))
def test_windows_leave_nothing_out_and_none_is_too_long(text: str, longest: int) -> None:
    for tokenizer in (TOKENIZER, None):
        found = list(windows(text, longest, tokenizer))
        assert "".join(part for _, part in found) == text
        assert all(text.startswith(part, start) for start, part in found)
        assert all(len(part) <= longest for _, part in found)
        assert all(part for _, part in found) or not text


def test_a_long_run_without_white_space_is_cut_before_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentences, "_TOKENIZED", 20)
    text = "name=value;" * 100
    parts = [part for _, part in windows(text, 256, TOKENIZER)]
    assert len(parts) == 5
    whole = {token.idx for token in TOKENIZER(text)}
    starts = [start for start, _ in windows(text, 256, TOKENIZER)]
    assert set(starts) <= whole
