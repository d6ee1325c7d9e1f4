"""Every command that the documentation shows exists, with the options that it shows."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from spacy_domain_ner.cli._app import app

REPOSITORY = Path(__file__).parents[2]
TEMPLATE = REPOSITORY / "{{cookiecutter.domain}}"
PAGES = [
    REPOSITORY / "README.md",
    TEMPLATE / "README.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
# What stands in code: in a block, or within a line.
CODE = re.compile(r"^```(?:bash|yaml)\n(.*?)^\s*```$|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
VARIABLES = re.compile(r"--vars\.(\w+)")


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of each command of a program that a page shows."""
    code = "\n".join(block or inline for block, inline in CODE.findall(page.read_text(encoding="utf8")))
    lines = [line.split(" #")[0] for line in code.splitlines()]
    return [shlex.split(line.partition(program)[2]) for line in lines if re.match(rf"(\S+ )*?(-m )?{program} \w", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_verbs_and_options_of_the_command_line_exist(page: Path) -> None:
    unknown = [" ".join(words) for words in commands(page, "domain-ner") if not exists(words)]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_steps_and_variables_of_a_project_exist(page: Path) -> None:
    project = (TEMPLATE / "project.yml").read_text(encoding="utf8")
    workflows = re.findall(r"^  ([\w-]+):$", project.partition("workflows:")[2].partition("commands:")[0], re.MULTILINE)
    steps = {*workflows, *re.findall(r"^  - name: (\S+)", project, re.MULTILINE)}
    variables = set(re.findall(r"^  (\w+):", project.partition("vars:")[2].partition("workflows:")[0], re.MULTILINE))
    shown = [
        words[1] for words in commands(page, "weasel") if words[0] == "run" and re.match("[a-z]", "".join(words[1:]))
    ]
    assert {step for step in shown if step not in steps} == set()
    assert set(VARIABLES.findall(page.read_text(encoding="utf8"))) - variables == set()


def exists(words: list[str]) -> bool:
    """Whether there is such a verb, with such options. Only `train` takes others: the values of its config."""
    command = typer.main.get_command(app)
    while hasattr(command, "get_command") and words:
        verb, *words = words
        if verb == "VERB":
            return True
        command = command.get_command(typer.Context(command), verb)
    if command is None or command.context_settings.get("ignore_unknown_options"):
        return command is not None
    known = {"--help"}.union(*(parameter.opts + parameter.secondary_opts for parameter in command.params))
    return {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)} <= known
