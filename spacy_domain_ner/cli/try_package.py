"""domain-ner try"""

from pathlib import Path

import srsly
import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg
from spacy_domain_ner.deployment.try_package import Outcome, read_sentences, try_package
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing


@verb("try")
def try_cli(
    package: Path = typer.Argument(..., help="A wheel, or the folder of a package that holds one"),
    sentences: Path = typer.Argument("tests", help="YAML file of sentences, or a folder of such files"),
    output: Path = typer.Option(None, help="Write what was found to this JSON file"),
) -> None:
    """Install a model's package in a scratch folder and check the sentences that it must get right."""
    outcomes = try_package(find_wheel(package), read_sentences(sentences))
    _print(outcomes)
    if output is not None:
        with replacing(output) as stream:
            rows = [
                {"text": outcome.sentence.text, "found": outcome.found, "failures": outcome.failures}
                for outcome in outcomes
            ]
            stream.write(srsly.json_dumps(rows, indent=2) + "\n")
    failed = sum(bool(outcome.failures) for outcome in outcomes)
    if failed:
        fail(
            f"{failed} of {len(outcomes)} sentences are not right.",
            f"Add passages like them to the annotations and train again, or correct {sentences}.",
        )
    msg.good(f"The package installs, loads without this plugin, and gets {len(outcomes)} sentence(s) right.")


def find_wheel(package: Path) -> Path:
    """The wheel that a path stands for. RAISES: UserError where there is none."""
    wheels = [package] if package.suffix == ".whl" and package.is_file() else sorted(package.glob("dist/*.whl"))
    if not wheels:
        raise UserError(f"There is no wheel in {package}", "Build it first: weasel run package")
    return wheels[-1]


def _print(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        found = ", ".join(f"{form} ({label})" for form, label in outcome.found) or "nothing"
        (msg.fail if outcome.failures else msg.good)(outcome.sentence.text)
        for line in [f"found: {found}", *outcome.failures]:
            print(f"  {line}")
