"""A new project from the template and a pack, through cookiecutter, without a clone or a network."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import replacing_path, scratch_folder
from spacy_domain_ner.projects.answers import QUESTIONS, RULES, find_problems, problems_of, spelled, suggest
from spacy_domain_ner.projects.pack import pack_folder, pack_names, read_pack
from spacy_domain_ner.projects.pack_checks import check_pack
from spacy_domain_ner.projects.packs import add_pack, put
from spacy_domain_ner.projects.record import make_record
from spacy_domain_ner.projects.requirement import pin_requirement
from spacy_domain_ner.version import __version__


class AnswersError(UserError):
    """Answers that no project can be made of.

    Attributes:
        answers: All answers by question, those that were asked for and the defaults included. In place of those that
            can't be used they have what was most likely meant.
    """

    def __init__(self, problems: list[str], answers: dict[str, str]) -> None:
        found = (problem.split(": ", 1) for problem in problems)
        lines = "".join(f"\n  - `{question}`: {what}" for question, what in found)
        super().__init__(f"No project was made. These answers can't be used:{lines}", "Correct them and try again.")
        self.answers = answers


def new_project(
    domain: str | None = None,
    *,
    title: str | None = None,
    pack: str | None = None,
    entity_types: str | Sequence[str] | None = None,
    base_model: str | None = None,
    language: str | None = None,
    words: str | None = None,
    rules: str | Sequence[str] | None = None,
    author: str | None = None,
    license: str | None = None,
    output_dir: Path = Path("."),
    overwrite: bool = False,
    ask: bool = False,
) -> Path:
    """Make a new project from the template that this package carries.

    What is None takes the template's default, or the user's own from cookiecutter's configuration.

    Args:
        domain: The domain as a short name, which becomes the folder and the model's name, for instance "billing".
        title: The project's title, in words.
        pack: The starting point: a pack's name, such as "software", "legal" or "blank", or a folder that is one.
        entity_types: The entity types, as a list or separated by commas.
        base_model: A preset's name, a hub's owner/name, or the full path of a folder.
        language: spaCy's code of the texts' language.
        words: What the base model `cnn` knows about words: "minilm", "none", another preset, a hub's owner/name, or the
            full path of an encoder's folder.
        rules: The groups of tokenizer rules, as a list or separated by commas: "software", "biomedical", "legal",
            "financial"; "" for none.
        author: Who trains the model.
        license: The licence of the trained model: an SPDX name, or "Proprietary".
        output_dir: The folder to make the project's folder in.
        overwrite: Whether the project's folder may exist. A file in it that differs is kept beside as `.bak`.
        ask: Ask at the terminal for every answer, with those given here as suggestions.

    Returns:
        The project's folder.

    Raises:
        AnswersError: An answer can't be used; nothing was made.
        UserError: The folder that `pack` names can't be used as a pack; all that is wrong is listed.
        UserError: The project's folder exists, or can't be written.
    """
    if entity_types is not None and not isinstance(entity_types, str):
        entity_types = ", ".join(entity_types)
    if rules is not None and not isinstance(rules, str):
        rules = ", ".join(rules)
    given = {
        "domain": domain, "title": title, "pack": pack, "entity_types": entity_types, "base_model": base_model,
        "language": language, "words": words, "author": author, "license": license, RULES: rules,
    }  # fmt: skip
    template = find_template()
    answers = complete_answers(template, {key: text for key, text in given.items() if text is not None}, ask=ask)
    if os.path.isabs(answers["pack"]) and os.path.isdir(answers["pack"]):
        check_pack(Path(answers["pack"]), answers)
    if problems := find_problems(answers):
        wrong = {problem.split(":", 1)[0] for problem in problems}
        meant = {one: suggest(one, answers) if one in wrong else str(answers[one]) for one in QUESTIONS}
        if rules is not None:
            meant["rules"] = suggest(RULES, answers)
        if "domain" in wrong and title is None:
            # Its default is made of the domain.
            del meant["title"]
        if "language" in wrong and words is None:
            # Nor is theirs of a language that there isn't.
            del meant["words"]
        raise AnswersError(problems, meant)
    project = Path(output_dir) / answers["domain"]
    if project.exists() and not overwrite:
        raise UserError(
            f"{project} exists already",
            "Choose another `domain` or `output_dir`, or set `overwrite`: files that differ are then kept beside as "
            ".bak. To bring an existing project up to this version, use `domain-ner update`.",
        )
    with rendered(template, answers) as made:
        add_pack(made, template, answers)
        make_record(made, template, answers, __version__).write(made)
        _place(made, project)
    return project


def find_template() -> Path:
    """Find the template's folder: in the installed package, or at the top of the repository that this file is in."""
    here = Path(__file__).parent
    for folder in (here / "template", here.parents[1]):
        if (folder / "cookiecutter.json").is_file():
            return folder
    raise UserError("This installation of spacy-domain-ner has no template", "Install spacy-domain-ner again.")


