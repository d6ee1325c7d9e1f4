"""domain-ner update"""

from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.errors import UserError

WORDS = {
    "added": "added",
    "updated": "updated",
    "merged": "updated; your edits stay",
    "conflict": "updated; your edits and the template's changes touch the same lines",
    "left": "left as it is: it can't be merged with the template's file of that name",
    "dropped": "left as it is: the template does not have it any more",
}


@verb("update")
def update_cli(
    project: Path = typer.Argument(Path("."), help="The project's folder"),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would change, and write nothing"),
) -> None:
    """Bring a project's commands and configs up to the installed version; your edits stay.

    Where you and the template changed the same lines, both are left in the file between markers, the places are listed,
    and the exit code is 1. entity_types.yml, the annotations and tests/ are never touched.
    """
    from spacy_domain_ner.cli._messages import msg
    from spacy_domain_ner.projects.update import update_project

    updates = update_project(project, dry_run=dry_run)
    for update in updates:
        if dry_run:
            msg.data(update.diff)
        show = msg.warn if update.action in ("conflict", "left", "dropped") else msg.good
        show(f"{update.path}: {'would be ' if dry_run and update.diff else ''}{WORDS[update.action]}")
    conflicts = [f"  {project / update.path}:{line}" for update in updates for line in update.conflicts]
    if conflicts:
        raise UserError(
            f"{len(conflicts)} conflict(s){' would be' if dry_run else ''} left to you:\n" + "\n".join(conflicts),
            "Keep one of the two versions between the markers <<<<<<< and >>>>>>>, or both, and delete the markers.",
        )
    if not updates:
        msg.good("The project is up to date.")
    elif not dry_run:
        msg.info("`git diff` shows the changes. The next `weasel run all` runs again what they affect.")
