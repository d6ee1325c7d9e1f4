"""The evaluation report: one page that says what to do next, and its short form for a pull request."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import srsly

from spacy_domain_ner.annotation.inconsistencies import find_inconsistencies
from spacy_domain_ner.corpus.jsonl import read_valid_passages
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import predict
from spacy_domain_ner.evaluation.assessment import Assessment, assess_predictions
from spacy_domain_ner.evaluation.forecasts import LearningCurve
from spacy_domain_ner.evaluation.gates import FALLBACK, GATE, Gates
from spacy_domain_ner.evaluation.mistakes import to_records
from spacy_domain_ner.evaluation.progress import rotate_predictions
from spacy_domain_ner.experiments.learning_curve import is_curve_of, read_learning_curve
from spacy_domain_ner.experiments.suspects import read_suspects
from spacy_domain_ner.files import at_work, write_together
from spacy_domain_ner.models import load_model
from spacy_domain_ner.monitoring.reference import make_reference
from spacy_domain_ner.reports.evaluation.contents import Report
from spacy_domain_ner.reports.evaluation.markdown import to_markdown
from spacy_domain_ner.reports.evaluation.page import to_html
from spacy_domain_ner.schema import read_schema

if TYPE_CHECKING:
    from spacy.language import Language

TITLE = "Evaluation report"


def evaluate(
    model: "str | Path | Language",
    passages: str | Path,
    schema: str | Path = "entity_types.yml",
    *,
    train: str | Path | None = None,
    output: str | Path | None = None,
    errors: str | Path | None = None,
    report: str | Path | None = None,
    predictions: str | Path | None = None,
    learning_curve: str | Path | None = None,
    suspects: str | Path | None = None,
    reference: str | Path | None = None,
    gate: float = GATE,
    fallback: float = FALLBACK,
) -> Assessment:
    """Measure a model on an annotation file, and write the files that are asked for: all of them, or none.

    Args:
        model: A trained model: its folder, the name of its package, or the loaded pipeline.
        passages: The evaluation set (JSON lines).
        schema: The entity types.
        train: The training set (JSON lines), to tell names that the model knows from others, and a type that needs
            examples from one that needs another way.
        output: Writes the figures to this JSON file; docs/metrics.md explains each entry.
        errors: Writes the passages with errors to this file, which labelling tools open.
        report: Writes the report to this page (.html), and its short form beside it (.md).
        predictions: Writes the predicted spans to this file (JSON lines), and compares them with those of the run
            before. The same model again is not another run.
        learning_curve: The file of the learning curve. A file that does not exist is left out, and so is a curve of
            another evaluation set, which the assessment's `notes` say.
        suspects: The file of the suspect annotations. A file that does not exist is left out.
        reference: Writes what live text is compared with later to this JSON file: counts, no texts and no names. It
            needs `train`.
        gate: The F1 from which a type is ready for production.
        fallback: The F1 below which a type needs another way.

    Returns:
        The assessment.

    Raises:
        UserError: A file or the model can't be read, a file can't be written, there is not a passage, or
            another evaluation with these `predictions` is running.
    """
    gates = Gates(gate, fallback)
    if report is not None:
        _check_name(Path(report))
    if reference is not None and train is None:
        raise UserError(
            "`reference` needs the training set", "Give it as `train`: what is new in live text is new to it."
        )
    types = read_schema(Path(schema))
    annotated = read_valid_passages(Path(passages))
    if not annotated:
        raise UserError(f"{passages} has no passages", "Run the split again: weasel run split")
    trained = None if train is None else read_valid_passages(Path(train))
    curve, notes = _read_curve(learning_curve, annotated, gates)
    doubtful = Path(suspects) if suspects is not None else None
    nlp = load_model(model) if isinstance(model, str | Path) else model
    predicted = predict(nlp, annotated)
    with ExitStack() as stack:
        contents: dict[Path, Iterable[str]] = {}
        earlier: list[Passage] = []
        if predictions is not None:
            # What another run has predicted would be taken for the run before, or be lost.
            stack.enter_context(at_work(predictions))
            earlier, lines = rotate_predictions(Path(predictions), annotated, predicted)
            contents.update(lines)
        assessment = assess_predictions(
            annotated,
            predicted,
            types.labels,
            train=trained,
            gates=gates,
            curve=curve,
            earlier=earlier,
            suspects=read_suspects(doubtful, trained or []) if doubtful and doubtful.exists() else [],
            inconsistencies=find_inconsistencies(trained or []),
            notes=notes,
        )
        if output is not None:
            contents[Path(output)] = [srsly.json_dumps(assessment.to_dict(), indent=2), "\n"]
        if errors is not None:
            records = to_records(assessment.passages, assessment.errors)
            contents[Path(errors)] = (srsly.json_dumps(record) + "\n" for record in records)
        if reference is not None:
            counted = make_reference(nlp, assessment, trained or [], types)
            contents[Path(reference)] = [srsly.json_dumps(counted.to_dict()), "\n"]
        if report is not None:
            contents.update(_report_files(Path(report), Report(assessment, TITLE, types.colors)))
        write_together(contents)
    return assessment


def write_report(
    path: str | Path,
    assessment: Assessment,
    *,
    title: str = TITLE,
    colors: Mapping[str, str] | None = None,
) -> None:
    """Write the report as a page, and its short form beside it with the ending .md.

    Args:
        path: The page; its name ends in .html.
        assessment: What the report shows.
        title: What was evaluated.
        colors: A colour as '#RRGGBB' per type, as the schema has them. A type without one gets one.

    Raises:
        UserError: `path` has another ending or can't be written.
    """
    path = Path(path)
    _check_name(path)
    write_together(_report_files(path, Report(assessment, title, colors or {})))


def _report_files(path: Path, report: Report) -> dict[Path, list[str]]:
    return {path: [to_html(report)], path.with_suffix(".md"): [to_markdown(report)]}


def _check_name(path: Path) -> None:
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"{path} is not a name for the report, which is a page",
            f"Name it {path.with_suffix('.html').name}. Its short form is written beside it with the ending .md.",
        )


def _read_curve(
    path: str | Path | None, passages: list[Passage], gates: Gates
) -> tuple[LearningCurve | None, list[str]]:
    """The learning curve, if it was measured on these passages, and else what to say about it."""
    if path is None or not Path(path).exists():
        return None, []
    if not is_curve_of(Path(path), passages):
        note = f"{path} was measured on another evaluation set and is not used."
        return None, [f"{note} Measure it again: weasel run learning-curve"]
    return read_learning_curve(Path(path), gates.production), []