def complete_answers(template: Path, given: Mapping[str, str], *, ask: bool = False) -> dict[str, Any]:
    """Complete some answers by the template's defaults, or by asking at the terminal.

    Args:
        template: The template's folder.
        given: The answers that are known, by question.
        ask: Ask for every answer, with the known ones as suggestions.

    Returns:
        cookiecutter's variables: all answers, and the template's private variables.
    """
    from cookiecutter.config import get_user_config
    from cookiecutter.exceptions import CookiecutterException
    from cookiecutter.generate import generate_context
    from cookiecutter.prompt import prompt_for_config

    known = {**json.loads((template / "cookiecutter.json").read_text(encoding="utf8")), "_packs": pack_names(template)}
    given = {question: spelled(question, {**known, **given}) for question in given}
    # cookiecutter renders defaults with Jinja. What a user gives is text, so it goes in as a Jinja string.
    literals = {key: "{{ " + json.dumps(text, ensure_ascii=False) + " }}" for key, text in given.items()}
    try:
        context = generate_context(
            str(template / "cookiecutter.json"), get_user_config()["default_context"], extra_context=literals
        )
        # Unlike what cookiecutter.json says, the question lists the packs that are there.
        context["cookiecutter"]["__prompts__"]["pack"] = pack_question(template)
        context["cookiecutter"] = {"_packs": known["_packs"], **context["cookiecutter"]}
        answers = _ask(context) if ask else dict(prompt_for_config(context, no_input=True))
    except CookiecutterException as error:
        raise UserError(f"cookiecutter failed: {reason(error)}", "Check cookiecutter's configuration file.") from None
    except EOFError:
        raise UserError(
            "The input ended before all questions were answered", "Name the `domain`: then nothing is asked."
        ) from None
    return answers


def pack_question(template: Path) -> str:
    """The question for the pack, with the packs that are there."""
    listed = ((name, read_pack(pack_folder(template, name)).description) for name in pack_names(template))
    lines = "".join(f"    {name:<11} {description}\n" for name, description in listed)
    return f"Starting point\n{lines}    or the full path of a folder of your own\n  Starting point"


def _ask(context: dict[str, Any]) -> dict[str, Any]:
    """Ask each of the template's questions until its answer can be used."""
    from cookiecutter.prompt import create_env_with_context, read_user_variable, render_variable

    environment, prompts = create_env_with_context(context), context["cookiecutter"]["__prompts__"]
    answers: dict[str, Any] = {}
    for name, default in context["cookiecutter"].items():
        if name == "__prompts__":
            continue
        is_private = name.startswith("_") and not name.startswith("__")
        answers[name] = default if is_private else render_variable(environment, default, answers)
        if name not in QUESTIONS:
            continue
        suggestion = answers[name]
        while True:
            number = f"  [dim][{QUESTIONS.index(name) + 1}/{len(QUESTIONS)}][/] "
            answers[name] = read_user_variable(name, suggestion, prompts, number)
            answers[name] = spelled(name, answers)
            problems = list(problems_of(name, answers))
            if not problems:
                break
            for problem in problems:
                print(f"  {problem.split(': ', 1)[1]}")
            # What can't be corrected is not offered again.
            corrected = {**answers, name: suggest(name, answers)}
            if not any(problems_of(name, corrected)):
                suggestion = corrected[name]
    return answers


@contextmanager
def rendered(template: Path, answers: Mapping[str, Any]) -> Iterator[Path]:
    """Render a template's files into a scratch folder.

    Args:
        template: The folder that holds `{{cookiecutter.domain}}`.
        answers: cookiecutter's variables.

    Yields:
        The rendered project's folder, which is removed afterwards.
    """
    from cookiecutter.generate import generate_files

    with scratch_folder() as scratch:
        context = {"cookiecutter": dict(answers)}
        # What the hooks do is done here, without starting Python again for each of them.
        project = Path(generate_files(template, context, output_dir=str(scratch), accept_hooks=False))
        pin_requirement(project, template)
        yield project


def _place(made: Path, project: Path) -> None:
    """Move a finished project into its place, whole; or into an existing folder, file by file."""
    if not project.exists():
        with replacing_path(project, folder=True) as beside:
            # Without the modes of the template's files: an installed package may be read-only.
            shutil.copytree(made, beside, copy_function=shutil.copyfile)
        return
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        put(project / path.relative_to(made), path.read_text(encoding="utf8"))
