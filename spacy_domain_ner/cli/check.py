"""domain-ner check"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg

if TYPE_CHECKING:
    from spacy_domain_ner.corpus.checks import CheckReport, Finding

SHOWN = 20


@verb("check")
def check_cli(
    annotations: Path = typer.Argument(..., help="Annotation file (JSON lines), or a folder of them"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    config: Path = typer.Option("training/config.cfg", help="Training config, for its tokenizer"),
    output: Path = typer.Option(None, help="Write the whole report to this JSON file"),
    strict: bool = typer.Option(False, "--strict", help="Treat every warning as an error"),
) -> None:
    """Check annotations before training: labels, offsets, overlaps, contradictions, and examples per type."""
    import spacy_domain_ner as ner

    report = ner.check(annotations, schema, config, output)
    _print(report)
    wrong = report.findings if strict else report.errors
    if wrong:
        fail(f"{len(wrong)} problem(s) in {annotations} to fix before training.", _advice(wrong, output))
    if not any(count.mentions for count in report.types.values()):
        fail(
            f"{annotations} has no annotation yet ({report.passages} passage(s) read).",
            "Annotate about 200 examples of each type and save them there as JSON lines, one passage per line:\n"
            f'{{"text": "...", "spans": [{{"start": 0, "end": 5, "label": "{next(iter(report.types))}"}}]}}\n'
            "Offsets count characters from 0, `end` is exclusive. `domain-ner import FILE` brings the exports of\n"
            f"Label Studio, doccano, Prodigy and others into this form. First describe in {schema}\n"
            "what counts as what. Then: weasel run all",
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
