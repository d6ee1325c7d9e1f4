"""domain-ner new"""

import shlex
from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.errors import UserError


def _offered() -> list[str]:
    """The packs that are there."""
    from spacy_domain_ner.projects.pack import pack_names
    from spacy_domain_ner.projects.scaffold import find_template

    try:
        return pack_names(find_template())
    except UserError:
        return []


@verb("new")
def new_cli(
    domain: str = typer.Argument(None, help="The domain as a short name, such as billing. Without it, all is asked"),
    title: str = typer.Option(None, help="The project's title, in words"),
    pack: str = typer.Option(
        None, help=f"Starting point: {', '.join(_offered())}; or a folder of your own", show_default="software"
    ),
    entity_types: str = typer.Option(None, help="The entity types, separated by commas", show_default="the pack's"),
    base_model: str = typer.Option(None, help="A preset (domain-ner presets), owner/name on the hub, or a folder"),
    language: str = typer.Option(None, help="Language of the texts, as spaCy's code (en, de, fr, ...)"),
    words: str = typer.Option(
        None, help="What cnn knows about words: minilm, none, owner/name ...", show_default="by language"
    ),
    rules: str = typer.Option(
        None,
        help="Tokenizer rules: software, biomedical, legal, financial, several with commas",
        show_default="the pack's",
    ),
    author: str = typer.Option(None, help="Who trains the model"),
    license: str = typer.Option(None, help="Licence of the trained model: an SPDX name, or Proprietary"),
    output_dir: Path = typer.Option(Path("."), "--output-dir", "-o", help="Make the project's folder in this folder"),
    overwrite: bool = typer.Option(False, "--overwrite", help="Write into an existing folder; keep its files as .bak"),
    no_input: bool = typer.Option(False, "--no-input", help="Ask nothing; what is not given takes its default"),
) -> None:
    """Make a new project: entity types, configs, a starter corpus and the commands that train, measure and package.

    With a DOMAIN nothing is asked, and what is not given takes its default.
    """
    from spacy_domain_ner.cli._messages import msg
    from spacy_domain_ner.projects.packs import next_steps
    from spacy_domain_ner.projects.scaffold import AnswersError, find_template, new_project

    try:
        project = new_project(
            domain, title=title, pack=pack, entity_types=entity_types, base_model=base_model, language=language,
            words=words, rules=rules, author=author, license=license, output_dir=output_dir, overwrite=overwrite,
            ask=domain is None and not no_input,
        )  # fmt: skip
    except AnswersError as error:
        again = corrected_command(error.answers, output_dir, overwrite=overwrite)
        hint = f"\nYour answers are not lost. This command has them, corrected as far as can be told:\n\n  {again}"
        raise UserError(error.what, hint) from None
    msg.good(next_steps(project, find_template()))


def corrected_command(answers: dict[str, str], output_dir: Path, *, overwrite: bool) -> str:
    """The command that gives all of the answers again."""
    domain, *others = answers.items()
    # The entity types of an unknown pack are not known: left out, they are those of the corrected one.
    others = [(name, value) for name, value in others if value or name != "entity_types"]
    if output_dir != Path("."):
        others.append(("output_dir", str(output_dir)))
    options = []
    for name, value in others:
        option = f"--{name.replace('_', '-')}"
        # A value that starts with a dash would be taken for an option.
        options += [f"{option}={value}"] if value.startswith("-") else [option, value]
    if overwrite:
        options.append("--overwrite")
    words = [*options, "--", domain[1]] if domain[1].startswith("-") else [domain[1], *options]
    return shlex.join(["domain-ner", "new", *words])
