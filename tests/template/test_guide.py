"""The guide and the interfaces of baked projects."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from spacy_domain_ner.annotation.lint import lint_schema
from spacy_domain_ner.schema import read_schema


def weasel(project: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weasel", "run", command],
        cwd=project,
        capture_output=True,
        encoding="utf8",
        check=False,
    )


def test_the_software_pack_comes_out_complete(bake, tmp_path):
    assert bake("--no-input").returncode == 0
    project = tmp_path / "out/software"
    assert lint_schema(read_schema(project / "entity_types.yml")) == []
    done = weasel(project, "guide")
    assert done.returncode == 0, done.stderr
    assert "⚠" not in done.stdout
    assert "<title>Annotation guide: software</title>" in (project / "guide/guide.html").read_text(encoding="utf8")
    assert "/guide/" in (project / ".gitignore").read_text().splitlines()


def test_a_new_type_is_warned_of_with_what_to_fill_in_but_stops_nothing(bake, tmp_path):
    assert bake("--no-input", domain="mixed", entity_types="SERVICE, INFRA, METRIC").returncode == 0
    project = tmp_path / "out/mixed"
    done = weasel(project, "guide")
    assert done.returncode == 0, done.stderr
    assert "METRIC: no definition, too few examples, no not_entities, too few edge cases" in done.stdout
    # Said again although nothing has changed.
    assert "4 gap(s) in entity_types.yml" in weasel(project, "guide").stdout
    assert "Not finished" in (project / "guide/guide.html").read_text(encoding="utf8")
    strict = subprocess.run(
        [sys.executable, "-m", "spacy", "domain-ner", "guide", "--strict", "--details"],
        cwd=project,
        capture_output=True,
        encoding="utf8",
        check=False,
    )
    assert strict.returncode == 1
    assert "4 gap(s)" in strict.stderr
    for expected in (
        "METRIC: it has no definition yet. Say in `definition`",
        "METRIC: it has 0 example(s), and 5 to 10 are needed.",
        "METRIC: it has 0 edge case(s), and 5 or more are needed.",
        "METRIC: nothing says what looks like METRIC",
    ):
        assert expected in strict.stdout, expected
    assert "Traceback" not in strict.stderr


def test_a_skeleton_whose_comments_are_used_as_they_stand_loads(bake, tmp_path):
    assert bake("--no-input", domain="pumps", pack="blank", entity_types="PUMP").returncode == 0
    path = tmp_path / "out/pumps/entity_types.yml"
    text = path.read_text(encoding="utf8")
    for key in ("examples", "edge_cases", "not_entities"):
        text = text.replace(f"    {key}: []\n", "")
    lines = []
    for line in text.splitlines():
        if line.startswith("    # - text:"):
            lines.append("    examples:")
        if line.startswith("    # - case:"):
            lines.append("    edge_cases:")
        if line.startswith("    # - 'A description"):
            lines.append("    not_entities:")
        lines.append("    " + line[6:] if line.startswith(("    # - ", "    #   ")) else line)
    path.write_text("\n".join(lines), encoding="utf8")
    (pump,) = read_schema(path).entity_types
    assert pump.examples[0].mention == "a mention"
    assert pump.edge_cases[0].decision == "`the span` is a PUMP, because ..."
    assert pump.edge_cases[0].borders_on is None
    assert len(pump.not_entities) == 1


def test_the_three_interfaces_are_written_beside_the_guide(bake, tmp_path):
    assert bake("--no-input", domain="mixed", entity_types="SERVICE, METRIC").returncode == 0
    project = tmp_path / "out/mixed"
    done = weasel(project, "interface")
    assert done.returncode == 0, done.stderr
    labels = ET.parse(project / "guide/label_studio.xml").findall("Labels/Label")
    assert [label.get("value") for label in labels] == ["SERVICE", "METRIC"]
    doccano = json.loads((project / "guide/doccano_labels.json").read_text(encoding="utf8"))
    assert [label["text"] for label in doccano] == ["SERVICE", "METRIC"]
    prodigy = json.loads((project / "guide/prodigy.json").read_text(encoding="utf8"))
    assert prodigy["instructions"] == "guide/guide.html"


def test_the_configuration_can_go_to_standard_output(bake, tmp_path):
    assert bake("--no-input").returncode == 0
    done = subprocess.run(
        [sys.executable, "-m", "spacy", "domain-ner", "interface", "label-studio"],
        cwd=tmp_path / "out/software",
        capture_output=True,
        encoding="utf8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ET.fromstring(done.stdout).tag == "View"
