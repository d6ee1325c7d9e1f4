"""What is read at once: batches that end by number or by size, and windows that are cut where it hurts least."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.extraction import batches
from spacy_domain_ner.extraction.batches import in_batches, windows

TOKENIZER = spacy.blank("en").tokenizer


def test_a_batch_ends_by_the_number_of_its_items_or_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 100)
    sizes = [10, 10, 10, 10, 90, 20, 500, 1]
    items = [f"{number}" + "x" * (size - 1) for number, size in enumerate(sizes, 1)]
    assert [[item[0] for item in batch] for batch in in_batches(items, 3, len)] == [
        ["1", "2", "3"],
        ["4", "5"],
        ["6", "7"],
        ["8"],
    ]


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
    found = list(windows(text, longest, TOKENIZER))
    assert "".join(part for _, part in found) == text
    assert all(text.startswith(part, start) for start, part in found)
    assert all(len(part) <= longest for _, part in found)
    assert all(part for _, part in found) or not text


def test_a_long_run_without_white_space_is_cut_before_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_TOKENIZED", 20)
    text = "name=value;" * 100
    parts = [part for _, part in windows(text, 256, TOKENIZER)]
    assert len(parts) == 5
    whole = {token.idx for token in TOKENIZER(text)}
    starts = [start for start, _ in windows(text, 256, TOKENIZER)]
    assert set(starts) <= whole
