"""The report of an import: what was read, kept, changed, refused and left out, each with its place and the reason."""

import json
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.exchange.reasons import Note, Reason
from spacy_domain_ner.files import WriteError, replacing
from spacy_domain_ner.text import shorten

# How many entries of each kind a report holds. The file that it is written to has all.
SHOWN = 20

EntryKind = Literal["changed", "refused", "left out", "updated", "unread"]


@dataclass(frozen=True)
class Entry:
    """One thing that happened in an import.

    Attributes:
        kind: "changed", "refused", "left out", "updated" or "unread" (a file).
        of: "passage", "span", "relation" or "file".
        file: The file, as messages call it.
        line: The line, counted from 1; 0 where the file is not read by lines.
        id: The tool's own number or name of the task, else the record's number.
        text: The mention, or the passage.
        reason: Why, in words.
    """

    kind: EntryKind
    of: Literal["passage", "span", "relation", "file"]
    file: str
    line: int
    id: str
    text: str
    reason: str

    def __str__(self) -> str:
        text = f": {shorten(self.text, 60)!r}" if self.text else ""
        return f"{place_of_record(self.file, self.line, self.id)}: {self.reason}{text}"


def place_of_record(file: str, line: int, id: str) -> str:
    """Say where a record was read.

    Args:
        file: The file, as messages call it.
        line: The line, counted from 1; 0 where the file is not read by lines.
        id: The tool's own number or name of the task, else "record" and its number; "" where there is neither.
    """
    place = f"{file}:{line}" if line else file
    record = id if id.startswith("record ") else f"id {id}"
    return f"{place} ({record})" if id else place


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        files: Each file with the name of its format, "" where that was not recognised.
        passages: How many annotated passages were read, kept, changed, refused and left out; and, of the passages of
            the annotation file, how many were added, updated, unchanged and untouched.
        spans: How many spans were read, kept, changed, refused, left out and merged with an equal one.
        relations: How many relations were read, kept, changed, refused, left out and merged with an equal one.
        relation_types: How many relations of each type were kept.
        unknown_relations: How many relations of each type were refused because the type is not a relation type.
        reasons: How many passages were left out, by reason.
        labels: How many spans of each label were kept.
        unknown_labels: How many spans of each label were refused because the label is not an entity type.
        spellings: How many spans have a label that was taken for an entity type with another spelling, by both.
        undecided: How many passages have places where the annotators differ and nobody decides: those are unknown.
        incorrect: How many rejected suggestions were kept, as spans that are known to be wrong.
        ignored: How many results that are neither spans nor relations (choices) there were, by kind.
        offset_units: For each file with other offsets than code points, how many spans count which unit.
        without_spans: How many of the kept passages have no span.
        shown: The first entries of each kind.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    passages: Counter[str] = field(default_factory=Counter)
    spans: Counter[str] = field(default_factory=Counter)
    relations: Counter[str] = field(default_factory=Counter)
    relation_types: Counter[str] = field(default_factory=Counter)
    unknown_relations: Counter[str] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    unknown_labels: Counter[str] = field(default_factory=Counter)
    spellings: Counter[tuple[str, str]] = field(default_factory=Counter)
    undecided: int = 0
    incorrect: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    offset_units: dict[str, dict[str, int]] = field(default_factory=dict)
    without_spans: int = 0
    shown: dict[EntryKind, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    @property
    def refused(self) -> int:
        """How many passages, spans, relations and files could not be taken as they are."""
        unread = sum(file_format == "" for _, file_format in self.files)
        return self.passages["refused"] + self.spans["refused"] + self.relations["refused"] + unread

    @property
    def nothing_could_be_read(self) -> bool:
        """Whether every passage was refused, but those that nobody has annotated."""
        passages = self.passages
        left_out = passages["left out"] - self.reasons[Reason.UNANNOTATED]
        return bool(passages["refused"]) and not passages["kept"] and not left_out

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values, as the report's file has them."""
        return {
            "files": [{"file": name, "format": file_format} for name, file_format in self.files],
            **{
                name: dict(getattr(self, name))
                for name in (
                    "passages",
                    "spans",
                    "labels",
                    "unknown_labels",
                    "relations",
                    "relation_types",
                    "unknown_relations",
                    "ignored",
                )
            },
            "spellings": {f"{label} -> {known}": count for (label, known), count in self.spellings.items()},
            "left_out": {reason.value: count for reason, count in self.reasons.items()},
            "undecided": self.undecided,
            "incorrect": self.incorrect,
            "without_spans": self.without_spans,
            "offset_units": self.offset_units,
        }


class ImportLog:
    """Counts what happens in an import, keeps the first entries, and writes every entry to a file at once.

    The file is also written if the import ends with a UserError: what was refused is what the user has to see.

    Attributes:
        report: The counts and the first entries.
    """

    def __init__(self, path: Path | None, report: ImportReport | None = None) -> None:
        """Make a log.

        Args:
            path: The file to write; None writes none.
            report: What to count in; None for a new one.
        """
        self.report = ImportReport() if report is None else report
        self._path = path
        self._stack = ExitStack()
        self._stream: IO[str] | None = None
        self._first = True

    def __enter__(self) -> "ImportLog":
        if self._path is not None:
            self._stream = self._stack.enter_context(replacing(self._path))
            self._stream.write('{"entries": [')
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        # Where the annotation file could not be written, the report would tell of passages that are not in it.
        if isinstance(kind, type) and issubclass(kind, UserError) and not issubclass(kind, WriteError):
            self.finish()
            kind, error = None, (None, None)
        self._stack.__exit__(kind, *error)

    def add_passage(self, kind: EntryKind, version: Version, note: Note, text: str | None = None) -> None:
        """Log what happened to a passage.

        Args:
            kind: What happened.
            version: The version of the passage that it happened to.
            note: Why.
            text: What to show of the passage; None for its whole text.
        """
        self.report.passages[kind] += 1
        shown = version.text if text is None else text
        self._add(Entry(kind, "passage", version.file, version.line, version.id, shown, str(note)))

    def add_span(self, kind: EntryKind, version: Version, note: Note) -> None:
        """Log what happened to a span.

        Args:
            kind: What happened.
            version: The version that has the span.
            note: Why, with the span's text.
        """
        self.report.spans[kind] += 1
        self._add(Entry(kind, "span", version.file, version.line, version.id, note.text, str(note)))

    def add_relation(self, kind: EntryKind, version: Version, note: Note) -> None:
        """Log what happened to a relation.

        Args:
            kind: What happened.
            version: The version that has the relation.
            note: Why, with the texts of its ends.
        """
        self.report.relations[kind] += 1
        self._add(Entry(kind, "relation", version.file, version.line, version.id, note.text, str(note)))

    def add_unread_file(self, name: str, words: str) -> None:
        """Log a file that was not read, with words that say why."""
        self._add(Entry("unread", "file", name, 0, "", "", words))

    def finish(self) -> None:
        """Write the counts after the entries; the file takes its place when the block of this log ends."""
        if self._stream is not None:
            self._stream.write('\n], "counts": ' + json.dumps(self.report.to_dict(), indent=1) + "}\n")
            self._stream.close()
            self._stream = None

    def _add(self, entry: Entry) -> None:
        if len(self.report.shown[entry.kind]) < SHOWN:
            self.report.shown[entry.kind].append(entry)
        if self._stream is not None:
            self._stream.write(("\n" if self._first else ",\n") + json.dumps(asdict(entry)))
            self._first = False
