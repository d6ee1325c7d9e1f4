"""The command line: `domain-ner VERB`, and the same as `python -m spacy domain-ner VERB`. One module per verb."""

from spacy_domain_ner.cli._app import app


def main() -> None:
    """The command `domain-ner`."""
    app(prog_name="domain-ner")
