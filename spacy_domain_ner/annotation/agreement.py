"""How far people agree who annotated the same passages: figures per type, and every place where they differ.

**F1** is the first measure. One person's mentions are scored against another's, and a mention is shared where start,
end and label are the same; it does not matter who is taken for the truth. Measures that are corrected for chance need
the number of things that were rightly not marked, and for spans that number is arbitrary: any stretch of a text might
have been one. Where it is large, as it is in a text with few mentions, such a measure comes close to F1 (Hripcsak and
Rothschild 2005, Agreement, the F-Measure, and Reliability in Information Retrieval, JAMIA 12:296-298).

**Krippendorff's alpha** (nominal; Krippendorff 2011, Computing Krippendorff's Alpha-Reliability) is over the words of
the text: what each person says that a word is part of. 1 is perfect agreement, 0 what chance would give, and below 0
people contradict each other. It takes any number of people, of whom each may have left passages out. A boundary that is
off by one word costs it little, and two mentions side by side are as good as one: F1 sees these.

How they are read: from 0.8 reliable; 0.667 is the lowest from which tentative conclusions can be drawn (Krippendorff
2004, Content Analysis, chapter 11). The lower of the two counts.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import combinations
from typing import Any

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.exchange.formats.version import name_of
from spacy_domain_ner.exchange.policies import CleanVersion

# The thresholds of Krippendorff's.
RELIABLE = 0.8
TENTATIVE = 0.667
# Under this many mentions of a type, all people's together, one of them moves the figures by several points.
FEW = 30

# Of the text around a disagreement, so many characters on each side are kept.
CONTEXT = 60

# What stands for a person whose name no file gives, and for the label of what was not marked.
UNKNOWN = "unknown"
NOTHING = "nothing"

# Scripts that are written without spaces (Thai, Lao, Burmese, Khmer, kana, Han): each character is a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")

# Two labels, in the alphabet's order; NOTHING is always the second.
Types = tuple[str, str]


class Kind(str, Enum):
    """How two people differ at a place.

    type: The same span has two labels.
    boundary: Spans of one label overlap.
    both: Spans of two labels overlap.
    missed: One has a span, the other has nothing there.
    """

    type = "type"
    boundary = "boundary"
    both = "boundary and type"
    missed = "missed"


@dataclass
class Shared:
    """What pairs of people have in common, summed over the pairs and their passages.

    shared: Mentions that both of a pair have.
    mentions: The mentions of the one and of the other.
    """

    shared: int = 0
    mentions: int = 0
    passages: int = 0

    @property
    def f1(self) -> float | None:
        """2 x shared / (a + b); None where nobody marked anything."""
        return 2 * self.shared / self.mentions if self.mentions else None

    def add(self, one: Collection[Span], other: Collection[Span]) -> None:
        """Count a passage of two people. one, other: Their spans, each once."""
        self.shared += len(set(one) & set(other))
        self.mentions += len(one) + len(other)
        self.passages += 1


@dataclass(frozen=True)
class TypeAgreement:
    """The figures of one type, or of all. mentions: Those of all people; f1, alpha: None where undefined."""

    mentions: int
    f1: float | None
    alpha: float | None

    @property
    def verdict(self) -> str:
        """reliable, tentative, unreliable or unknown."""
        known = [value for value in (self.f1, self.alpha) if value is not None]
        if not self.mentions or not known:
            return "unknown"
        return "reliable" if min(known) >= RELIABLE else "tentative" if min(known) >= TENTATIVE else "unreliable"

    def to_dict(self) -> dict[str, Any]:
        return {
            "mentions": self.mentions,
            "f1": _rounded(self.f1),
            "alpha": _rounded(self.alpha),
            "verdict": self.verdict,
        }


@dataclass
class Person:
    """What one person annotated.

    passages: All of them. shared_passages: Those that somebody else annotated, too.
    against_others: Their mentions against everybody else's.
    """

    passages: int = 0
    shared_passages: int = 0
    against_others: Shared = field(default_factory=Shared)


@dataclass
class Confusion:
    """How often two types stand against each other, counted over pairs of people.

    kinds: By the kind of disagreement. places: The places in the text at which it happened.
    """

    types: Types
    kinds: Counter[Kind] = field(default_factory=Counter)
    places: int = 0

    @property
    def times(self) -> int:
        return sum(self.kinds.values())


@dataclass(frozen=True)
class Said:
    """What one person marked at a place, none or several spans, and where that was read."""

    annotator: str
    spans: tuple[Span, ...]
    file: str
    line: int
    id: str


@dataclass(frozen=True)
class Disagreement:
    """A place at which people differ: spans that overlap each other and that not all of them have.

    start, end: Code points in the passage.
    before, mention, after: The text of the place, and what stands around it.
    said: What each person who annotated the passage marked there.
    differences: The types and the kind of each way in which two of them differ, the worst first when all are counted.
    """

    start: int
    end: int
    before: str
    mention: str
    after: str
    said: tuple[Said, ...]
    differences: tuple[tuple[Types, Kind], ...]

    def surface(self, span: Span) -> str:
        """The text of a span of this place."""
        return self.mention[span.start - self.start : span.end - self.start]


@dataclass
class Agreement:
    """How far people agree.

    types: Per type; `all` is all of them together.
    passages: How many were read; `measured` are those that two or more people annotated.
    people: By name. pairs: The F1 of each two people with passages in common, the worst first.
    confusions: The pairs of types that stand against each other, the worst first.
    disagreements: In the order of the confusions.
    refused: How many spans could not be taken, and of which labels that are no entity type.
    """

    types: dict[str, TypeAgreement]
    all: TypeAgreement
    passages: int
    measured: int
    people: dict[str, Person]
    pairs: dict[tuple[str, str], Shared]
    confusions: list[Confusion]
    disagreements: list[Disagreement]
    refused: int
    unknown_labels: Counter[str]

    def to_dict(self) -> dict[str, Any]:
        """All of it, as it is written to a file."""
        return {
            "passages": {"read": self.passages, "measured": self.measured},
            "all": self.all.to_dict(),
            "types": {label: result.to_dict() for label, result in self.types.items()},
            "people": [
                {
                    "annotator": name,
                    "passages": person.passages,
                    "shared_passages": person.shared_passages,
                    "f1": _rounded(person.against_others.f1),
                }
                for name, person in self.people.items()
            ],
            "pairs_of_people": [
                {"annotators": list(names), "passages": shared.passages, "f1": _rounded(shared.f1)}
                for names, shared in self.pairs.items()
            ],
            "pairs_of_types": [
                {
                    "types": list(confusion.types),
                    "times": confusion.times,
                    "places": confusion.places,
                    "kinds": {kind.value: confusion.kinds[kind] for kind in Kind if confusion.kinds[kind]},
                }
                for confusion in self.confusions
            ],
            "disagreements": [_to_record(disagreement) for disagreement in self.disagreements],
            "refused_spans": self.refused,
            "unknown_labels": dict(self.unknown_labels),
        }


def measure_agreement(
    groups: Iterable[list[CleanVersion]], labels: Iterable[str] = (), annotators: Collection[str] = ()
) -> Agreement:
    """Measure how far people agree on the passages that two or more of them annotated.

    groups: The versions of each passage, all on the same text, as `annotated_versions` gives them with
        `Annotators.each`. Of several versions by one person the last counts. Versions without a name are taken for one
        person's. Only the counts and the places of disagreement are kept of them.
    labels: The entity types, in the order to report them; others that occur come behind them.
    annotators: The people who count; everybody where it is empty.
    """
    tally = _Tally(labels)
    for sounds in groups:
        versions = {annotator_of(sound): sound for sound in sounds}
        counting = {person: versions[person] for person in sorted(versions) if person in annotators or not annotators}
        if counting:
            tally.add(counting)
    return tally.agreement()


def annotator_of(sound: CleanVersion) -> str:
    """Who made a version: whom the record names, else the file; UNKNOWN where neither does."""
    version = sound.version
    if version.annotator in ("", version.file) and "annotator" in version.meta:
        # An import that keeps each version notes the annotator so, and counts those of one person.
        return re.sub(r" \(\d+\)$", "", name_of(version.meta["annotator"])) or version.annotator or UNKNOWN
    return version.annotator or UNKNOWN


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Krippendorff's alpha for nominal values.

    units: For each unit the values that it was given, one from each observer who gave one.
    RETURNS: None where there is no variation: all values are the same, or no unit has two.
    """
    given = _Values()
    for values in units:
        given.add(values)
    return given.alpha()


