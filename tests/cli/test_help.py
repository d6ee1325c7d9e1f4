"""The help of every verb is shown as it was written."""

import re
from collections.abc import Iterator
from typing import Any

import typer

from spacy_domain_ner.cli._app import app


def verbs(command: Any) -> Iterator[Any]:
    if hasattr(command, "list_commands"):
        context = typer.Context(command)
        for name in command.list_commands(context):
            yield from verbs(command.get_command(context, name))
    else:
        yield command


def test_no_help_has_brackets_that_rich_would_take_for_markup_and_swallow() -> None:
    texts = [
        text
        for verb in verbs(typer.main.get_command(app))
        for text in (verb.help, *(p.help for p in verb.params))
        if text
    ]
    assert [text for text in texts if re.search(r"\[[a-z#/@]", text)] == []
