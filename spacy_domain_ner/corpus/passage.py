"""Passage and Span: the data that everything else passes along."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from spacy_domain_ner.text import without_invisible

# A key of `meta`, where labelling tools show it to people: what a model got wrong in a passage. An import drops it.
MODEL_ERRORS = "model_errors"
# A key beside the text: where models contradict the annotation. An import drops it, too.
SUSPECTS = "suspects"
# A key beside the text: people label the passage without seeing what a model or a list would fill in.
BLIND = "blind"
# A key of `meta` in a passage that was chosen for what a model makes of it, not drawn at random. An evaluation on such
# passages, a calibration, or an early stop by them would tell of the choice: they are for training only.
TRAINING_ONLY = "training_only"
# Its counterpart, in one that was drawn at random beside chosen ones: models can be measured by few others.
HELD_OUT_ONLY = "held_out_only"
# A key of `meta` that says where a passage and its labels come from, and two of its values: nobody has labelled it,
# since `bootstrap` made its labels of what was known before; or it came with the pack that the project was made from.
# The others are the user's own.
ORIGIN, SILVER, STARTER, OWN = "origin", "silver", "starter", "own"
# Keys of `meta` in a passage that was cut out of a longer one: what identifies that, in hexadecimal digits, and where
# in it the part begins.
PART_OF = "part_of"
PART_START = "part_start"


@dataclass(frozen=True, order=True)
class Span:
    """One mention of an entity in a passage.

    Attributes:
        start: The offset of its first character, in Unicode code points from 0.
        end: The offset after its last character.
        label: Its entity type.
    """

    start: int
    end: int
    label: str


@dataclass(frozen=True, order=True)
class Relation:
    """A relation between two mentions of a passage.

    The ends are spans and not numbers of spans: so a relation stays what it is where spans are sorted or merged.

    Attributes:
        head: The mention that it starts from.
        type: Its relation type.
        tail: The mention that it leads to.
    """

    head: Span
    type: str
    tail: Span

    @property
    def reversed(self) -> "Relation":
        """The relation of the same type the other way."""
        return Relation(self.tail, self.type, self.head)

    def normal(self, symmetric: Collection[str]) -> "Relation":
        """The one of two forms that counts where the type holds both ways: it starts from the first mention.

        Args:
            symmetric: The types that hold both ways.
        """
        return min(self, self.reversed) if self.type in symmetric else self


@dataclass
class Passage:
    """A text to label, with its annotation.

    Attributes:
        text: The passage, exactly as annotated; offsets point into it.
        spans: The annotation, in the order of the file.
        meta: What the source says of the passage; `source` names the group that a split keeps together.
        extra: The record's other keys (an id, a score), which reading and writing leave as they are.
        file: The file in which the passage was read; "" where it came from no file.
        line: Its line, counted from 1; 0 where it came from no file.
        unknown: The parts of the text of which nobody knows yet what they are, for instance because two annotators
            differ. Training learns nothing from them, and a prediction that touches one is neither right nor wrong.
            The label is the one that somebody gave the part, "" where there is none.
        incorrect: Spans that are known not to be entities of their type, for instance since somebody rejected a
            suggestion. They say nothing else of their place.
        relations: The relations between the spans; None where nobody has looked for any, which is not the same as an
            empty list: that says that there are none.
    """

    text: str
    spans: list[Span] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    unknown: list[Span] = field(default_factory=list)
    incorrect: list[Span] = field(default_factory=list)
    relations: list[Relation] | None = None

    @property
    def place(self) -> str:
        """Where the passage was read, as `file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def is_training_only(self) -> bool:
        """Whether the passage may be trained on and measures nothing, since it was not drawn at random."""
        return _is_said(self.meta.get(TRAINING_ONLY))

    @property
    def is_held_out_only(self) -> bool:
        """Whether the passage is to measure models, and not to be trained on."""
        return _is_said(self.meta.get(HELD_OUT_ONLY)) and not self.is_training_only

    @property
    def origin(self) -> str:
        """Where it and its labels come from: `SILVER`, `STARTER` or `OWN`."""
        said = self.meta.get(ORIGIN)
        return said if said in (SILVER, STARTER) else OWN

    @property
    def is_silver(self) -> bool:
        """Whether its labels are first labels, which nobody has reviewed."""
        return self.origin == SILVER

    @property
    def is_starter(self) -> bool:
        """Whether it came with the pack that the project was made from: it is not of the user's own text."""
        return self.origin == STARTER

    @property
    def identity(self) -> tuple[str, str]:
        """Its exact text and its `meta.source`: see `spacy_domain_ner.corpus.identity`, which has the other two."""
        return self.text, str(self.meta.get("source", ""))

    def judged(self, spans: Iterable[Span]) -> list[Span]:
        """Return the spans that the annotation can judge: those that touch no unknown part, and those that are right.

        Args:
            spans: Spans of this passage, for instance predicted ones.
        """
        if not self.unknown:
            return list(spans)
        return [
            span
            for span in spans
            if span in self.spans or not any(span.start < part.end and part.start < span.end for part in self.unknown)
        ]

    def surface(self, span: Span) -> str:
        """The text of a mention, its surface form."""
        return self.text[span.start : span.end]

    def name(self, span: Span) -> str:
        """The name that a mention has: its surface form without the characters that show nothing."""
        return without_invisible(self.surface(span))


def _is_said(value: Any) -> bool:
    # Tables and labelling tools make text of what is true.
    return value.strip().lower() in ("true", "1", "yes") if isinstance(value, str) else bool(value)
