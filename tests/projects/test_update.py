"""Projects of today and of before records were kept, edited and brought up to the installed template."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

import spacy_domain_ner as ner
from spacy_domain_ner.projects import update as update_module
from spacy_domain_ner.projects.packs import add_pack
from spacy_domain_ner.projects.record import RECORD, read_record
from spacy_domain_ner.projects.recover import HISTORY, recover_record
from spacy_domain_ner.projects.scaffold import complete_answers, find_template, rendered

ANSWERS = {
    "domain": "site-search",
    "title": 'The "best" one',
    "entity_types": "PAGE, QUERY",
    "base_model": "cnn",
    "language": "de",
    "words": "none",
    "author": "Zoë",
    "license": "Apache-2.0",
    "pack": "blank",
    # Before the tokenizer's rules had groups, every project had those for software.
    "__rules": "software",
}


@pytest.fixture(scope="module", autouse=True)
def no_configuration(tmp_path_factory):
    """Whoever runs the tests may have default answers of their own."""
    config = tmp_path_factory.mktemp("home") / "cookiecutter.yml"
    config.write_text("default_context: {}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COOKIECUTTER_CONFIG", str(config))
        yield


@pytest.fixture(scope="module")
def first_template(tmp_path_factory) -> Path:
    """A project as the template made it before projects had records."""
    template = find_template()
    answers = complete_answers(template, ANSWERS)
    project = tmp_path_factory.mktemp("first") / "project"
    with rendered(HISTORY, answers) as made:
        add_pack(made, template, answers)
        shutil.copytree(made, project)
    return project


@pytest.fixture
def project(first_template, tmp_path) -> Path:
    return Path(shutil.copytree(first_template, tmp_path / "project"))


@pytest.fixture
def template(tmp_path, monkeypatch) -> Path:
    """A template to change; it is the installed one for as long as the test runs."""
    copy = tmp_path / "template"
    shutil.copytree(find_template() / "{{cookiecutter.domain}}", copy / "{{cookiecutter.domain}}")
    shutil.copyfile(find_template() / "cookiecutter.json", copy / "cookiecutter.json")
    monkeypatch.setattr(update_module, "find_template", lambda: copy)
    return copy / "{{cookiecutter.domain}}"


def edit(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf8")
    for old, new in pairs:
        assert text.count(old) == 1, (old, text.count(old))
        text = text.replace(old, new)
    path.write_text(text, encoding="utf8")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_base_of_a_project_without_a_record_is_recovered_from_its_files(project):
    record = recover_record(project)
    assert record.answers == ANSWERS
    assert {path: text.encode() for path, text in record.files.items()} == {
        path: content for path, content in contents(project).items() if path in record.files
    }


def test_an_edited_project_of_the_first_template_is_updated_and_keeps_its_edits(project, domain_ner):
    edit(
        project / "project.yml",
        ('base_model: "cnn"', 'base_model: "minilm"'),
        ("max_epochs: 30", "max_epochs: 12"),
        ("gate: 0.85", "gate: 0.9"),
        ("--dev-fraction ${vars.dev_fraction}", "--dev-fraction ${vars.dev_fraction} --mine"),
        ("    - package\n    - try\n", "    - package\n    - mine\n    - try\n"),
        (
            "  - name: try\n",
            '  - name: mine\n    help: "My own"\n    script:\n      - "python -c 1"\n\n  - name: try\n',
        ),
    )
    text = (project / "project.yml").read_text(encoding="utf8")
    (project / "project.yml").write_text(text[: text.index("\n  - name: document")], encoding="utf8")
    edit(project / "configs/cnn.cfg", ("dropout = 0.2", "dropout = 0.3"), ("depth = 4", "depth = 2"))
    (project / "configs/my.cfg").write_text("mine\n")
    (project / "requirements.txt").unlink()
    mine = {
        name: (project / name).read_bytes() for name in ("entity_types.yml", "tests/sentences.yml", "configs/my.cfg")
    }

    done = domain_ner("update", project)
    assert done.code == 0, done.err
    assert "project.yml: updated; your edits stay" in done.out
    assert ".github/workflows/train.yml: added" in done.out
    content = yaml.safe_load((project / "project.yml").read_text(encoding="utf8"))
    assert [content["vars"][name] for name in ("base_model", "max_epochs", "gate")] == ["minilm", 12, 0.9]
    assert "mine" in content["workflows"]["all"]
    commands = {command["name"]: command for command in content["commands"]}
    assert commands["mine"]["help"] == "My own"
    assert commands["split"]["script"][0].endswith("--mine")
    fresh = yaml.safe_load(expected("project.yml"))
    given = [command["name"] for command in fresh["commands"]]
    assert [name for name in [*commands, "document"] if name != "mine"] == given
    config = (project / "configs/cnn.cfg").read_text(encoding="utf8")
    fresh_config = expected("configs/cnn.cfg")
    assert config == fresh_config.replace("dropout = 0.2", "dropout = 0.3").replace("depth = 4", "depth = 2")
    assert {name: (project / name).read_bytes() for name in mine} == mine
    assert not (project / "requirements.txt").exists()

    before = contents(project)
    again = domain_ner("update", project)
    assert is_up_to_date(again)
    assert contents(project) == before


def is_up_to_date(outcome) -> bool:
    return outcome.code == 0 and outcome.out.count("\n") == 1 and "The project is up to date." in outcome.out


def expected(path: str) -> str:
    """What the installed template gives for the answers."""
    with rendered(find_template(), complete_answers(find_template(), ANSWERS)) as made:
        return (made / path).read_text(encoding="utf8")


def test_an_untouched_old_project_becomes_what_a_new_one_is(project, tmp_path):
    ner.update_project(project)
    asked = {question: answer for question, answer in ANSWERS.items() if question != "__rules"}
    new = ner.new_project(**asked, rules=ANSWERS["__rules"], output_dir=tmp_path / "new")
    made, wanted = contents(project), contents(new)
    # A project's licence is its owner's.
    del wanted["LICENSE"]
    assert made == wanted


def test_a_new_project_is_up_to_date(tmp_path, domain_ner):
    project = ner.new_project("billing", output_dir=tmp_path)
    before = contents(project)
    assert is_up_to_date(domain_ner("update", project))
    assert contents(project) == before


def test_a_dry_run_shows_the_changes_and_writes_nothing(project, domain_ner):
    edit(project / "project.yml", ("max_epochs: 30", "max_epochs: 12"))
    before = contents(project)
    done = domain_ner("update", project, "--dry-run")
    assert done.code == 0
    assert "--- project.yml\n+++ project.yml\n@@" in done.out
    assert "--- /dev/null\n+++ .github/workflows/train.yml\n" in done.out
    assert "project.yml: would be updated; your edits stay" in done.out
    assert "\n+  max_epochs" not in done.out
    assert contents(project) == before


def test_a_conflict_is_left_in_the_file_and_listed_and_the_next_update_waits_for_it(tmp_path, template, domain_ner):
    project = ner.new_project("billing", output_dir=tmp_path)
    edit(project / "project.yml", ("max_epochs: 30", "max_epochs: 12"), ("\n  seed: 0", "\n  seed: 7"))
    edit(template / "project.yml", ("max_epochs: 30", "max_epochs: 40"), ("\n  fallback: 0.80", "\n  fallback: 0.75"))
    before = contents(project)
    tried = domain_ner("update", project, "--dry-run")
    assert (tried.code, contents(project)) == (1, before)
    assert "+<<<<<<< yours\n   max_epochs: 12\n+=======\n+  max_epochs: 40\n" in tried.out

    done = domain_ner("update", project)
    assert done.code == 1
    text = (project / "project.yml").read_text(encoding="utf8")
    conflict = (
        f"<<<<<<< yours\n  max_epochs: 12\n=======\n  max_epochs: 40\n>>>>>>> spacy-domain-ner {ner.__version__}\n"
    )
    assert conflict + "  patience: 5\n  seed: 7\n" in text
    assert "\n  fallback: 0.75\n" in text
    line = text[: text.index("<<<<<<<")].count("\n") + 1
    assert f"1 conflict(s) left to you:\n  {project}/project.yml:{line}" in done.err

    waiting = domain_ner("update", project)
    assert waiting.code == 1
    assert f"{project}/project.yml:{line}" in waiting.err
    assert (project / "project.yml").read_text(encoding="utf8") == text
    (project / "project.yml").write_text(text.replace(conflict, "  max_epochs: 12\n"), encoding="utf8")
    assert is_up_to_date(domain_ner("update", project))


def test_a_readme_that_cannot_be_merged_stays_as_it_is(tmp_path, template):
    project = ner.new_project("billing", output_dir=tmp_path)
    (project / "README.md").write_text("Our own words.\n")
    edit(template / "README.md", ("## Your own data", "## The data"))
    (update,) = ner.update_project(project)
    assert (update.path, update.action, update.diff) == ("README.md", "left", "")
    assert (project / "README.md").read_text() == "Our own words.\n"
    assert ner.update_project(project) == []


def test_files_that_come_and_go_in_the_template(tmp_path, template):
    project = ner.new_project("billing", output_dir=tmp_path)
    (project / "configs/new.cfg").write_text("the user's own\n")
    (template / "configs/new.cfg").write_text("the template's\n")
    (template / "configs/other.cfg").write_text("the template's\n")
    (template / "configs/huggingface.cfg").unlink()
    (project / "configs/transformer.cfg").unlink()
    edit(template / "configs/transformer.cfg", ("dropout = 0.1", "dropout = 0.2"))
    actions = {update.path: update.action for update in ner.update_project(project)}
    assert actions == {
        "configs/new.cfg": "left",
        "configs/other.cfg": "added",
        "configs/huggingface.cfg": "dropped",
    }
    assert (project / "configs/new.cfg").read_text() == "the user's own\n"
    assert (project / "configs/huggingface.cfg").exists()
    assert not (project / "configs/transformer.cfg").exists()
    # The user's own file of that name is never taken for the template's.
    assert [update.action for update in ner.update_project(project)] == ["left"]


def test_an_interrupted_update_can_be_run_again(project, tmp_path, monkeypatch):
    edit(project / "project.yml", ("max_epochs: 30", "max_epochs: 12"))
    edit(project / "configs/cnn.cfg", ("dropout = 0.2", "dropout = 0.3"))
    whole = Path(shutil.copytree(project, tmp_path / "whole"))
    ner.update_project(whole)
    write = update_module._write_file

    def interrupted(path: Path, text: str) -> None:
        if path.name == "huggingface.cfg":
            raise KeyboardInterrupt
        write(path, text)

    monkeypatch.setattr(update_module, "_write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ner.update_project(project)
    done = {name: text == contents(whole)[name] for name, text in contents(project).items()}
    assert done["configs/cnn.cfg"]
    assert not done["project.yml"]
    monkeypatch.setattr(update_module, "_write_file", write)
    ner.update_project(project)
    assert contents(project) == contents(whole)


def test_line_ends_of_windows_stay_and_are_no_edits(project):
    path = project / "configs/cnn.cfg"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    actions = {update.path: update.action for update in ner.update_project(project)}
    assert actions["configs/cnn.cfg"] == "updated"
    content = path.read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n") > 100


def test_answers_are_told_from_what_was_edited_since(project):
    edit(project / "project.yml", ('base_model: "cnn"', 'base_model: "biobert"'))
    edit(project / "configs/cnn.cfg", ('lang = "de"', 'lang = "nl"'))
    edit(project / "entity_types.yml", ("- name: PAGE", "- name: OTHER"))
    assert recover_record(project).answers == ANSWERS
    ner.update_project(project)
    assert 'lang = "nl"' in (project / "configs/cnn.cfg").read_text()
    assert read_record(project).answers["base_model"] == "cnn"


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda project: shutil.rmtree(project), "is not a project: it has no project.yml"),
        (lambda project: (project / "project.yml").write_text("title: x\n"), "does not come from"),
        (lambda project: (project / "project.yml").write_text("a: [\n"), "project.yml is not valid"),
        (lambda project: (project / "configs/cnn.cfg").write_bytes(b"\xff"), "Save the file as UTF-8 text"),
        (lambda project: (project / RECORD).write_text("{"), f"{RECORD} is damaged"),
        (lambda project: (project / RECORD).write_text("[]"), f"{RECORD} is damaged"),
        (lambda project: (project / RECORD).write_text('{"format_version": 2}'), "has format_version 2"),
        (lambda project: write_version(project, "99.0"), "comes from spacy-domain-ner 99.0"),
    ],
)
def test_what_cannot_be_updated_is_refused_and_left_alone(project, domain_ner, prepare, expected):
    prepare(project)
    before = contents(project)
    done = domain_ner("update", project)
    assert done.code == 1
    assert expected in done.err
    assert "Traceback" not in done.err
    assert contents(project) == before


def write_version(project: Path, version: str) -> None:
    content = {"format_version": 1, "template_version": version, "answers": {}, "files": {}}
    (project / RECORD).write_text(json.dumps(content))
