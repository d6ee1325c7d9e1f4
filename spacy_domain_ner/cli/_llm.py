"""The group of `domain-ner llm`, and the options that its verbs share."""

import sys
from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb_group
from spacy_domain_ner.cli._messages import msg

llm = verb_group("llm", "Use a large language model where the model is weak.")

SETTINGS: Path = typer.Option("llm.yml", help="Which LLM is asked, and within which limits")


def say_where(destination: str) -> None:
    """Say once, on standard error, where text will go."""
    msg.plain(destination, sys.stderr)
