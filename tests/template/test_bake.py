"""What comes out of the template, for ordinary and for hostile answers."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
import yaml
from helpers.projects import without_requirement
from spacy.util import get_lang_class
from weasel.util import load_project_config

from spacy_domain_ner.base_models.presets import read_presets
from spacy_domain_ner.corpus import read_passages
from spacy_domain_ner.projects.pack import pack_names
from spacy_domain_ner.projects.scaffold import new_project, pack_question
from spacy_domain_ner.schema import read_schema
from spacy_domain_ner.tokenization import GROUPS

REPOSITORY = Path(__file__).parents[2]
SIX = ["SERVICE", "INFRA", "TEAM", "CONFIG", "LIBRARY", "ENDPOINT"]
FILES = {
    ".domain-ner.json",
    ".github/workflows/train.yml",
    ".gitignore",
    "Containerfile",
    "LICENSE",
    "README.md",
    "assets/annotations.jsonl",
    "configs/about.json",
    "configs/cnn.cfg",
    "configs/huggingface.cfg",
    "configs/transformer.cfg",
    "entity_types.yml",
    "llm.yml",
    "project.yml",
    "relation_types.example.yml",
    "requirements.txt",
    "tests/sentences.yml",
}

HOSTILE = {
    "quotes": 'He said "it\'s" done',
    "backslashes": r"C:\new\table \" \\ \u0041",
    "newlines and tabs": "one\ntwo\n\nthree\tfour",
    "other scripts": "Zürich — 東京 — Ωμέγα — 🚀🏳️‍🌈",
    "html and markdown": "<script>alert(1)</script> | **bold** `code` & more",
    "yaml": "key: [a, b] # no comment",
    "python": '""" + __import__("os").getcwd() + """',
    "dollar and percent": "$HOME %PATH% $(id) `id`",
    "surrounding blanks": "  padded  ",
}


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_bake_without_questions_gives_exactly_these_files(bake, tmp_path):
    done = bake("--no-input")
    assert done.returncode == 0, done.stderr
    project = tmp_path / "out" / "software"
    assert files_below(project) == FILES
    assert read_schema(project / "entity_types.yml").labels == SIX
    came = read_passages(REPOSITORY / "assets/software/starter.jsonl").passages
    assert [(one.text, one.spans, one.meta) for one in read_passages(project / "assets/annotations.jsonl")] == [
        (one.text, one.spans, {"origin": "starter", **one.meta}) for one in came
    ]
    new = new_project("software", output_dir=tmp_path / "new")
    assert {name: without_requirement(new / name) for name in files_below(new)} == {
        name: without_requirement(project / name) for name in FILES
    }


@pytest.mark.parametrize("pack", pack_names(REPOSITORY))
def test_no_brace_of_the_template_is_left(bake, tmp_path, pack):
    assert bake("--no-input", domain="rest", pack=pack).returncode == 0
    for name in FILES - {"assets/annotations.jsonl"}:
        text = (tmp_path / "out/rest" / name).read_text(encoding="utf8")
        for mark in ("{{", "}}", "{%", "%}", "cookiecutter."):
            assert mark not in text, (name, mark)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_free_text_comes_out_as_it_went_in(bake, tmp_path, text):
    done = bake("--no-input", title=text, author=text, license=text)
    assert done.returncode == 0, done.stderr
    project = tmp_path / "out/software"
    about = json.loads((project / "configs/about.json").read_text(encoding="utf8"))
    assert [about["title"], about["author"], about["license"]] == [text] * 3
    for read in (srsly.read_yaml, lambda path: yaml.safe_load(path.read_text(encoding="utf8"))):
        assert read(project / "project.yml")["title"] == text
    assert " ".join(text.split()) in (project / "README.md").read_text(encoding="utf8")
    commands = load_project_config(project)["commands"]
    assert "evaluate" in [command["name"] for command in commands]


def test_all_problems_are_reported_at_once_and_nothing_is_made(bake, tmp_path):
    done = bake(
        "--no-input",
        domain="Bad Name!",
        title=" ",
        entity_types="GOOD, good, 1st, , has space",
        base_model="bert",
        language="ja",
        author="bell \x07",
        license="${vars.name}",
    )
    assert done.returncode == 1
    for expected in (
        "domain: 'Bad Name!'",
        "title:",
        "'GOOD' and 'good' are the same type",
        "'1st' is not a label",
        "'has space' is not a label",
        "base_model: 'bert' is not known. Choose one of: biobert, cnn,",
        "language: 'ja'",
        "author: it has the control character '\\x07'",
        "license: it has '$' before a brace",
        "--no-input",
    ):
        assert expected in done.stderr, expected
    assert "Traceback" not in done.stderr
    assert not any((tmp_path / "out").iterdir())


def test_the_refusal_gives_a_command_that_keeps_the_good_answers_and_corrects_the_others(bake, tmp_path):
    refused = bake("--no-input", domain="My Pumps", entity_types="PUMP ID", title='It\'s "ours"', author="Zoë")
    again = next(line for line in refused.stderr.splitlines() if line.strip().startswith("cookiecutter "))
    command = again.strip().replace("cookiecutter", "-m cookiecutter", 1)
    done = subprocess.run(f"{sys.executable} {command}", shell=True, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    about = json.loads((tmp_path / "my-pumps/configs/about.json").read_text(encoding="utf8"))
    assert (about["title"], about["author"]) == ('It\'s "ours"', "Zoë")


def test_answers_typed_at_the_prompts_are_used(bake, tmp_path):
    done = bake(stdin="typed\nA title\nblank\nPUMP, VALVE\n\nde\n\nMe\nMIT\n")
    assert done.returncode == 0, done.stdout + done.stderr
    for prompt in ("Starting point", "Entity types", "Base model", "Language", "Words", "Author"):
        assert prompt in done.stdout
    assert read_schema(tmp_path / "out/typed/entity_types.yml").labels == ["PUMP", "VALVE"]
    assert 'lang = "de"' in (tmp_path / "out/typed/configs/cnn.cfg").read_text()


def test_a_replay_gives_the_same_project(bake, tmp_path):
    assert bake("--no-input", domain="again", title='Say "again" \\ ä', entity_types="SERVICE,PUMP").returncode == 0
    project = tmp_path / "out/again"
    before = {name: (project / name).read_bytes() for name in files_below(project)}
    shutil.rmtree(project)
    assert bake("--replay").returncode == 0
    assert {name: (project / name).read_bytes() for name in files_below(project)} == before


def test_a_relative_path_to_the_template_works_from_any_folder(bake, tmp_path):
    done = bake("--no-input", template=Path(os.path.relpath(REPOSITORY, tmp_path)))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/software/assets/annotations.jsonl").stat().st_size > 1000


def test_chosen_types_keep_their_definitions_and_new_ones_get_a_skeleton(bake, tmp_path):
    assert bake("--no-input", domain="mixed", entity_types="ENDPOINT, METRIC,SERVICE").returncode == 0
    project = tmp_path / "out/mixed"
    schema = read_schema(project / "entity_types.yml")
    assert schema.labels == ["ENDPOINT", "METRIC", "SERVICE"]
    endpoint, metric, service = schema.entity_types
    assert endpoint.definition
    assert service.examples
    assert not metric.definition
    assert {case.borders_on for entity_type in schema.entity_types for case in entity_type.edge_cases} <= {
        None,
        "ENDPOINT",
        "SERVICE",
    }
    records = [json.loads(line) for line in (project / "assets/annotations.jsonl").read_text().splitlines()]
    assert {span["label"] for record in records for span in record["spans"]} == {"ENDPOINT", "SERVICE"}
    assert "INFRA" not in (project / "tests/sentences.yml").read_text().split("- text:", 1)[-1]


def test_baking_over_a_project_keeps_its_annotations_beside(bake, tmp_path):
    assert bake("--no-input").returncode == 0
    annotations = tmp_path / "out/software/assets/annotations.jsonl"
    annotations.write_text('{"text": "a week of work"}\n')
    assert bake("--no-input", "--overwrite-if-exists").returncode == 0
    assert annotations.with_name("annotations.jsonl.bak").read_text() == '{"text": "a week of work"}\n'


def test_the_languages_offered_are_those_that_the_tokenizer_rules_work_for():
    offered = json.loads((REPOSITORY / "cookiecutter.json").read_text())["_languages"]
    for code in offered:
        tokenizer = get_lang_class(code).default_config["nlp"]["tokenizer"]
        assert tokenizer == {"@tokenizers": "spacy.Tokenizer.v1"}, code


def test_the_lists_that_the_template_keeps_are_those_of_the_package():
    context = json.loads((REPOSITORY / "cookiecutter.json").read_text())
    # The hook can't ask the package, which need not be installed: the list is kept twice, and held equal here.
    presets = {preset.name: preset.purpose for preset in read_presets()}
    assert context["_base_models"] == presets
    question = context["__prompts__"]["base_model"]
    assert all(f"{name:<11} {purpose}\n" in question for name, purpose in presets.items())
    assert context["_rules"] == [*GROUPS]
    # cookiecutter renders no question.
    assert context["__prompts__"]["pack"] == pack_question(REPOSITORY)


def test_the_curve_and_the_suspects_bring_the_report_up_to_date_whatever_the_scores():
    text = (REPOSITORY / "{{cookiecutter.domain}}/project.yml").read_text(encoding="utf8")
    scripts = {
        command.partition("\n")[0]: re.findall(r'^      - "(python .*)"$', command, re.MULTILINE)
        for command in text.split("\n  - name: ")
    }
    [evaluate] = scripts["evaluate"]
    for name in ("learning-curve", "suspects"):
        measure, renew = scripts[name]
        assert f"spacy_domain_ner {name} " in measure
        assert f"{renew} --fail-under ${{vars.fail_under}}" == evaluate


@pytest.mark.parametrize("pack", ["software", "blank"])
def test_the_readme_lists_the_commands_that_weasel_lists(bake, tmp_path, pack):
    assert bake("--no-input", domain="doc", pack=pack).returncode == 0
    readme = tmp_path / "out/doc/README.md"
    before = readme.read_text(encoding="utf8")
    command = [sys.executable, "-m", "weasel", "document", "--output", "README.md"]
    subprocess.run(command, cwd=readme.parent, check=True, capture_output=True)
    assert readme.read_text(encoding="utf8") == before
