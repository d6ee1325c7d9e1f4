"""domain-ner import"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.exchange.policies import Policies


@verb("import")
@importing.takes_policies()
def import_cli(
    inputs: list[Path] = typer.Argument(..., help="Exports of labelling tools: files, folders, zip archives"),
    output: Path = typer.Option("assets/annotations.jsonl", "--output", "-o", help="Annotation file to add to"),
    schema: Path = importing.SCHEMA,
    relation_types: Path = importing.RELATION_TYPES,
    file_format: str = importing.FILE_FORMAT,
    policies: Policies = Policies(),
    encoding: str = importing.ENCODING,
    text_key: str = importing.TEXT_KEY,
    columns: str = importing.COLUMNS,
    tag_names: str = importing.TAG_NAMES,
    texts: Path = importing.TEXTS,
    sentences: bool = typer.Option(
        False, "--sentences", help="Cut each passage into its sentences; those that a span crosses stay together"
    ),
    to_label: Path = typer.Option(None, help="File for the passages annotated in part (binary answers), to complete"),
    report: Path = importing.REPORT,
    strict: bool = importing.STRICT,
    max_size: int = typer.Option(4000, min=1, help="Megabytes that an archive or a packed file may unpack to"),
) -> None:
    """Import annotations of Label Studio, doccano, Prodigy, CoNLL/BIO, Hugging Face, brat and spaCy's own forms.

    The format is recognised by the content. Passages that the annotation file has stay; one with the same text and
    source gets the imported annotation. Everything that is changed or refused is listed with its place.
    """
    report = report or importing.default_report(output)
    with progress_bar("Importing") as progress:
        result = ner.import_annotations(
            inputs, output, policies, schema=importing.default_schema(schema),
            relation_types=importing.default_relation_types(relation_types), file_format=file_format,
            encoding=encoding, text_key=text_key, columns=columns, tag_names=tag_names, texts=texts,
            sentences=sentences, to_label=to_label, report=report, strict=strict, max_size=max_size,
            progress=progress,
        )  # fmt: skip
    importing.print_report(result, policies, output, report, inputs)
