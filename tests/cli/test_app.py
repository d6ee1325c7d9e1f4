"""The command line's frame: the list of the verbs, what a verb imports, and how a message names options."""

import importlib.resources

import pytest
import typer

from spacy_domain_ner import UserError
from spacy_domain_ner.cli import _app
from spacy_domain_ner.cli._app import VERBS, app, verb

NAMES = [name for verbs in VERBS.values() for name in verbs]
COMMANDS = typer.main.get_command(app)


@pytest.mark.parametrize("name", NAMES)
def test_a_verb_of_the_table_is_in_its_module_and_says_more_of_itself_there(name):
    command = COMMANDS.get_command(None, name)
    assert command.name == name
    assert len(command.help) > 20


def test_every_module_of_a_verb_is_in_the_table():
    folder = importlib.resources.files("spacy_domain_ner.cli")
    modules = {path.name.removesuffix(".py") for path in folder.iterdir() if path.name.endswith(".py")}
    named = {module for verbs in VERBS.values() for module, _ in verbs.values()}
    assert named == {name for name in modules if not name.startswith("_") and name != "in_spacy"}


def test_a_message_names_options_where_the_library_names_parameters(capsys, monkeypatch):
    monkeypatch.setitem(_app._apps, "test-of-messages", typer.Typer())

    @verb("test-of-messages")
    def cli(model: str = typer.Argument(...), file_format: str = typer.Option(None, "--format")) -> None:
        raise UserError("`file_format` is 'x', and `model` or `other` is too", "Give `file_format=jsonl`.")

    with pytest.raises(SystemExit) as end:
        typer.main.get_command(_app._apps["test-of-messages"]).main(["m"])
    assert end.value.code == 1
    what, hint = capsys.readouterr().err.splitlines()
    assert "✘ --format is 'x', and MODEL or `other` is too" in what
    assert hint == "Give --format jsonl."
