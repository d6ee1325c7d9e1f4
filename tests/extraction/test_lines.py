"""A batch of lines: what is read of them, what is refused, and the rows that come out."""

import json
from typing import Any

import pytest
from spacy.language import Language

from spacy_domain_ner import Extractor
from spacy_domain_ner.extraction.lines import extract_batch
from spacy_domain_ner.reading.texts import Line


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{broken", "not valid JSON"),
        (b"[1]", "a record must be a JSON object"),
        (b'{"no": "text"}', "no 'text' in the record"),
        (b'{"text": 3}', "'text' must be a string"),
        (b'{"text": "  "}', "an empty text"),
        (b'{"text": "caf\xe9"}', "not UTF-8 text"),
        (b'{"text": "\\ud83d"}', "half of a surrogate pair at offset 0"),
        (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "a number of thousands of digits"),
        (b'{"text": "a", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON that is nested too deeply"),
    ],
)
def test_a_broken_line_is_reported_with_its_place_and_others_are_read(nlp: Language, raw: bytes, reason: str) -> None:
    lines = [
        Line("in.jsonl", 6, b'{"text": "Redis"}', True),
        Line("in.jsonl", 7, raw, True),
        Line("in.jsonl", 8, b'{"text": "Kafka"}', True),
    ]
    result = extract_batch(Extractor(nlp), lines)
    assert len(result.refusals) == 1
    assert result.refusals[0].startswith(f"in.jsonl:7: {reason}")
    assert [json.loads(row)["text"] for row in result.rows.splitlines()] == ["Redis", "Kafka"]
    assert (result.passages, result.entities) == (2, 2)


def test_a_text_line_that_is_not_utf8_is_reported(nlp: Language) -> None:
    result = extract_batch(Extractor(nlp), [Line("in.txt", 2, b"caf\xe9", False), Line("in.txt", 3, b"Redis", False)])
    [refusal] = result.refusals
    assert refusal.startswith("in.txt:2: not UTF-8 text (unexpected end of data at byte 3): if ")
    assert result.passages == 1


@pytest.mark.parametrize(
    "record",
    [
        {"id": 7, "text": "Redis", "meta": {"source": "page", "deep": [{"é": None}]}},
        {"text": "Redis", "spans": [], "answer": "accept", "score": 0.25, "𝒳": "\u2028"},
        {"text": "Redis\nand \u0000 😀", "id": 2**63},
    ],
)
def test_a_record_is_carried_through(nlp: Language, record: dict[str, Any]) -> None:
    rows = extract_batch(Extractor(nlp), [Line("a", 1, json.dumps(record).encode(), True)]).rows
    assert rows.count(b"\n") == 1
    result = json.loads(rows)
    assert [entity["name"] for entity in result.pop("entities")] == ["Redis"]
    assert result == record


def test_half_of_a_surrogate_pair_in_the_metadata_stays_as_it_came(nlp: Language) -> None:
    result = extract_batch(Extractor(nlp), [Line("a", 1, b'{"text": "Redis \xc3\xa9", "meta": "\\ud83d"}', True)])
    assert json.loads(result.rows)["meta"] == "\ud83d"
    assert b"\\ud83d" in result.rows
