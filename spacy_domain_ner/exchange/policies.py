"""What an import decides where a file leaves a choice: each policy, and the passage that comes of it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.formats.version import RawSpan, Status, Version
from spacy_domain_ner.schema import EntitySchema


class Annotators(str, Enum):
    """What becomes of a passage that several people annotated.

    one: The version that agrees best with the others, the last one where they are equal.
    majority: The spans that more than half of them have.
    agreed: The passage if all have the same spans; else it is left out.
    each: Every version as a passage of its own, to compare them.
    """

    one = "one"
    majority = "majority"
    agreed = "agreed"
    each = "each"


class GroundTruth(str, Enum):
    """prefer: Where a version is marked as the truth, the others don't count. only: Nothing else counts. ignore."""

    prefer = "prefer"
    only = "only"
    ignore = "ignore"


class Overlaps(str, Enum):
    """What becomes of spans that overlap: the longest stays, the first stays, the passage is refused, all stay."""

    longest = "longest"
    first = "first"
    refuse = "refuse"
    keep = "keep"


class UnknownLabels(str, Enum):
    """What becomes of a span whose label is no entity type: it is left out, its passage is, or it is kept."""

    span = "span"
    passage = "passage"
    keep = "keep"


class KeepOrDrop(str, Enum):
    """Whether something is taken or left out."""

    keep = "keep"
    drop = "drop"


@dataclass(frozen=True)
class Policies:
    """How an import decides.

    skipped: Passages that the annotator skipped; kept, they count as annotated.
    predictions: A model's spans, where nobody annotated the passage.
    empty: Passages without any span; kept, they say that there is no entity in them.
    rename: Labels to replace; "" leaves the label's spans out.
    only_annotators: The people whose versions count; all where it is empty.
    offset_unit: What the offsets count, "auto" to find it for each span.
    """

    annotators: Annotators = Annotators.one
    ground_truth: GroundTruth = GroundTruth.prefer
    overlaps: Overlaps = Overlaps.longest
    unknown_labels: UnknownLabels = UnknownLabels.span
    skipped: KeepOrDrop = KeepOrDrop.drop
    predictions: KeepOrDrop = KeepOrDrop.drop
    empty: KeepOrDrop = KeepOrDrop.keep
    rename: dict[str, str] = field(default_factory=dict)
    only_annotators: tuple[str, ...] = ()
    offset_unit: str = "auto"


@dataclass
class CleanVersion:
    """A version whose spans are sound: inside the text, trimmed, of known labels, each once.

    changed: What was changed, each with the mention and the reason.
    refused: The spans that could not be taken, likewise.
    left_out: The spans that nobody wants, likewise.
    unknown_labels: The labels of the refused spans that are no entity types.
    problem: Why the whole version is refused, "" where it is not.
    """

    version: Version
    spans: list[Span]
    changed: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    unknown_labels: list[str] = field(default_factory=list)
    problem: str = ""


def clean(
    version: Version, policies: Policies, schema: EntitySchema | None = None, votes: Counter[str] | None = None
) -> CleanVersion:
    """Turn a version's spans into sound ones.

    schema: The entity types; None takes every label.
    votes: How many spans of the file fit by one unit of offsets alone, for those that fit by several.
    """
    sound = CleanVersion(version, [], refused=list(version.refused), changed=[("", note) for note in version.notes])
    own_votes = offsets.votes(version.text, version.spans) if policies.offset_unit == "auto" else Counter()
    for raw in version.spans:
        place = _place(version.text, raw, policies.offset_unit, [own_votes, votes or Counter()], sound.changed)
        if place is None or not version.text[place[0] : place[1]].strip():
            sound.refused.append(_no_place(version.text, raw, place))
            continue
        start, end = _trimmed(version.text, place)
        mention = version.text[start:end]
        if (start, end) != place:
            sound.changed.append((mention, f"{raw.label}: white space at its edges cut off"))
        label = policies.rename.get(raw.label, raw.label)
        if not label:
            sound.left_out.append((mention, f"{raw.label}: left out, as --rename says"))
        elif schema is not None and label not in schema.labels and policies.unknown_labels is not UnknownLabels.keep:
            sound.refused.append((mention, f"unknown label {label!r}"))
            sound.unknown_labels.append(label)
            if policies.unknown_labels is UnknownLabels.passage:
                sound.problem = f"it has the unknown label {label!r}"
        elif (span := Span(start, end, label)) in sound.spans:
            sound.changed.append((mention, f"{label}: there twice, merged"))
        else:
            sound.spans.append(span)
    if not sound.spans and len(sound.refused) > len(sound.unknown_labels):
        # That it has no entity is the one thing that nobody said of it.
        sound.problem = sound.problem or "none of its spans can be taken"
    _resolve_overlaps(sound, policies.overlaps)
    sound.spans.sort()
    return sound


