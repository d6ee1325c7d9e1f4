"""domain-ner evaluate"""

from pathlib import Path

import srsly
import typer

from spacy_domain_ner.annotation.inconsistencies import find_inconsistencies
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg, percent
from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Analysis, analyse, predict
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.evaluation.forecasts import LearningCurve
from spacy_domain_ner.evaluation.gates import FALLBACK, GATE, Gates
from spacy_domain_ner.evaluation.mistakes import to_records
from spacy_domain_ner.evaluation.progress import Progress, compare_runs, in_words, rotate_predictions
from spacy_domain_ner.evaluation.verdict import Verdict, judge, to_metrics
from spacy_domain_ner.experiments.learning_curve import measured_on, read_learning_curve
from spacy_domain_ner.experiments.suspects import read_suspects
from spacy_domain_ner.files import replacing
from spacy_domain_ner.models import load_model
from spacy_domain_ner.reports.evaluation import write_report
from spacy_domain_ner.schema import read_schema


@verb("evaluate")
def evaluate_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    passages: Path = typer.Argument(..., help="Evaluation set (JSON lines)"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    train: Path = typer.Option(None, help="Training set (JSON lines), for what is known from there, and the advice"),
    output: Path = typer.Option(None, help="Write the figures to this JSON file"),
    errors: Path = typer.Option(None, help="Write the passages with errors to this file, as labelling tools open it"),
    report: Path = typer.Option(None, help="Write the report to this page (.html), and its short form beside it (.md)"),
    predictions: Path = typer.Option(
        None, help="Keep the predicted spans in this file (JSON lines), and compare with those of the run before"
    ),
    learning_curve: Path = typer.Option(
        None, help="The learning curve (JSON), where it has been measured: how many more examples are likely to help"
    ),
    suspects: Path = typer.Option(
        None, help="Annotations that models contradict (JSON lines), where they have been looked for"
    ),
    gate: float = typer.Option(GATE, help="F1 per type from which a type is ready for production"),
    fallback: float = typer.Option(FALLBACK, help="F1 per type below which it needs another way"),
    fail_under: float = typer.Option(0.0, help="Exit with 1 if a type's F1 is below this (0 to 1)"),
) -> None:
    """Score a model on held-out passages: precision, recall and F1 per type, what they mean, what to do next."""
    if not 0 <= fail_under <= 1:
        raise UserError(f"--fail-under is {fail_under}", "Give an F1 between 0 and 1, for instance 0.8.")
    gates = Gates(gate, fallback)
    types = read_schema(schema)
    analysis = evaluate(model, passages, schema, train)
    curve = None if learning_curve is None else _curve(learning_curve, analysis, gates)
    progress = None if predictions is None else compare_runs(analysis, rotate_predictions(predictions, analysis))
    if output is not None:
        metrics = {**to_metrics(analysis, gates, curve), "progress": progress.to_dict() if progress else None}
        with replacing(output) as stream:
            stream.write(srsly.json_dumps(metrics, indent=2) + "\n")
    if errors is not None:
        with replacing(errors) as stream:
            stream.writelines(srsly.json_dumps(row) + "\n" for row in to_records(analysis.passages, analysis.errors))
    if report is not None:
        trained = [] if train is None else read_valid_passages(train)
        write_report(
            report,
            analysis,
            gates,
            progress=progress,
            curve=curve,
            suspects=read_suspects(suspects, trained) if suspects is not None and suspects.exists() else [],
            inconsistencies=find_inconsistencies(trained),
            colors=types.colors,
        )
    forecasts = curve.forecasts if curve else {}
    _print(analysis, {label: judge(analysis, label, gates, forecasts.get(label)) for label in analysis.types}, progress)
    if errors is not None and analysis.errors:
        msg.info(f"{len(analysis.errors)} errors are in {errors}: domain-ner export label-studio {errors}")
    if report is not None:
        msg.good(f"The report is in {report}, and its short form in {report.with_suffix('.md')}")
    below = [
        label
        for label, result in analysis.types.items()
        if result.score.support and (result.score.f1 or 0) < fail_under
    ]
    if below:
        fail(f"F1 is below {fail_under} for {', '.join(below)}.", "See the advice above, or lower fail_under.")


def evaluate(model: str, passages: Path, schema: Path, train: Path | None = None) -> Analysis:
    """Look at what a model makes of an annotation file.

    train: The training set, to tell names that are known from others, and a type that needs examples from one that
        needs another way.
    RETURNS: The analysis; `to_metrics` makes of it what metrics.json holds.
    RAISES: UserError where a file or the model can't be read, or there is nothing to score.
    """
    labels = read_schema(schema).labels
    annotated = read_valid_passages(passages)
    if not annotated:
        raise UserError(f"{passages} has no passages", "Run the split again: weasel run split")
    trained = None if train is None else read_valid_passages(train)
    return analyse(annotated, predict(load_model(model), annotated), labels, trained)


def _curve(path: Path, analysis: Analysis, gates: Gates) -> LearningCurve | None:
    """The learning curve; None where it has not been measured yet, or on other passages than today's."""
    if not path.exists():
        return None
    if not measured_on(path, analysis.passages):
        msg.warn(
            f"{path} is of another evaluation set, and is passed over. Measure it again: weasel run learning-curve"
        )
        return None
    return read_learning_curve(path, gates.production)


def _print(analysis: Analysis, verdicts: dict[str, Verdict], progress: Progress | None) -> None:
    rows = [
        (label, percent(result.score.precision), percent(result.score.recall), percent(result.score.f1),
         _interval(result.f1), result.score.support, verdicts[label].name)
        for label, result in analysis.types.items()
    ]  # fmt: skip
    micro = analysis.micro.score
    total = (
        "all", percent(micro.precision), percent(micro.recall), percent(micro.f1), _interval(analysis.micro.f1),
        micro.support, "",
    )  # fmt: skip
    msg.info(f"{len(analysis.passages)} held-out passages, exact spans by character offsets")
    header = ("type", "P", "R", "F1", "95 % interval", "mentions", "verdict")
    msg.table(rows, header=header, footer=total, divider=True, aligns=("l", "r", "r", "r", "r", "r", "l"))
    seen, unseen = analysis.micro.seen, analysis.micro.unseen
    if seen and unseen:
        msg.info(
            f"Recall {percent(seen.recall)} of {seen.support} mentions whose name training had, "
            f"{percent(unseen.recall)} of {unseen.support} whose name it never had"
        )
    if progress and progress.micro and progress.changes:
        msg.info(f"Against the run before: {in_words(progress.micro)}")
    for label, verdict in verdicts.items():
        show = msg.good if verdict.name == "ready" else msg.warn
        show(f"{label}: {verdict.name}" + (f" ({verdict.certainty})" if verdict.certainty else ""))
        for number, step in enumerate(verdict.steps, 1):
            msg.text(f"  {number}. {step.text}")


def _interval(found: Estimate | None) -> str:
    return "–" if found is None else f"{percent(found.low)} to {percent(found.high)}"
