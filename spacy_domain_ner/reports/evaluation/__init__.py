"""The evaluation report: one page by which one knows what to do next, and its short form for a pull request."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from spacy_domain_ner.annotation.inconsistencies import Inconsistency
from spacy_domain_ner.annotation.suspects import Suspect
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.analysis import Analysis
from spacy_domain_ner.evaluation.forecasts import LearningCurve
from spacy_domain_ner.evaluation.gates import Gates
from spacy_domain_ner.evaluation.progress import Progress
from spacy_domain_ner.files import replacing
from spacy_domain_ner.reports.evaluation.contents import Report
from spacy_domain_ner.reports.evaluation.markdown import to_markdown
from spacy_domain_ner.reports.evaluation.page import to_html


def write_report(
    path: Path,
    analysis: Analysis,
    gates: Gates = Gates(),
    *,
    title: str = "Evaluation report",
    progress: Progress | None = None,
    curve: LearningCurve | None = None,
    suspects: Sequence[Suspect] = (),
    inconsistencies: Sequence[Inconsistency] = (),
    colors: Mapping[str, str] | None = None,
) -> None:
    """Write the page to `path`, and its short form beside it with the ending .md.

    path: Ends in .html.
    title: What was evaluated.
    progress: This run against an earlier one.
    curve: How F1 grows with the examples; its forecasts go into the advice.
    suspects, inconsistencies: Annotations to look at, the most doubtful first.
    colors: A colour as '#RRGGBB' for each type, as the schema has them; types without one get one.
    RAISES: UserError where `path` has another ending or can't be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(
            f"{path} is no name for the report, which is a page",
            f"Name it {path.with_suffix('.html').name}; its short form is written beside it with the ending .md.",
        )
    report = Report(analysis, gates, title, progress, curve, suspects, inconsistencies, colors or {})
    contents = {path: to_html(report), path.with_suffix(".md"): to_markdown(report)}
    for place, text in contents.items():
        with replacing(place) as stream:
            stream.write(text)
