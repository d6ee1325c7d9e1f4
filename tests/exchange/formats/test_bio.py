"""Tags of tokens as spans, in every scheme."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.exchange.formats.bio import (
    UNTYPED,
    BadTagError,
    decode_tags,
    find_tagging,
    parse_tag,
    tags_of_brackets,
)

LABELS = st.sampled_from(["PER", "B-x", "cell_type", "big org"])


@pytest.mark.parametrize(
    ("tags", "spans", "repaired"),
    [
        pytest.param("I-A O I-B B-B", [(0, 0, "A"), (2, 2, "B"), (3, 3, "B")], 2, id="IOB1"),
        pytest.param("B-A I-A O B-B B-B", [(0, 1, "A"), (3, 3, "B"), (4, 4, "B")], 0, id="IOB2"),
        pytest.param("S-A S-A B-B I-B E-B", [(0, 0, "A"), (1, 1, "A"), (2, 4, "B")], 0, id="BIOES"),
        pytest.param("U-A U-A B-B I-B L-B", [(0, 0, "A"), (1, 1, "A"), (2, 4, "B")], 0, id="BILUO"),
        pytest.param("W-A B-B M-B E-B", [(0, 0, "A"), (1, 3, "B")], 0, id="BMEWO"),
        pytest.param("S-A B-B M-B M-B E-B", [(0, 0, "A"), (1, 4, "B")], 0, id="BMES"),
        pytest.param("B_A I_A O", [(0, 1, "A")], 0, id="an underscore"),
        pytest.param("B-A I-B", [(0, 0, "A"), (1, 1, "B")], 1, id="I of another type"),
        pytest.param("B-A O I-A", [(0, 0, "A"), (2, 2, "A")], 1, id="I after a gap"),
        pytest.param("E-A E-A", [(0, 0, "A"), (1, 1, "A")], 2, id="E without B"),
        pytest.param("B-A E-A I-A", [(0, 1, "A"), (2, 2, "A")], 1, id="I after E"),
        pytest.param("S-A I-A", [(0, 0, "A"), (1, 1, "A")], 1, id="I after S"),
        pytest.param("B-A B-A", [(0, 0, "A"), (1, 1, "A")], 0, id="B after B"),
        pytest.param("B-A - I-A", [(0, 0, "A"), (2, 2, "A")], 1, id="I after what is not known"),
        pytest.param("B-x-y I-x-y B-x", [(0, 1, "x-y"), (2, 2, "x")], 0, id="a label with a hyphen"),
        pytest.param("A A O B B A", [(0, 1, "A"), (3, 4, "B"), (5, 5, "A")], 0, id="types alone"),
        pytest.param("O O", [], 0, id="nothing"),
        pytest.param("", [], 0, id="no token"),
    ],
)
def test_tags_become_spans(tags, spans, repaired):
    assert decode_tags(tags.split()) == (spans, repaired)


def test_a_type_alone_where_others_have_prefixes_is_an_error():
    with pytest.raises(BadTagError, match="'PER' is not a tag"):
        decode_tags(["B-A", "PER"])


@pytest.mark.parametrize(
    ("column", "scheme", "canonical"),
    [
        pytest.param("B-A I-A O", "IOB2", "B-A I-A O", id="IOB2"),
        pytest.param("I-A O I-B", "IOB1", "I-A O I-B", id="IOB1"),
        pytest.param("B-A E-A S-B O", "BIOES", "B-A E-A S-B O", id="BIOES"),
        pytest.param("B-A L-A U-B O", "BILUO", "B-A L-A U-B O", id="BILUO"),
        pytest.param("B-A M-A E-A O", "BMES", "B-A M-A E-A O", id="BMES"),
        pytest.param("b-per i-per o o", "IOB2", "B-per I-per O O", id="lower case"),
        pytest.param("PER-B PER-I O", "IOB2", "B-PER I-PER O", id="suffixes"),
        pytest.param("B I O", "IOB2 without types", f"B-{UNTYPED} I-{UNTYPED} O", id="no types"),
        pytest.param("A A O O O", "IO", "A A O O O", id="types alone"),
        pytest.param("O O O", "no tags but O", "O O O", id="only O"),
        pytest.param("B-A _ _ _", "IOB2", "B-A O O O", id="an underscore outside"),
        pytest.param("B-A - - -", "IOB2", "B-A O O O", id="a hyphen outside"),
        pytest.param("B-A O - O", "IOB2", "B-A O - O", id="a hyphen where nothing is known"),
        pytest.param("E-mail Person O O O O", "IO", "E-mail Person O O O O", id="a type like a tag"),
    ],
)
def test_how_tags_are_written_is_told_by_the_column(column, scheme, canonical):
    tagging = find_tagging(column.split())
    assert tagging is not None
    assert tagging.scheme == scheme
    assert " ".join(str(tagging.read(value)) for value in column.split()) == canonical


@pytest.mark.parametrize(
    "column",
    [
        pytest.param("NNP VBZ NN NN", id="parts of speech"),
        pytest.param("the cat sat down", id="words"),
        pytest.param("_ _ _ _", id="nothing given"),
        pytest.param("- - -", id="nothing known"),
        pytest.param("B M S M", id="sizes"),
        pytest.param("", id="an empty column"),
        pytest.param(" ".join([*(f"w{i}" for i in range(300)), *["O"] * 300]), id="too many types"),
    ],
)
def test_what_are_no_tags_is_not_taken_for_them(column):
    assert find_tagging(column.split()) is None


@pytest.mark.parametrize(
    ("column", "tags"),
    [
        pytest.param("* (PER* *) * (ORG)", "O B-PER I-PER O B-ORG", id="CoNLL-2012"),
        pytest.param("(PER*) (PER* * *)", "B-PER B-PER I-PER I-PER", id="CoNLL-2002"),
        pytest.param("(PER* (ORG*) -", "B-PER B-ORG -", id="one that does not end, and nothing known"),
    ],
)
def test_brackets_are_read_as_tags_with_prefixes(column, tags):
    assert find_tagging(column.split()).style == "brackets"
    assert tags_of_brackets(column.split()) == tags.split()


@given(
    lengths=st.lists(st.tuples(st.integers(1, 4), LABELS | st.none()), max_size=8),
    scheme=st.sampled_from(["BIIB", "BIES", "BILU", "BMES"]),
)
def test_whatever_scheme_spans_are_written_in_they_come_back(lengths, scheme):
    first, middle, last, single = scheme
    tags, spans = [], []
    for length, label in lengths:
        if label is None:
            tags += ["O"] * length
            continue
        spans.append((len(tags), len(tags) + length - 1, label))
        prefixes = single if length == 1 else first + middle * (length - 2) + last
        tags += [f"{prefix}-{label}" for prefix in prefixes]
    assert decode_tags(tags) == (spans, 0)
    assert all(parse_tag(tag)[0] in "BIESLUMO" for tag in tags)


@pytest.mark.parametrize(
    ("column", "types", "style"),
    [
        pytest.param("O O B-cell B-cell O", {"B-cell", "T-cell"}, "types", id="a type that begins like a tag"),
        pytest.param("O O B-cell B-cell O", {"cell"}, "prefixes", id="the same with another type"),
        pytest.param("O O B S O B O", {"B", "S"}, "types", id="types of one letter"),
        pytest.param("O O B I O B O", {"INFRA"}, "bare", id="prefixes alone"),
        pytest.param("O O B-E-mail I-E-mail O", {"E-mail"}, "prefixes", id="a tag of such a type"),
        pytest.param("O O E-mail E-mail O PER O", {"E-mail", "PER"}, "types", id="among others"),
        pytest.param("B-cell B-cell E-cell O", {"B-cell", "E-cell"}, "types", id="of most tokens"),
        pytest.param("B-cell B-cell", {"B-cell"}, "types", id="of all tokens"),
    ],
)
def test_a_known_type_that_is_named_like_a_tag_is_a_type(column, types, style):
    assert find_tagging(column.split(), types).style == style
