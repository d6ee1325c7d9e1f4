"""How good a model is, per type, how certain that is, and what to do next: all of it, worked out once.

`assess` measures a model. What it returns is read by metrics.json, by the report, by the command line and by Python.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wasabi

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Analysis, Predicted, Result, analyse, predict
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve
from spacy_domain_ner.evaluation.gains import BATCH, Gain, gains_at_random
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.label_issues import Inconsistency, Suspect
from spacy_domain_ner.evaluation.progress import Progress, compare_runs, in_words
from spacy_domain_ner.evaluation.scores import counted, percent
from spacy_domain_ner.evaluation.verdict import Verdict, judge
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import EntitySchema

if TYPE_CHECKING:
    from spacy.language import Language

FORMAT_VERSION = 2


@dataclass(frozen=True)
class TypeResult(Result):
    """The scores of one type and what they mean.

    The scores of a `Result` are `score` (the counts), and `precision`, `recall` and `f1`, each with its interval.

    Attributes:
        verdict: Whether the type is ready, how certain that is, and what to do next.
        forecast: How much more examples are likely to help; None where that is not known.
        trained_on: How often training had the type; None where the training set is not known.
    """

    verdict: Verdict
    forecast: Forecast | None
    trained_on: int | None

    def to_dict(self) -> dict[str, Any]:
        """The scores and the verdict as metrics.json holds them."""
        return {**super().to_dict(), "trained_on": self.trained_on, **self.verdict.to_dict()}


@dataclass(frozen=True)
class Assessment(Analysis):
    """How good a model is. `print(assessment)` shows it as a table with the next steps.

    Attributes:
        types: The result of each type, in the order of the schema. A result has `f1`, `precision` and `recall` (each
            with `value`, `low` and `high`), `score` (the counts), `verdict`, `forecast` and `trained_on`:
            `assessment.types["SERVICE"].verdict.name`.
        micro: The result of all mentions together.
        errors: Everything that is not correct, the most instructive first.
        passages: The evaluation set; `number` of an error is an index into it.
        predictions: The predicted spans of each passage.
        groups: The score of each value of a `meta` key, for the keys that divide the passages into a few groups.
        gates: The F1 values that a type is judged by.
        curve: How F1 grows with the number of examples; None where it was not measured.
        gains: What the next 100 passages, drawn at random, are likely to gain for each type, by the curve; empty
            where it, or the training set, is not known.
        progress: The difference to an earlier run; None without one.
        suspects: Annotations of the training side that models contradict, the most doubtful first.
        inconsistencies: Surface forms of the training side that are annotated in different ways.
        notes: What was left out, and why, a sentence each.
    """

    types: Mapping[str, TypeResult]
    gates: Gates
    curve: LearningCurve | None
    gains: Sequence[Gain]
    progress: Progress | None
    suspects: Sequence[Suspect]
    inconsistencies: Sequence[Inconsistency]
    notes: Sequence[str]

    def below(self, f1: float) -> list[str]:
        """List the types whose F1 is below a value. A type without a mention is not listed.

        Args:
            f1: The value, from 0 to 1.
        """
        return [label for label, found in self.types.items() if found.score.support and (found.score.f1 or 0) < f1]

    def to_dict(self) -> dict[str, Any]:
        """Everything as metrics.json holds it; docs/metrics.md explains each entry."""
        return {
            "format_version": FORMAT_VERSION,
            "gates": {"production": self.gates.production, "fallback": self.gates.fallback},
            **super().to_dict(),
            "learning_curve": self.curve.to_dict() if self.curve else None,
            "next_passages": _next_passages(self.gains),
            "progress": self.progress.to_dict() if self.progress else None,
        }

    def summary(self) -> str:
        """The scores as a table, the verdict of each type, and what to do next, in plain text."""
        return _summary(self)

    def __str__(self) -> str:
        return self.summary()


def assess(
    model: "str | Path | Language",
    passages: Iterable[Passage],
    schema: EntitySchema,
    *,
    train: Iterable[Passage] | None = None,
    gates: Gates = Gates(),
    curve: LearningCurve | None = None,
    earlier: Iterable[Passage] = (),
    suspects: Sequence[Suspect] = (),
    inconsistencies: Sequence[Inconsistency] = (),
) -> Assessment:
    """Measure a model on annotated passages that it was not trained on.

    Args:
        model: A trained model: its folder, the name of its package, or the loaded pipeline.
        passages: The evaluation set, for instance `read_passages("corpus/eval.jsonl")`.
        schema: The entity types.
        train: The training set, to tell names that the model knows from others, and a type that needs examples from
            one that needs another way. None where it is not known.
        gates: The F1 values that a type is judged by.
        curve: How F1 grows with the number of examples, fitted for the same gates.
        earlier: The passages with the spans that an earlier run predicted, to compare this run with.
        suspects: Annotations that models contradict, to be held with the rest.
        inconsistencies: Surface forms that are annotated in different ways, to be held with the rest.

    Returns:
        The assessment.

    Raises:
        UserError: The model can't be loaded, or there is not a passage.
    """
    passages = list(passages)
    if not passages:
        raise UserError("There are no passages to evaluate on", "Give `passages` that the model was not trained on.")
    nlp = load_model(model) if isinstance(model, str | Path) else model
    return assess_predictions(
        passages,
        predict(nlp, passages),
        schema.labels,
        train=train,
        gates=gates,
        curve=curve,
        earlier=earlier,
        suspects=suspects,
        inconsistencies=inconsistencies,
    )


def assess_predictions(
    passages: Sequence[Passage],
    predicted: Sequence[Predicted],
    labels: Iterable[str] = (),
    *,
    train: Iterable[Passage] | None = None,
    gates: Gates = Gates(),
    curve: LearningCurve | None = None,
    earlier: Iterable[Passage] = (),
    suspects: Sequence[Suspect] = (),
    inconsistencies: Sequence[Inconsistency] = (),
    notes: Sequence[str] = (),
) -> Assessment:
    """Assess what a model has predicted.

    Args:
        passages: The evaluation set.
        predicted: The model's prediction for each passage.
        labels: The entity types to report; others that occur are added after them.
        train: As for `assess`.
        gates: As for `assess`.
        curve: As for `assess`.
        earlier: As for `assess`.
        suspects: As for `assess`.
        inconsistencies: As for `assess`.
        notes: What was left out, and why, a sentence each.

    Returns:
        The assessment.
    """
    if chosen := sum(passage.is_training_only for passage in passages):
        notes = [
            *notes,
            f"{chosen} of the {len(passages)} passages are for training only (meta.training_only): they were chosen, "
            "not drawn at random, so the scores are not those of the text at large.",
        ]
    trained = None if train is None else list(train)
    analysis = analyse(passages, predicted, labels, trained)
    forecasts = curve.forecasts if curve else {}
    types = {
        label: TypeResult(
            **_fields(result),
            verdict=judge(analysis, label, gates, forecasts.get(label)),
            forecast=forecasts.get(label),
            trained_on=None if analysis.trained_on is None else analysis.trained_on[label],
        )
        for label, result in analysis.types.items()
    }
    return Assessment(
        **{**_fields(analysis), "types": types},
        gates=gates,
        curve=curve,
        gains=gains_at_random(curve, trained) if curve and trained else [],
        progress=compare_runs(analysis, earlier),
        suspects=suspects,
        inconsistencies=inconsistencies,
        notes=notes,
    )


def _next_passages(gains: Sequence[Gain]) -> dict[str, Any] | None:
    if not gains:
        return None
    points = {gain.label: {"points": round(gain.points, 2), "per_hour": round(gain.per_hour, 2)} for gain in gains}
    return {"passages": BATCH, "hours": round(gains[0].hours, 2), "types": points}


def _fields(record: Result | Analysis) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _summary(assessment: Assessment) -> str:
    passages = counted(len(assessment.passages), "held-out passage")
    lines = [f"{passages}; a span is right where its characters and its type are right", _table(assessment)]
    seen, unseen = assessment.micro.seen, assessment.micro.unseen
    if seen and unseen:
        lines.append(
            f"Recall is {percent(seen.recall, 1)} for {counted(seen.support, 'mention')} whose name training had, and "
            f"{percent(unseen.recall, 1)} for {counted(unseen.support, 'mention')} whose name it never had"
        )
    progress = assessment.progress
    if progress and progress.micro and progress.changes:
        lines.append(f"Against the run before: {in_words(progress.micro)}")
    if progress and progress.renamed:
        lines.append(progress.renamed_in_words)
    for label, result in assessment.types.items():
        verdict = result.verdict
        lines.append(f"\n{label}: {verdict.name}" + (f" ({verdict.certainty})" if verdict.certainty else ""))
        lines += [f"  {number}. {step.text}" for number, step in enumerate(verdict.steps, 1)]
    if gains := assessment.gains:
        lines.append(f"\nThe next {BATCH} passages at random take about {gains[0].hours:.1f} hours to label, and gain:")
        lines += [f"  {gain}" for gain in gains]
    return "\n".join(lines)


def _table(assessment: Assessment) -> str:
    """The scores in per cent, with the interval of F1."""

    def row(label: str, result: Result, verdict: str) -> tuple[str, ...]:
        score = result.score
        shares = (percent(share, 1) for share in (score.precision, score.recall, score.f1))
        return (label, *shares, _interval(result.f1), str(score.support), verdict)

    return wasabi.table(
        [row(label, result, result.verdict.name) for label, result in assessment.types.items()],
        header=("type", "P", "R", "F1", "95 % interval", "mentions", "verdict"),
        footer=row("all", assessment.micro, ""),
        divider=True,
        aligns=("l", "r", "r", "r", "r", "r", "l"),
    )


def _interval(found: Estimate | None) -> str:
    return "–" if found is None else f"{percent(found.low, 1)} to {percent(found.high, 1)}"