def differences(one: Collection[Span], other: Collection[Span]) -> Iterator[tuple[Kind, Span, Span | None]]:
    """Every way in which two people's spans of one passage differ.

    Spans are matched one to one: those at the same place first, then those of the same label, then those that share
    most. What is left over and overlaps something that the other marked differently is set against that.
    YIELDS: The kind, a span of either person, and the other's that it is set against, None where there is nothing.
    """
    mine, theirs = sorted(set(one) - set(other)), sorted(set(other) - set(one))
    overlapping = [(a, b) for a in mine for b in theirs if a.start < b.end and b.start < a.end]
    overlapping.sort(key=lambda pair: _nearness(*pair), reverse=True)
    matched: set[tuple[bool, Span]] = set()
    for most_matched in (0, 1):
        for a, b in overlapping:
            if ((True, a) in matched) + ((False, b) in matched) <= most_matched:
                matched |= {(True, a), (False, b)}
                yield _kind(a, b), a, b
    for span in mine:
        if (True, span) not in matched:
            yield Kind.missed, span, None
    for span in theirs:
        if (False, span) not in matched:
            yield Kind.missed, span, None


class _Values:
    """The values that observers gave to units, as far as alpha needs them.

    In the paper's words: the sums of the coincidence matrix's rows, and the sum of what is off its diagonal.
    """

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        # Ordered pairs of unlike values in a unit, by the number of others that each value of it is paired with:
        # whole numbers, so that nothing is lost by adding many fractions.
        self._unlike: Counter[int] = Counter()

    def add(self, values: Sequence[Hashable], times: int = 1) -> None:
        """Add units of the same values. A unit with one value only can't be paired, and does not count."""
        if len(values) < 2:
            return
        for value, count in Counter(values).items():
            self._counts[value] += times * count
            self._unlike[len(values) - 1] += times * count * (len(values) - count)

    def add_alike(self, value: Hashable, number: int) -> None:
        """Add so many values of units that everybody gave this one."""
        self._counts[value] += number

    @property
    def total(self) -> int:
        """The number of values that can be paired."""
        return self._counts.total()

    def alpha(self) -> float | None:
        observed = sum(count / others for others, count in self._unlike.items())
        expected = sum(count * (self.total - count) for count in self._counts.values())
        return 1 - (self.total - 1) * observed / expected if expected else None


