"""New projects by `domain-ner new` and from Python, without cookiecutter's command line."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import spacy_domain_ner as ner
from spacy_domain_ner.projects.answers import suggest
from spacy_domain_ner.projects.packs import next_steps
from spacy_domain_ner.projects.scaffold import AnswersError
from spacy_domain_ner.schema import LABEL_PATTERN, read_schema

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_configuration(tmp_path, monkeypatch):
    """Whoever runs the tests may have default answers of their own."""
    config = tmp_path / "cookiecutter.yml"
    config.write_text("default_context: {}\n")
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)


def test_a_project_is_made_by_one_command(domain_ner, tmp_path):
    made = domain_ner("new", "billing", "--pack", "software", "--base-model", "minilm", "--author", "Zoë")
    assert made.code == 0, made.err
    assert "cd billing\n  python -m pip install -r requirements.txt\n  python -m weasel run all" in made.out
    assert 'base_model: "minilm"' in (tmp_path / "billing/project.yml").read_text()
    assert json.loads((tmp_path / "billing/configs/about.json").read_text())["author"] == "Zoë"
    assert len(read_schema(tmp_path / "billing/entity_types.yml").labels) == 6


def test_without_a_domain_every_question_is_asked(domain_ner, tmp_path, monkeypatch):
    answers = iter(["pumps", "", "blank", "PUMP, VALVE", "", "de", "", "", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    made = domain_ner("new")
    assert made.code == 0, made.err
    assert "describe your types in entity_types.yml" in made.out
    assert read_schema(tmp_path / "pumps/entity_types.yml").labels == ["PUMP", "VALVE"]
    assert 'lang = "de"' in (tmp_path / "pumps/configs/cnn.cfg").read_text()
    assert not list(answers)


def test_an_input_that_ends_early_says_what_to_do(domain_ner, tmp_path, monkeypatch):
    def ended(*_: object) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", ended)
    made = domain_ner("new")
    assert (made.code, made.err.splitlines()[-1]) == (1, "Name the DOMAIN: then nothing is asked.")
    assert sorted(os.listdir(tmp_path)) == ["cookiecutter.yml"]


def test_a_refused_answer_ends_with_our_message_alone_and_makes_nothing(domain_ner, tmp_path):
    made = domain_ner("new", "Bad Name", "--entity-types", "GOOD, good", "--title", 'It\'s "ours"', "--license", "-x-")
    assert made.code == 1
    assert made.out == ""
    assert "DOMAIN: 'Bad Name'" in made.err
    assert "--entity-types: 'GOOD' and 'good'" in made.err
    assert "Traceback" not in made.err
    assert sorted(os.listdir(tmp_path)) == ["cookiecutter.yml"]
    again = shlex.split(next(line for line in made.err.splitlines() if line.startswith("  domain-ner new ")))
    assert domain_ner(*again[1:]).code == 0
    about = json.loads((tmp_path / "bad-name/configs/about.json").read_text())
    assert (about["title"], about["license"]) == ('It\'s "ours"', "-x-")
    assert read_schema(tmp_path / "bad-name/entity_types.yml").labels == ["GOOD"]


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("domain", "Fracht & Häfen 2", "fracht-hafen-2"),
        ("domain", "class", "class"),
        ("pack", "sofware", "software"),
        ("pack", "cargo", "cargo"),
        ("base_model", "Bio BERT", "biobert"),
        ("base_model", "pubmed-bert", "pubmedbert"),
        ("language", "EN", "en"),
        ("words", "Pub MedBERT", "pubmedbert"),
        ("words", "acme", "acme"),
        ("entity_types", "CONTAINER ID, Vessel,, 2nd Port;x", "CONTAINER_ID, Vessel, nd_Port, x"),
        ("entity_types", "GOOD, good", "GOOD"),
        ("license", "${MIT}", "${MIT}"),
    ],
)
def test_what_was_meant_is_suggested(question, answer, expected):
    known = {"_packs": ["software", "blank"], "_base_models": ["cnn", "biobert", "pubmedbert"]}
    known |= {"_languages": ["en", "de"], "_words": ["none", "pubmedbert"]}
    answers = {"pack": "blank", question: answer, **known}
    assert suggest(question, answers) == expected


def test_the_case_of_a_choice_does_not_matter(domain_ner, tmp_path):
    made = domain_ner("new", "pumps", "--pack", "Blank", "--base-model", "CNN", "--language", "DE")
    assert made.code == 0, made.err
    assert 'base_model: "cnn"' in (tmp_path / "pumps/project.yml").read_text()


def test_an_answer_is_checked_when_it_is_given_and_what_was_meant_is_the_next_suggestion(
    domain_ner, tmp_path, monkeypatch
):
    # An empty answer takes the suggestion.
    answers = iter(["My Pumps", "", "", "Blank", "PUMP ID, VALVE", "", "CNN", "", "", "", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    made = domain_ner("new")
    assert made.code == 0, made.err
    assert "'My Pumps' can't be the name of a folder" in made.out
    assert "'PUMP ID' is not a label" in made.out
    assert not list(answers)
    assert read_schema(tmp_path / "my-pumps/entity_types.yml").labels == ["PUMP_ID", "VALVE"]


@pytest.mark.parametrize("types", ["PUMP; VALVE ID", "PUMP / VALVE ID", "PUMP|VALVE ID", "PUMP,, VALVE ID;"])
def test_entity_types_with_something_else_between_them_are_offered_one_by_one(domain_ner, types):
    made = domain_ner("new", "pumps", "--pack", "blank", "--entity-types", types)
    assert made.code == 1
    again = shlex.split(next(line for line in made.err.splitlines() if line.startswith("  domain-ner new ")))
    assert again[again.index("--entity-types") + 1] == "PUMP, VALVE_ID"
    assert domain_ner(*again[1:]).code == 0


def test_an_answer_that_can_not_be_corrected_is_not_suggested_again(domain_ner, tmp_path, monkeypatch):
    # An empty answer after one that is no base model takes the default.
    answers = iter(["pumps", "", "blank", "PUMP, VALVE", "PUMP, VALVE", "", "", "", "", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    made = domain_ner("new")
    assert made.code == 0, made.err
    assert "'PUMP, VALVE' is not known" in made.out
    assert 'base_model: "cnn"' in (tmp_path / "pumps/project.yml").read_text()


def test_a_domain_that_looks_like_an_option_is_refused_with_a_command_that_parses(domain_ner):
    made = domain_ner("new", "--", "-class")
    again = shlex.split(next(line for line in made.err.splitlines() if line.startswith("  domain-ner new ")))
    assert again[-2:] == ["--", "-class"]
    assert domain_ner(*again[1:-1], "billing").code == 0


def test_the_entity_types_of_an_unknown_pack_are_left_to_the_corrected_one(domain_ner, tmp_path):
    made = domain_ner("new", "billing", "--pack", "sofware")
    again = shlex.split(next(line for line in made.err.splitlines() if line.startswith("  domain-ner new ")))
    assert domain_ner(*again[1:]).code == 0
    assert len(read_schema(tmp_path / "billing/entity_types.yml").labels) == 6


@pytest.mark.parametrize(
    ("entity_types", "expected"),
    [
        ("SERVICE, TEAM", ""),
        ("SERVICE, PRODUCT", "(describe PRODUCT in entity_types.yml, annotate the mentions in "),
        ("PRODUCT", "(describe your types in entity_types.yml: what counts as one, and where it ends)"),
    ],
)
def test_what_the_starter_corpus_lacks_is_said(domain_ner, entity_types, expected):
    made = domain_ner("new", "billing", "--pack", "software", "--entity-types", entity_types)
    assert (expected or "requirements.txt\n  python -m weasel run all") in made.out
    assert ("describe" in made.out) is bool(expected)


def test_a_project_inside_the_clone_is_to_be_moved(tmp_path, monkeypatch):
    project = ner.new_project("billing", pack="blank", output_dir=tmp_path)
    assert "inside the clone" in next_steps(project, tmp_path)
    assert "inside the clone" not in next_steps(project, tmp_path / "clone")


def test_an_existing_folder_is_not_touched(domain_ner, tmp_path):
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing/project.yml").write_text("mine\n")
    made = domain_ner("new", "billing")
    assert made.code == 1
    assert "billing exists already" in made.err
    assert "--overwrite" in made.err
    assert os.listdir(tmp_path / "billing") == ["project.yml"]


def test_overwrite_fills_an_existing_folder_and_keeps_what_differs(tmp_path):
    (tmp_path / "billing").mkdir()
    (tmp_path / "billing/project.yml").write_text("first\n")
    (tmp_path / "billing/notes.txt").write_text("notes\n")
    ner.new_project("billing", overwrite=True)
    assert (tmp_path / "billing/project.yml.bak").read_text() == "first\n"
    (tmp_path / "billing/project.yml").write_text("second\n")
    ner.new_project("billing", overwrite=True)
    assert (tmp_path / "billing/project.yml.bak").read_text() == "first\n"
    assert (tmp_path / "billing/project.yml.bak1").read_text() == "second\n"
    assert (tmp_path / "billing/notes.txt").read_text() == "notes\n"
    backups = sorted(path.name for path in (tmp_path / "billing").rglob("*.bak*"))
    assert backups == ["project.yml.bak", "project.yml.bak1"]


def test_an_interrupted_run_leaves_no_folder(tmp_path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spacy_domain_ner.projects.scaffold.add_pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ner.new_project("billing")
    assert sorted(os.listdir(tmp_path)) == ["cookiecutter.yml"]


def test_what_cannot_be_written_is_a_user_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ner.UserError, match="Can't write"):
        ner.new_project("billing", output_dir=tmp_path / "file")


@pytest.mark.parametrize(
    "text", ["{{ 7 * 7 }}", "{% for", "\\u0041 \\n \"'", "a{# b", "🚀 Zürich", "{{ cookiecutter }}"]
)
def test_a_title_is_text_and_never_a_template(tmp_path, text):
    project = ner.new_project("billing", title=text, entity_types=["A"], output_dir=tmp_path / "deep/er")
    assert json.loads((project / "configs/about.json").read_text(encoding="utf8"))["title"] == text


def test_the_users_own_defaults_are_used(tmp_path):
    (tmp_path / "cookiecutter.yml").write_text('default_context: {author: "Mine", unknown: "x"}\n')
    project = ner.new_project("billing")
    assert json.loads((project / "configs/about.json").read_text())["author"] == "Mine"


def test_a_broken_configuration_of_cookiecutter_is_a_user_error(tmp_path):
    (tmp_path / "cookiecutter.yml").write_text("a: [\n")
    with pytest.raises(ner.UserError, match="cookiecutter failed: Unable to parse YAML file"):
        ner.new_project("billing")


@pytest.mark.parametrize(
    ("label", "is_label"),
    [
        ("DRUG_NAME", True), ("a-b", True), ("x.y", True), ("NO", True),
        ("1st", False), ("a b", False), ("Ä", False), ("_a", False),
    ],
)  # fmt: skip
def test_every_label_of_the_schema_is_an_entity_type(label, is_label):
    assert bool(LABEL_PATTERN.fullmatch(label)) is is_label
    if is_label:
        project = ner.new_project("billing", pack="blank", entity_types=[label, "OTHER"])
        assert read_schema(project / "entity_types.yml").labels == [label, "OTHER"]
    else:
        with pytest.raises(AnswersError, match="is not a label"):
            ner.new_project("billing", pack="blank", entity_types=label)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"domain": ""}, "`domain`: ''"),
        ({"domain": "../up"}, "`domain`: '../up'"),
        ({"domain": "9lives"}, "`domain`: '9lives'"),
        ({"domain": "a__b"}, "`domain`: 'a__b'"),
        ({"domain": "class"}, "`domain`: 'class'"),
        *(({"base_model": name}, f"`base_model`: {name!r} is not known") for name in ("--output/x", "../..", "-rf")),
        ({"domain": "con"}, "`domain`: 'con' is the name of a device on Windows"),
        ({"domain": "lpt1"}, "`domain`: 'lpt1' is the name of a device on Windows"),
        ({"domain": "Ünicode"}, "`domain`: 'Ünicode'"),
        ({"domain": "x" * 70}, "too long"),
        ({"pack": "medicine"}, "`pack`: 'medicine' is not known. Choose one of: software, "),
        ({"entity_types": " , "}, "`entity_types`: none given"),
        ({"entity_types": []}, "`entity_types`: none given"),
        ({"entity_types": "A;B"}, "`entity_types`: 'A;B' is not a label"),
        ({"base_model": "bert"}, "`base_model`: 'bert' is not known. Choose one of: cnn, minilm"),
        ({"words": "bert"}, "`words`: 'bert' is not known. Choose one of: minilm, none"),
        ({"words": "../encoder"}, "`words`: '../encoder' is not known"),
        ({"language": "ja"}, "`language`: 'ja' is not one of spaCy's languages"),
        ({"title": " "}, "`title`: it is empty"),
        ({"author": "a\x07"}, "`author`: it has the control character '\\x07'"),
        ({"license": "${vars.name}"}, "`license`: it has '$' before a brace"),
    ],
)
def test_a_bad_answer_says_what_would_be_right_and_nothing_is_made(tmp_path, answer, expected):
    with pytest.raises(AnswersError, match=re.escape(expected)):
        ner.new_project(**answer)
    assert os.listdir(tmp_path) == ["cookiecutter.yml"]


@pytest.mark.parametrize(
    ("language", "words", "expected"), [("en", None, "minilm"), ("de", None, "none"), ("de", "biobert", "biobert")]
)
def test_words_are_known_by_default_where_the_language_is_english(language, words, expected):
    project = ner.new_project("billing", pack="blank", language=language, words=words)
    assert f'words: "{expected}"' in (project / "project.yml").read_text(encoding="utf8")


def test_a_folder_as_base_model_must_be_a_full_path(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(AnswersError, match="`base_model`: 'model' is not known"):
        ner.new_project("billing", base_model="model")
    assert ner.new_project("billing", base_model=str(tmp_path / "model")).is_dir()


@pytest.mark.parametrize(
    ("license", "author", "expected"),
    [
        ("MIT", "Zoë\nand others", ["MIT License", "Zoë and others", "Permission is hereby granted, free of charge"]),
        ("mit", "", ["MIT License", "the authors"]),
        ("Apache-2.0", "Zoë", ["Zoë", "are licensed under: Apache-2.0", "https://spdx.org/licenses/"]),
        ("Proprietary", "ACME", ["ACME. All rights reserved."]),
        ("", "ACME", ["ACME. All rights reserved."]),
    ],
)
def test_the_licence_file_follows_the_answer(license, author, expected):
    project = ner.new_project("billing", pack="blank", author=author, license=license)
    text = (project / "LICENSE").read_text(encoding="utf8")
    for part in expected:
        assert part in text, part
    assert ("MIT" in text) is (license.upper() == "MIT")
    assert not text[0].isspace()


@pytest.mark.parametrize(
    ("base_model", "events"),
    [("cnn", {"push", "pull_request", "workflow_dispatch"}), ("biobert", {"workflow_dispatch"})],
)
def test_the_ci_workflow_trains_and_evaluates(base_model, events):
    project = ner.new_project("billing", base_model=base_model)
    workflow = yaml.load((project / ".github/workflows/train.yml").read_text(), yaml.BaseLoader)
    assert set(workflow["on"]) == events
    steps = workflow["jobs"]["train"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs[-2] == "python -m weasel run all"
    assert any("whl/cpu" in command for command in runs) is (base_model != "cnn")
    assert {step["uses"].split("@")[0] for step in steps if "uses" in step} == {
        "actions/checkout", "actions/setup-python", "actions/upload-artifact",
    }  # fmt: skip
    # `fail_under` is what makes it fail; the workflow takes it from project.yml.
    assert "--fail-under ${vars.fail_under}" in (project / "project.yml").read_text()


def test_git_ignores_what_is_made_and_keeps_what_is_the_users():
    project = ner.new_project("billing")
    made = [
        "training/model-best/config.cfg", "metrics/report.html", "corpus/train.spacy", "packages/en/dist/en.whl",
        "comparison/comparison.html", "guide/guide.md", "project.lock", ".venv/bin/python", "assets/all.import.json",
        "assets/.split.json.12.tmp", "entities.jsonl.partial", "entities.jsonl.partial.json", "project.yml.bak",
        "assets/annotations.jsonl.bak2",
    ]  # fmt: skip
    kept = [path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()]
    kept += ["assets/split.json", "assets/annotations/more.jsonl", "configs/my.cfg", "assets/training/a.jsonl"]
    subprocess.run(["git", "init", "--quiet", project], check=True)
    command = ["git", "-c", "core.excludesFile=", "-C", str(project), "check-ignore", "--no-index", *made, *kept]
    ignored = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert ignored == made


def test_the_hooks_need_nothing_beyond_python():
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "import spacy_domain_ner.projects.answers, spacy_domain_ner.projects.packs, spacy_domain_ner.projects.record\n"
    )
    # Without site-packages and without the user's own folder of packages.
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
