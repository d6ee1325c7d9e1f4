"""Cutting passages at sentence ends: nothing is lost, and no span is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus.passage import PART_OF, PART_START, Passage, Span
from spacy_domain_ner.corpus.sentences import cut_at_sentences

KEY = b"\1" * 16


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
