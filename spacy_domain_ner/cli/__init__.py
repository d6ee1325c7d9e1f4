"""The commands: `python -m spacy domain-ner VERB`, and the same as `domain-ner VERB`. One module a verb."""

from spacy.cli._util import app as spacy_app

from spacy_domain_ner.cli import (
    agreement,
    check,
    compare,
    configure,
    convert,
    evaluate,
    export,
    extract,
    guide,
    import_annotations,
    interface,
    label_studio,
    learning_curve,
    package,
    split,
    suspects,
    train,
    try_package,
)
from spacy_domain_ner.cli._app import app

__all__ = [
    "agreement",
    "app",
    "check",
    "compare",
    "configure",
    "convert",
    "evaluate",
    "export",
    "extract",
    "guide",
    "import_annotations",
    "interface",
    "label_studio",
    "learning_curve",
    "main",
    "package",
    "register",
    "split",
    "suspects",
    "train",
    "try_package",
]

# spaCy imports this module for its `spacy_cli` entry point and then shows whatever has joined its app.
spacy_app.add_typer(app, name="domain-ner")
register = app


def main() -> None:
    """The command `domain-ner`."""
    app(prog_name="domain-ner")
