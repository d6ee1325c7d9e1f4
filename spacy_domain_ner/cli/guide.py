"""domain-ner guide"""

from pathlib import Path

import typer

from spacy_domain_ner.annotation.guide import render_guide
from spacy_domain_ner.annotation.lint import SchemaFinding, lint_schema
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import read_schema


@verb("guide")
def guide_cli(
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    output: Path = typer.Option("guide", help="Folder for guide.html and guide.md"),
    title: str = typer.Option("Annotation guide", help="Title of the guide"),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 where something is missing in the entity types"),
) -> None:
    """Render the guide for annotators, as a page and as Markdown, and say what the entity types still lack."""
    findings = guide(schema, output, title)
    for finding in findings:
        msg.warn(str(finding))
    msg.good(f"The guide is in {output / 'guide.html'} and {output / 'guide.md'}.")
    advice = f"Fill them in {schema}, then run this again. The guide shows them where they belong."
    if findings and strict:
        fail(f"{len(findings)} gap(s) in {schema}.", advice)
    if findings:
        msg.warn(f"{len(findings)} gap(s) in {schema}.", advice)


def guide(schema: Path, output: Path, title: str = "Annotation guide") -> list[SchemaFinding]:
    """Write guide.html and guide.md.

    schema: The entity types' file.
    output: The folder for both, made where it is missing.
    RETURNS: What the entity types lack.
    RAISES: UserError where the schema can't be read or the guide can't be written.
    """
    entity_schema = read_schema(schema)
    rendered = render_guide(entity_schema, title)
    for name, text in (("guide.html", rendered.html), ("guide.md", rendered.markdown)):
        with replacing(output / name) as stream:
            stream.write(text)
    return lint_schema(entity_schema)