def candidates(versions: Sequence[Version], policies: Policies) -> tuple[list[Version], list[tuple[Version, str]]]:
    """Choose the versions of a passage that count.

    versions: In the order in which they were read.
    RETURNS: Those that count, and the others, each with the reason.
    """
    left_out: list[tuple[Version, str]] = []
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
            left_out.append((version, "another annotator's"))
        else:
            counting.append(version)
    people = [version for version in counting if version.status is not Status.PREDICTED]
    if people or policies.predictions is KeepOrDrop.drop:
        left_out += [(v, _REASONS[v.status]) for v in counting if v.status is Status.PREDICTED]
        counting = people
    if any(version.status in (Status.COMPLETE, Status.SKIPPED) for version in counting):
        left_out += [(v, _REASONS[v.status]) for v in counting if v.status is Status.UNCONFIRMED]
        counting = [version for version in counting if version.status is not Status.UNCONFIRMED]
    truths = [version for version in counting if version.ground_truth]
    if policies.ground_truth is GroundTruth.only or (policies.ground_truth is GroundTruth.prefer and truths):
        left_out += [(version, "not marked as ground truth") for version in counting if not version.ground_truth]
        counting = truths
    if policies.annotators is Annotators.each:
        return counting, left_out
    latest = {version.annotator: version for version in counting if version.annotator}
    left_out += [
        (v, "replaced by the annotator's later version") for v in counting if latest.get(v.annotator, v) is not v
    ]
    return [version for version in counting if latest.get(version.annotator, version) is version], left_out


def combine(sounds: list[CleanVersion], policy: Annotators) -> tuple[list[tuple[CleanVersion, list[Span]]], str]:
    """Make one passage's annotation of its versions.

    sounds: The versions that count, one or more.
    RETURNS: The annotation (several for `each`) with the version that it follows, none where the passage is left
        out; and what the versions differ in, "" where they do not.
    """
    found = [frozenset(sound.spans) for sound in sounds]
    differing = len(frozenset.union(*found) - frozenset.intersection(*found))
    names = ", ".join(sound.version.annotator for sound in sounds if sound.version.annotator)
    whose = f" (by {names})" if names else ""
    difference = f"{len(sounds)} versions{whose} differ in {differing} span(s)" if differing else ""
    if policy is Annotators.each:
        return [(sound, sound.spans) for sound in sounds], difference
    if policy is Annotators.agreed and differing:
        return [], difference
    if policy is Annotators.majority:
        counts = Counter(span for spans in found for span in spans)
        kept = sorted(span for span, count in counts.items() if 2 * count > len(sounds))
        return [(sounds[-1], kept)], difference
    agreement = [sum(len(mine & other) for other in found) - len(mine) for mine in found]
    chosen = max(range(len(sounds)), key=lambda index: (agreement[index], index))
    if difference:
        difference += f"; taken: {sounds[chosen].version.annotator or f'the one of line {sounds[chosen].version.line}'}"
    return [(sounds[chosen], sounds[chosen].spans)], difference


_REASONS = {
    Status.PARTIAL: "annotated in part only (the rest of the text is unknown)",
    Status.SKIPPED: "skipped by the annotator",
    Status.DECLINED: "skipped by the annotator",
    Status.UNCONFIRMED: "without a span where another version has some: likely not annotated",
    Status.PREDICTED: "a model's prediction only",
    Status.UNANNOTATED: "not annotated",
}


