"""The command line's frame: the list of the verbs, what a verb imports, and how a message names options."""

import importlib.resources
import json
import subprocess
import sys

import pytest
import typer

from spacy_domain_ner import UserError
from spacy_domain_ner.cli import _app
from spacy_domain_ner.cli._app import VERBS, app, verb, with_options
from spacy_domain_ner.cli._messages import msg

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
        msg.plain(with_options("3 passages left out: more than `file_format` or `size` says"))
        raise UserError("`file_format` is 'x', and `model` or `other` is too", "Give `file_format=jsonl`.")

    with pytest.raises(SystemExit) as end:
        typer.main.get_command(_app._apps["test-of-messages"]).main(["m"])
    assert end.value.code == 1
    out, err = capsys.readouterr()
    assert out == "3 passages left out: more than --format or `size` says\n"
    what, hint = err.splitlines()
    assert "✘ --format is 'x', and MODEL or `other` is too" in what
    assert hint == "Give --format jsonl."


@pytest.mark.parametrize(("value", "is_plain"), [("1", True), ("", False)])
def test_no_color_is_heeded(monkeypatch, capsys, value, is_plain):
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr(msg, "show_color", True)
    msg.good("done")
    assert ("\x1b" not in capsys.readouterr().out) == is_plain


# Runs verbs in one process, and says after each which of these packages are imported.
IMPORTED = """
import sys
from spacy_domain_ner.cli import main
for arguments in sys.argv[1].split(";"):
    sys.argv = ["domain-ner", *arguments.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, arguments
    heavy = {"spacy", "thinc", "torch", "spacy_transformers", "transformers", "sklearn"} & {*sys.modules}
    print("imported:", arguments.split()[0], *sorted(heavy))
"""
LIGHT = (
    "--help;new billing --pack blank;update billing;presets;guide;interface doccano --output d.json;"
    "import a.jsonl --output i.jsonl;agreement a.jsonl b.jsonl;split a.jsonl corpus;export prodigy a.jsonl --output t;"
    "export brat a.jsonl --output brat"
)


@pytest.mark.usefixtures("pytorch")
def test_a_verb_imports_spacy_only_for_a_pipeline_and_transformers_only_for_a_transformer(tmp_path):
    (tmp_path / "entity_types.yml").write_text("entity_types: [{name: INFRA}]\n")
    (tmp_path / "config.cfg").write_text('[nlp]\nlang = "en"\n')
    rows = [{"text": f"Redis {n} is down", "spans": [{"start": 0, "end": 5, "label": "INFRA"}]} for n in range(4)]
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    verbs = f"{LIGHT};check a.jsonl --config config.cfg;convert a.jsonl --config config.cfg;evaluate blank:en a.jsonl"
    done = subprocess.run([sys.executable, "-c", IMPORTED, verbs], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done
    imported = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("imported:")]
    assert [heavy for heavy in imported if len(heavy) == 1] == [[verb.split()[0]] for verb in LIGHT.split(";")]
    # thinc imports PyTorch itself where it is installed.
    assert [set(heavy[1:]) - {"torch"} for heavy in imported[-3:]] == [{"spacy", "thinc"}] * 3
