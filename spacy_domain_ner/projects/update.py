"""A project brought up to the installed template, with the user's edits kept.

Each file is merged three-way: what the template gave when the project was made, what it is now in the project, and what
the installed template gives for the same answers. The usual tools do not fit: cruft and copier find the base by
checking out an earlier commit of the template's git repository, and a package that pip installed has none. So the
project keeps the base in its record (record.py), and only the merge is left to do (merging.py).
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.projects.answers import RULES
from spacy_domain_ner.projects.merging import merge_lines
from spacy_domain_ner.projects.record import RECORD, Record, make_record, read_files, read_record
from spacy_domain_ner.projects.recover import recover_record
from spacy_domain_ner.projects.scaffold import complete_answers, find_template, rendered
from spacy_domain_ner.version import __version__

# Texts that people rewrite freely: if such a text can't be merged, the user's stays as it is.
PROSE = ("README.md",)
_OURS = "yours"
_CONFLICT = re.compile(rf"^<<<<<<< {_OURS}$", re.MULTILINE)

Action = Literal["added", "updated", "merged", "conflict", "left", "dropped"]


@dataclass(frozen=True)
class FileUpdate:
    """What an update does to one file.

    Attributes:
        path: The file's path in the project.
        action: `added`: new in the template. `updated`: replaced, since nobody had edited it. `merged`: the edits and
            the template's changes are both in it. `conflict`: as `merged`, but some lines are there twice, between
            markers. `left`: it stays as it is, although the template's file changed. `dropped`: it stays, and the
            template does not have it any more.
        before: The file's text; "" where there was none.
        after: The file's text after the update.
        conflicts: The lines on which a conflict starts, counted from 1.
    """

    path: str
    action: Action
    before: str
    after: str
    conflicts: tuple[int, ...] = ()

    @property
    def diff(self) -> str:
        """The change, as `diff -u` shows it; "" where the file stays as it is."""
        before, after = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        old = self.path if self.before else "/dev/null"
        return "".join(difflib.unified_diff(before, after, old, self.path))


def update_project(project: Path = Path("."), *, dry_run: bool = False) -> list[FileUpdate]:
    """Bring the template's files of a project up to the installed version; the user's edits stay.

    `project.yml`, `configs/`, `requirements.txt`, `.gitignore`, the CI workflow, `Containerfile` and `README.md` are
    cared for. A file that was deleted stays deleted, and no other file of the project is touched. Each file is written
    whole, together with the record of what the template gave for it: an interrupted update can be run again.

    Args:
        project: The project's folder.
        dry_run: Write nothing.

    Returns:
        What is done to each file that the template changed, by path. Where a file has conflicts, both versions of the
        lines are in it, between conflict markers.

    Raises:
        UserError: The folder is not a project, a later version made it, or conflicts of an earlier update are in it.
    """
    project = Path(project)
    if not (project / "project.yml").is_file():
        raise UserError(
            f"{project.resolve()} is not a project: it has no project.yml",
            "Name the project's folder, or make a new one with `domain-ner new`.",
        )
    record = read_record(project) or recover_record(project)
    _refuse_a_later_version(record)
    # Before there were groups of rules, every project had those for software.
    given = _from_the_template({RULES: "software", **record.answers})
    paths = sorted({*record.files, *given.files})
    present = read_files(project, paths)
    _refuse_open_conflicts(project, present)
    updates = [_update(path, record.files.get(path), present.get(path), given.files.get(path)) for path in paths]
    done = [update for update in updates if update is not None]
    if not dry_run:
        _write(project, record, given, done)
    return done


def _refuse_a_later_version(record: Record) -> None:
    made, installed = (_numbers(version) for version in (record.template_version, __version__))
    if made > installed:
        raise UserError(
            f"The project comes from spacy-domain-ner {record.template_version}; {__version__} is installed",
            "Upgrade spacy-domain-ner, then update the project.",
        )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def _refuse_open_conflicts(project: Path, present: Mapping[str, str]) -> None:
    places = [
        f"\n  {project / path}:{text.count(chr(10), 0, found.start()) + 1}"
        for path, text in present.items()
        for found in _CONFLICT.finditer(text)
    ]
    if places:
        raise UserError(
            f"The conflicts of an earlier update are still there:{''.join(places)}",
            "Keep one of the two versions between the markers, delete the markers, then update again.",
        )


def _from_the_template(answers: Mapping[str, str]) -> Record:
    """What the installed template gives for a project's answers."""
    template = find_template()
    complete = complete_answers(template, answers)
    with rendered(template, complete) as made:
        return make_record(made, template, complete, __version__)


def _update(path: str, base: str | None, ours: str | None, theirs: str | None) -> FileUpdate | None:
    """Decide on one file; None where there is nothing to do or to say."""
    if theirs in (base, ours):
        return None
    if ours is None:
        # Deleted by the user, and so it stays; or new in the template.
        return None if base is not None or theirs is None else FileUpdate(path, "added", "", theirs)
    if theirs is None:
        return FileUpdate(path, "dropped", ours, ours)
    if base is None:
        return FileUpdate(path, "left", ours, ours)
    if ours == base:
        return FileUpdate(path, "updated", ours, theirs)
    versions = [text.splitlines(keepends=True) for text in (base, ours, theirs)]
    merged = merge_lines(versions[0], versions[1], versions[2], (_OURS, f"spacy-domain-ner {__version__}"))
    if not merged.conflicts:
        text = "".join(merged.lines)
        return None if text == ours else FileUpdate(path, "merged", ours, text)
    if path in PROSE:
        return FileUpdate(path, "left", ours, ours)
    return FileUpdate(path, "conflict", ours, "".join(merged.lines), tuple(merged.conflicts))


def _write(project: Path, record: Record, given: Record, updates: list[FileUpdate]) -> None:
    """Write each changed file, and after it what the template gave for it: from then on the file counts as updated."""
    for update in updates:
        if update.path not in record.files and update.action == "left":
            # The user's own file, which only has the name of one of the template's.
            given.files.pop(update.path)
        elif update.action in ("added", "updated", "merged", "conflict"):
            _write_file(project / update.path, update.after)
            record.files[update.path] = given.files[update.path]
            record.write(project)
    if given != record or not (project / RECORD).exists():
        given.write(project)


def _write_file(path: Path, text: str) -> None:
    """Write a text with the line ends that the file has."""
    windows = path.is_file() and b"\r\n" in path.read_bytes()
    with replacing(path) as stream:
        stream.write(text.replace("\n", "\r\n") if windows else text)
