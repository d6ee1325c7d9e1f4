"""Every problem that a corpus can have is reported, with its place and in words."""

import json

import pytest
import spacy

from spacy_domain_ner.corpus import Passage, ReadResult, Refusal, Span
from spacy_domain_ner.corpus.checks import CheckReport, TypeCount, check_corpus
from spacy_domain_ner.schema import EntitySchema

NLP = spacy.blank("en")
SCHEMA = EntitySchema.model_validate({"entity_types": [{"name": "INFRA"}, {"name": "SERVICE"}]})
TEXT = "Redis and Kafka are down"


def checked(*passages: Passage, refusals: list[Refusal] | None = None) -> CheckReport:
    for number, passage in enumerate(passages, 1):
        passage.file, passage.line = "a.jsonl", number
    return check_corpus(ReadResult(list(passages), refusals or []), SCHEMA, NLP)


def infra(*offsets: tuple[int, int]) -> list[Span]:
    return [Span(start, end, "INFRA") for start, end in offsets]


@pytest.mark.parametrize(
    ("spans", "kind", "expected"),
    [
        (infra((5, 0)), "inverted", "the span INFRA 5 to 0 ends before it starts"),
        (infra((3, 3)), "empty", "the span INFRA 3 to 3 is empty"),
        (infra((0, 25)), "out-of-range", "INFRA 0 to 25 lies outside the text of 24 characters"),
        (infra((-1, 5)), "out-of-range", "lies outside the text"),
        (infra((0, 10**30)), "out-of-range", "lies outside the text"),
        (infra((0, 6)), "white-space", "starts or ends with white space"),
        (infra((5, 9)), "white-space", "starts or ends with white space"),
        (infra((0, 5), (0, 5)), "duplicate-span", "the span INFRA 0 to 5 is annotated twice"),
        (infra((0, 9), (6, 15)), "overlap", "the spans INFRA 0 to 9 and INFRA 6 to 15 overlap"),
        (infra((0, 15), (0, 5)), "overlap", "the spans INFRA 0 to 5 and INFRA 0 to 15 overlap"),
        ([Span(0, 5, "INFRA"), Span(0, 5, "SERVICE")], "overlap", "the spans INFRA 0 to 5 and SERVICE 0 to 5 overlap"),
        ([Span(0, 5, "TEAM")], "unknown-label", "unknown label 'TEAM' (known: INFRA, SERVICE)"),
        ([Span(0, 5, "infra")], "unknown-label", "did you mean 'INFRA'?"),
        ([Span(0, 5, "INFRA ")], "unknown-label", "unknown label 'INFRA '"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_span_that_breaks_a_rule_is_an_error_at_its_line(spans, kind, expected):
    (finding,) = checked(Passage("All is well"), Passage(TEXT, spans)).findings
    assert (finding.kind, finding.error, finding.file, finding.line) == (kind, True, "a.jsonl", 2)
    assert expected in finding.message
    assert str(finding).startswith("a.jsonl:2: ")


def test_a_passage_for_training_only_is_told_where_it_is_held_out():
    chosen = Passage("Redis is down", infra((0, 5)), {"training_only": True}, file="corpus/eval.jsonl", line=1)
    (finding,) = check_corpus(ReadResult([chosen], []), SCHEMA, NLP).findings
    assert (finding.kind, finding.error) == ("training-only", False)
    chosen.file = "assets/annotations.jsonl"
    assert check_corpus(ReadResult([chosen], []), SCHEMA, NLP).findings == []


def test_an_invisible_character_at_the_edge_of_a_span_is_an_error_and_shown():
    (finding,) = checked(Passage("All is well"), Passage("the Redis\u200b cache", infra((4, 10)))).findings
    assert finding.message == "the span INFRA 4 to 10 starts or ends with an invisible character: Redis\\u200b"
    assert finding.error


def test_a_name_with_an_invisible_character_is_not_another_name():
    passages = [Passage("Redis", infra((0, 5))), Passage("Re\u00addis", infra((0, 6)))]
    assert checked(*passages).types["INFRA"].forms == 1


def test_spans_that_touch_do_not_overlap():
    assert checked(Passage("Redis.Kafka", infra((0, 5), (5, 6), (6, 11)))).errors == []


def test_a_long_span_overlaps_every_span_in_it():
    report = checked(Passage(TEXT, infra((0, 24), (0, 5), (6, 9), (10, 15))))
    assert [finding.kind for finding in report.errors] == ["overlap"] * 3


def test_a_span_that_misses_tokens_is_a_warning_with_the_tokens():
    (finding,) = checked(Passage(TEXT, infra((0, 3)))).findings
    assert (finding.kind, finding.error, finding.text) == ("misaligned", False, "Red")
    assert "tokens: Redis" in finding.message


def test_the_same_passage_twice_is_a_warning_and_annotated_otherwise_a_contradiction():
    report = checked(
        Passage(TEXT, infra((0, 5))),
        Passage("Redis  and Kafka\nare down", infra((0, 5))),
        Passage(TEXT, infra((10, 15))),
        Passage(TEXT, [Span(0, 5, "SERVICE")]),
        Passage("Cafe\u0301"),
        Passage("Caf\u00e9"),
    )
    assert [(finding.kind, finding.line) for finding in report.warnings] == [
        ("repeated", 2), ("contradiction", 3), ("contradiction", 4), ("repeated", 6)
    ]  # fmt: skip
    assert "at a.jsonl:1" in report.warnings[0].message


def test_the_order_of_spans_makes_no_contradiction():
    spans = infra((0, 5), (10, 15))
    (finding,) = checked(Passage(TEXT, spans), Passage(TEXT, spans[::-1])).findings
    assert finding.kind == "repeated"


def test_what_the_reader_refused_is_an_error_and_what_the_annotator_skipped_is_counted():
    refusals = [Refusal("a.jsonl", 9, "not valid JSON", "{"), Refusal("a.jsonl", 8, "skipped", TEXT, skipped=True)]
    report = checked(Passage(TEXT), refusals=refusals)
    assert [(finding.kind, finding.line) for finding in report.errors] == [("unreadable", 9)]
    assert (report.passages, report.skipped, report.without_entities) == (1, 1, 1)


def test_mentions_forms_and_passages_are_counted_per_type():
    report = checked(
        Passage(TEXT, infra((0, 5), (10, 15))),
        Passage("Redis or Redis?", [*infra((0, 5), (9, 14)), Span(14, 15, "TEAM")]),
        Passage("Nothing"),
    )
    assert report.types == {"INFRA": TypeCount(4, 2, 2), "SERVICE": TypeCount(0, 0, 0), "TEAM": TypeCount(1, 1, 1)}
    assert report.without_entities == 1


@pytest.mark.parametrize(
    ("mentions", "verdict"),
    [(0, "200 short of usable"), (199, "1 short of usable"), (200, "usable"), (499, "usable"), (500, "good")],
)
def test_the_verdict_says_how_many_examples_are_wanting(mentions, verdict):
    assert TypeCount(mentions, 1, 1).verdict == verdict


def test_findings_come_in_the_order_of_the_file_and_the_report_is_json():
    report = checked(
        Passage(TEXT, infra((0, 3))),
        Passage(TEXT, infra((5, 0))),
        refusals=[Refusal("a.jsonl", 0, "not valid JSON", "\x00")],
    )
    assert [finding.line for finding in report.findings] == [0, 1, 2, 2]
    data = json.loads(json.dumps(report.to_dict()))
    assert data["types"]["INFRA"] == {"mentions": 2, "forms": 2, "passages": 2, "verdict": "198 short of usable"}
    assert [finding["kind"] for finding in data["findings"]] == [finding.kind for finding in report.findings]


def test_an_empty_corpus_has_no_findings():
    report = checked()
    assert (report.passages, report.findings) == (0, [])
    assert list(report.types) == ["INFRA", "SERVICE"]


def test_a_passage_and_an_entity_that_training_makes_little_of_are_warnings_with_what_to_do():
    name = "word " * 101
    findings = checked(
        Passage("word " * 1_001), Passage("word " * 1_000), Passage("w" * 5_000),
        Passage(name, infra((0, len(name) - 1))), Passage(name, infra((0, len(name) - 6))),
    ).findings  # fmt: skip
    assert [(finding.kind, finding.error, finding.line) for finding in findings] == [
        ("long-passage", False, 1),
        ("long-entity", False, 4),
        ("contradiction", False, 5),
    ]
    assert "1001 tokens" in findings[0].message
    assert "domain-ner import FILE --sentences" in findings[0].message
    assert "the INFRA span 0 to 504 has 101 tokens" in findings[1].message
