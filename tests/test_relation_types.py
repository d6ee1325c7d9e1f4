"""relation_types.yml: what is read, and how what is wrong is said."""

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.relation_types import read_relation_types
from spacy_domain_ner.schema import EntitySchema, EntityType

SCHEMA = EntitySchema(entity_types=[EntityType(name="SERVICE"), EntityType(name="INFRA")])
ONE = """
relation_types:
  - name: USES
    definition: It calls it.
    head: [SERVICE]
    tail: [SERVICE, INFRA]
    counter_examples: ["both are slow"]
"""


@pytest.fixture
def read(tmp_path):
    def read(text, schema=SCHEMA):
        (tmp_path / "relation_types.yml").write_text(text, encoding="utf8")
        return read_relation_types(tmp_path / "relation_types.yml", schema)

    return read


def test_the_types_are_read(read):
    types = read(ONE + "  - {name: 'org:beside', head: SERVICE, tail: SERVICE, symmetric: true}\n")
    assert types.names == ["USES", "org:beside"]
    assert types.symmetric == {"org:beside"}
    assert [one.name for one in types.between("SERVICE", "INFRA")] == ["USES"]
    assert types.meant("uses") == "USES"
    assert len(list(types.lacks())) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "holds no relation types", id="empty"),
        pytest.param("relation_types: []", "relation_types: List should have at least 1", id="no type"),
        pytest.param(ONE.replace("head:", "heads:"), "did you mean 'head'?", id="a misspelt key"),
        pytest.param(ONE.replace("[SERVICE]", "[Services]"),
                     "'Services' is not an entity type; did you mean 'SERVICE'?", id="a misspelt entity type"),
        pytest.param(ONE.replace("[SERVICE]", "[]"), "relation_types[0] (USES).head", id="no head"),
        pytest.param(ONE + "    symmetric: true\n", "symmetric, so `head` and `tail`", id="symmetric and unlike"),
        pytest.param(ONE + "    symmetric: maybe\n", "(USES).symmetric", id="neither true nor false"),
        pytest.param(ONE.replace("USES", "US ES"), "'US ES' can't be a name", id="a blank in the name"),
        pytest.param(ONE.replace("USES", "true"), "YAML reads the name as true", id="a name that YAML takes for true"),
        pytest.param(ONE + "  - {name: uses, head: [INFRA], tail: [INFRA]}\n", "have the same name", id="twice"),
        pytest.param(ONE + "    examples: [{text: a b, head: a, tail: c}]\n", "the tail 'c' does not occur",
                     id="example"),
        pytest.param(ONE + "    x: [\n", "is not valid YAML", id="not YAML"),
        pytest.param("format_version: 9\n" + ONE, "format_version 9", id="a newer form"),
        pytest.param(ONE.replace("It calls it.", '"a\\x1bb"'), "which can't be shown", id="a control character"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(read, text, said):
    with pytest.raises(UserError) as raised:
        read(text)
    assert said in raised.value.what


def test_a_missing_file_is_told_by_its_parameter(tmp_path):
    with pytest.raises(UserError, match="`relation_types`"):
        read_relation_types(tmp_path / "none.yml")
