"""Quotes are found in the passage, exactly or by their normal form, or they are refused: offsets are never guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.llm.alignment import align, words_before

LABELS = ["SERVICE", "INFRA"]


def aligned(text, *items):
    """The spans as (start, text, type), and the outcomes; an item is (quote, before) or (quote, before, type)."""
    quotes = [{"quote": item[0], "before": item[1], "type": item[2] if len(item) > 2 else "SERVICE"} for item in items]
    found = align(text, quotes, LABELS)
    return [(span.start, text[span.start : span.end]) for span in found.spans], dict(found.outcomes)


@pytest.mark.parametrize(
    ("text", "items", "found"),
    [
        # A name that is there several times is told by the words before it, in any order.
        ("Redis calls Redis and Redis", [("Redis", "calls Redis and")], [22]),
        ("Redis calls Redis and Redis", [("Redis", "and"), ("Redis", ""), ("Redis", "calls")], [0, 12, 22]),
        ("Redis calls Redis and Redis", [("Redis", "")] * 3, [0, 12, 22]),
        ("data Redis, a Redis", [("Redis", "a")], [14]),
        ("ask api. Then ask api.", [("api", "ask"), ("api", "ask")], [4, 18]),
        # Not within a word, but where the words before it say so, or the script has no spaces.
        ("Going to Google in Go", [("Go", "in")], [19]),
        ("Going to Google in Go", [("Go", "some words")], [19]),
        ("preRedispost", [("Redis", "pre")], [3]),
        ("東京でRedisを使う", [("Redis", "東京で")], [3]),
        ("Redisクラスタ", [("Redis", "")], [0]),
        # Code points, whatever is before.
        ("🚀👩‍👩‍👧 Redis", [("Redis", "🚀👩‍👩‍👧")], [7]),
        ("a\r\nb\r\nRedis", [("Redis", "a b")], [6]),
    ],
)
def test_a_quote_is_found_at_its_own_place(text, items, found):
    spans, outcomes = aligned(text, *items)
    assert [start for start, _ in spans] == found
    assert outcomes == {"exact": len(found)}


@pytest.mark.parametrize(
    ("text", "quote", "span"),
    [
        ("it’s the user’s api", "user's api", (9, "user’s api")),
        ("the “big” one", '"big"', (4, "“big”")),
        ("name—of—it", "name-of-it", (0, "name—of—it")),
        ("parcel\r\n  tracker is down", "parcel tracker", (0, "parcel\r\n  tracker")),
        ("parcel\u00a0tracker", "parcel tracker", (0, "parcel\u00a0tracker")),
        ("cafe\u0301-api", "café-api", (0, "cafe\u0301-api")),
        ("café-api", "cafe\u0301-api", (0, "café-api")),
        ("\u1112\u1161\u11ab api", "한 api", (0, "\u1112\u1161\u11ab api")),
        ("ﬁle-api", "file-api", (0, "ﬁle-api")),
        ("par\u00adcel", "parcel", (0, "par\u00adcel")),
        ("ＡＰＩ", "API", (0, "ＡＰＩ")),
        ("İstanbul", "I\u0307stanbul", (0, "İstanbul")),
        ("calls Redis now", " Redis ", (6, "Redis")),
        ("calls Redis now", "`Redis`", (6, "Redis")),
        ("calls Redis now", '"Redis"', (6, "Redis")),
    ],
)
def test_another_form_of_the_same_text_is_found_and_the_span_is_that_of_the_passage(text, quote, span):
    spans, outcomes = aligned(text, (quote, ""))
    assert spans == [span]
    assert sum(outcomes.values()) == 1


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        ({"type": "SERVICE", "quote": "Kafka", "before": ""}, "absent"),
        ({"type": "SERVICE", "quote": "redis", "before": "calls"}, "absent"),
        ({"type": "SERVICE", "quote": "Red", "before": "calls"}, "exact"),
        ({"type": "SERVICE", "quote": "edis", "before": "calls"}, "absent"),
        ({"type": "SERVICE", "quote": "ile", "before": ""}, "absent"),
        ({"type": "PERSON", "quote": "Redis", "before": "calls"}, "type"),
        ({"type": None, "quote": "Redis", "before": "calls"}, "form"),
        ({"type": "SERVICE", "quote": "  ", "before": ""}, "form"),
        ({"type": "SERVICE", "before": ""}, "form"),
        ({"quote": "Redis"}, "form"),
        ("Redis", "form"),
        (None, "form"),
        (["SERVICE", "Redis"], "form"),
    ],
)
def test_what_is_not_a_quote_of_a_type_that_was_asked_for_is_refused_and_counted(item, outcome):
    found = align("it calls Redis from a ﬁle", [item], LABELS)
    if outcome == "exact":
        # The words before it say that it begins there, although it is not a word.
        assert len(found.spans) == 1
    else:
        assert not found.spans
    assert found.outcomes == {outcome: 1}


def test_a_type_is_known_whatever_its_case_and_before_may_be_missing():
    found = align("it calls Redis", [{"type": "service", "quote": "Redis"}], LABELS)
    assert [(span.start, span.label) for span in found.spans] == [(9, "SERVICE")]


def test_a_name_of_which_nothing_tells_which_is_meant_is_marked_as_such():
    assert aligned("a Redis, a Redis", ("Redis", "the old"))[1] == {"ambiguous": 1}


def test_of_spans_that_overlap_the_longest_stays():
    spans, outcomes = aligned("the checkout api is", ("checkout", "the"), ("checkout api", "the"), ("api", "checkout"))
    assert spans == [(4, "checkout api")]
    assert outcomes == {"exact": 1, "overlap": 2}
    spans, outcomes = aligned("Redis", ("Redis", "", "INFRA"), ("Redis", "", "SERVICE"))
    assert outcomes == {"exact": 1, "overlap": 1}


WORDS = [
    "Redis",
    "東京",
    "cafe\u0301",
    "café",
    "한국",
    "😀",
    "👩‍👩‍👧",
    "it’s",
    "x—y",
    "/a/{id}",
    "C++",
    "ﬁle",
    "नमस्ते",
    "שלום",
    "१२",
    "the",
]
SPACES = [" ", "\r\n", "\n", "  ", "\t", ", ", " (", ") ", "\u00a0", "-", ". "]


@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(SPACES), st.booleans()), min_size=1, max_size=20))
def test_verbatim_quotes_are_found_where_they_stand(parts):
    text, spans = "", []
    for word, space, is_name in parts:
        if is_name:
            spans.append((len(text), word))
        text += word + space
    items = [(word, words_before(text, start)) for start, word in spans]
    found, _ = aligned(text, *items)
    # Two equal names with the same words before them can't be told apart when only one of them is meant.
    assert all(place in spans or items.count((place[1], "")) == 0 for place in found)
    assert len(found) == len(spans)
    assert [word for _, word in found] == [word for _, word in spans] or len({*items}) < len(items)


def test_what_stands_before_a_place_is_looked_at_once_however_many_quotes_there_are(monkeypatch):
    looked_at = []
    monkeypatch.setattr(
        "spacy_domain_ner.llm.alignment._squeezed", lambda text: looked_at.append(text) or " ".join(text.split())
    )
    spans, _ = aligned("ask api " * 50, *[("api", "ask")] * 50)
    assert len(spans) == 50
    assert len(looked_at) == 100
