"""Finding what a file's offsets count."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.cleaning import clean
from spacy_domain_ner.exchange.formats.version import RawSpan, Version
from spacy_domain_ner.exchange.policies import Overlaps, Policies
from spacy_domain_ner.text import trimmed

POLICIES = Policies(overlaps=Overlaps.keep)
PARTS = ["Redis", "billing-api", "down", "é", "e\u0301", "😀", "👩\u200d🔬", "𝒜", " ", "\r\n", "\n", "\t", ".", "北京"]
TEXTS = st.lists(st.sampled_from(PARTS), min_size=1, max_size=12).map("".join)


def counted(text: str, unit: str) -> int:
    """The length of a text by a unit."""
    return {
        "code-points": len,
        "utf-16": lambda text: len(text.encode("utf-16-le")) // 2,
        "utf-8": lambda text: len(text.encode()),
        "newlines-as-one": lambda text: len(text.replace("\r\n", "\n")),
    }[unit](text)


def found(text, start, end, claim=None, unit="auto", votes=None, inclusive=False):
    """The surface that a span turns out to have, and what is said of it."""
    version = Version(text)
    version.add_span(start, end, "A", claim, inclusive)
    cleaned = clean(version, Policies(offset_unit=unit), votes=votes)
    surfaces = [text[span.start : span.end] for span in cleaned.spans]
    return surfaces[0] if surfaces else None, [str(note) for note in cleaned.changed + cleaned.refused]


@pytest.mark.parametrize("unit", offsets.UNITS)
@given(text=TEXTS.filter(str.strip), data=st.data())
def test_offsets_in_a_named_unit_point_to_the_same_characters(unit, text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    inside_a_line_end = unit == "newlines-as-one" and any(
        text[place - 1 : place + 1] == "\r\n" for place in (start, end) if place
    )
    if trimmed(text, start, end) != (start, end) or inside_a_line_end:
        return
    version = Version(text)
    version.add_span(counted(text[:start], unit), counted(text[:end], unit), "A")
    cleaned = clean(version, Policies(offset_unit=unit))
    assert cleaned.spans == [Span(start, end, "A")]


@pytest.mark.parametrize("unit", offsets.UNITS)
@given(text=TEXTS, data=st.data())
def test_a_claimed_text_is_found_by_whichever_unit_leads_to_it(unit, text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    surface = text[start:end]
    raw = RawSpan(counted(text[:start], unit), counted(text[:end], unit), "A", surface)
    place = offsets.claimed_place(text, raw)
    if surface.strip() and "\r" not in (text[start - 1 : start], surface[-1:]):
        assert place is not None
        assert text[place[0] : place[1]].split() == surface.split()


@given(text=TEXTS, start=st.integers(-3, 60), end=st.integers(-3, 60), claim=st.none() | TEXTS, inclusive=st.booleans())
def test_no_offsets_lead_out_of_the_text_or_to_white_space(text, start, end, claim, inclusive):
    version = Version(text)
    version.add_span(start, end, "A", claim, inclusive)
    cleaned = clean(version, POLICIES)
    assert len(cleaned.spans) + len(cleaned.refused) == 1
    for span in cleaned.spans:
        assert 0 <= span.start < span.end <= len(text)
        assert text[span.start : span.end] == text[span.start : span.end].strip() != ""


@pytest.mark.parametrize(
    ("text", "start", "end", "expected", "unit"),
    [
        pytest.param("😀 Redis", 2, 7, "Redis", "", id="code points"),
        pytest.param("😀 Redis", 3, 8, "Redis", "UTF-16", id="UTF-16 units"),
        pytest.param("😀 Redis and Kafka", 13, 18, "Kafka", "UTF-16", id="UTF-16 units later"),
        pytest.param("👩‍🔬 Redis", 6, 11, "Redis", "UTF-16", id="a sequence of several"),
        pytest.param("a\r\nb\r\nRedis", 4, 9, "Redis", "line end", id="line ends as one"),
        pytest.param("a\r\nb\r\nRedis", 6, 11, "Redis", "", id="line ends as two"),
        pytest.param("é Redis", 2, 7, "Redis", "", id="accents are no reason to doubt"),
        pytest.param("e\u0301 Redis", 3, 8, "Redis", "", id="nor are combining marks"),
        pytest.param("Redis😀", 0, 5, "Redis", "", id="before the first that differs"),
        pytest.param("😀 Redis", 3, 99, None, "outside", id="outside by any unit"),
        pytest.param("Kafkas 😀", 0, 5, "Kafka", "", id="part of a word, nothing before it"),
    ],
)
def test_without_a_claim_the_unit_is_that_by_which_spans_stand_on_words(text, start, end, expected, unit):
    surface, said = found(text, start, end)
    assert surface == expected
    assert [unit in reason for reason in said] == ([True] if unit else [])


def test_bytes_are_never_guessed_but_believed_where_the_claim_says_so():
    assert found("é Redis fails", 3, 8)[0] == "edis"
    surface, said = found("é Redis fails", 3, 8, "Redis")
    assert (surface, "bytes" in said[0]) == ("Redis", True)


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        pytest.param({}, "b", id="nobody says"),
        pytest.param({"utf-16": 40}, "a", id="all others"),
        pytest.param({"utf-16": 95, "code-points": 5}, "a", id="nearly all others"),
        pytest.param({"utf-16": 60, "code-points": 40}, "b", id="the others are of two minds"),
    ],
)
def test_a_span_that_fits_by_several_units_is_read_as_the_files_others(votes, expected):
    assert found("😀😀 a b c", 5, 6, votes=Counter(votes))[0] == expected


@pytest.mark.parametrize(
    ("claim", "end", "inclusive", "expected", "said"),
    [
        pytest.param("Redis", 5, False, "Redis", "", id="exclusive, as usual"),
        pytest.param("Redis", 4, False, "Redis", "last character as the end", id="inclusive by the claim"),
        pytest.param("Redis", 4, True, "Redis", "", id="inclusive, as the format says"),
        pytest.param("Redis", 5, True, "Redis", "past their last character", id="exclusive by the claim"),
        pytest.param(None, 4, True, "Redis", "", id="inclusive, no claim"),
    ],
)
def test_ends_are_inclusive_where_the_format_or_the_claim_says_so(claim, end, inclusive, expected, said):
    surface, reasons = found("Redis, Kafka", 0, end, claim, inclusive=inclusive)
    assert surface == expected
    assert [said in reason for reason in reasons] == ([True] if said else [])


@pytest.mark.parametrize(
    ("text", "start", "end", "claim", "expected", "said"),
    [
        pytest.param(
            "the Redis Cluster", 2, 7, "Redis", "Redis", "the only place of its text", id="moved to the only place"
        ),
        pytest.param(
            "the Redis\nCluster", 1, 12, "Redis Cluster", "Redis\nCluster", "the only place", id="white space"
        ),
        pytest.param("Redis or Redis", 1, 4, "Redis", "edi", "as its text", id="two places: offsets kept"),
        pytest.param(
            "the Redis Cluster", 4, 9, "Valkey", "Redis", "the file gives 'Valkey' as its text", id="not there"
        ),
        pytest.param("the Redis Cluster", 4, 9, "Cluster", "Redis", "as its text", id="on words: offsets kept"),
        pytest.param("the Redises here", 2, 7, "Redis", "e Red", "as its text", id="only inside a word"),
        pytest.param("the Redis Cluster", 40, 45, "Redis", "Redis", "the only place", id="outside, but there once"),
        pytest.param("the Redis Cluster", 40, 45, "Valkey", None, "lies outside", id="outside, and not there"),
    ],
)
def test_a_stale_claim_moves_a_span_only_where_it_stands_badly(text, start, end, claim, expected, said):
    surface, reasons = found(text, start, end, claim)
    assert surface == expected
    assert [said in reason for reason in reasons] == [True]


def test_a_unit_that_is_named_is_not_doubted():
    text = "😀 Redis fails"
    assert found(text, 3, 8, unit="code-points")[0] == "edis"
    assert found(text, 3, 8, unit="utf-16") == ("Redis", [])
    assert "lies outside" in found(text, 1, 8, unit="utf-16")[1][0]