class _Tally:
    """What is kept of the passages while they go by."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._labels = list(labels)
        self._passages = self._measured = self._refused = 0
        self._unknown_labels: Counter[str] = Counter()
        self._people: defaultdict[str, Person] = defaultdict(Person)
        self._pairs: defaultdict[tuple[str, str], Shared] = defaultdict(Shared)
        self._mentions: Counter[str] = Counter()
        self._shared: defaultdict[str, Shared] = defaultdict(Shared)
        self._words = _Values()
        # Of a type, the words that somebody marked as part of one; all others are "not" for everybody.
        self._words_of: defaultdict[str, _Values] = defaultdict(_Values)
        self._confusions: dict[Types, Confusion] = {}
        self._disagreements: list[Disagreement] = []

    def add(self, versions: dict[str, CleanVersion]) -> None:
        """Count a passage. versions: By the person who made it, in the order of the names."""
        self._passages += 1
        for person, sound in versions.items():
            self._people[person].passages += 1
            for _, reason in sound.refused:
                # What the user wants left out is not refused.
                self._refused += not reason.endswith("as --rename says")
                if reason.startswith("unknown label"):
                    self._unknown_labels[reason.removeprefix("unknown label ").strip("'")] += 1
        if len(versions) < 2:
            return
        self._measured += 1
        for person, sound in versions.items():
            self._people[person].shared_passages += 1
            self._mentions.update(span.label for span in sound.spans)
        self._add_pairs(versions)
        self._add_words(list(versions.values()))
        spans = {person: set(sound.spans) for person, sound in versions.items()}
        for place in _places(list(spans.values())):
            self._add_disagreement(versions, {person: [s for s in place if s in spans[person]] for person in spans})

    def agreement(self) -> Agreement:
        total, everything = self._words.total, Shared()
        for shared in self._shared.values():
            everything.shared += shared.shared
            everything.mentions += shared.mentions
        types = {}
        for label in dict.fromkeys([*self._labels, *sorted(self._mentions)]):
            words = self._words_of[label]
            words.add_alike(False, total - words.total)
            types[label] = TypeAgreement(self._mentions[label], self._shared[label].f1, words.alpha())
        confusions = sorted(self._confusions.values(), key=lambda confusion: (-confusion.times, confusion.types))
        rank = {confusion.types: number for number, confusion in enumerate(confusions)}
        disagreements = [
            replace(one, differences=tuple(sorted(one.differences, key=lambda difference: rank[difference[0]])))
            for one in self._disagreements
        ]
        return Agreement(
            types=types,
            all=TypeAgreement(self._mentions.total(), everything.f1, self._words.alpha()),
            passages=self._passages,
            measured=self._measured,
            people=dict(sorted(self._people.items(), key=lambda item: _worst_first(item[1].against_others, item[0]))),
            pairs=dict(sorted(self._pairs.items(), key=lambda item: _worst_first(item[1], *item[0]))),
            confusions=confusions,
            disagreements=sorted(disagreements, key=lambda one: rank[one.differences[0][0]]),
            refused=self._refused,
            unknown_labels=self._unknown_labels,
        )

    def _add_pairs(self, versions: dict[str, CleanVersion]) -> None:
        for one, other in combinations(versions, 2):
            first, second = versions[one].spans, versions[other].spans
            self._pairs[one, other].add(first, second)
            self._people[one].against_others.add(first, second)
            self._people[other].against_others.add(first, second)
            for label in {span.label for span in (*first, *second)}:
                self._shared[label].add(
                    [span for span in first if span.label == label], [span for span in second if span.label == label]
                )

    def _add_words(self, sounds: list[CleanVersion]) -> None:
        words = [match.span() for match in _WORD.finditer(sounds[0].version.text)]
        marked: defaultdict[int, list[frozenset[str]]] = defaultdict(lambda: [frozenset()] * len(sounds))
        for number, sound in enumerate(sounds):
            for word, types in _marked_words(words, sound.spans):
                marked[word][number] |= types
        self._words.add([frozenset()] * len(sounds), len(words) - len(marked))
        for values in marked.values():
            # Spans may lie in each other: a word's value is then all of its types.
            self._words.add(values)
            for label in frozenset().union(*values):
                self._words_of[label].add([label in value for value in values])

    def _add_disagreement(self, versions: dict[str, CleanVersion], found: dict[str, list[Span]]) -> None:
        """Keep a place. found: What each person marked there."""
        here = []
        for one, other in combinations(found, 2):
            for kind, span, against in differences(found[one], found[other]):
                types = _types(span, against)
                self._confusions.setdefault(types, Confusion(types)).kinds[kind] += 1
                here.append((types, kind))
        for types in {types for types, _ in here}:
            self._confusions[types].places += 1
        place = [span for spans in found.values() for span in spans]
        start, end = min(span.start for span in place), max(span.end for span in place)
        text = next(iter(versions.values())).version.text
        said = []
        for person, spans in found.items():
            version = versions[person].version
            said.append(Said(person, tuple(spans), version.file, version.line, version.id))
        before, after = text[max(0, start - CONTEXT) : start], text[end : end + CONTEXT]
        if start > CONTEXT:
            before = "…" + before
        if end + CONTEXT < len(text):
            after += "…"
        self._disagreements.append(
            Disagreement(start, end, before, text[start:end], after, tuple(said), tuple(dict.fromkeys(here)))
        )


def _places(versions: list[set[Span]]) -> Iterator[list[Span]]:
    """The spans that not all versions have, those together that overlap, directly or by others between them."""
    place: list[Span] = []
    end = 0
    for span in sorted(versions[0].union(*versions) - versions[0].intersection(*versions)):
        if place and span.start >= end:
            yield place
            place = []
        end = max(end, span.end) if place else span.end
        place.append(span)
    if place:
        yield place


def _marked_words(words: list[tuple[int, int]], spans: list[Span]) -> Iterator[tuple[int, frozenset[str]]]:
    """The number of each word that a span covers, were it in part, with the span's label."""
    first = 0
    for span in sorted(spans):
        while first < len(words) and words[first][1] <= span.start:
            first += 1
        number = first
        while number < len(words) and words[number][0] < span.end:
            yield number, frozenset([span.label])
            number += 1


