"""What a project lacks that an earlier template made."""

import re
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.projects.record import read_record
from spacy_domain_ner.projects.scaffold import find_template

_STEP = re.compile(r"^  - name: (\S+)", re.MULTILINE)


def missing_steps(project: Path = Path(".")) -> list[str]:
    """List the steps of the template's project.yml that a project lacks, except for those that its owner took out.

    Args:
        project: The project's folder.

    Returns:
        The names of the steps; none where the folder is not a project of this package.
    """
    path = project / "project.yml"
    try:
        own = path.read_text(encoding="utf8")
        record = read_record(project)
    except (OSError, UnicodeDecodeError, UserError):
        # Whoever needs these files says what is wrong with them.
        return []
    if not re.search(r"spacy[_-]domain[_-]ner|spacy domain-ner", own):
        return []
    given = record.files.get("project.yml", "") if record else ""
    known = {*_STEP.findall(own), *_STEP.findall(given)}
    (template,) = find_template().glob("{{*")
    return [step for step in _STEP.findall((template / "project.yml").read_text(encoding="utf8")) if step not in known]
