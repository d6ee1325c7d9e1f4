"""The three-way merge: what is kept, and where it conflicts."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.projects.merging import merge_lines

NAMES = ("yours", "template")


def lines(text: str) -> list[str]:
    return [f"{line}\n" for line in text.split()]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        pytest.param("a b c", "a B c", "a b c", "a B c", id="one side"),
        pytest.param("a b c d", "A b c d", "a b c D", "A b c D", id="two places"),
        pytest.param("note value end", "note VALUE end", "NOTE value end", "NOTE VALUE end", id="neighbouring lines"),
        pytest.param("a b c", "a b", "A b c", "A b", id="a deletion and a change"),
        pytest.param("a b c", "a B c", "a new b c", "a new B c", id="an insertion before a change"),
        pytest.param("a b c", "a B c", "a b new c", "a B new c", id="an insertion after a change"),
        pytest.param("a b", "a b mine", "first a b", "first a b mine", id="both ends"),
        pytest.param("a b c", "a X c", "a X c", "a X c", id="the same change"),
        pytest.param("a b", "a X b", "a X b", "a X b", id="the same insertion"),
        pytest.param("", "a", "", "a", id="an empty base"),
    ],
)
def test_what_does_not_overlap_is_merged(base, ours, theirs, merged):
    result = merge_lines(lines(base), lines(ours), lines(theirs), NAMES)
    assert result.lines == lines(merged)
    assert result.conflicts == []


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged", "places"),
    [
        pytest.param("a b c", "a X c", "a Y c", "a [ X = Y ] c", [2], id="one line"),
        pytest.param("a b", "a X b", "a Y b", "a [ X = Y ] b", [2], id="two insertions"),
        pytest.param("a b c", "a c", "a Y c", "a [ = Y ] c", [2], id="a deletion and a change"),
        pytest.param("a b c", "a c", "a new b c", "a [ = new b ] c", [2], id="an insertion before a deletion"),
        pytest.param("a b c", "a c", "a b new c", "a [ = b new ] c", [2], id="an insertion after a deletion"),
        pytest.param("a b c d e", "S X c d E", "S Y c d F", "S [ X = Y ] c d [ E = F ]", [2, 9], id="lines alike"),
        pytest.param("a b c d", "W d", "a X c d", "[ W = a X c ] d", [1], id="a change within a larger one"),
    ],
)  # fmt: skip
def test_what_overlaps_is_there_twice(base, ours, theirs, merged, places):
    markers = {"[\n": "<<<<<<< yours\n", "=\n": "=======\n", "]\n": ">>>>>>> template\n"}
    result = merge_lines(lines(base), lines(ours), lines(theirs), NAMES)
    assert result.lines == [markers.get(line, line) for line in lines(merged)]
    assert result.conflicts == places
    assert all(result.lines[place - 1] == "<<<<<<< yours\n" for place in result.conflicts)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("run old a b", "run old a b --mine", "run new a b", "run new a b --mine"),
        ("rate = 1  # old", "rate = 2  # old", "rate = 1  # new", "rate = 2  # new"),
        ("run a b", "run A b", "run X b", None),
        ("run a", "run a --mine", "run a --theirs", None),
        ("run a", "walk", "run b", None),
    ],
)
def test_a_line_that_both_changed_is_merged_by_its_words(base, ours, theirs, merged):
    result = merge_lines(*([f"{line}\n"] for line in (base, ours, theirs)), NAMES)
    assert result.lines == ([f"{merged}\n"] if merged else result.lines)
    assert (result.conflicts == []) == (merged is not None)


def test_a_last_line_without_a_line_end_stays_apart_from_the_markers():
    result = merge_lines(["a"], ["b"], ["c"], NAMES)
    assert result.lines == ["<<<<<<< yours\n", "b\n", "=======\n", "c\n", ">>>>>>> template\n"]


texts = st.lists(st.sampled_from([f"{letter}\n" for letter in "abcdef"]), max_size=8)


@given(texts, texts)
def test_what_one_side_left_alone_is_the_other_sides(base, changed):
    assert merge_lines(base, changed, base, NAMES).lines == changed
    assert merge_lines(base, base, changed, NAMES).lines == changed
    assert merge_lines(base, changed, changed, NAMES).lines == changed


@given(texts, texts, texts)
def test_no_line_that_a_side_added_is_lost(base, ours, theirs):
    result = merge_lines(base, ours, theirs, NAMES)
    for version in (ours, theirs):
        assert not Counter(version) - Counter(base) - Counter(result.lines)


@given(texts, texts, texts)
def test_the_sides_are_equals(base, ours, theirs):
    one, two = merge_lines(base, ours, theirs, NAMES), merge_lines(base, theirs, ours, NAMES)
    assert len(one.conflicts) == len(two.conflicts)
    if not one.conflicts:
        assert one.lines == two.lines
