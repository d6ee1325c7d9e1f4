"""How far people agree who annotated the same passages: figures per type, and every place where they differ.

**F1** is the first measure. One person's mentions are scored against another's, and a mention is shared where start,
end and label are the same; it does not matter who is taken for the truth. Measures that are corrected for chance need
the number of things that were rightly not marked, and for spans that number is arbitrary: any stretch of a text might
have been one. Where it is large, as it is in a text with few mentions, such a measure comes close to F1 (Hripcsak and
Rothschild 2005, Agreement, the F-Measure, and Reliability in Information Retrieval, JAMIA 12:296-298).

**Krippendorff's alpha** is over the words of the text: what each person says that a word is part of. 1 is perfect
agreement, 0 is what chance would give, and below 0 people contradict each other. It takes any number of people, and
each of them may have left passages out. A boundary that is off by one word costs it little, and it sees no difference
between one mention and two side by side: F1 sees both.

How to read them: from 0.8 an annotation is reliable; 0.667 is the lowest value from which tentative conclusions can be
drawn (Krippendorff 2004, Content Analysis, chapter 11). The lower of the two figures counts.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from spacy_domain_ner.annotation.disagreements import (
    Confusion,
    Disagreement,
    Said,
    TypePair,
    differences,
    disputed_places,
    type_pair,
)
from spacy_domain_ner.annotation.krippendorff import ObservedValues
from spacy_domain_ner.annotation.rejoining import joined_where_cut_differently
from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.scores import rounded
from spacy_domain_ner.exchange.cleaning import CleanVersion
from spacy_domain_ner.exchange.formats.version import name_of
from spacy_domain_ner.exchange.import_report import Entry, ImportReport
from spacy_domain_ner.exchange.importing import annotated_versions, schema_of
from spacy_domain_ner.exchange.policies import Annotators, GroundTruth, Overlaps, Policies
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import UNSPACED_SCRIPTS

# Krippendorff's thresholds.
RELIABLE = 0.8
TENTATIVE = 0.667
# With fewer mentions of a type, by all people together, one mention moves the figures by several points.
FEW = 30

# How many characters are kept on each side of a disagreement.
CONTEXT = 60

# What stands for a person whose name no file gives.
UNKNOWN = "unknown"

# In a script without spaces, each character is a word.
_WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]|[^\W{UNSPACED_SCRIPTS}]+|[^\w\s]")


def measure_agreement(
    inputs: Iterable[str | Path],
    *,
    schema: EntitySchema | str | Path | None = None,
    rename: Mapping[str, str] | None = None,
    annotators: Collection[str] = (),
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str | None = None,
    columns: str | None = None,
    tag_names: str | Path | None = None,
    texts: str | Path | None = None,
) -> "Agreement":
    """Measure how far people agree who annotated the same passages.

    Args:
        inputs: Files, folders and archives in any format that can be imported. Where several files don't say who
            annotated, each is taken for one person's.
        schema: The entity types or the file that has them; None takes every label.
        rename: The new label for each label to replace; "" leaves the label's spans out.
        annotators: The people to compare; all where it is empty.
        file_format: The format's name, as for `import_annotations`; None recognises it by the content.
        encoding: The inputs' encoding.
        text_key: As for `import_annotations`.
        columns: As for `import_annotations`.
        tag_names: As for `import_annotations`.
        texts: As for `import_annotations`.

    Returns:
        The figures, and every place where people differ.

    Raises:
        UserError: If a file can't be read, no passage has versions of two people, or no label is an entity type.
    """
    entity_types = schema_of(schema)
    policies = Policies(Annotators.each, GroundTruth.ignore, Overlaps.keep, rename=rename or {})
    read = ImportReport()
    groups = annotated_versions(
        inputs, policies, schema=entity_types, file_format=file_format, encoding=encoding, text_key=text_key,
        columns=columns, tag_names=tag_names, texts=texts, report=read,
    )  # fmt: skip
    people: Counter[str] = Counter()
    labels = entity_types.labels if entity_types else ()
    comparable = joined_where_cut_differently(_counting(groups, people), annotator_of)
    result = agreement_of(comparable, labels, annotators)
    result.not_compared = read.shown["unread"] + read.shown["refused"]
    try:
        _check(result, people, annotators)
    except UserError as error:
        unread = "".join(f"\nNot compared: {entry}" for entry in result.not_compared[:3])
        raise UserError(error.what, error.hint + unread) from None
    return result


def agreement_of(
    groups: Iterable[list[CleanVersion]], labels: Iterable[str] = (), annotators: Collection[str] = ()
) -> "Agreement":
    """Measure how far people agree on the passages that two or more of them annotated.

    Args:
        groups: The versions of each passage, all on the same text, as `annotated_versions` gives them with
            `Annotators.each`. If a person made several versions, the last one counts. Versions without a name are
            taken for one person's. Only the counts and the places of disagreement are kept of them.
        labels: The entity types, in the order to report them; other labels come after them.
        annotators: The people who count; everybody where it is empty.
    """
    tally = _Tally(labels)
    for group in groups:
        versions = {annotator_of(cleaned): cleaned for cleaned in group}
        counting = {person: versions[person] for person in sorted(versions) if person in annotators or not annotators}
        if counting:
            tally.add(counting)
    return tally.agreement()


def annotator_of(cleaned: CleanVersion) -> str:
    """Return who made a version: whom the record names, else the file; UNKNOWN where neither does."""
    version = cleaned.version
    if version.annotator in ("", version.file) and "annotator" in version.meta:
        # An import that keeps each version notes the annotator there, and numbers the versions of one person.
        return re.sub(r" \(\d+\)$", "", name_of(version.meta["annotator"])) or version.annotator or UNKNOWN
    return version.annotator or UNKNOWN


@dataclass
class Shared:
    """What pairs of people have in common, summed over the pairs and their passages.

    Attributes:
        shared: Mentions that both of a pair have.
        mentions: The mentions of both, added.
        passages: Passages that both annotated.
    """

    shared: int = 0
    mentions: int = 0
    passages: int = 0

    @property
    def f1(self) -> float | None:
        """2 x shared / (a + b); None where nobody marked anything."""
        return 2 * self.shared / self.mentions if self.mentions else None

    def add(self, one: Collection[Span], other: Collection[Span]) -> None:
        """Count a passage of two people.

        Args:
            one: The spans of the one, each once.
            other: The spans of the other, each once.
        """
        self.shared += len(set(one) & set(other))
        self.mentions += len(one) + len(other)
        self.passages += 1


@dataclass(frozen=True)
class TypeAgreement:
    """The figures of one type, or of all.

    Attributes:
        mentions: The mentions of all people.
        f1: None where it is undefined.
        alpha: None where it is undefined.
    """

    mentions: int
    f1: float | None
    alpha: float | None

    @property
    def verdict(self) -> str:
        """One of "reliable", "tentative", "unreliable" and "unknown"."""
        known = [value for value in (self.f1, self.alpha) if value is not None]
        if not self.mentions or not known:
            return "unknown"
        return "reliable" if min(known) >= RELIABLE else "tentative" if min(known) >= TENTATIVE else "unreliable"

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "mentions": self.mentions,
            "f1": rounded(self.f1),
            "alpha": rounded(self.alpha),
            "verdict": self.verdict,
        }


@dataclass
class Person:
    """What one person annotated.

    Attributes:
        passages: How many passages.
        shared_passages: How many of them somebody else annotated, too.
        against_others: The person's mentions against everybody else's.
    """

    passages: int = 0
    shared_passages: int = 0
    against_others: Shared = field(default_factory=Shared)


@dataclass
class Agreement:
    """How far people agree.

    Attributes:
        types: The figures per type.
        all: The figures of all types together.
        passages: How many passages were read.
        measured: How many of them two or more people annotated.
        people: What each person annotated, by name.
        pairs: The F1 of each two people with passages in common, the lowest first.
        confusions: The pairs of types that stand against each other, the most frequent first.
        disagreements: Every place where people differ, in the order of the confusions.
        refused: How many spans could not be taken.
        unknown_labels: How many of them have a label that is not an entity type, per label.
        not_compared: The first files and passages that could not be read, and why.
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
    not_compared: list[Entry] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values, as it is written to a file."""
        return {
            "passages": {"read": self.passages, "measured": self.measured},
            "all": self.all.to_dict(),
            "types": {label: result.to_dict() for label, result in self.types.items()},
            "people": [
                {
                    "annotator": name,
                    "passages": person.passages,
                    "shared_passages": person.shared_passages,
                    "f1": rounded(person.against_others.f1),
                }
                for name, person in self.people.items()
            ],
            "pairs_of_people": [
                {"annotators": list(names), "passages": shared.passages, "f1": rounded(shared.f1)}
                for names, shared in self.pairs.items()
            ],
            "pairs_of_types": [confusion.to_dict() for confusion in self.confusions],
            "disagreements": [disagreement.to_dict() for disagreement in self.disagreements],
            "refused_spans": self.refused,
            "unknown_labels": dict(self.unknown_labels),
        }


def _counting(groups: Iterable[list[CleanVersion]], people: Counter[str]) -> Iterator[list[CleanVersion]]:
    """Pass the versions of each passage through, and count the passages of each person."""
    for group in groups:
        people.update({annotator_of(cleaned) for cleaned in group})
        yield group


def _check(result: Agreement, people: Counter[str], annotators: Collection[str]) -> None:
    names = ", ".join(f"{name} ({count})" for name, count in people.most_common(12))
    if not people:
        raise UserError(
            "No annotated passage was found",
            "Skipped passages, predictions and binary answers don't count. `domain-ner import` says what a file holds.",
        )
    if strangers := [name for name in annotators if name not in people]:
        raise UserError(f"`annotators` has {strangers[0]!r}, who annotated nothing", f"There are: {names}.")
    if not result.measured:
        hint = "Passages are the same where their text and meta.source are: let people annotate the same ones."
        if len(annotators) == 1:
            hint = "Name each person to compare with `annotators`, or leave it out."
        elif set(people) == {UNKNOWN}:
            hint = "The file does not say who annotated what: export one file per annotator, and name all of them."
        elif len(people) == 1:
            hint = "Name the files of two or more people, or an export that has all annotators' versions."
        raise UserError(f"No passage was annotated by two people. Passages read, per person: {names}", hint)
    if result.unknown_labels and not result.all.mentions:
        labels = ", ".join(f"{label} ({count})" for label, count in result.unknown_labels.most_common(8))
        raise UserError(
            f"None of the labels is an entity type: {labels}",
            f"The entity types are {', '.join(result.types)}. Rename labels with `rename=OLD=NEW`, or name another "
            "`schema`.",
        )


class _Tally:
    """The counts and the disagreements, passage by passage."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._labels = list(labels)
        self._passages = self._measured = self._refused = 0
        self._unknown_labels: Counter[str] = Counter()
        self._people: defaultdict[str, Person] = defaultdict(Person)
        self._pairs: defaultdict[tuple[str, str], Shared] = defaultdict(Shared)
        self._mentions: Counter[str] = Counter()
        self._shared: defaultdict[str, Shared] = defaultdict(Shared)
        self._words = ObservedValues()
        # For each type, the words that somebody marked as part of one; all other words are "not" for everybody.
        self._words_of: defaultdict[str, ObservedValues] = defaultdict(ObservedValues)
        self._confusions: dict[TypePair, Confusion] = {}
        self._disagreements: list[Disagreement] = []

    def add(self, versions: dict[str, CleanVersion]) -> None:
        """Count a passage.

        Args:
            versions: The version of each person, in the order of the names.
        """
        self._passages += 1
        for person, cleaned in versions.items():
            self._people[person].passages += 1
            self._refused += len(cleaned.refused)
            self._unknown_labels.update(cleaned.unknown_labels)
        if len(versions) < 2:
            return
        self._measured += 1
        for person, cleaned in versions.items():
            self._people[person].shared_passages += 1
            self._mentions.update(span.label for span in cleaned.spans)
        self._add_pairs(versions)
        self._add_words(list(versions.values()))
        spans = {person: set(cleaned.spans) for person, cleaned in versions.items()}
        for place in disputed_places(list(spans.values())):
            self._add_disagreement(versions, {person: [s for s in place if s in spans[person]] for person in spans})

    def agreement(self) -> Agreement:
        """Compute the figures of all passages that were counted."""
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

    def _add_words(self, versions: list[CleanVersion]) -> None:
        words = [match.span() for match in _WORD.finditer(versions[0].version.text)]
        marked: defaultdict[int, list[frozenset[str]]] = defaultdict(lambda: [frozenset()] * len(versions))
        for number, cleaned in enumerate(versions):
            for word, types in _marked_words(words, cleaned.spans):
                marked[word][number] |= types
        self._words.add([frozenset()] * len(versions), len(words) - len(marked))
        for values in marked.values():
            # Spans may lie in each other: a word's value is then all of its types.
            self._words.add(values)
            for label in frozenset().union(*values):
                self._words_of[label].add([label in value for value in values])

    def _add_disagreement(self, versions: dict[str, CleanVersion], found: dict[str, list[Span]]) -> None:
        """Keep a place.

        Args:
            versions: The version of each person.
            found: What each person marked at the place.
        """
        here = []
        for one, other in combinations(found, 2):
            for kind, span, against in differences(found[one], found[other]):
                types = type_pair(span, against)
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


def _marked_words(words: list[tuple[int, int]], spans: list[Span]) -> Iterator[tuple[int, frozenset[str]]]:
    """Give the number of each word that a span covers, even partly, with the span's label."""
    first = 0
    for span in sorted(spans):
        while first < len(words) and words[first][1] <= span.start:
            first += 1
        number = first
        while number < len(words) and words[number][0] < span.end:
            yield number, frozenset([span.label])
            number += 1


def _worst_first(shared: Shared, *names: str) -> tuple[float, int, tuple[str, ...]]:
    # Those with nothing in common come last.
    return (2.0 if shared.f1 is None else shared.f1), -shared.passages, names
