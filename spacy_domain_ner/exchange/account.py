"""The account of an import: what was read, kept, changed, refused and left out, each with its place and the reason."""

import json
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.files import replacing

# Of each kind of entry, so many are shown; the report's file has all.
SHOWN = 20


@dataclass(frozen=True)
class Entry:
    """One line of an import's account.

    kind: changed, refused, left out, added, updated or unread (a file).
    of: "passage", "span" or "file".
    line: Counted from 1; 0 where the file is not read by lines.
    id: The tool's own number or name of the task, else the record's number.
    text: The mention, or the passage.
    """

    kind: str
    of: str
    file: str
    line: int
    id: str
    text: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = self.text if len(self.text) <= 60 else self.text[:59] + "…"
        record = self.id if self.id.startswith("record ") else f"id {self.id}"
        return f"{place}{f' ({record})' if self.id else ''}: {self.reason}" + (f": {text!r}" if text else "")


@dataclass
class ImportReport:
    """What an import did.

    files: Each file with the format that it was told to be.
    passages, spans: Counts: read, kept, changed, refused, left out; of passages also added, updated, unchanged, and
        `records`, the records of the files (one may hold several versions of a passage).
    reasons: How many passages were left out, by reason.
    labels: How many spans of each label were kept.
    unknown_labels: How many spans of each label were left out since it is no entity type.
    ignored: Results that are no spans (relations, choices), by kind.
    shown: The first entries of each kind.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    passages: Counter[str] = field(default_factory=Counter)
    spans: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    unknown_labels: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    offset_units: dict[str, dict[str, int]] = field(default_factory=dict)
    without_spans: int = 0
    shown: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    @property
    def refused(self) -> int:
        """How many passages, spans and files could not be taken as they are."""
        return self.passages["refused"] + self.spans["refused"] + sum(form == "" for _, form in self.files)

    def to_dict(self) -> dict[str, Any]:
        """The counts, as the report's file has them behind the entries."""
        return {
            "files": [{"file": name, "format": form} for name, form in self.files],
            **{
                name: dict(getattr(self, name)) for name in ("passages", "spans", "labels", "unknown_labels", "ignored")
            },
            "left_out": dict(self.reasons),
            "without_spans": self.without_spans,
            "offset_units": self.offset_units,
        }


class Account:
    """Counts what happens, shows the first of it, and writes all of it to a file as it comes.

    path: The file, None for none. Where the block ends with a UserError it is written all the same.
    report: What to count in, None for a new one.
    """

    def __init__(self, path: Path | None, report: ImportReport | None = None) -> None:
        self.report = ImportReport() if report is None else report
        self._path = path
        self._stack = ExitStack()
        self._stream: IO[str] | None = None
        self._first = True

    def __enter__(self) -> "Account":
        if self._path is not None:
            self._stream = self._stack.enter_context(replacing(self._path))
            self._stream.write('{"entries": [')
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, UserError):
            # What was refused is what the user has to see.
            self.finish()
            kind, error = None, (None, None)
        self._stack.__exit__(kind, *error)

    def add(self, kind: str, of: str, version: Version, text: str, reason: str) -> None:
        """Note one thing that happened to a version, or to a span of it with this text."""
        entry = Entry(kind, of, version.file, version.line, version.id, text, reason)
        if of in ("passage", "span"):
            (self.report.passages if of == "passage" else self.report.spans)[kind] += 1
        if len(self.report.shown[kind]) < SHOWN:
            self.report.shown[kind].append(entry)
        if self._stream is not None:
            self._stream.write(("\n" if self._first else ",\n") + json.dumps(asdict(entry)))
            self._first = False

    def finish(self) -> None:
        """Write the counts behind the entries."""
        if self._stream is not None:
            self._stream.write('\n], "counts": ' + json.dumps(self.report.to_dict(), indent=1) + "}\n")
            self._stream = None
