"""The commands that messages tell to run can be run as they are printed."""

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from click import ClickException

from spacy_domain_ner.cli._app import app
from spacy_domain_ner.cli._messages import to_correct

PACKAGE = Path(__file__).parents[2] / "spacy_domain_ner"
PROJECT = Path(__file__).parents[2] / "{{cookiecutter.domain}}/project.yml"
# A command stands in backticks, after a colon, or on a line of its own.
COMMAND = re.compile(r"(?:`|: |^\s*(?:\d\. )?)((?:domain-ner|(?:python -m )?weasel) (?:(?!\. )[^`\n])+)", re.MULTILINE)


def texts(tree: ast.AST) -> Iterator[str]:
    """The texts of a module but for its docstrings; what is filled in is X."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | docstrings:
            yield re.sub(r"\{\w+\}", "X", node.value)


COMMANDS = sorted(
    {
        # What is filled in after this option is a number.
        found.rstrip(" .").replace("--size X", "--size 200")
        for path in PACKAGE.rglob("*.py")
        if "history" not in path.parts
        for text in texts(ast.parse(path.read_text(encoding="utf8")))
        for found in COMMAND.findall(text)
        # What the verb or the step is stands elsewhere.
        if not re.fullmatch(r"(domain-ner|weasel run) X[ .]*", found)
    }
)


def test_commands_are_found():
    assert len([command for command in COMMANDS if command.startswith("domain-ner")]) > 5
    assert len([command for command in COMMANDS if "weasel run" in command]) > 5


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("domain-ner")])
def test_a_command_of_the_command_line_has_all_that_it_needs(command):
    parses(shlex.split(command)[1:])


@pytest.mark.parametrize("command", [one for one in COMMANDS if "weasel" in one])
def test_a_step_of_a_project_exists(command):
    # Two workflows, and the commands.
    steps = {"all", "retrain", *re.findall(r"^  - name: (\S+)", PROJECT.read_text(encoding="utf8"), re.MULTILINE)}
    words = shlex.split(command.removeprefix("python -m "))
    assert words[1] == "run"
    assert re.match(r"[a-z-]+", words[2])[0] in steps


def test_tasks_are_made_of_annotations_to_look_at_again(tmp_path, domain_ner):
    annotations = tmp_path / "to look at.jsonl"
    annotations.write_text('{"text": "Redis is down"}\n')
    assert domain_ner(*shlex.split(to_correct(annotations))[1:]).code == 0
    assert (tmp_path / "to look at.tasks.json").is_file()


def parses(words: list[str]) -> None:
    """Parse a command as the command line does. A verb that is named without anything is spoken of, not told to run."""
    command, context = typer.main.get_command(app), None
    while hasattr(command, "get_command"):
        context = typer.Context(command, parent=context)
        name, *words = words
        command = command.get_command(context, name)
        assert command is not None, name
        if not words:
            return
    try:
        command.make_context(name, words)
    except ClickException as error:
        raise AssertionError(error.format_message()) from error
