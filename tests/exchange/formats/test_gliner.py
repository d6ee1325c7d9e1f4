"""GLiNER's training data: spans of tokens, whose labels are words."""

import json

import pytest
from helpers.versions import SCHEMA

from spacy_domain_ner.exchange.policies import Overlaps, Policies

TOKENS = ["Redis", "Cluster", "(", "new", ")", "is", "down", "."]
ROWS = [
    {"tokenized_text": TOKENS, "ner": [[0, 1, "infra"], [6, 6, "state"]]},
    {"tokenized_text": ["All", "quiet"], "ner": []},
]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ROWS, id="a list"),
        pytest.param("".join(json.dumps(row) + "\n" for row in ROWS), id="lines"),
        pytest.param({"train": ROWS[:1], "test": ROWS[1:]}, id="a list per split"),
    ],
)
def test_the_last_token_belongs_to_the_span(imported, content):
    result = imported(content)
    assert result.texts == ["Redis Cluster (new) is down.", "All quiet"]
    assert result.mentions == [[("Redis Cluster", "infra"), ("down", "state")], []]


def test_nested_spans_and_spans_with_several_labels_are_read(imported):
    row = {**ROWS[0], "ner": [[0, 1, ["infra", "name"]], [1, 1, "part"]]}
    assert imported([row], policies=Policies(overlaps=Overlaps.keep)).mentions == [
        [("Redis Cluster", "infra"), ("Redis Cluster", "name"), ("Cluster", "part")]
    ]


@pytest.mark.parametrize("label", ["infra", "Infra", "INFRA ", "in fra", "in-fra"])
def test_a_label_in_another_spelling_is_the_entity_type(imported, label):
    result = imported([{**ROWS[0], "ner": [[0, 1, label]]}], schema=SCHEMA)
    assert result.mentions == [[("Redis Cluster", "INFRA")]]
    assert list(result.report.spellings.values()) == ([] if label == "INFRA " else [1])
    assert result.report.to_dict()["spellings"] == ({} if label == "INFRA " else {f"{label} -> INFRA": 1})


def test_what_is_broken_is_said_span_for_span(imported):
    row = {**ROWS[0], "ner": [[0, 1, "infra"], [6, 9, "state"], [2, 1, "x"], ["0", 1, "y"], [0, 0], [3, 3, ""]]}
    result = imported([row, {"tokenized_text": "Redis"}, {"tokenized_text": ["Redis"]}])
    assert result.mentions == [[("Redis Cluster", "infra")]]
    assert result.reasons("refused") == [
        "'tokenized_text' must be a list of strings, not 'Redis'",
        "state 6 to 9 lies outside the 8 tokens or is inverted",
        "x 2 to 1 lies outside the 8 tokens or is inverted",
        "this is not [first, last, label]: ['0', 1, 'y']",
        "this is not [first, last, label]: [0, 0]",
        "the span has no label",
    ]
    assert result.reasons("left out") == ["not annotated"]
