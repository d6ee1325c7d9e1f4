"""What of a pack comes into a project, for the chosen types."""

import pytest
import yaml

from spacy_domain_ner.projects.packs import add_pack

TYPES = """# Head
entity_types:
  - name: DRUG_NAME
    edge_cases:
      - case: 'one'
        borders_on: DOSE.mg
      - case: 'two'
        borders_on: null
  - name: DOSE.mg
    definition: "a dose"
boundaries: []  # tail
"""
SENTENCES = """# Head

- text: "Take aspirin: 20 mg."
  entities:
    aspirin: DRUG_NAME
    20 mg: DOSE.mg

- text: "Take aspirin."
  entities:
    "a: aspirin": DRUG_NAME
  not_entities: ["Take: DOSE.mg"]

- text: "Nothing here."
  only: true
"""


@pytest.fixture
def template(tmp_path):
    pack = tmp_path / "template/assets/medicine"
    pack.mkdir(parents=True)
    (pack / "entity_types.yml").write_text(TYPES)
    (pack / "sentences.yml").write_text(SENTENCES)
    record = '{"text": "a\u2028b", "spans": [{"start": 0, "end": 1, "label": "%s"}]}\n'
    (pack / "starter.jsonl").write_text(record % "DRUG_NAME" + record % "DOSE.mg", encoding="utf8")
    return tmp_path / "template"


@pytest.mark.parametrize(
    ("chosen", "sentences", "spans"),
    [("DRUG_NAME,DOSE.mg", 3, [1, 1]), ("DRUG_NAME", 2, [1, 0]), ("DOSE.mg, NEW", 1, [0, 1]), ("NEW", 1, [])],
)
def test_only_the_chosen_types_come_in(template, tmp_path, chosen, sentences, spans):
    add_pack(tmp_path / "project", template, {"pack": "medicine", "entity_types": chosen})
    types = yaml.safe_load((tmp_path / "project/entity_types.yml").read_text())
    labels = [name.strip() for name in chosen.split(",")]
    assert [entity_type["name"] for entity_type in types["entity_types"]] == labels
    assert types["boundaries"] == []
    assert len(yaml.safe_load((tmp_path / "project/tests/sentences.yml").read_text())) == sentences
    lines = (tmp_path / "project/assets/annotations.jsonl").read_text(encoding="utf8").split("\n")[:-1]
    assert [len(yaml.safe_load(line)["spans"]) for line in lines] == spans
    borders = {case["borders_on"] for found in types["entity_types"] for case in found.get("edge_cases") or []}
    assert borders <= {None, *labels}


def test_the_example_of_a_sentence_has_the_types_of_the_project(domain_ner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = domain_ner("new", "windy", "--pack", "blank", "--entity-types", "TURBINE, CREW_TEAM")
    assert made.code == 0, made.err
    text = (tmp_path / "windy/tests/sentences.yml").read_text()
    example = yaml.safe_load("\n".join(line[2:] for line in text.splitlines() if line.startswith(("# - ", "#   "))))
    assert list(example[0]["entities"].values()) == ["TURBINE", "CREW_TEAM"]
    assert all(name in example[0]["text"] for name in (*example[0]["entities"], *example[0]["not_entities"]))
