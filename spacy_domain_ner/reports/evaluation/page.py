"""The evaluation report as one page (HTML)."""

import base64
import hashlib
from collections.abc import Iterator

from markupsafe import Markup

from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.evaluation.bootstrap import RESAMPLES, signed
from spacy_domain_ner.evaluation.label_issues import Inconsistency
from spacy_domain_ner.evaluation.matching import SCHEMES
from spacy_domain_ner.evaluation.mistakes import KINDS, Mistake
from spacy_domain_ner.evaluation.progress import direction
from spacy_domain_ner.rendering import page_environment
from spacy_domain_ner.reports.evaluation.contents import (
    ERRORS_SHOWN,
    KIND_WORDS,
    LISTED,
    OPEN,
    SCHEME_WORDS,
    STEPS_OPEN,
    VERDICT_WORDS,
    Report,
    as_sentence,
    differing_ends,
    origin,
)
from spacy_domain_ner.reports.evaluation.matrix import confusion_matrix
from spacy_domain_ner.reports.evaluation.script_data import script_data
from spacy_domain_ner.reports.snippets import CONTEXT, SHORT_CONTEXT, around, snippet
from spacy_domain_ner.text import shorten


def to_html(report: Report) -> str:
    """Render the report as one page that refers to nothing outside itself.

    Args:
        report: What the page says.

    Returns:
        The page.
    """
    environment = page_environment("spacy_domain_ner.reports")
    environment.filters.update(signed=signed)
    # The policy of the page allows this script by its digest, and no other.
    script = environment.get_template("report.js.jinja").render()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf8")).digest()).decode("ascii")
    environment.filters.update(shorten=shorten, share=_share, sentence=as_sentence, direction=direction)
    assessment = report.assessment
    return environment.get_template("report.html.jinja").render(
        report=report,
        assessment=assessment,
        verdict_words=VERDICT_WORDS,
        kind_words=KIND_WORDS,
        scheme_words=SCHEME_WORDS,
        schemes=SCHEMES,
        matrix=confusion_matrix(assessment),
        first=assessment.errors[:ERRORS_SHOWN],
        opened=OPEN,
        listed=LISTED,
        steps_open=STEPS_OPEN,
        short=SHORT_CONTEXT,
        context=CONTEXT,
        resamples=RESAMPLES,
        snippet=snippet,
        occurrences=_occurrences,
        around=around,
        details=_details,
        kind_numbers={kind: number for number, kind in enumerate(KINDS)},
        origin=origin,
        data=script_data(assessment, report.numbers),
        script=Markup(script),
        digest=digest,
    )


def _occurrences(inconsistency: Inconsistency) -> Iterator[tuple[str, Passage, Span]]:
    """The examples of an inconsistent name, each with the type that it is annotated as."""
    for label, examples in inconsistency.examples.items():
        for passage, offset in examples:
            yield label, passage, Span(offset, offset + len(inconsistency.form), label)


def _details(error: Mistake, passage: Passage) -> str:
    """What else is known about an error. The page's script says it in the same words."""
    seen = {None: "", False: "name unseen in training", True: "name seen in training"}[error.seen]
    repeated = f"{error.repeated:,} errors of this pattern" if error.repeated > 1 else ""
    return " · ".join(filter(None, [differing_ends(error), seen, repeated, origin(passage)]))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
