"""From the versions of a passage to one annotation: which versions count, and what is made of them."""

from collections import Counter
from collections.abc import Sequence

from spacy_domain_ner.corpus.passage import Span
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


def combine(
    versions: list[CleanVersion], policy: Annotators
) -> tuple[list[tuple[CleanVersion, list[Span]]], Note | None]:
    """Make one annotation of a passage's versions.

    Args:
        versions: The versions that count, one or more.
        policy: What becomes of several people's versions.

    Returns:
        The annotation with the version that it follows: several for `each`, none where the passage is left out. And a
        note on how the versions differ, None where they do not.
    """
    found = [frozenset(version.spans) for version in versions]
    differing = len(frozenset.union(*found) - frozenset.intersection(*found))
    if policy is Annotators.each:
        return [(version, version.spans) for version in versions], _difference(versions, differing)
    if policy is Annotators.agreed and differing:
        return [], _difference(versions, differing)
    if policy is Annotators.majority:
        counts = Counter(span for spans in found for span in spans)
        kept = sorted(span for span, count in counts.items() if 2 * count > len(versions))
        return [(versions[-1], kept)], _difference(versions, differing)
    agreement = [sum(len(mine & other) for other in found) - len(mine) for mine in found]
    chosen = versions[max(range(len(versions)), key=lambda index: (agreement[index], index))]
    return [(chosen, chosen.spans)], _difference(versions, differing, chosen)


def _difference(versions: list[CleanVersion], differing: int, chosen: CleanVersion | None = None) -> Note | None:
    if not differing:
        return None
    names = ", ".join(version.version.annotator for version in versions if version.version.annotator)
    taken = ""
    if chosen is not None:
        taken = f"; taken: {chosen.version.annotator or f'the one of line {chosen.version.line}'}"
    whose = f" (by {names})" if names else ""
    return Reason.VERSIONS_DIFFER.note(versions=len(versions), whose=whose, spans=differing, taken=taken)
