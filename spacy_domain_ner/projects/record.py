"""What a project keeps of its making: `.domain-ner.json`, from which `domain-ner update` later tells what was edited.

It holds the answers and, line by line, the files that the template gave. So the base of a three-way merge is always at
hand: neither the earlier template nor its repository is needed. Needs nothing beyond Python itself.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import refuse_newer_format, replacing
from spacy_domain_ner.projects.answers import QUESTIONS, RULES

RECORD = ".domain-ner.json"
FORMAT_VERSION = 1
# A project's licence is its owner's: the template gives a first text and never another one.
NOT_KEPT_UP = ("LICENSE",)


@dataclass
class Record:
    """What a project keeps of its making.

    Attributes:
        template_version: The version of spacy-domain-ner that made or last updated the project.
        answers: The answers to the template's questions, by question.
        files: The text that the template gave for each file that updates care for, by its path in the project.
    """

    template_version: str
    answers: dict[str, str]
    files: dict[str, str]

    def write(self, project: Path) -> None:
        """Write the record into the project's folder."""
        content = {
            "about": "Written by domain-ner, for `domain-ner update`. Keep it with the project, and do not edit it.",
            "format_version": FORMAT_VERSION,
            "template_version": self.template_version,
            "answers": self.answers,
            # By lines, so that a change of one line is a change of one line here too.
            "files": {path: text.splitlines(keepends=True) for path, text in sorted(self.files.items())},
        }
        with replacing(project / RECORD) as stream:
            stream.write(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def make_record(project: Path, template: Path, answers: Mapping[str, object], version: str) -> Record:
    """Make the record of a project that has just come out of the template.

    Args:
        project: The project's folder.
        template: The template's folder.
        answers: The answers to the template's questions; other keys are left out.
        version: The version of spacy-domain-ner that the template belongs to.

    Returns:
        The record, not yet written.
    """
    given = {question: str(answers[question]) for question in (*QUESTIONS, RULES)}
    # A folder of the user's is on this machine only, and not needed again.
    given["pack"] = os.path.basename(os.path.normpath(given["pack"]))
    return Record(version, given, read_files(project, template_files(template)))


def template_files(template: Path) -> list[str]:
    """List the files that a template gives and that updates care for, by their paths in the project."""
    (folder,) = template.glob("{{*")
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if path not in NOT_KEPT_UP]


def read_files(project: Path, paths: list[str]) -> dict[str, str]:
    """Read those of the files that exist, with `\\n` line ends.

    Raises:
        UserError: A file can't be read, or is not UTF-8 text.
    """
    texts = {}
    for path in paths:
        try:
            texts[path] = (project / path).read_text(encoding="utf8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"Can't read {project / path}: {reason(error)}", "Save the file as UTF-8 text.") from None
    return texts


def read_record(project: Path) -> Record | None:
    """Read a project's record.

    Returns:
        The record, or None where the project has none, because it was made before records were kept.

    Raises:
        UserError: The record is damaged, or a later version wrote it in another form.
    """
    path = project / RECORD
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf8"))
        refuse_newer_format(path, content["format_version"], FORMAT_VERSION)
        files = {name: "".join(lines) for name, lines in content["files"].items()}
        return Record(content["template_version"], dict(content["answers"]), files)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"Can't read {path}: {reason(error)}", "Check that the file may be read.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is damaged: {reason(error)}",
            "Restore it from the project's history (git checkout), or delete it: the answers are then read from the "
            "project's files.",
        ) from None
