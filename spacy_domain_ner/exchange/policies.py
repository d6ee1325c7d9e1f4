"""What an import decides where a file leaves a choice."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.offsets import UNITS


class Annotators(str, Enum):
    """What becomes of a passage that several people annotated.

    Attributes:
        majority: The spans that more than half of the versions have. Where half of the versions or more have a span,
            and no span has more than half, the place is unknown until somebody decides.
        one: The version that agrees best with the others, the last one where several do.
        agreed: The passage where all versions have the same spans; else it is left out.
        each: Every version as a passage of its own, to compare them.
    """

    majority = "majority"
    one = "one"
    agreed = "agreed"
    each = "each"


class GroundTruth(str, Enum):
    """What it means that a version is marked as the truth.

    Attributes:
        prefer: Where a version is marked, the others do not count.
        only: Only marked versions count.
        ignore: Nothing.
    """

    prefer = "prefer"
    only = "only"
    ignore = "ignore"


class Overlaps(str, Enum):
    """What becomes of spans that overlap.

    Attributes:
        longest: The longest stays.
        first: The first in the file stays.
        refuse: The passage is refused.
        keep: All stay.
    """

    longest = "longest"
    first = "first"
    refuse = "refuse"
    keep = "keep"


class UnknownLabels(str, Enum):
    """What becomes of a span whose label is not an entity type.

    Attributes:
        unknown: It is not a span, and its place is unknown: training does not learn that there is no entity.
        span: It is not a span, and its place counts as without an entity.
        passage: Its passage is refused.
        keep: It is kept.
    """

    unknown = "unknown"
    span = "span"
    passage = "passage"
    keep = "keep"


class KeepOrDrop(str, Enum):
    """Whether something is taken or left out."""

    keep = "keep"
    drop = "drop"


@dataclass(frozen=True)
class Policies:
    """How an import decides. Each choice may be given by its name, for example `annotators="majority"`.

    Attributes:
        annotators: A passage that several people annotated: "majority", "one", "agreed" or "each".
        ground_truth: Versions that are marked as the truth: "prefer", "only" or "ignore".
        overlaps: Spans that overlap: "longest", "first", "refuse" or "keep".
        unknown_labels: Labels that are not entity types: "unknown", "span", "passage" or "keep". A label that differs
            from a type only in case, blanks, hyphens and underscores is that type.
        skipped: Passages that the annotator skipped: "keep" or "drop"; kept, they count as annotated.
        predictions: A model's spans, where nobody annotated the passage: "keep" or "drop".
        empty: Passages without any span: "keep" or "drop"; kept, they say that there is no entity in them.
        rename: The new label for each label to replace; "" leaves the label's spans out.
        only_annotators: The people whose versions count; empty for all.
        offset_unit: What the offsets count: "code-points", "utf-16", "utf-8" or "newlines-as-one"; "auto" finds it for
            each span.
        partial: Passages of which people have judged single spans only, as in Prodigy's binary answers and Label
            Studio's drafts: "keep" or "drop"; kept, the accepted spans are annotated, the rejected ones known to be
            wrong, and the rest unknown.

    Raises:
        UserError: If a choice does not exist.
    """

    annotators: Annotators = Annotators.majority
    ground_truth: GroundTruth = GroundTruth.prefer
    overlaps: Overlaps = Overlaps.longest
    unknown_labels: UnknownLabels = UnknownLabels.unknown
    skipped: KeepOrDrop = KeepOrDrop.drop
    predictions: KeepOrDrop = KeepOrDrop.drop
    empty: KeepOrDrop = KeepOrDrop.keep
    rename: Mapping[str, str] = field(default_factory=dict)
    only_annotators: tuple[str, ...] = ()
    offset_unit: str = "auto"
    partial: KeepOrDrop = KeepOrDrop.drop

    def __post_init__(self) -> None:
        for one in fields(self):
            if isinstance(one.default, Enum):
                object.__setattr__(self, one.name, _choice(type(one.default), one.name, getattr(self, one.name)))
        people = self.only_annotators
        object.__setattr__(self, "only_annotators", (people,) if isinstance(people, str) else tuple(people))
        if self.offset_unit not in ("auto", *UNITS):
            raise UserError(f"`offset_unit` is {self.offset_unit!r}", f"It is one of: auto, {', '.join(UNITS)}")


def _choice(choices: type[Enum], name: str, value: Any) -> Enum:
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(one.value for one in choices)
        raise UserError(f"`{name}` is {value!r}", f"It is one of: {known}") from None
