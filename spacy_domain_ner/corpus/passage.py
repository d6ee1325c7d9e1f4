"""Passage and Span: the data that everything else passes along."""

from dataclasses import dataclass, field
from typing import Any

# In `meta`, where labelling tools show it to people: what a model got wrong in a passage. An import drops it again.
MODEL_ERRORS = "model_errors"
# Beside the text: where models contradict the annotation. An import drops it, too.
SUSPECTS = "suspects"


@dataclass(frozen=True, order=True)
class Span:
    """One mention: `start` and `end` are offsets in Unicode code points, `end` is exclusive."""

    start: int
    end: int
    label: str


@dataclass
class Passage:
    """A text to label, with its annotation.

    text: The passage, exactly as annotated; offsets point into it.
    spans: The annotation, in the order of the file.
    meta: What the source said of the passage; `source` is the group that a split keeps together.
    extra: The record's other keys (an id, a score), carried through reading and writing untouched.
    file, line: Where the passage was read, the line counted from 1; "" and 0 where it came from no file.
    """

    text: str
    spans: list[Span] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0

    @property
    def place(self) -> str:
        """Where the passage was read, as `file:line`."""
        return f"{self.file}:{self.line}"

    @property
    def identity(self) -> tuple[str, str]:
        """Its exact text and its `meta.source`: see `spacy_domain_ner.corpus.identity`, which has the other two."""
        return self.text, str(self.meta.get("source", ""))

    def surface(self, span: Span) -> str:
        """The mention's text, its surface form."""
        return self.text[span.start : span.end]
