"""domain-ner guide"""

from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg


@verb("guide")
def guide_cli(
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    output: Path = typer.Option("guide", help="Folder for guide.html and guide.md"),
    title: str = typer.Option("Annotation guide", help="Title of the guide"),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if anything is missing in the entity types"),
) -> None:
    """Render the guide for annotators, as a page and as Markdown, and say what the entity types still lack."""
    import spacy_domain_ner as ner

    findings = ner.write_guide(schema, output, title)
    for finding in findings:
        msg.warn(str(finding))
    msg.good(f"The guide is in {output / 'guide.html'} and {output / 'guide.md'}.")
    advice = f"Fill them in {schema}, then run this again. The guide shows them where they belong."
    if findings and strict:
        fail(f"{len(findings)} gap(s) in {schema}.", advice)
    if findings:
        msg.warn(f"{len(findings)} gap(s) in {schema}.", advice)
