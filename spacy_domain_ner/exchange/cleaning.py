"""Cleaning the spans of a version: those that are taken lie inside the text, are trimmed, and have known labels."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from spacy_domain_ner.corpus.jsonl import MAX_LENGTH
from spacy_domain_ner.corpus.passage import Relation, Span
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.cleaning_relations import CleanRelations, clean_relations
from spacy_domain_ner.exchange.formats.version import RawSpan, Version
from spacy_domain_ner.exchange.policies import Overlaps, Policies, UnknownLabels
from spacy_domain_ner.exchange.reasons import Note, Reason
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import lone_surrogate, trimmed, visible

# A record's other keys are kept as they are. Values that are nested more deeply than this could not be written again.
DEEPEST = 100

# What a unit of offsets is called in the notes.
_UNIT_NAMES = {
    "utf-16": "UTF-16 units",
    "utf-8": "bytes",
    "newlines-as-one": "a line end of two characters as one",
    "inclusive ends": "their last character as the end",
    "exclusive ends": "one past their last character as the end",
}


@dataclass
class CleanVersion:
    """A version with spans that can be taken.

    Attributes:
        version: The version as it was read.
        spans: The spans that were taken, with offsets in code points.
        unknown: The parts of the text of which the version does not say what they are.
        incorrect: Spans that are known not to be entities of their type.
        changed: What was changed in a span.
        refused: The spans that could not be taken.
        left_out: The spans that the user does not want.
        relations: The relations between the spans that were taken.
        spellings: How often a label was taken for an entity type whose name is spelt differently, by both.
        problem: Why the whole version is refused; None where it is not.
    """

    version: Version
    spans: list[Span]
    unknown: list[Span] = field(default_factory=list)
    incorrect: list[Span] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)
    refused: list[Note] = field(default_factory=list)
    left_out: list[Note] = field(default_factory=list)
    relations: CleanRelations = field(default_factory=CleanRelations)
    spellings: Counter[tuple[str, str]] = field(default_factory=Counter)
    problem: Note | None = None

    @property
    def unknown_labels(self) -> list[str]:
        """The label of each span that was refused because its label is not an entity type."""
        return [str(note.details["label"]) for note in self.refused if note.reason is Reason.UNKNOWN_LABEL]


def clean(
    version: Version,
    policies: Policies,
    schema: EntitySchema | None = None,
    votes: Counter[str] | None = None,
    relation_types: RelationTypes | None = None,
) -> CleanVersion:
    """Clean a version's spans.

    Args:
        version: The version as it was read.
        policies: How to decide.
        schema: The entity types; None takes every label.
        votes: How many spans of the file fit by only one unit of offsets, to decide about those that fit by several.
        relation_types: The relation types; None takes every type.
    """
    cleaned = CleanVersion(
        version, [], refused=[Reason.IN_WORDS.note(text, words=words) for text, words in version.refused]
    )
    # What became of the spans that relations lead to, by what they call them.
    taken: dict[str, list[Span]] = defaultdict(list)
    own_votes = offsets.votes(version.text, version.spans) if policies.offset_unit == "auto" else Counter()
    for raw in version.spans:
        place = _place(version.text, raw, policies.offset_unit, [own_votes, votes or Counter()], cleaned.changed)
        start, end = (0, 0) if place is None else trimmed(version.text, *place)
        if place is None or start >= end:
            cleaned.refused.append(_no_place(version.text, raw, place))
            version.lost.setdefault(raw.id, str(cleaned.refused[-1]))
            continue
        mention = version.text[start:end]
        if (start, end) != place:
            white = version.text[slice(*place)].strip() == mention
            reason = Reason.TRIMMED if white else Reason.TRIMMED_INVISIBLE
            cleaned.changed.append(reason.note(mention, label=raw.label))
        label = policies.rename.get(raw.label, raw.label)
        known = schema.type_of(label) if schema is not None and label else label
        if known and known != label:
            cleaned.spellings[label, known] += 1
            label = known
        if not label:
            cleaned.left_out.append(Reason.RENAMED_TO_NOTHING.note(mention, label=raw.label))
            version.lost.setdefault(raw.id, str(cleaned.left_out[-1]))
        elif not known and policies.unknown_labels is not UnknownLabels.keep:
            cleaned.refused.append(Reason.UNKNOWN_LABEL.note(mention, label=label))
            version.lost.setdefault(raw.id, str(cleaned.refused[-1]))
            if policies.unknown_labels is UnknownLabels.unknown:
                cleaned.unknown.append(Span(start, end, label))
            elif policies.unknown_labels is UnknownLabels.passage:
                cleaned.problem = Reason.HAS_UNKNOWN_LABEL.note(label=label)
        elif (span := Span(start, end, label)) in cleaned.spans:
            cleaned.changed.append(Reason.MERGED.note(mention, label=label))
            taken[raw.id].append(span)
        else:
            cleaned.spans.append(span)
            taken[raw.id].append(span)
    if not cleaned.spans and any(note.reason is not Reason.UNKNOWN_LABEL for note in cleaned.refused):
        # Kept without spans, it would claim that it has no entities, which nobody annotated.
        cleaned.problem = cleaned.problem or Reason.NO_SPAN_FITS.note()
    _resolve_overlaps(cleaned, policies.overlaps)
    cleaned.spans.sort()
    cleaned.relations = clean_relations(version, taken, cleaned.spans, policies, relation_types)
    cleaned.unknown += version.unknown
    renamed = (Span(span.start, span.end, policies.rename.get(span.label, span.label)) for span in version.incorrect)
    cleaned.incorrect = [span for span in renamed if span.label]
    return cleaned


def rebase(spans: Iterable[Span], text: str, onto: str) -> Iterator[Span]:
    """Move spans from one text to another that differs only in white space.

    Args:
        spans: Spans of `text`.
        text: The text that they point into.
        onto: The text that they shall point into.

    Yields:
        The spans of `onto`, in the same order.

    Raises:
        ValueError: If the texts differ in more than white space.
    """
    if text == onto:
        yield from spans
        return
    if "".join(text.split()) != "".join(onto.split()):
        raise ValueError("the texts differ in more than white space")
    # By the number of each character that is not white space.
    places = [index for index, character in enumerate(onto) if not character.isspace()]
    solid = (index for index, character in enumerate(text) if not character.isspace())
    number_of = {index: number for number, index in enumerate(solid)}
    for span in spans:
        first, last = number_of[span.start], number_of[span.end - 1]
        yield Span(places[first], places[last] + 1, span.label)


def rebase_relations(relations: Iterable[Relation], text: str, onto: str) -> list[Relation]:
    """Move relations from one text to another, as `rebase` does with spans."""
    moved = []
    for one in relations:
        head, tail = rebase([one.head, one.tail], text, onto)
        moved.append(Relation(head, one.type, tail))
    return moved


def move_onto(cleaned: CleanVersion, text: str) -> Note | None:
    """Move a version's spans onto the text of the passage's first version, if that differs only in white space.

    Args:
        cleaned: The version, which is changed in place.
        text: The text of the passage's first version.

    Returns:
        Why that can't be done; None where it is done.
    """
    try:
        cleaned.spans = list(rebase(cleaned.spans, cleaned.version.text, text))
        cleaned.unknown = list(rebase(cleaned.unknown, cleaned.version.text, text))
        cleaned.incorrect = list(rebase(cleaned.incorrect, cleaned.version.text, text))
        if cleaned.relations.kept is not None:
            cleaned.relations.kept = rebase_relations(cleaned.relations.kept, cleaned.version.text, text)
    except ValueError:
        return Reason.OTHER_UNICODE_FORM.note()
    cleaned.version.text = text
    return None


def why_unreadable(version: Version, cut_later: bool) -> Note | None:
    """Say why a version that was read can't be taken; None where it can.

    Args:
        version: The version as it was read.
        cut_later: Whether its text will be cut at its sentences, so that it may be of any length.
    """
    if not version.text.strip():
        return Reason.EMPTY_TEXT.note()
    if len(version.text) > MAX_LENGTH and not cut_later:
        return Reason.TOO_LONG.note(length=len(version.text))
    try:
        labels = [span.label for span in version.spans]
        types = [relation.type for relation in version.relations or ()]
        rest = json.dumps([version.meta, version.extra, labels, types], ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return Reason.NOT_JSON.note()
    if _depth([version.meta, version.extra]) > DEEPEST:
        return Reason.TOO_DEEP.note()
    if lone_surrogate(version.text) is not None or lone_surrogate(rest + version.annotator) is not None:
        return Reason.SURROGATE.note()
    return None


def _place(
    text: str, raw: RawSpan, unit: str, votes: Iterable[Counter[str]], changed: list[Note]
) -> tuple[int, int] | None:
    """Find where a span lies, in code points; None outside the text. Notes where this is not what the file says."""
    if unit != "auto":
        return offsets.to_code_points(text, raw, unit)
    if (claimed := offsets.claimed_place(text, raw)) is not None:
        start, end, found = claimed
        if found != offsets.CODE_POINTS:
            changed.append(Reason.OTHER_UNIT.note(text[start:end], label=raw.label, unit=_UNIT_NAMES[found]))
        return start, end
    found = _likeliest_unit(offsets.units_that_fit(text, raw), votes)
    place = offsets.to_code_points(text, raw, found)
    if raw.claim and raw.claim.strip():
        only = None if offsets.is_on_words(text, place) else offsets.only_place(text, raw.claim)
        if only is not None:
            where = {"start": raw.start, "end": raw.end, "new_start": only[0], "new_end": only[1]}
            changed.append(Reason.MOVED.note(raw.claim, label=raw.label, **where))
            return only
        if place is not None:
            changed.append(Reason.OTHER_TEXT.note(text[slice(*place)], label=raw.label, claim=raw.claim))
    elif place is not None and place != (raw.start, raw.end + raw.inclusive):
        changed.append(Reason.OTHER_UNIT.note(text[slice(*place)], label=raw.label, unit=_UNIT_NAMES[found]))
    return place


def _likeliest_unit(fitting: tuple[str, ...], votes: Iterable[Counter[str]]) -> str:
    """Choose among the units by which a span fits: the passage's other spans decide, else those of the file.

    They decide only where nine of ten of them fit by the same unit.
    """
    if len(fitting) > 1:
        for vote in votes:
            for unit, count in vote.most_common(1):
                if unit in fitting and 10 * count >= 9 * vote.total():
                    return unit
    return fitting[0]


def _no_place(text: str, raw: RawSpan, place: tuple[int, int] | None) -> Note:
    details: dict[str, object] = {"label": raw.label, "start": raw.start, "end": raw.end}
    if place is not None and place[0] < place[1]:
        surface = text[slice(*place)]
        return (Reason.INVISIBLE if surface.strip() else Reason.WHITE_SPACE).note(visible(surface), **details)
    if raw.end < raw.start:
        return Reason.INVERTED.note(raw.claim or "", **details)
    if raw.start == raw.end and 0 <= raw.start <= len(text):
        return Reason.EMPTY.note(raw.claim or "", **details)
    return Reason.OUTSIDE.note(raw.claim or "", length=len(text), **details)


def _resolve_overlaps(cleaned: CleanVersion, policy: Overlaps) -> None:
    if policy is Overlaps.keep:
        return
    text = cleaned.version.text
    order = cleaned.spans if policy is Overlaps.first else sorted(cleaned.spans, key=lambda span: span.start - span.end)
    kept: list[Span] = []
    for span in order:
        rival = next((other for other in kept if span.start < other.end and other.start < span.end), None)
        if rival is None:
            kept.append(span)
            continue
        details = {"label": span.label, "rival": rival.label, "rival_text": text[rival.start : rival.end]}
        if policy is Overlaps.refuse:
            cleaned.problem = Reason.HAS_OVERLAP.note(**details)
            return
        longer = policy is Overlaps.longest and rival.end - rival.start > span.end - span.start
        reason = Reason.OVERLAPS_LONGER if longer else Reason.OVERLAPS_EARLIER
        cleaned.refused.append(reason.note(text[span.start : span.end], **details))
    cleaned.spans = kept


def _depth(value: Any) -> int:
    """Compute how deeply lists and objects are nested in a value, no further than `DEEPEST`."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, dict | list)
        ]
    return depth
