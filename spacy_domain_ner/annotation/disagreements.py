"""Where people who annotated the same passage differ, and how."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.evaluation.matching import Difference, pair_spans

# How two people differ at a place. Neither of them is the truth: a span that only one of them has was missed by the
# other.
KINDS: tuple[Difference, ...] = tuple(kind for kind in get_args(Difference) if kind != "spurious")
# What stands for the label where somebody marked nothing.
NOTHING = "nothing"

# Two labels in alphabetical order; NOTHING is always the second.
TypePair = tuple[str, str]


@dataclass(frozen=True)
class Said:
    """What one person marked at a place, and where that was read.

    Attributes:
        annotator: The person's name.
        spans: The spans; there may be none, or several.
        file: The file.
        line: The line, counted from 1; 0 where the file is not read by lines.
        id: The tool's own number or name of the task, else the record's number.
    """

    annotator: str
    spans: tuple[Span, ...]
    file: str
    line: int
    id: str


@dataclass(frozen=True)
class Disagreement:
    """A place at which people differ: spans that overlap each other and that not all of them have.

    Attributes:
        start: Where the place starts, in code points.
        end: Where it ends, exclusive.
        before: The text before the place.
        mention: The text of the place.
        after: The text after the place.
        said: What each person who annotated the passage marked there.
        differences: The types and the kind of each way in which two of them differ, the most frequent types first.
    """

    start: int
    end: int
    before: str
    mention: str
    after: str
    said: tuple[Said, ...]
    differences: tuple[tuple[TypePair, Difference], ...]

    def surface(self, span: Span) -> str:
        """Return the text of a span of this place."""
        return self.mention[span.start - self.start : span.end - self.start]

    def to_dict(self) -> dict[str, Any]:
        """Return the place as JSON values."""
        return {
            "start": self.start,
            "end": self.end,
            "before": self.before,
            "mention": self.mention,
            "after": self.after,
            "differences": [{"types": list(types), "kind": kind} for types, kind in self.differences],
            "said": [
                {
                    "annotator": said.annotator,
                    "spans": [
                        {"start": span.start, "end": span.end, "label": span.label, "text": self.surface(span)}
                        for span in said.spans
                    ],
                    "file": said.file,
                    "line": said.line,
                    "id": said.id,
                }
                for said in self.said
            ],
        }


@dataclass
class Confusion:
    """How often two types stand against each other, counted over pairs of people.

    Attributes:
        types: The types.
        kinds: How often, by the kind of difference.
        places: At how many places in the text.
    """

    types: TypePair
    kinds: Counter[Difference] = field(default_factory=Counter)
    places: int = 0

    @property
    def times(self) -> int:
        """How often, all kinds together."""
        return self.kinds.total()

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        kinds = {kind: self.kinds[kind] for kind in KINDS if self.kinds[kind]}
        return {"types": list(self.types), "times": self.times, "places": self.places, "kinds": kinds}


def differences(one: Collection[Span], other: Collection[Span]) -> Iterator[tuple[Difference, Span, Span | None]]:
    """Give every way in which two people's spans of one passage differ, in the order of the text.

    Args:
        one: The spans of the one.
        other: The spans of the other.

    Yields:
        The kind, a span of either person, and the other's span that it is set against; None where there is none.
    """
    for match in pair_spans(one, other, one_to_one=False):
        if match.kind == "correct":
            continue
        if match.gold is not None and match.predicted is not None:
            yield match.kind, match.gold, match.predicted
        else:
            yield "missed", match.span, None


def disputed_places(versions: list[set[Span]]) -> Iterator[list[Span]]:
    """Give the spans that not all versions have; those that overlap, directly or through others, come together.

    Args:
        versions: Each person's spans of one passage.

    Yields:
        The spans of one place, in the order of the text.
    """
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


def type_pair(one: Span, other: Span | None) -> TypePair:
    """Return the types of two spans that are set against each other."""
    if other is None:
        return one.label, NOTHING
    first, second = sorted((one.label, other.label))
    return first, second
