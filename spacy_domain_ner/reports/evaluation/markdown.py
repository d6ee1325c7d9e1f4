"""The evaluation report's short form, for a pull request (Markdown)."""

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.bootstrap import points, with_interval
from spacy_domain_ner.evaluation.gains import BATCH
from spacy_domain_ner.evaluation.mistakes import Mistake
from spacy_domain_ner.evaluation.verdict import Verdict
from spacy_domain_ner.rendering import escape_markdown, markdown_table, to_code
from spacy_domain_ner.reports.evaluation.contents import (
    KIND_WORDS,
    VERDICT_WORDS,
    Report,
    as_sentence,
    differing_ends,
)
from spacy_domain_ner.reports.snippets import SHORT_CONTEXT, around
from spacy_domain_ner.text import shorten

ERRORS_LISTED, STEPS_LISTED = 10, 3


def to_markdown(report: Report) -> str:
    """Render the short form of the report.

    Args:
        report: What the page says.

    Returns:
        Markdown, as a pull request shows it.
    """
    lines = [
        f"**{escape_markdown(report.verdict_sentence)}**",
        "",
        escape_markdown(f"{report.title}. {report.basis_sentence}"),
        "",
    ]
    if report.progress_in_words:
        lines += [escape_markdown(report.progress_in_words), ""]
    return "\n".join([*lines, *_table(report), *_steps(report), *_gains(report), *_errors(report)])


def _table(report: Report) -> list[str]:
    progress = report.assessment.progress
    headings = ["type", "F1 (95 % interval)", *(["points against the earlier run"] if progress else []), "mentions"]
    rows = []
    for label, result in report.results.items():
        row = [label or "all", with_interval(result.f1)]
        if progress:
            row.append(points(progress.types.get(label) if label else progress.micro))
        verdict = _in_short(report.assessment.types[label].verdict) if label else ""
        rows.append([*row, str(result.score.support), verdict])
    return [*markdown_table([*headings, "verdict"], rows), ""]


def _steps(report: Report) -> list[str]:
    verdicts = {label: report.assessment.types[label].verdict for label in report.ranked}
    unready = {label: verdict for label, verdict in verdicts.items() if verdict.name != "ready"}
    if not unready:
        return []
    lines = ["What to do next:", ""]
    for label, verdict in unready.items():
        steps = [escape_markdown(as_sentence(step.text)) for step in verdict.steps[:STEPS_LISTED]]
        lines += [f"- **{escape_markdown(label)}**", *(f"  {number}. {text}" for number, text in enumerate(steps, 1))]
    return [*lines, ""]


def _gains(report: Report) -> list[str]:
    gains = report.assessment.gains
    if not gains:
        return []
    of_types = [f"- {escape_markdown(str(gain))}" for gain in gains]
    hours = f"{gains[0].hours:.1f}"
    return [f"The next {BATCH} passages at random take about {hours} hours to label, and gain:", "", *of_types, ""]


def _errors(report: Report) -> list[str]:
    assessment = report.assessment
    shown = assessment.errors[:ERRORS_LISTED]
    if not shown:
        return []
    total = len(assessment.errors)
    heading = f"{len(shown)} of {total} errors:" if total > len(shown) else "The errors:"
    return [heading, "", *(_error(error, assessment.passages[error.number]) for error in shown), ""]


def _error(error: Mistake, passage: Passage) -> str:
    of_gold, of_predicted = error.types
    types = of_gold or of_predicted
    if of_gold and of_predicted and of_gold != of_predicted:
        types = f"{of_gold} predicted as {of_predicted}"
    span = error.span
    # A long mention is cut as well.
    text = around(passage.text, Span(span.start, min(span.end, span.start + 80), span.label), SHORT_CONTEXT)
    form = to_code(shorten(passage.surface(span), 80))
    ends = f" ({to_code(differing_ends(error))})" if error.edges.parts else ""
    repeated = f", {error.repeated} times" if error.repeated > 1 else ""
    return f"- {KIND_WORDS[error.kind]}{repeated}, {escape_markdown(types)}: {form}{ends} in {to_code(text)}"


def _in_short(verdict: Verdict) -> str:
    # An unknown verdict says the certainty itself.
    certainty = f" ({verdict.certainty})" if verdict.certainty and verdict.name != "unknown" else ""
    return VERDICT_WORDS[verdict.name] + certainty
