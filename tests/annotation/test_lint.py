"""What the lint finds in a schema, and that it says how to fix it."""

from pathlib import Path

import pytest

from spacy_domain_ner.annotation.lint import lint_schema
from spacy_domain_ner.schema import EntitySchema, read_schema

SOFTWARE = Path(__file__).parents[2] / "assets/software/entity_types.yml"


def complete(name: str, other: str | None) -> dict:
    """A type in which nothing is missing."""
    return {
        "name": name,
        "definition": f"A thing of the kind {name}, as people who work with it call it by its own name.",
        "examples": [
            {"text": f"They saw {name}-{number} yesterday.", "mention": f"{name}-{number}"} for number in range(5)
        ],
        "edge_cases": [{"case": f"case {n}", "decision": f"`x{n}` counts", "borders_on": other} for n in range(5)],
        "not_entities": ["A kind without a name."],
    }


@pytest.fixture
def data() -> dict:
    """A schema in which nothing is missing, as read from a file."""
    rule = {"rule": "No article.", "example": "the `X`"}
    return {"entity_types": [complete("PUMP", "VALVE"), complete("VALVE", "PUMP")], "boundaries": [rule]}


def kinds(data: dict) -> list[tuple[str, str | None]]:
    return [(finding.kind, finding.entity_type) for finding in lint_schema(EntitySchema.model_validate(data))]


def test_a_complete_schema_has_no_findings(data):
    assert kinds(data) == []


def test_the_software_pack_is_complete():
    assert lint_schema(read_schema(SOFTWARE)) == []


CHANGES = {
    "no definition": ({"definition": ""}, "no definition"),
    "blank definition": ({"definition": " \n"}, "no definition"),
    "dots": ({"definition": "..."}, "no definition"),
    "a note to write it": (
        {"definition": "TODO: say what counts as a pump in this whole domain of ours"},
        "no definition",
    ),
    "a short note": ({"definition": "tbd by the leads"}, "no definition"),
    "seven words": ({"definition": "A thing that moves water about, quickly."}, "vague definition"),
    "and so on": (
        {"definition": "Pumps, compressors, blowers and so on, wherever they stand in a plant."},
        "vague definition",
    ),
    "four examples": ({"examples": complete("PUMP", None)["examples"][:4]}, "too few examples"),
    "eleven examples": (
        {"examples": [{"text": f"Look at P-{n} there.", "mention": f"P-{n}"} for n in range(20, 31)]},
        "too many examples",
    ),
    "four edge cases": ({"edge_cases": complete("PUMP", "VALVE")["edge_cases"][:4]}, "too few edge cases"),
    "no neighbour": ({"edge_cases": complete("PUMP", None)["edge_cases"]}, "no bordering type"),
    "its own neighbour": ({"edge_cases": complete("PUMP", "PUMP")["edge_cases"]}, "no bordering type"),
    "no not_entities": ({"not_entities": []}, "no not_entities"),
    "empty not_entities": ({"not_entities": ["", "..."]}, "no not_entities"),
    "a name for a color": ({"color": "red"}, "bad color"),
    "a short color": ({"color": "#ABC"}, "bad color"),
    "CSS as a color": ({"color": "#AABBCC;x:y"}, "bad color"),
}


@pytest.mark.parametrize(("change", "kind"), CHANGES.values(), ids=CHANGES.keys())
def test_one_gap_gives_one_finding_of_its_type(data, change, kind):
    data["entity_types"][0].update(change)
    assert kinds(data) == [(kind, "PUMP")]


@pytest.mark.parametrize(
    ("text", "mention", "kind"),
    [
        pytest.param("The P-1000 hums.", "P-100", "mention within a word", id="part of a number"),
        pytest.param("Set max_pump_speed.", "pump", "mention within a word", id="part of an identifier"),
        pytest.param("P-9 and P-9 hum.", "P-9", "ambiguous mention", id="twice"),
        pytest.param("See P-9 there.", "P-9 ", "mention with white space", id="a blank at its end"),
    ],
)
def test_a_mention_that_marks_no_one_word_is_found(data, text, mention, kind):
    data["entity_types"][0]["examples"][0] = {"text": text, "mention": mention}
    assert kinds(data) == [(kind, "PUMP")]


