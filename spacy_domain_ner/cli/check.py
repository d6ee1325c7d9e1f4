"""domain-ner check"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg

if TYPE_CHECKING:
    from spacy_domain_ner.corpus.checks import CheckReport, Finding

SHOWN = 20

# What a project without labels needs to hear.
FIRST_LABELS = """\
From text to a first model:
  1. Describe your types in {schema}: what counts as one, and where it ends. `weasel run guide` says what is missing.
  2. Make tasks of your text for Label Studio, doccano or Prodigy. A text file has one passage per line:
     domain-ner export label-studio passages.txt --output tasks.json
     For a table, such as a CSV file, add --text-key COLUMN, the column of the text. With --patterns FILE, names that
     you know already are filled in.
  3. Write the settings of the labelling tool: weasel run interface. Label about 100 passages for a first try.
  4. Import what the tool exports: domain-ner import EXPORT
  5. Run everything again: weasel run all
Or write {annotations} by hand, a JSON record per line. Offsets count characters from 0, `end` is exclusive:
{{"text": "...", "spans": [{{"start": 0, "end": 5, "label": "{label}"}}]}}"""


@verb("check")
def check_cli(
    annotations: Path = typer.Argument(
        "assets/annotations.jsonl", help="Annotation file (JSON lines), or a folder of them"
    ),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    config: Path = typer.Option("training/config.cfg", help="Training config, for its tokenizer"),
    relation_types: Path = importing.RELATION_TYPES,
    output: Path = typer.Option(None, help="Write the whole report to this JSON file"),
    strict: bool = typer.Option(False, "--strict", help="Treat every warning as an error"),
) -> None:
    """Check annotations before training: labels, offsets, overlaps, contradictions, and examples per type."""
    import spacy_domain_ner as ner

    related = importing.default_relation_types(relation_types)
    report = ner.check(annotations, schema, config, output, relation_types=related)
    _print(report)
    if related is not None:
        for lack in ner.read_relation_types(related).lacks():
            msg.warn(f"{related}: {lack}")
    wrong = report.findings if strict else report.errors
    if wrong:
        fail(f"{len(wrong)} problem(s) in {annotations} to fix before training.", _advice(wrong, output))
    if not any(count.mentions for count in report.types.values()):
        fail(
            f"{annotations} has no annotation yet ({report.passages} passage(s) read).",
            FIRST_LABELS.format(schema=schema, annotations=annotations, label=next(iter(report.types))),
        )
    msg.good("The corpus is ready for training.")


def _advice(findings: "list[Finding]", output: Path | None) -> str:
    where = "They are listed above." if len(findings) <= SHOWN else f"The first {SHOWN} are listed above."
    where += " --output FILE writes all of them to a file." if output is None else f" All of them are in {output}."
    if any(finding.kind == "unreadable" for finding in findings):
        where += (
            "\nEach line must be one JSON object with a `text`. `domain-ner import FILE --output NEW` brings the "
            "export of a labelling tool, or a file in another format, into that form."
        )
    return where


def _print(report: "CheckReport") -> None:
    from spacy_domain_ner.corpus.checks import GOOD, USABLE

    for findings, show in ((report.errors, msg.fail), (report.warnings, msg.warn)):
        for finding in findings[:SHOWN]:
            show(str(finding))
        if len(findings) > SHOWN:
            show(f"... and {len(findings) - SHOWN} more")
    skipped = f", {report.skipped} skipped by the annotator" if report.skipped else ""
    msg.info(f"{report.passages} passages, {report.without_entities} of them without entities{skipped}")
    if report.unknown_parts:
        msg.info(
            f"{report.unknown_parts} passages have parts that nobody has decided yet: training learns nothing from them"
        )
    rows = [
        (label, count.mentions, count.forms, count.passages, count.verdict) for label, count in report.types.items()
    ]
    header = ("type", "mentions", "distinct forms", "passages", f"{USABLE} usable, {GOOD} good")
    msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r", "l"))
    if report.relations:
        related = [(name, count.relations, count.passages) for name, count in report.relations.items()]
        msg.table(related, header=("relation", "relations", "passages"), divider=True, aligns=("l", "r", "r"))
        msg.info(f"{report.with_relations} passages were looked through for relations")
