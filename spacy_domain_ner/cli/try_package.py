"""domain-ner try"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg


@verb("try")
def try_cli(
    package: Path = typer.Argument(..., help="A wheel, or the folder of a package that has one"),
    sentences: Path = typer.Argument("tests", help="YAML file of sentences, or a folder of such files"),
    output: Path = typer.Option(None, help="Write what was found to this JSON file"),
) -> None:
    """Install a model's package in a scratch folder and check the sentences that it must get right."""
    outcomes = ner.try_package(package, sentences, output)
    for outcome in outcomes:
        found = ", ".join(f"{form} ({label})" for form, label in outcome.found) or "nothing"
        (msg.fail if outcome.failures else msg.good)(outcome.sentence.text)
        for line in [f"found: {found}", *outcome.failures]:
            msg.plain(f"  {line}")
    if failed := sum(bool(outcome.failures) for outcome in outcomes):
        fail(
            f"{failed} of {len(outcomes)} sentences are not right.",
            f"Add passages like them to the annotations and train again, or correct {sentences}.",
        )
    if not outcomes:
        msg.warn(
            f"The package installs and loads without this plugin. Nothing was tried: {sentences} has no sentences.",
            "Write down what the model must get right: sentences with a `text` and `entities` (form: TYPE).",
        )
        return
    count = f"all {len(outcomes)} sentences" if len(outcomes) > 1 else "the one sentence"
    msg.good(f"The package installs, loads without this plugin, and gets {count} of {sentences} right.")