@pytest.mark.parametrize(
    ("text", "mention"),
    [
        ("a P9-based plant", "P9"),
        ("P9s hum, P9 does not", "P9"),
        ("run with --drain-timeout", "--drain-timeout"),
        ("cc @dora/pumps, please", "@dora/pumps"),
        ("P=750", "P"),
        ("der Überdruck-Kessel, die Überdruckkessel", "Überdruck"),
        ("東京 🚀 ポンプ", "ポンプ"),
        ("(P9).", "P9"),
    ],
)
def test_a_mention_that_stands_once_on_its_own_is_fine(data, text, mention):
    data["entity_types"][0]["examples"][0] = {"text": text, "mention": mention}
    assert kinds(data) == []


def test_an_example_that_is_there_twice_is_found_in_spite_of_case_and_white_space(data):
    data["entity_types"][0]["examples"][1] = {"text": "they saw  PUMP-0 yesterday.", "mention": "PUMP-0"}
    assert kinds(data) == [("duplicate example", "PUMP")]


def test_a_second_mention_of_the_same_sentence_is_no_duplicate(data):
    data["entity_types"][0]["examples"][:2] = [{"text": "P-7 feeds P-8.", "mention": m} for m in ("P-7", "P-8")]
    assert kinds(data) == []


def test_an_edge_case_without_a_decision_is_found(data):
    data["entity_types"][0]["edge_cases"][2]["decision"] = "..."
    data["entity_types"][1]["edge_cases"][0]["case"] = ""
    assert kinds(data) == [("undecided edge case", "PUMP"), ("empty edge case", "VALVE")]


def test_one_direction_of_a_border_is_enough_for_either_type_but_each_needs_some(data):
    data["entity_types"].append(complete("PIPE", "PUMP"))
    assert kinds(data) == []


def test_a_single_type_has_nothing_to_border_on(data):
    data["entity_types"] = [complete("PUMP", None)]
    assert kinds(data) == []


def test_a_form_that_two_types_claim_is_found_unless_an_edge_case_discusses_it(data):
    pump, valve = data["entity_types"]
    pump["examples"][0] = {"text": "Checkout hums.", "mention": "Checkout"}
    valve["examples"][3] = {"text": "Ask checkout.", "mention": "checkout"}
    assert kinds(data) == [("contested form", None)]
    message = lint_schema(EntitySchema.model_validate(data))[0].message
    assert "PUMP" in message
    assert "VALVE" in message
    assert "'Checkout'" in message
    valve["edge_cases"][0]["decision"] = "`Checkouts` is a VALVE."
    assert kinds(data) == [("contested form", None)]  # another word
    valve["edge_cases"][0]["decision"] = "`CHECKOUT` is a VALVE where it closes."
    assert kinds(data) == []


def test_no_rules_for_boundaries_is_found(data):
    data["boundaries"] = []
    assert kinds(data) == [("no boundary rules", None)]


def test_one_color_for_two_types_is_found_in_either_case(data):
    data["entity_types"][0]["color"], data["entity_types"][1]["color"] = "#77aadd", "#77AADD"
    assert kinds(data) == [("same color", None)]


def test_a_skeleton_is_told_everything_that_it_lacks(data):
    data["entity_types"].append({"name": "METRIC"})
    findings = lint_schema(EntitySchema.model_validate(data))
    assert {finding.kind for finding in findings} == {
        "no definition",
        "too few examples",
        "too few edge cases",
        "no not_entities",
    }
    text = "\n".join(map(str, findings))
    for key in ("`definition`", "`examples`", "`edge_cases`", "`not_entities`", "borders_on", "METRIC: "):
        assert key in text
