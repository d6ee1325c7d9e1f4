"""From the versions of a passage to one annotation: which versions count, and what is made of them."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_domain_ner.corpus.passage import Relation, Span
from spacy_domain_ner.corpus.relations import held_by
from spacy_domain_ner.exchange.cleaning import CleanVersion
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, KeepOrDrop, Policies
from spacy_domain_ner.exchange.reasons import Note, Reason

_REASONS = {
    Status.PARTIAL: Reason.PARTIAL,
    Status.SKIPPED: Reason.SKIPPED,
    Status.DECLINED: Reason.SKIPPED,
    Status.UNCONFIRMED: Reason.UNCONFIRMED,
    Status.PREDICTED: Reason.PREDICTED,
    Status.UNANNOTATED: Reason.UNANNOTATED,
}


def candidates(versions: Sequence[Version], policies: Policies) -> tuple[list[Version], list[tuple[Version, Reason]]]:
    """Choose the versions of a passage that count.

    Args:
        versions: The versions, in the order in which they were read.
        policies: How to decide.

    Returns:
        The versions that count, and the others, each with the reason.
    """
    left_out: list[tuple[Version, Reason]] = []
    counting: list[Version] = []
    usable = {Status.COMPLETE, Status.UNCONFIRMED}
    if policies.skipped is KeepOrDrop.keep:
        usable.add(Status.SKIPPED)
    if all(version.made for version in versions):
        versions = sorted(versions, key=lambda version: version.made)
    for version in versions:
        if version.status not in usable and version.status is not Status.PREDICTED:
            left_out.append((version, _REASONS[version.status]))
        elif policies.only_annotators and version.annotator not in policies.only_annotators:
            left_out.append((version, Reason.OTHER_ANNOTATOR))
        else:
            counting.append(version)
    people = [version for version in counting if version.status is not Status.PREDICTED]
    if people or policies.predictions is KeepOrDrop.drop:
        left_out += [(version, Reason.PREDICTED) for version in counting if version.status is Status.PREDICTED]
        counting = people
    if any(version.status in (Status.COMPLETE, Status.SKIPPED) for version in counting):
        left_out += [(version, Reason.UNCONFIRMED) for version in counting if version.status is Status.UNCONFIRMED]
        counting = [version for version in counting if version.status is not Status.UNCONFIRMED]
    truths = [version for version in counting if version.ground_truth]
    if policies.ground_truth is GroundTruth.only or (policies.ground_truth is GroundTruth.prefer and truths):
        left_out += [(version, Reason.NOT_GROUND_TRUTH) for version in counting if not version.ground_truth]
        counting = truths
    if policies.annotators is Annotators.each:
        return counting, left_out
    latest = {version.annotator: version for version in counting if version.annotator}
    replaced = [version for version in counting if latest.get(version.annotator, version) is not version]
    left_out += [(version, Reason.REPLACED) for version in replaced]
    return [version for version in counting if latest.get(version.annotator, version) is version], left_out


def answers(
    left_out: Iterable[tuple[Version, Reason]],
) -> tuple[list[Version], list[tuple[Version, Reason]]]:
    """Find the versions that say something of single spans, where no version says what the whole passage is.

    Args:
        left_out: The versions that do not count, each with the reason.

    Returns:
        The versions of which only a part of the text was judged, with the skipped ones in which suggestions had been
        removed before; and the others.
    """

    def judged(version: Version) -> bool:
        return version.status is Status.PARTIAL or (version.status is Status.SKIPPED and bool(version.rejected))

    return [one for one, _ in left_out if judged(one)], [one for one in left_out if not judged(one[0])]


@dataclass(frozen=True)
class Annotation:
    """What was made of a passage's versions.

    Attributes:
        version: The version that it follows.
        spans: The spans.
        unknown: The parts of the text of which nobody knows yet what they are.
        incorrect: Spans that are known not to be entities of their type.
        relations: The relations between the spans; None where no version says that anybody looked for some.
        undecided: The relations that some versions have, and not more than half, with how many have each.
    """

    version: CleanVersion
    spans: list[Span]
    unknown: list[Span]
    incorrect: list[Span]
    relations: list[Relation] | None = None
    undecided: list[tuple[Relation, int, int]] = field(default_factory=list)


def combine(versions: list[CleanVersion], policy: Annotators) -> tuple[list[Annotation], Note | None]:
    """Make one annotation of a passage's versions.

    Args:
        versions: The versions that count, one or more.
        policy: What becomes of several people's versions.

    Returns:
        The annotation: several for `each`, none where the passage is left out. And a note on how the versions differ,
        None where they do not.
    """
    found = [frozenset(version.spans) for version in versions]
    differing = Differing.of(versions)
    if policy is Annotators.each:
        return [_annotation(version) for version in versions], _difference(versions, differing)
    if policy is Annotators.agreed and differing:
        return [], _difference(versions, differing)
    if policy is Annotators.one:
        agreement = [sum(len(mine & other) for other in found) - len(mine) for mine in found]
        chosen = versions[max(range(len(versions)), key=lambda index: (agreement[index], index))]
        return [_annotation(chosen)], _difference(versions, differing, chosen)
    kept, undecided = _majority(found)
    unknown = {*undecided, *(part for version in versions for part in version.unknown)}
    wrong = sorted({span for version in versions for span in version.incorrect}.difference(*found))
    related, open_ones = _majority_of_relations(versions, kept)
    annotation = Annotation(versions[-1], kept, _without(unknown, kept), wrong, related, open_ones)
    return [annotation], _difference(versions, differing, undecided=undecided)


def combine_answers(
    accepted: Iterable[Span], rejected: Iterable[Span], length: int
) -> tuple[list[Span], list[Span], list[Span]]:
    """Make one annotation of the answers to questions about single spans.

    A span that one answer accepts and another rejects is unknown. The longest of the spans that overlap counts.

    Args:
        accepted: The spans that were accepted.
        rejected: The spans that were rejected.
        length: The length of the passage's text.

    Returns:
        The spans, those that are known to be wrong, and the parts of the text that are unknown.
    """
    spans: list[Span] = []
    for span in sorted({*accepted} - {*rejected}, key=lambda span: (span.start - span.end, span)):
        if all(span.end <= one.start or one.end <= span.start for one in spans):
            spans.append(span)
    spans.sort()
    wrong = [span for span in sorted({*rejected} - {*accepted}) if _without([span], spans) == [span]]
    return spans, wrong, _without([Span(0, length, "")], spans)


def _annotation(version: CleanVersion) -> Annotation:
    wrong = [span for span in version.incorrect if span not in version.spans]
    unknown = _without(version.unknown, version.spans)
    return Annotation(version, version.spans, unknown, wrong, version.relations.kept)


@dataclass(frozen=True)
class Differing:
    """In how much versions differ.

    Attributes:
        spans: The number of spans that some have and others lack.
        relations: The number of relations that some have and others lack, of the versions that tell.
    """

    spans: int
    relations: int

    @classmethod
    def of(cls, versions: Iterable[CleanVersion]) -> "Differing":
        """Count what versions differ in."""
        versions = list(versions)
        spans = [frozenset(version.spans) for version in versions]
        related = [frozenset(version.relations.kept) for version in versions if version.relations.kept is not None]
        return cls(*(len(frozenset().union(*sets) - _common(sets)) for sets in (spans, related)))

    def __bool__(self) -> bool:
        return bool(self.spans or self.relations)


def _common(sets: Sequence[frozenset[Any]]) -> frozenset[Any]:
    return frozenset.intersection(*sets) if sets else frozenset()


def _majority_of_relations(
    versions: Sequence[CleanVersion], spans: Collection[Span]
) -> tuple[list[Relation] | None, list[tuple[Relation, int, int]]]:
    """The relations that more than half of the versions have which looked for relations, and the others."""
    found = [version.relations.kept for version in versions if version.relations.kept is not None]
    if not found:
        return None, []
    counts = Counter(relation for relations in found for relation in relations)
    decided = sorted(one for one, count in counts.items() if 2 * count > len(found))
    kept, _ = held_by(decided, spans)
    return kept, [(one, count, len(found)) for one, count in sorted(counts.items()) if one not in kept]


def _majority(found: Sequence[frozenset[Span]]) -> tuple[list[Span], list[Span]]:
    """The spans that more than half of the versions have, and the places that nobody can decide.

    Such a place is a span that others lack, where half of the versions or more have a span of some kind: that there is
    no entity is not what more than half of them say.
    """
    counts = Counter(span for spans in found for span in spans)
    kept = sorted(span for span, count in counts.items() if 2 * count > len(found))
    undecided = []
    for span in sorted(set(counts) - set(kept)):
        marked = sum(any(span.start < one.end and one.start < span.end for one in spans) for spans in found)
        if 2 * marked >= len(found):
            undecided.append(span)
    return kept, [span for span in undecided if _without([span], kept)]


def _without(parts: Iterable[Span], spans: Sequence[Span]) -> list[Span]:
    """Cut spans out of parts of a text; what is left has the label of its part."""
    left = set(parts)
    for span in spans:
        for part in [part for part in left if part.start < span.end and span.start < part.end]:
            left.remove(part)
            if part.start < span.start:
                left.add(Span(part.start, span.start, part.label))
            if span.end < part.end:
                left.add(Span(span.end, part.end, part.label))
    return sorted(left)


def _difference(
    versions: list[CleanVersion],
    differing: Differing,
    chosen: CleanVersion | None = None,
    undecided: Sequence[Span] = (),
) -> Note | None:
    if not differing:
        return None
    names = ", ".join(version.version.annotator for version in versions if version.version.annotator)
    taken = ""
    if chosen is not None:
        taken = f"; taken: {chosen.version.annotator or f'the one of line {chosen.version.line}'}"
    whose = f" (by {names})" if names else ""
    details: dict[str, Any] = {
        "versions": len(versions),
        "whose": whose,
        "spans": differing.spans,
        "relations": f" and {differing.relations} relation(s)" if differing.relations else "",
    }
    if undecided:
        return Reason.NOT_DECIDED.note(**details, undecided=len(undecided))
    return Reason.VERSIONS_DIFFER.note(**details, taken=taken)
