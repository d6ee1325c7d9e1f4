"""Gazetteers as people keep them."""

import pytest

from spacy_domain_ner.bootstrapping.names import read_names
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import EntitySchema, EntityType

SCHEMA = EntitySchema(entity_types=[EntityType(name="PORT"), EntityType(name="VESSEL")])
ROWS = "name,type\nPort Said,PORT\nEver Given,VESSEL\n"
NAMES = [("Port Said", "PORT"), ("Ever Given", "VESSEL")]


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(content, name="names.csv"):
        file = tmp_path / name.rpartition("=")[2]
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_names(name, SCHEMA)

    return read


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(ROWS, id="commas"),
        pytest.param(ROWS.replace(",", ";"), id="semicolons"),
        pytest.param(ROWS.replace(",", "\t"), id="tabs"),
        pytest.param(ROWS.replace(",", "|"), id="bars"),
        pytest.param(b"\xef\xbb\xbf" + ROWS.encode(), id="a byte order mark"),
        pytest.param(ROWS.encode("utf-16"), id="UTF-16"),
        pytest.param(ROWS.replace("\n", "\r\n"), id="line ends of Windows"),
        pytest.param("sep=,\n" + ROWS, id="Excel's line"),
        pytest.param("\n\n" + ROWS + "\n\n", id="blank lines"),
        pytest.param('Type , "Name"\nport,  Port   Said \nvessel,"Ever Given"', id="another order, quotes, blanks"),
        pytest.param("ID;LABEL;Term;Case-Sensitive\n1;PORT;Port Said;yes\n2;VESSEL;Ever Given;\n", id="other columns"),
        pytest.param(ROWS.replace("Said,PORT", "Said,PORT,,"), id="empty cells too many"),
        pytest.param(ROWS.replace("Port Said", "Port\u00ad Said\u200b"), id="characters that show nothing"),
    ],
)
def test_a_table_is_read_whatever_its_form(read, content):
    assert [(name.text, name.type) for name in read(content).names] == NAMES


@pytest.mark.parametrize(
    ("content", "name"),
    [("Port Said\n\nAden\n", "PORT=ports.txt"), ("name\nPort Said\nAden\n", "port=ports.csv")],
)
def test_a_file_of_one_type_needs_no_column_for_it(read, content, name):
    assert [(one.text, one.type) for one in read(content, name).names] == [("Port Said", "PORT"), ("Aden", "PORT")]


def test_flags_are_read(read):
    flags = [
        (name.case_sensitive, name.ambiguous)
        for name in read("name,type,case,ambiguous\na1,PORT,Yes,0\nb1,PORT,no,TRUE\nc1,PORT,,\n").names
    ]
    assert flags == [(True, False), (False, True), (None, None)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (",PORT", "names.csv:3: the name is empty"),
        ("Aden,", "names.csv:3: the type is empty"),
        ("Aden", "names.csv:3: the type is empty"),
        ("Port Said,PORT", "names.csv:3: 'Port Said' is there already as PORT"),
        ("Aden, old town,PORT", "names.csv:3: the row has more cells than the header"),
        ("--,PORT", "names.csv:3: '--' has neither letters nor digits"),
        ("x" * 201 + ",PORT", "names.csv:3: a name of 201 characters"),
    ],
)
def test_a_row_that_is_not_used_is_reported(read, row, says):
    names = read(f"name,type\nPort Said,PORT\n{row}\nEver Given,VESSEL\n")
    assert [(name.text, name.type) for name in names.names] == NAMES
    assert len(names.skipped) == 1
    assert names.skipped[0].startswith(says)


@pytest.mark.parametrize(
    ("content", "says", "hint"),
    [
        (
            "Port Said,PORT\nAden,PORT\n",
            "names.csv has no column name: its first line is 'Port Said,PORT'",
            "name,type",
        ),
        ("name,kind\nAden,PORT\n", "names.csv has no column type", "TYPE=FILE"),
        ("name,type\nAden,PROT\n", "names.csv:2: 'PROT' is not an entity type; did you mean PORT?", "PORT, VESSEL"),
        ("name,type,ambiguous\nAden,PORT,perhaps\n", "names.csv:2: ambiguous is 'perhaps'", "yes or no"),
        ('name,type\nAden,PORT\n"Port Said,PORT\nSuez,PORT\n', "names.csv:3: this row can't be read", "quotes"),
        (b"name,type\nAden,PORT\nSal\xe9,PORT\n", "this is not UTF-8 text", "iconv"),
        (b"PK\x03\x04\0\0\0\0", "names.csv is not a table of text", "CSV"),
        ("name,type\n", "names.csv has no name", "columns"),
        ("", "names.csv has no column name", "columns"),
    ],
)
def test_what_is_not_a_gazetteer_is_refused_with_what_to_do(read, content, says, hint):
    with pytest.raises(UserError) as raised:
        read(content)
    assert says in raised.value.what
    assert hint in raised.value.hint


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"There is no gazetteer nowhere\.csv"):
        read_names("nowhere.csv")
