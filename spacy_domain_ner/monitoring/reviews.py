"""Reading what people made of a sample, in any form in which a labelling tool exports it."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_domain_ner.corpus.jsonl import read_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Overlaps, Policies, UnknownLabels
from spacy_domain_ner.files import scratch_folder
from spacy_domain_ner.monitoring.marks import Mark, without_blanks
from spacy_domain_ner.monitoring.sampling import SAMPLED
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    from spacy_domain_ner.exchange.import_report import ImportReport
    from spacy_domain_ner.schema import EntitySchema

# So many passages are named of those that have the same fault.
_NAMED = 3


@dataclass(frozen=True)
class Review:
    """A passage that was sampled and reviewed.

    Attributes:
        mark: What is known of it since it was sampled.
        spans: The entities in it, as people say. Offsets do not count white space, as in the mark.
        unknown: The parts of which nobody knows what they are, since reviewers differ.
    """

    mark: Mark
    spans: frozenset[Span]
    unknown: tuple[Span, ...] = ()

    def is_judged(self, start: int, end: int) -> bool:
        """Whether it is known if there is an entity in a place."""
        return not any(start < part.end and part.start < end for part in self.unknown)


@dataclass
class Reviews:
    """What came back of samples.

    Attributes:
        reviews: The passages that count.
        not_sampled: How many reviewed passages were never sampled.
        changed: How many have another text than when they were sampled.
        notes: What does not count and why, a sentence each.
    """

    reviews: list[Review] = field(default_factory=list)
    not_sampled: int = 0
    changed: int = 0
    notes: list[str] = field(default_factory=list)


def read_reviews(
    paths: Sequence[str | Path],
    *,
    schema: "EntitySchema | str | Path | None" = None,
    file_format: str | None = None,
    text_key: str | None = None,
) -> Reviews:
    """Read reviewed passages.

    Args:
        paths: Exports of labelling tools, or annotation files. Passages that several people reviewed have the spans
            that more than half of them marked; where they differ and no majority decides, nothing counts.
        schema: The entity types; spans with other labels do not count, and neither does their place.
        file_format: The form of the exports, as for `import_annotations`; None recognises it.
        text_key: The key of the text in the exports; None finds it.

    Returns:
        The passages that were sampled, and what became of the others.

    Raises:
        UserError: A file can't be read, is the sample itself, or not a passage in them was sampled.
    """
    for path in paths:
        _refuse_unreviewed(Path(path))
    policies = Policies(overlaps=Overlaps.keep, unknown_labels=UnknownLabels.unknown)
    with scratch_folder() as scratch:
        imported = scratch / "reviewed.jsonl"
        report = import_annotations(
            paths, imported, policies, schema=schema, file_format=file_format, text_key=text_key
        )
        passages = read_passages(imported)
    reviews = Reviews()
    reviews.notes += _import_notes(report)
    faults: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for passage in passages:
        problem = _add(reviews, passage, seen)
        if problem:
            faults.setdefault(problem, []).append(repr(shorten(passage.text, 40)))
    for problem, texts in faults.items():
        more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
        reviews.notes.append(f"{len(texts)} passage(s) {problem}: {', '.join(texts[:_NAMED])}{more}")
    if not reviews.reviews:
        raise UserError(
            "Not one of the reviewed passages counts" if len(passages) else "There is no reviewed passage",
            "\n".join(reviews.notes) or "Give the export of the passages that `monitor sample` chose.",
        )
    return reviews


def _add(reviews: Reviews, passage: Passage, seen: set[tuple[str, str]]) -> str:
    """Add a passage, or say why it does not count."""
    try:
        mark = Mark.from_meta(passage.meta)
    except ValueError as error:
        return f"have a damaged `meta.monitor` ({error}) and do not count"
    if mark is None:
        reviews.not_sampled += 1
        return "were never sampled and do not count"
    if not mark.is_of(passage.text):
        reviews.changed += 1
        return "have another text than when they were sampled, and do not count"
    if (mark.sample, mark.fingerprint) in seen:
        return "are there twice; the first one counts"
    seen.add((mark.sample, mark.fingerprint))
    places = without_blanks(passage.text)
    moved = [[Span(places[s.start], places[s.end], s.label) for s in side] for side in (passage.spans, passage.unknown)]
    reviews.reviews.append(Review(mark, frozenset(moved[0]), tuple(moved[1])))
    return ""


def _import_notes(report: "ImportReport") -> list[str]:
    """What the import says of passages that do not count, and of labels."""
    notes = [f"{count} passage(s) left out: {reason.value}" for reason, count in report.reasons.items()]
    if report.passages["refused"]:
        shown = "; ".join(map(str, report.shown["refused"][:_NAMED]))
        notes.append(f"{report.passages['refused']} passage(s) could not be read: {shown}")
    if report.spans["refused"]:
        labels = ", ".join(f"{label} ({count})" for label, count in report.unknown_labels.most_common(8))
        why = f" with labels that are not entity types: {labels}" if labels else ""
        notes.append(f"{report.spans['refused']} span(s) do not count, and neither does their place{why}")
    if report.undecided:
        notes.append(
            f"In {report.undecided} passage(s) the reviewers differ and no majority decides: that does not count"
        )
    return notes


def _refuse_unreviewed(path: Path) -> None:
    """Refuse the file that `monitor sample` has written: nobody has reviewed it."""
    try:
        with path.open("rb") as stream:
            row = json.loads(stream.readline(1 << 20))
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(row, dict) and row.get(SAMPLED) and "answer" not in row:
        raise UserError(
            f"{path} is the sample itself: nobody has reviewed it",
            f"Make tasks of it (domain-ner export label-studio {path} --output tasks.json), and give what the "
            "labelling tool exports.",
        )


def known_labels(reviews: Iterable[Review]) -> tuple[list[str], Counter[str]]:
    """List the types of the model, and count the reviewers' mentions of others."""
    known: set[str] = set()
    marked: Counter[str] = Counter()
    for review in reviews:
        known |= {*review.mark.totals.predicted, *review.mark.totals.expected}
        marked.update(span.label for span in review.spans)
    return sorted(known), Counter({label: count for label, count in marked.items() if label not in known})
