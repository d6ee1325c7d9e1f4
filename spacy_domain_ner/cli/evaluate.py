"""domain-ner evaluate"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg, to_correct
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.gates import FALLBACK, GATE


@verb("evaluate")
def evaluate_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    passages: Path = typer.Argument(..., help="Evaluation set (JSON lines)"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    train: Path = typer.Option(
        None, help="Training set (JSON lines), to tell known names from others and for the advice per type"
    ),
    output: Path = typer.Option(None, help="Write the figures to this JSON file"),
    errors: Path = typer.Option(None, help="Write the passages with errors to this file, which labelling tools open"),
    report: Path = typer.Option(None, help="Write the report to this page (.html), and its short form beside it (.md)"),
    predictions: Path = typer.Option(
        None, help="Write the predicted spans to this file (JSON lines), and compare them with the run before"
    ),
    learning_curve: Path = typer.Option(
        None, help="The learning curve (JSON), if it was measured: how many more examples are likely to help"
    ),
    suspects: Path = typer.Option(
        None, help="The annotations that models contradict (JSON lines), if they were looked for"
    ),
    reference: Path = typer.Option(
        None, help="Write what `monitor drift` compares live text with to this JSON file: counts, no texts, no names"
    ),
    gate: float = typer.Option(GATE, help="F1 from which a type is ready for production"),
    fallback: float = typer.Option(FALLBACK, help="F1 below which a type needs another way"),
    fail_under: float = typer.Option(0.0, help="Exit with 1 if a type's F1 is below this (0 to 1)"),
) -> None:
    """Score a model on held-out passages: precision, recall and F1 per type, what they mean, and what to do next."""
    if not 0 <= fail_under <= 1:
        raise UserError(f"`fail_under` is {fail_under}", "Give an F1 between 0 and 1, for instance 0.8.")
    assessment = ner.evaluate(
        model,
        passages,
        schema,
        train=train,
        output=output,
        errors=errors,
        report=report,
        predictions=predictions,
        learning_curve=learning_curve,
        suspects=suspects,
        reference=reference,
        gate=gate,
        fallback=fallback,
    )
    for note in assessment.notes:
        msg.warn(note)
    msg.plain(assessment.summary())
    if errors is not None and assessment.errors:
        msg.info(f"{len(assessment.errors)} errors are in {errors}. To correct them in a tool: {to_correct(errors)}")
    if report is not None:
        msg.good(f"The report is in {report}, and its short form in {report.with_suffix('.md')}")
    if below := assessment.below(fail_under):
        fail(f"F1 is below {fail_under} for {', '.join(below)}.", "Follow the advice above, or lower --fail-under.")
