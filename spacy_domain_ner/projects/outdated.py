"""Whether an earlier template made a project, and what the project lacks."""

import re
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.projects.record import read_record
from spacy_domain_ner.projects.scaffold import find_template

_STEP = re.compile(r"^  - name: (\S+)", re.MULTILINE)


def missing_steps(project: Path = Path(".")) -> list[str] | None:
    """List the steps of the template's project.yml that a project of an earlier template lacks.

    Steps that its owner took out are not listed. A project of an earlier template that has all steps is known by having
    no record of its making.

    Args:
        project: The project's folder.

    Returns:
        The names of the steps; None where no earlier template made the project, or it is not one of this package.
    """
    path = project / "project.yml"
    try:
        own = path.read_text(encoding="utf8")
        record = read_record(project)
    except (OSError, UnicodeDecodeError, UserError):
        # Whoever needs these files says what is wrong with them.
        return None
    if not re.search(r"spacy[_-]domain[_-]ner|spacy domain-ner", own):
        return None
    given = record.files.get("project.yml", "") if record else ""
    known = {*_STEP.findall(own), *_STEP.findall(given)}
    (template,) = find_template().glob("{{*")
    steps = _STEP.findall((template / "project.yml").read_text(encoding="utf8"))
    missing = [step for step in steps if step not in known]
    return missing if missing or record is None else None
