"""domain-ner guide"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg

if TYPE_CHECKING:
    from spacy_domain_ner.annotation.lint import SchemaFinding


@verb("guide")
def guide_cli(
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    output: Path = typer.Option("guide", help="Folder for guide.html and guide.md"),
    title: str = typer.Option("Annotation guide", help="Title of the guide"),
    details: bool = typer.Option(False, "--details", help="Say of each gap what to write, not only its name"),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if anything is missing in the entity types"),
) -> None:
    """Render the guide for annotators, as a page and as Markdown, and say what the entity types still lack."""
    import spacy_domain_ner as ner

    findings = ner.write_guide(schema, output, title)
    for line in map(str, findings) if details else _per_type(findings):
        msg.warn(line)
    msg.good(f"The guide is in {output / 'guide.html'} and {output / 'guide.md'}.")
    advice = f"Fill them in {schema}, then run this again. The guide shows them where they belong."
    if not details:
        advice += " What to write in each: domain-ner guide --details"
    if findings and strict:
        fail(f"{len(findings)} gap(s) in {schema}.", advice)
    if findings:
        msg.warn(f"{len(findings)} gap(s) in {schema}.", advice)


def _per_type(findings: "Iterable[SchemaFinding]") -> list[str]:
    """One line per type, with the name of each gap."""
    kinds: dict[str, list[str]] = {}
    for finding in findings:
        kinds.setdefault(finding.entity_type or "All types", []).append(finding.kind)
    return [f"{name}: {', '.join(dict.fromkeys(gaps))}" for name, gaps in kinds.items()]
