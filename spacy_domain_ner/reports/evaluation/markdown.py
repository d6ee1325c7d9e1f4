"""The evaluation report's short form, for a pull request (Markdown)."""

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.bootstrap import points, with_interval
from spacy_domain_ner.evaluation.mistakes import Mistake
from spacy_domain_ner.evaluation.verdict import Verdict
from spacy_domain_ner.rendering import escape_markdown, markdown_table, to_code
from spacy_domain_ner.reports.evaluation.contents import KIND_WORDS, VERDICTS, Report, as_sentence, differing_ends
from spacy_domain_ner.reports.snippets import SHORT_CONTEXT, around
from spacy_domain_ner.text import shorten

ERRORS_LISTED, STEPS_LISTED = 10, 3


def to_markdown(report: Report) -> str:
    """The short form, as a pull request shows it."""
    analysis, progress = report.analysis, report.progress
    lines = [f"**{escape_markdown(report.sentence)}**", "", escape_markdown(f"{report.title}. {report.basis}"), ""]
    if progress:
        lines += [escape_markdown(report.progress_in_words), ""]
    headings = ["type", "F1 (95 % interval)", *(["points against the earlier run"] if progress else []), "mentions"]
    rows = []
    for label in ("", *analysis.types):
        result, verdict = analysis.types[label] if label else analysis.micro, report.verdicts.get(label)
        change = progress.types.get(label) if progress and label else progress.micro if progress else None
        row = [label or "all", with_interval(report.f1[label]), *([points(change)] if progress else [])]
        rows.append([*row, str(result.score.support), _in_short(verdict) if verdict else ""])
    lines += [*markdown_table([*headings, "verdict"], rows), ""]
    unready = {label: report.verdicts[label] for label in report.ranked if report.verdicts[label].name != "ready"}
    if unready:
        lines += ["What to do next:", ""]
        for label, verdict in unready.items():
            steps = [escape_markdown(as_sentence(step.text)) for step in verdict.steps[:STEPS_LISTED]]
            lines += [f"- **{escape_markdown(label)}**", *(f"  {place}. {text}" for place, text in enumerate(steps, 1))]
        lines.append("")
    if shown := analysis.errors[:ERRORS_LISTED]:
        count = f"{len(shown)} of {len(analysis.errors)} errors" if len(analysis.errors) > len(shown) else "The errors"
        lines += [f"{count}:", "", *(_error_in_markdown(error, analysis.passages[error.number]) for error in shown), ""]
    return "\n".join(lines)


def _error_in_markdown(error: Mistake, passage: Passage) -> str:
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
    certainty = f" ({verdict.certainty})" if verdict.certainty else ""
    return VERDICTS[verdict.name] + certainty
