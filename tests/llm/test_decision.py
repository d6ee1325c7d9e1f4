"""What comes of a model and an LLM together, and what a decision may say."""

import json

import pytest

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.llm.decision import Decision, TypeDecision, combine, read_decision
from spacy_domain_ner.llm.entities import Failed, Found

DECISION = Decision(
    settings="../llm.yml", entity_types="../entity_types.yml", train="../train.jsonl", asked=["TEAM", "INFRA"],
    prompt="0", llm="m", model={},
    types={
        "TEAM": TypeDecision(source="llm", confidence=0.8, threshold=0.1),
        "INFRA": TypeDecision(source="model", confidence=0.9),
    },
)  # fmt: skip
TEAM, INFRA = Span(0, 4, "TEAM"), Span(10, 15, "INFRA")


@pytest.mark.parametrize(
    ("model", "found", "both"),
    [
        # Each finds its own types.
        ([(TEAM, 0.9), (INFRA, 0.7)], Found([Span(5, 9, "TEAM"), Span(20, 22, "INFRA")]), [(5, "llm"), (10, "model")]),
        # Not asked, or not answered: the model's own.
        ([(TEAM, 0.9), (INFRA, 0.7)], None, [(0, "model"), (10, "model")]),
        ([(TEAM, 0.9)], Found([], [Failed(0, 30, "server", "500")]), [(0, "model")]),
        # Answered in part.
        (
            [(TEAM, 0.9), (Span(20, 24, "TEAM"), 0.9)],
            Found([Span(2, 6, "TEAM")], [Failed(15, 30, "server", "500")]),
            [(2, "llm"), (20, "model")],
        ),
        # Of two that overlap the surer one stays.
        ([(INFRA, 0.9)], Found([Span(8, 12, "TEAM")]), [(10, "model")]),
        ([(INFRA, 0.7)], Found([Span(8, 12, "TEAM")]), [(8, "llm")]),
        ([(INFRA, None)], Found([Span(8, 12, "TEAM")]), [(10, "model")]),
        ([], Found([]), []),
    ],
)
def test_what_both_have_found_becomes_one_list(model, found, both):
    assert [(one.span.start, one.source) for one in combine(model, found, DECISION)] == both


@pytest.mark.parametrize(
    ("expected", "is_sent"),
    [({"TEAM": 0.1}, True), ({"TEAM": 0.09, "INFRA": 5.0}, False), ({}, False), (None, True)],
)
def test_a_passage_is_sent_where_the_model_expects_a_type_of_the_llms(expected, is_sent):
    assert DECISION.is_sent(expected) is is_sent


def test_without_a_type_of_the_llms_nothing_is_sent():
    nothing = DECISION.model_copy(update={"types": {"TEAM": TypeDecision(source="model", confidence=0.5)}})
    assert not nothing.is_sent(None)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a decision"),
        ("{}", "is not a decision: settings: Field required"),
        (json.dumps({**DECISION.model_dump(), "format_version": 99}), "format_version 99"),
        (
            json.dumps({**DECISION.model_dump(), "types": {"TEAM": {"source": "oracle", "confidence": 1}}}),
            "types.TEAM.source",
        ),
        (json.dumps({**DECISION.model_dump(), "asked": ["INFRA"]}), "it decides of TEAM"),
    ],
)
def test_a_file_that_is_not_a_decision_is_refused(tmp_path, content, says):
    path = tmp_path / "decision.json"
    path.write_text(content, encoding="utf8")
    with pytest.raises(UserError) as caught:
        read_decision(path)
    assert says in str(caught.value)
    with pytest.raises(UserError, match="Can't read"):
        read_decision(tmp_path / "none.json")