def _place(
    text: str, raw: RawSpan, unit: str, votes: Iterable[Counter[str]], changed: list[tuple[str, str]]
) -> tuple[int, int] | None:
    """Where a span lies, in code points; None outside the text. Notes what is not as the file's offsets say."""
    if unit != "auto":
        return offsets.to_code_points(text, raw, unit)
    if (claimed := offsets.claimed_place(text, raw)) is not None:
        start, end, found = claimed
        if found != offsets.CODE_POINTS:
            changed.append((text[start:end], f"{raw.label}: its offsets count {_COUNTED[found]}"))
        return start, end
    fitting = offsets.units_that_fit(text, raw)
    found = fitting[0]
    if len(fitting) > 1:
        # It fits by several: as the passage's other spans do, else the file's, if nearly all of these are of one mind.
        minds = [(unit, count, vote.total()) for vote in votes for unit, count in vote.most_common(1)]
        found = next((unit for unit, count, total in minds if unit in fitting and 10 * count >= 9 * total), found)
    place = offsets.to_code_points(text, raw, found)
    if raw.claim and raw.claim.strip():
        only = None if offsets.is_on_words(text, place) else offsets.only_place(text, raw.claim)
        if only is not None:
            where = f"from {raw.start}:{raw.end} to {only[0]}:{only[1]}"
            changed.append((raw.claim, f"{raw.label}: moved {where}, the one place of its text"))
            return only
        if place is not None:
            changed.append((text[slice(*place)], f"{raw.label}: the file calls its text {raw.claim!r}; offsets kept"))
    elif place is not None and place != (raw.start, raw.end + raw.inclusive):
        changed.append((text[slice(*place)], f"{raw.label}: its offsets count {_COUNTED[found]}"))
    return place


_COUNTED = {
    "utf-16": "UTF-16 units",
    "utf-8": "bytes",
    "newlines-as-one": "a line end of two characters as one",
    "inclusive ends": "its last character as the end",
    "exclusive ends": "one past its last character as the end",
}


def _no_place(text: str, raw: RawSpan, place: tuple[int, int] | None) -> tuple[str, str]:
    where = f"{raw.label} {raw.start} to {raw.end}"
    if place is not None and place[0] < place[1]:
        return text[slice(*place)], f"{where} is white space only"
    if raw.end < raw.start:
        return raw.claim or "", f"{where} ends before it starts"
    if raw.start == raw.end and 0 <= raw.start <= len(text):
        return raw.claim or "", f"{where} is empty"
    return raw.claim or "", f"{where} lies outside the text of {len(text)} characters"


def _trimmed(text: str, place: tuple[int, int]) -> tuple[int, int]:
    surface = text[slice(*place)]
    start = place[0] + len(surface) - len(surface.lstrip())
    return start, start + len(surface.strip())


def _resolve_overlaps(sound: CleanVersion, policy: Overlaps) -> None:
    if policy is Overlaps.keep:
        return
    order = sound.spans if policy is Overlaps.first else sorted(sound.spans, key=lambda span: span.start - span.end)
    kept: list[Span] = []
    for span in order:
        rival = next((other for other in kept if span.start < other.end and other.start < span.end), None)
        if rival is None:
            kept.append(span)
            continue
        text = sound.version.text
        reason = f"{span.label} overlaps {rival.label} {text[rival.start : rival.end]!r}"
        if policy is Overlaps.refuse:
            sound.problem = f"{reason} in it"
            return
        longer = policy is Overlaps.longest and rival.end - rival.start > span.end - span.start
        sound.refused.append(
            (text[span.start : span.end], f"{reason}, which {'is longer' if longer else 'comes first'}")
        )
    sound.spans = kept


def rebase(spans: Iterable[Span], text: str, onto: str) -> Iterator[Span]:
    """Spans of one text on another that differs in white space only.

    RAISES: ValueError where the texts differ in more.
    """
    if text == onto:
        yield from spans
        return
    places = [index for index, character in enumerate(onto) if not character.isspace()]
    solid = 0
    number_of: dict[int, int] = {}
    for index, character in enumerate(text):
        if not character.isspace():
            number_of[index] = solid
            solid += 1
    if "".join(text.split()) != "".join(onto.split()):
        raise ValueError("the texts differ in more than white space")
    for span in spans:
        first, last = number_of[span.start], number_of[span.end - 1]
        yield Span(places[first], places[last] + 1, span.label)
