"""A user's own folder as a pack: what comes of it, and what is said of mistakes in it."""

import json
import shutil

import pytest

import spacy_domain_ner as ner
from spacy_domain_ner.projects.record import read_record
from spacy_domain_ner.projects.scaffold import AnswersError
from spacy_domain_ner.schema import read_schema

PACK = 'title: "Wind"\ndescription: "reports on turbines"\nrules: [legal, financial]\nwords: none\n'
TYPES = """# Ours, laid out in another way.
format_version: 1
entity_types:
- color: "#77AADD"
  name: TURBINE
  definition: "A turbine."
- {name: CREW, definition: "A crew."}
"""
STARTER = '{"text": "T-9 stopped.", "spans": [{"start": 0, "end": 3, "label": "TURBINE"}]}\n'
SENTENCES = "- text: T-9 stopped.\n  entities: {T-9: TURBINE}\n"
PARTS = {"pack.yml": PACK, "entity_types.yml": TYPES, "starter.jsonl": STARTER, "sentences.yml": SENTENCES}


@pytest.fixture
def ours(tmp_path, monkeypatch):
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(tmp_path / "cookiecutter.yml"))
    (tmp_path / "cookiecutter.yml").write_text("default_context: {}\n")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ours"
    folder.mkdir()
    for name, text in PARTS.items():
        (folder / name).write_text(text, encoding="utf8")
    return folder


def test_a_project_is_made_of_it_and_updated_when_the_folder_is_gone(ours, tmp_path, domain_ner):
    made = domain_ner("new", "wind", "--pack", "./ours")
    assert made.code == 0, made.err
    project = tmp_path / "wind"
    assert (project / "entity_types.yml").read_text() == TYPES
    came = {**json.loads(STARTER), "meta": {"origin": "starter"}}
    assert [json.loads(line) for line in (project / "assets/annotations.jsonl").open()] == [came]
    assert (project / "tests/sentences.yml").read_text() == SENTENCES
    assert 'rules = ["legal", "financial"]' in (project / "configs/cnn.cfg").read_text()
    assert 'words: "none"' in (project / "project.yml").read_text()
    assert read_record(project).answers["pack"] == "ours"
    shutil.rmtree(ours)
    (project / "configs/about.json").write_text("{}\n")
    updated = domain_ner("update", project)
    assert updated.code == 0, updated.err
    assert "The project is up to date." in updated.out


def test_some_of_its_types_and_a_new_one(ours):
    project = ner.new_project("wind", pack=str(ours), entity_types=["CREW", "PORT"], rules="")
    schema = read_schema(project / "entity_types.yml")
    assert schema.labels == ["CREW", "PORT"]
    assert schema.entity_types[0].definition == "A crew."
    assert "rules = []" in (project / "configs/cnn.cfg").read_text()


def test_without_passages_and_sentences_it_begins_like_an_empty_one(ours):
    for name in ("starter.jsonl", "sentences.yml"):
        (ours / name).unlink()
    project = ner.new_project("wind", pack=str(ours))
    assert (project / "assets/annotations.jsonl").read_text() == ""
    assert "a name of a turbine" in (project / "tests/sentences.yml").read_text()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pack.yml", None, "has no pack.yml"),
        ("pack.yml", "title: x\n", "pack.yml has no description"),
        ("pack.yml", "title: [x\ndescription: y\n", "pack.yml:2: this is not valid YAML"),
        ("pack.yml", PACK + "presset: x\n", "pack.yml:5: 'presset' is not known"),
        ("pack.yml", PACK.replace("[legal, financial]", "legal"), "pack.yml:3: rules is not a list of names"),
        ("pack.yml", PACK.replace("financial", "finance"), "pack.yml:3: there are no tokenizer rules 'finance'"),
        ("pack.yml", PACK + "base_model: ../x\n", "pack.yml:5: base_model: '../x' is not known"),
        ("pack.yml", "- a\n", "pack.yml does not hold a mapping"),
        ("entity_types.yml", None, "has no entity_types.yml"),
        ("entity_types.yml", "entity_types: [A, B]\n", "entity_types is not a list of types with a name"),
        ("entity_types.yml", TYPES + "- name: 1st\n", "entity_types.yml is not a valid set of entity types"),
        ("starter.jsonl", STARTER + "{broken\n", "starter.jsonl:2"),
        ("starter.jsonl", STARTER.replace("TURBINE", "TURBIN"), "starter.jsonl:1: the label 'TURBIN' is not in"),
        ("starter.jsonl", STARTER.replace('"end": 3', '"end": 99'), "starter.jsonl:1: a span from 0 to 99"),
        ("starter.jsonl", "", "there is no passage in it"),
        ("sentences.yml", SENTENCES.replace("T-9:", "T-8:"), "'T-8'"),
        ("sentences.yml", SENTENCES.replace("TURBINE", "PORT"), "sentence 1: the type 'PORT' is not in"),
        ("sentences.yml", "- x\n", "sentences.yml is not a list of sentences"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_nothing_is_made(ours, tmp_path, name, text, expected):
    if text is None:
        (ours / name).unlink()
    else:
        (ours / name).write_text(text, encoding="utf8")
    with pytest.raises(ner.UserError) as raised:
        ner.new_project("wind", pack=str(ours))
    assert expected in str(raised.value)
    assert not (tmp_path / "wind").exists()


@pytest.mark.parametrize(
    ("pack", "expected"),
    [
        ("./nowhere", "the folder './nowhere' does not exist"),
        ("./file.yml", "the folder './file.yml' is a file, and a pack is a folder"),
        ("ourss", "'ourss' is not known. Choose one of: software,"),
    ],
)
def test_a_pack_that_is_not_there(ours, tmp_path, pack, expected):
    (tmp_path / "file.yml").write_text("")
    with pytest.raises(AnswersError) as raised:
        ner.new_project("wind", pack=pack)
    assert expected in str(raised.value)
