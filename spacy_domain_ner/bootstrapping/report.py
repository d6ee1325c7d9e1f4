"""What a run of `bootstrap` has made, and how good its sources are."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spacy_domain_ner.bootstrapping.reliability import Record
from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage


@dataclass
class Bootstrapped:
    """First labels, and what they are worth.

    Attributes:
        passages: The passages with their labels.
        read: How many passages there were.
        left_out: How many of them are not labelled, by the reason.
        refusals: The lines and files that could not be read, the first ones of them.
        skipped: The rows of gazetteers that are not used, each with its place and the reason.
        conflicts: The names to which a gazetteer gives several types.
        reviewed: How many reviewed passages there were.
        records: How good each source is with each type, by the names of both.
        agreement: For each two sources how many spans both have found, and how many the one or the other.
        left: The names that are left unknown, by name and type, with how often they stand there.
        tokens: How many tokens are in a name, outside of all names, and unknown.
        unmapped: How many entities other models have found whose label has no type, by label.
        misaligned: How many sure spans no tokens can express.
        notes: What the user should know, a sentence each.
    """

    passages: list[Passage] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    conflicts: dict[str, list[str]] = field(default_factory=dict)
    reviewed: int = 0
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    agreement: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    left: Counter[tuple[str, str]] = field(default_factory=Counter)
    tokens: list[int] = field(default_factory=lambda: [0, 0, 0])
    unmapped: Counter[str] = field(default_factory=Counter)
    misaligned: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def mentions(self) -> dict[str, int]:
        """How many mentions of each type are labelled."""
        return dict(Counter(span.label for passage in self.passages for span in passage.spans).most_common())

    def to_json(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "format_version": 1,
            "passages": len(self.passages), "read": self.read, "left_out": dict(self.left_out),
            "reviewed": self.reviewed, "mentions": self.mentions,
            "tokens": dict(zip(("in_names", "outside", "unknown"), self.tokens, strict=True)),
            "sources": [
                {
                    "source": source, "type": type_, "found": one.found, "precision": _rounded(one.precision),
                    "recall": _rounded(one.recall), "reviewed_right": one.right, "reviewed_wrong": one.wrong,
                    "reviewed_missed": one.missed,
                    "kinds": {kind or "usual": [count, _rounded(share)] for kind, (count, share) in one.kinds.items()},
                }
                for (source, type_), one in self.records.items()
            ],
            "agreement": [
                {"sources": pair, "both": both, "one_or_both": either}
                for pair, (both, either) in self.agreement.items()
            ],
            "conflicts": self.conflicts,
            "left_unknown": [[name, type_, count] for (name, type_), count in self.left.most_common()],
            "misaligned": self.misaligned, "unmapped_labels": dict(self.unmapped), "skipped_rows": self.skipped,
            "not_read": [str(refusal) for refusal in self.refusals], "notes": self.notes,
        }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
