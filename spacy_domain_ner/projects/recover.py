"""The record of a project that was made before records were kept, from what its files say."""

import re
from pathlib import Path

import srsly

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.projects.answers import RULES
from spacy_domain_ner.projects.record import Record, make_record, read_files
from spacy_domain_ner.projects.scaffold import complete_answers, find_template, rendered

VERSION = "0.1.0"
HISTORY = Path(__file__).parent / "history" / VERSION


def recover_record(project: Path) -> Record:
    """Recover the answers that a project was made with, and render what the template of then gave for them.

    Args:
        project: The folder of a project that has no record.

    Returns:
        The record that the project would have.

    Raises:
        UserError: The project does not come from the template, or can't be read.
    """
    answers = complete_answers(find_template(), {RULES: "software", **recover_answers(project)})
    with rendered(HISTORY, answers) as made:
        return make_record(made, HISTORY, answers, VERSION)


def recover_answers(project: Path) -> dict[str, str]:
    """Recover the answers that a project was made with.

    What stands in several files is taken from the place that is edited least, so that a value which was edited since
    counts as an edit, and stays.

    Args:
        project: The folder of a project that has no record.

    Returns:
        The answers by question.

    Raises:
        UserError: The project does not come from the template, or can't be read.
    """
    names = ["README.md", "requirements.txt", "entity_types.yml", "project.yml"]
    readme, requirements, types, commands = (dict.fromkeys(names, "") | read_files(project, names)).values()
    settings, about = _read(project / "project.yml"), _read(project / "configs/about.json")
    variables = settings.get("vars")
    if "domain-ner" not in commands or not isinstance(variables, dict) or "name" not in variables:
        raise UserError(
            f"{project / 'project.yml'} does not come from spacy-domain-ner's template",
            "Make a new project with `domain-ner new`, and copy your data and settings into it.",
        )
    base_model = str(variables.get("base_model", "cnn"))
    if re.search(r"^spacy-domain-ner\[transformers\]", requirements, re.MULTILINE):
        base_model = "minilm" if base_model == "cnn" else base_model
    elif requirements:
        base_model = "cnn"
    name = str(variables["name"]).removesuffix("_ner").replace("_", "-")
    return {
        "domain": _find(r"'Annotation guide: ([^']+)'", commands) or name,
        "title": str(settings.get("title", "")) or name,
        "pack": "blank" if types.startswith("# The entity types of your domain:") else "software",
        "entity_types": _find(r"^Finds (.+) in text\. Made with$", readme)
        or ", ".join(re.findall(r"^  - name: [\"']?([\w.-]+)", types, re.MULTILINE)),
        "base_model": base_model,
        "language": _find(r"packages/([a-z]+)_\$\{vars\.name\}", commands) or "en",
        "author": str(about.get("author", "")),
        "license": str(about.get("license", "MIT")),
    }


def _read(path: Path) -> dict[str, object]:
    """The mapping in a YAML or JSON file; an empty one where the file is missing."""
    if not path.is_file():
        return {}
    try:
        content = srsly.read_yaml(path)
    except ValueError as error:
        raise UserError(f"{path} is not valid: {reason(error)}", "Correct the file, then update again.") from None
    return content if isinstance(content, dict) else {}


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""
