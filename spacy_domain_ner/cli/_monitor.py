"""The group of `domain-ner monitor`, and the options that its verbs share."""

import typer

from spacy_domain_ner.cli._app import verb_group

monitor = verb_group("monitor", "See whether a model at work is still good.")

LIVE = typer.Argument(
    ..., help="What `extract` has written (with --expected) or the server has logged: files, folders, archives, -"
)
MODEL_VERSION = typer.Option(None, help="Leave out the rows of other models: a version, or a digest of the rows")
TEXT_KEY = typer.Option("text", help="The key of the text in the rows")
