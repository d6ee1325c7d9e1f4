"""How two people's spans of one passage differ."""

import pytest
from helpers.agreement import marked

from spacy_domain_ner.annotation.disagreements import differences


@pytest.mark.parametrize(
    ("anna", "bert", "expected"),
    [
        pytest.param("[Redis|INFRA] is", "[Redis|INFRA] is", [], id="none"),
        pytest.param("[Redis|INFRA] is", "[Redis|SERVICE] is", [("type", "Redis", "Redis")], id="type"),
        pytest.param("[Redis|INFRA] is", "[Redis is|INFRA]", [("boundary", "Redis", "Redis is")], id="boundary"),
        pytest.param("[Redis|INFRA] is", "[Redis is|TEAM]", [("type and boundary", "Redis", "Redis is")], id="both"),
        pytest.param("[Redis|INFRA] is", "Redis is", [("missed", "Redis", None)], id="missed by the other"),
        pytest.param("Redis is", "[Redis|INFRA] is", [("missed", "Redis", None)], id="missed by the one"),
        pytest.param(
            "[a|INFRA] [b|INFRA]", "[a b|INFRA]",
            [("boundary", "a", "a b"), ("boundary", "b", "a b")], id="two in one",
        ),
        pytest.param(
            "[a|TEAM] [b b|INFRA]", "[a b b|INFRA]",
            [("type and boundary", "a", "a b b"), ("boundary", "b b", "a b b")], id="the same label first",
        ),
        pytest.param(
            "[a|TEAM] [b|TEAM]", "[a|INFRA] [b|TEAM]", [("type", "a", "a")], id="what is shared is left alone",
        ),
        pytest.param("[a|TEAM|INFRA]", "[a|TEAM]", [("missed", "a", None)], id="two types at one place"),
        pytest.param("[a|TEAM] b", "a [b|TEAM]", [("missed", "a", None), ("missed", "b", None)], id="apart"),
    ],
)  # fmt: skip
def test_how_two_people_differ(anna, bert, expected):
    (text, mine), (_, theirs) = marked(anna), marked(bert)

    def surface(span):
        return None if span is None else text[span.start : span.end]

    found = [(kind, surface(one), surface(other)) for kind, one, other in differences(mine, theirs)]
    assert found == expected
