"""The verbs within spaCy's own command line, which imports this module for the entry point in `spacy_cli`."""

from spacy.cli._util import app as spacy_app

from spacy_domain_ner.cli._app import app

spacy_app.add_typer(app, name="domain-ner")
register = app
