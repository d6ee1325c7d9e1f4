"""entity_types.yml: what is read, and what is said of every way to get it wrong."""

import json
from pathlib import Path

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import PALETTE, read_schema

ONE = "entity_types:\n- name: A\n"


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "entity_types.yml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_the_labels_come_in_the_order_of_the_file(tmp_path):
    schema = read_schema(written(tmp_path, "entity_types: [{name: ZED}, {name: ALPHA}, {name: a.b-c_1}]"))
    assert schema.labels == ["ZED", "ALPHA", "a.b-c_1"]


def test_everything_that_may_be_said_of_a_type_is_read(tmp_path):
    content = """
entity_types:
  - name: SERVICE
    color: "#77AADD"
    definition: >-
      What is called by its own
      name, “Ünïcode” and all.
    examples: [{text: "auth-svc is down", mention: auth-svc}]
    edge_cases: [{case: "Redis", decision: "INFRA", borders_on: INFRA}, {case: "x", decision: "y", borders_on: null}]
    not_entities: ["the service"]
  - name: INFRA
boundaries: [{rule: "No article", example: "the `API`"}]
"""
    service, infra = read_schema(written(tmp_path, content)).entity_types
    assert service.definition == "What is called by its own name, “Ünïcode” and all."
    assert service.examples[0].mention == "auth-svc"
    assert [case.borders_on for case in service.edge_cases] == ["INFRA", None]
    assert infra.examples == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("entity_types:\n- &base {name: A, definition: d}\n- {<<: *base, name: B}\n", id="anchors"),
        pytest.param(b"\xef\xbb\xbf" + b"entity_types: [{name: A}, {name: B}]", id="byte order mark"),
        pytest.param("entity_types:\r\n- name: A\r\n- name: B\r\n", id="CRLF"),
        pytest.param('{"entity_types": [{"name": "A"}, {"name": "B"}]}', id="JSON"),
    ],
)
def test_yaml_in_other_dress_is_read(tmp_path, content):
    assert read_schema(written(tmp_path, content)).labels == ["A", "B"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", "holds no entity types", id="empty"),
        pytest.param("# nothing yet\n", "holds no entity types", id="a comment only"),
        pytest.param("- name: A\n", "holds no entity types", id="a list"),
        pytest.param("just text", "holds no entity types", id="a string"),
        pytest.param("entity_types: []", "entity_types: List should have at least 1 item", id="no types"),
        pytest.param("types: [{name: A}]", "the key 'types' is not known", id="another key"),
        pytest.param(
            "entity_types: [{name: A, not_entity: [x]}]",
            "(A).not_entity: the key 'not_entity' is not known; did you mean 'not_entities'?",
            id="a slip in a key",
        ),
        pytest.param("entity_types: [A]", "entity_types[0]: Input should be a valid dictionary", id="names only"),
        pytest.param("entity_types: {A: {}}", "entity_types: Input should be a valid list", id="a mapping"),
        pytest.param(ONE + "  defintion: x\n", "defintion' is not known; did you mean 'definition'?", id="unknown key"),
        pytest.param(ONE + "  definition: [x]\n", "entity_types[0] (A).definition: Input should be", id="wrong type"),
        pytest.param(ONE + "- name: A\n", "'A' and 'A' have the same name", id="duplicate name"),
        pytest.param(ONE + "- name: a\n", "'A' and 'a' have the same name", id="names that differ in case"),
        pytest.param("entity_types: [&x {name: A}, *x]", "the same name", id="an anchor twice"),
        pytest.param("entity_types: [{name: 12}]", "(12).name: YAML reads the name as 12", id="a number"),
        pytest.param("entity_types: [{name: }]", "(None).name: YAML reads the name as null", id="no name"),
        pytest.param("entity_types: [{name: two words}]", "'two words' is not a label", id="a blank in a name"),
        pytest.param("entity_types: [{name: 1A}]", "'1A' is not a label", id="a digit first"),
        pytest.param('entity_types: [{name: "A\\n"}]', "is not a label", id="a newline in a name"),
        *(
            pytest.param(f"entity_types: [{{name: {name}}}]", f"reads the name as {told}: put it in quotes", id=name)
            for name, told in {"null": "null", "~": "null", "true": "true", "1": "1", ".nan": "NaN"}.items()
        ),
        pytest.param("entity_types: [{name: Ä}]", "'Ä' is not a label", id="a letter beyond ASCII"),
        pytest.param(ONE + "  examples: [{text: foo, mention: bar}]\n", "'bar' does not occur", id="no such mention"),
        pytest.param(ONE + "  examples: [{text: foo, mention: ''}]\n", "at least 1 character", id="empty mention"),
        pytest.param(ONE + "  edge_cases: [{case: x}]\n", "edge_cases[0].decision: Field required", id="undecided"),
        pytest.param(
            ONE + "  edge_cases: [{case: x, decision: y, borders_on: B}]\n",
            "borders on 'B', which is not an",
            id="border",
        ),
        pytest.param("format_version: 0\n" + ONE, "format_version: Input should be greater", id="version 0"),
        pytest.param("format_version: new\n" + ONE, "format_version: Input should be a valid integer", id="version"),
        pytest.param("1: 2\n" + ONE, "Keys should be strings", id="a number as key"),
        pytest.param("entity_types: &x [*x]", "Input should be a valid dictionary", id="an anchor within itself"),
        pytest.param("entity_types:\n\t- name: A\n", "line 2, column 1", id="a tab"),
        pytest.param('entity_types:\n- name: "A\n', "line 2, column 9", id="an open quote"),
        pytest.param(ONE + ONE, 'found duplicate key "entity_types"', id="a key twice"),
        pytest.param("entity_types: [*x]", "undefined alias 'x'", id="an unknown anchor"),
        pytest.param("---\n" + ONE + "---\n" + ONE, "found another document", id="two documents"),
        pytest.param("entity_types: !!python/object/apply:os.system [ls]", "could not determine", id="a Python tag"),
        pytest.param("entity_types: " + "[" * 1000, "recursion", id="nested too deeply"),
        pytest.param("entity_types: 2020-13-45", "month must be in 1..12", id="no date"),
        pytest.param(ONE.encode("utf16"), "can't decode byte 0xff", id="UTF-16"),
        pytest.param("# é\n".encode("latin1") + ONE.encode(), "can't decode byte 0xe9", id="latin-1"),
        pytest.param(bytes(range(256)), "is not valid YAML", id="binary"),
        pytest.param("entity_types:\n- name: A\0\n", "unacceptable character #x0000", id="a null byte"),
    ],
)
def test_a_faulty_file_is_refused_with_its_name_the_place_and_what_to_do(tmp_path, content, expected):
    path = written(tmp_path, content)
    with pytest.raises(UserError) as raised:
        read_schema(path)
    assert str(path) in raised.value.what
    assert expected in raised.value.what
    assert raised.value.hint


