"""Names and patterns that are filled in before there is a model."""

import json

import pytest
import spacy

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.patterns import Patterns
from spacy_domain_ner.exchange.tasks import export_tasks
from spacy_domain_ner.schema import EntitySchema, EntityType

SCHEMA = EntitySchema(entity_types=[EntityType(name="PORT"), EntityType(name="CONTAINER_ID")])
NLP = spacy.blank("en")
TEXT = "MSKU1234567 left Port Said for Rotterdam"
NUMBER = {"label": "CONTAINER_ID", "pattern": [{"TEXT": {"REGEX": r"^[A-Z]{4}\d{7}$"}}]}


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def found(content, name, given=()):
        (tmp_path / name.partition("=")[2] if "=" in name else tmp_path / name).write_text(content, encoding="utf8")
        spans = Patterns([name], NLP, SCHEMA).find(TEXT, given)
        return [(TEXT[span.start : span.end], span.label) for span in spans]

    return found


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        pytest.param(json.dumps(NUMBER) + "\n\n", "p.jsonl", [("MSKU1234567", "CONTAINER_ID")], id="a token pattern"),
        pytest.param('{"label": "Port", "pattern": "Port Said"}', "p.jsonl", [("Port Said", "PORT")], id="a phrase"),
        pytest.param("\ufefflabel,name\nPORT,Port Said\n", "p.csv", [("Port Said", "PORT")], id="a CSV file"),
        pytest.param("Name;Country;Type\nPort Said;EG;port\n\n", "p.csv", [("Port Said", "PORT")], id="semicolons"),
        pytest.param("type\tname\nPORT\tRotterdam\n", "p.tsv", [("Rotterdam", "PORT")], id="tabs"),
        pytest.param("Rotterdam\n\n  Port Said \n", "PORT=ports.txt", [("Port Said", "PORT"), ("Rotterdam", "PORT")],
                     id="one name per line"),
        pytest.param("Port\nPort Said\n", "PORT=ports.txt", [("Port Said", "PORT")], id="the longest name"),
        pytest.param("rotterdam\nRotter\n", "PORT=ports.txt", [], id="another case, a part of a token"),
    ],
)  # fmt: skip
def test_known_names_are_found(found, content, name, expected):
    assert found(content, name) == expected


def test_a_name_does_not_take_the_place_of_a_span_that_is_there(found):
    given = [Span(TEXT.index("Said"), TEXT.index("Said") + 4, "CONTAINER_ID")]
    assert found("Port Said\nRotterdam\n", "PORT=ports.txt", given) == [("Said", "CONTAINER_ID"), ("Rotterdam", "PORT")]


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        ("{", "p.jsonl", "p.jsonl:1: this is not a pattern"),
        ('{"label": "PORT"}', "p.jsonl", "p.jsonl:1: this is not a pattern"),
        ('{"label": "PORT", "pattern": [{"NOSUCH": 1}]}', "p.jsonl", "p.jsonl:1: spaCy can't use this pattern"),
        ('{"label": "PORT", "pattern": [{"TEXT": {"REGEX": "("}}]}', "p.jsonl", "p.jsonl:1: spaCy can't use this"),
        ("a,b\nPORT,Rotterdam\n", "p.csv", "no columns label and name"),
        ("label,name\nPORT\n", "p.csv", "p.csv:2: the row has 1 column(s)"),
        ("label,name\nSHIP,Ever Given\n", "p.csv", "p.csv:2: 'SHIP' is not an entity type"),
        ("Ever Given\n", "SHIP=p.txt", "p.txt:1: 'SHIP' is not an entity type"),
    ],
)
def test_what_is_not_a_pattern_is_refused_with_its_place(found, content, name, says):
    with pytest.raises(UserError) as raised:
        found(content, name)
    assert says in raised.value.what


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Can.t read the patterns in nowhere\.jsonl"):
        Patterns(["nowhere.jsonl"], NLP)


def test_tasks_have_the_known_names_filled_in(tmp_path):
    (tmp_path / "texts.txt").write_text(f"{TEXT}\nNothing here\n")
    (tmp_path / "p.jsonl").write_text(json.dumps(NUMBER))
    output = tmp_path / "tasks.jsonl"
    export_tasks("prodigy", [tmp_path / "texts.txt"], output, patterns=[tmp_path / "p.jsonl"], schema=SCHEMA)
    first, second = map(json.loads, output.read_text().splitlines())
    assert first["spans"] == [{"start": 0, "end": 11, "label": "CONTAINER_ID"}]
    assert "spans" not in second
