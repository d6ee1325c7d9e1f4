"""A project of an earlier template is recognised, and what it lacks is named."""

import json

import pytest

import spacy_domain_ner as ner
from spacy_domain_ner.projects.outdated import missing_steps


@pytest.fixture
def project(tmp_path, monkeypatch):
    config = tmp_path / "cookiecutter.yml"
    config.write_text("default_context: {}\n")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(config))
    return ner.new_project("billing", pack="blank", output_dir=tmp_path)


def without(text: str, step: str) -> str:
    before, _, after = text.partition(f"  - name: {step}\n")
    return before + after[after.index("  - name: ") :]


def test_a_new_project_lacks_nothing(project):
    assert missing_steps(project) is None


def test_a_step_that_the_template_gained_is_named_and_one_that_the_owner_took_out_is_not(
    project, domain_ner, monkeypatch
):
    path, record = project / "project.yml", project / ".domain-ner.json"
    path.write_text(without(without(path.read_text(), "suspects"), "compare"))
    assert missing_steps(project) is None
    given = json.loads(record.read_text())
    given["files"]["project.yml"] = without("".join(given["files"]["project.yml"]), "suspects").splitlines(True)
    record.write_text(json.dumps(given))
    assert missing_steps(project) == ["suspects"]
    monkeypatch.chdir(project)
    done = domain_ner("configure", "cnn", "configs", "--output", "training/config.cfg")
    assert "it lacks suspects." in done.out
    assert "domain-ner update" in done.out


def test_a_project_without_a_record_lacks_all_that_it_does_not_have(project):
    path = project / "project.yml"
    (project / ".domain-ner.json").unlink()
    assert missing_steps(project) == []
    path.write_text(without(path.read_text(), "learning-curve"))
    assert missing_steps(project) == ["learning-curve"]


@pytest.mark.parametrize("text", [None, "commands: []\n", b"\xff"])
def test_what_is_not_a_project_of_this_package_lacks_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "project.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert missing_steps(tmp_path) is None