@pytest.mark.parametrize(("first_line", "version"), [("", 1), ("format_version: 1\n", 1)])
def test_a_file_says_its_format_version_or_has_the_first_one(tmp_path, first_line, version):
    assert read_schema(written(tmp_path, first_line + ONE)).format_version == version


def test_a_newer_format_version_is_named_before_keys_that_are_not_known(tmp_path):
    path = written(tmp_path, "format_version: 2\nrelations: []\n" + ONE + "  colour: x\n")
    with pytest.raises(UserError) as raised:
        read_schema(path)
    assert raised.value.what == (
        f"{path} has format_version 2, and this version of spacy-domain-ner reads format_version 1 at most"
    )
    assert "pip install --upgrade spacy-domain-ner" in raised.value.hint


def test_all_problems_are_named_at_once(tmp_path):
    with pytest.raises(UserError) as raised:
        read_schema(written(tmp_path, "entity_types: [{name: A, x: 1}, {nam: B}, {name: 3}]"))
    for expected in ("[0] (A).x", "[1].name: Field required", "did you mean 'name'?", "[2] (3).name"):
        assert expected in raised.value.what


def test_a_name_that_yaml_1_1_reads_as_false_is_a_name(tmp_path):
    assert read_schema(written(tmp_path, "entity_types: [{name: NO}]")).labels == ["NO"]


@pytest.mark.parametrize("name", ["missing.yml", ".", "x" * 300, "loop.yml"])
def test_a_file_that_is_not_there_is_named(tmp_path, name):
    (tmp_path / "loop.yml").symlink_to("loop.yml")
    with pytest.raises(UserError) as raised:
        read_schema(tmp_path / name)
    assert str(tmp_path / name) in raised.value.what
    assert "`schema`" in raised.value.hint


def test_the_refusal_of_a_mention_quotes_it_and_its_example(tmp_path):
    content = ONE + "  examples: [{text: 'Redis is down', mention: 'redis'}]\n"
    with pytest.raises(UserError) as raised:
        read_schema(written(tmp_path, content))
    assert (
        "entity_types[0] (A).examples[0]: the mention 'redis' does not occur in the example 'Redis is down'"
        in raised.value.what
    )


def test_a_character_that_nothing_can_show_is_refused(tmp_path):
    content = ONE + '  definition: "a \\x1b[31m b"\n  not_entities: ["\\x07"]\n'
    with pytest.raises(UserError) as raised:
        read_schema(written(tmp_path, content))
    assert "(A).definition: it has the character '\\x1b'" in raised.value.what
    assert "(A).not_entities: it has the character '\\x07'" in raised.value.what


def colors(tmp_path: Path, *given: str | None) -> list[str]:
    types = ", ".join(f"{{name: T{number}, color: {json.dumps(color)}}}" for number, color in enumerate(given))
    return list(read_schema(written(tmp_path, f"entity_types: [{types}]")).colors.values())


def test_types_without_a_color_get_one_that_no_other_has(tmp_path):
    first, second, third = colors(tmp_path, None, PALETTE[0].lower(), "no color; at all")
    assert second == PALETTE[0]
    assert [first, third] == [PALETTE[1], PALETTE[2]]
    assert len(set(colors(tmp_path, *[None] * len(PALETTE)))) == len(PALETTE)
    assert colors(tmp_path, *[None] * (len(PALETTE) + 1))[-1] == PALETTE[0]


def test_keys_are_digits_then_letters_and_none_twice(tmp_path):
    types = ", ".join(f"{{name: T{n}}}" for n in range(40))
    hotkeys = read_schema(written(tmp_path, f"entity_types: [{types}]")).hotkeys
    assert list(hotkeys.items())[:10] == [*((f"T{n}", str(n + 1)) for n in range(9)), ("T9", "q")]
    assert len(hotkeys) == len(set(hotkeys.values())) == 30