def _nearness(one: Span, other: Span) -> tuple[bool, bool, int]:
    same_place = (one.start, one.end) == (other.start, other.end)
    return same_place, one.label == other.label, min(one.end, other.end) - max(one.start, other.start)


def _kind(one: Span, other: Span) -> Kind:
    if (one.start, one.end) == (other.start, other.end):
        return Kind.type
    return Kind.boundary if one.label == other.label else Kind.both


def _types(one: Span, other: Span | None) -> Types:
    if other is None:
        return one.label, NOTHING
    first, second = sorted((one.label, other.label))
    return first, second


def _worst_first(shared: Shared, *names: str) -> tuple[float, int, tuple[str, ...]]:
    # Who has nothing in common with anybody comes last.
    return (2.0 if shared.f1 is None else shared.f1), -shared.passages, names


def _to_record(disagreement: Disagreement) -> dict[str, Any]:
    return {
        "start": disagreement.start,
        "end": disagreement.end,
        "before": disagreement.before,
        "mention": disagreement.mention,
        "after": disagreement.after,
        "differences": [{"types": list(types), "kind": kind.value} for types, kind in disagreement.differences],
        "said": [
            {
                "annotator": said.annotator,
                "spans": [
                    {
                        "start": span.start,
                        "end": span.end,
                        "label": span.label,
                        "text": disagreement.surface(span),
                    }
                    for span in said.spans
                ],
                "file": said.file,
                "line": said.line,
                "id": said.id,
            }
            for said in disagreement.said
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
