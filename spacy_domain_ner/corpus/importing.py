"""Importing annotations: every format in, canonical passages out, merged into what is there, and an account of all.

Nothing depends on a file's size but the temporary database on the disk in which the versions of a passage wait for
each other: they may stand anywhere in one file, or in several.
"""

import json
import pickle
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import IO, Any, TypeVar

from spacy_domain_ner.corpus import offsets
from spacy_domain_ner.corpus.formats.recognise import FORMATS, describe, find_sources, read, recognise
from spacy_domain_ner.corpus.formats.stream import Source
from spacy_domain_ner.corpus.formats.version import Status, Version
from spacy_domain_ner.corpus.jsonl import MAX_LENGTH, lone_surrogate, read_line, to_record
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.policies import (
    Annotators,
    KeepOrDrop,
    Policies,
    Sound,
    candidates,
    combine,
    make_sound,
    rebase,
)  # fmt: skip
from spacy_domain_ner.corpus.split import identity
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import EntitySchema

Item = TypeVar("Item")
# Of each kind of entry, so many are shown; the report's file has all.
SHOWN = 20
OTHER_FORM = "the same text in another Unicode form"
# Beside their text, records are kept as they are; what is nested more deeply than this could not be written again.
DEEPEST = 100


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


def import_annotations(
    inputs: Iterable[Path],
    output: Path,
    policies: Policies = Policies(),
    *,
    form: str | None = None,
    schema: EntitySchema | None = None,
    report: Path | None = None,
    to_label: Path | None = None,
    encoding: str = "utf8",
    text_key: str | None = None,
    tag_column: int | None = None,
    strict: bool = False,
    advance: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import annotations into a canonical annotation file.

    inputs: Files, folders and archives, in any of the formats of `corpus.formats.recognise`.
    output: The file to write. Passages that it has stay, and get the annotation that was imported for the same text
        and source; its other lines are kept as they are.
    form: The format, None to recognise it by the content.
    schema: The entity types, None to take every label.
    report: Where to write the whole account, as JSON; nowhere where it is None.
    to_label: Where to write the passages that are annotated in part, to be completed; nowhere where it is None.
    encoding: The inputs' encoding.
    text_key: The key of the text in the records, None to find it.
    tag_column: The column of the tags in CoNLL files, counted from 1; None to find it.
    strict: Whether anything refused is an error.
    advance: Called with the number of bytes read, and then, while all is combined and written, with as many once
        more, for a progress bar.
    RAISES: UserError where a file can't be read as a whole, nothing is recognised, or, with `strict`, something is
        refused; nothing is written then but the report.
    """
    with ExitStack() as stack:
        progress = _Progress(advance)
        sources = stack.enter_context(find_sources(inputs, encoding, progress.read))
        database = stack.enter_context(closing(_Database()))
        account = stack.enter_context(_Account(report))
        votes = _read_all(sources, database, account, form, text_key, tag_column)
        groups = progress.over(database.groups(), database.count("version WHERE first = id"), 0.7)
        _combine_all(groups, database, account, policies, schema, votes, to_label is not None)
        result = account.report
        if strict and result.refused:
            raise UserError(
                f"{result.refused} passage(s), span(s) or file(s) refused; nothing was imported",
                "Mend them, choose what becomes of them by the options, or leave --strict out.",
            )
        if schema is not None and result.unknown_labels and not result.spans["kept"]:
            labels = ", ".join(f"{label} ({count})" for label, count in result.unknown_labels.most_common(8))
            raise UserError(
                f"None of the labels is an entity type: {labels}; nothing was imported",
                f"They are {', '.join(schema.labels)}. Say what is what with --rename OLD=NEW, or add them.",
            )
        with replacing(output) as stream:
            for line in _merged(database, account, output, progress):
                stream.write(line + "\n")
        if to_label is not None:
            with replacing(to_label) as stream:
                for passage in database.partial():
                    record = to_record(passage)
                    del record["answer"]
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
        account.finish()
    return result


def annotated_versions(
    inputs: Iterable[Path],
    policies: Policies = Policies(),
    *,
    form: str | None = None,
    schema: EntitySchema | None = None,
    encoding: str = "utf8",
    text_key: str | None = None,
    report: ImportReport | None = None,
) -> Iterator[list[Sound]]:
    """Every version of each passage that counts, for comparing what people annotated.

    inputs, form, schema, encoding, text_key: As in `import_annotations`. Where a file does not say who made its
        versions and there are several files, the file's name stands for the annotator.
    report: Filled with the files that were read, and the first of what could not be.
    YIELDS: The sound versions of one passage, all on the same text.
    RAISES: UserError where a file can't be read as a whole.
    """
    with ExitStack() as stack:
        sources = stack.enter_context(find_sources(inputs, encoding))
        database = stack.enter_context(closing(_Database()))
        account = stack.enter_context(_Account(None, report))
        if len(sources) > 1:
            sources = [replace(source, annotator=source.annotator or source.name) for source in sources]
        votes = _read_all(sources, database, account, form, text_key, None)
        for versions in database.groups():
            counting, _ = candidates(versions, policies)
            sounds = [make_sound(version, policies, schema, votes.get(version.file)) for version in counting]
            comparable = []
            for sound in sounds:
                if problem := sound.problem or ("" if _onto(sound, versions[0].text) else OTHER_FORM):
                    account.add("refused", "passage", sound.version, sound.version.text, problem)
                else:
                    comparable.append(sound)
            yield comparable


class _Account:
    """Counts what happens, shows the first of it, and writes all of it to a file as it comes."""

    def __init__(self, path: Path | None, report: ImportReport | None = None) -> None:
        self.report = ImportReport() if report is None else report
        self._path = path
        self._stack = ExitStack()
        self._stream: IO[str] | None = None
        self._first = True

    def __enter__(self) -> "_Account":
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


class _Progress:
    """Reports how far an import is: the bytes read, and as many once more for what is done with them afterwards."""

    def __init__(self, advance: Callable[[int], None] | None) -> None:
        self._advance = advance
        self._read = 0

    def read(self, size: int) -> None:
        self._read += size
        if self._advance is not None:
            self._advance(size)

    def over(
        self, items: Iterable[Item], total: int, share: float, size: Callable[[Item], int] = lambda _: 1
    ) -> Iterator[Item]:
        """Pass items on, and report their share of what was read, evenly.

        total: The sum of the items' sizes.
        """
        done = reported = 0
        for number, item in enumerate(items):
            yield item
            done += size(item)
            if self._advance is not None and number % 256 == 0:
                now = int(self._read * share * min(1.0, done / max(total, 1)))
                self._advance(now - reported)
                reported = now


class _Database:
    """Versions by passage, in a database on the disk that is deleted when it is closed."""

    def __init__(self) -> None:
        self._versions = 0
        self._connection = sqlite3.connect("")
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;"
            "CREATE TABLE version (id INTEGER PRIMARY KEY, first INTEGER, key BLOB, data BLOB);"
            "CREATE INDEX by_key ON version (key); CREATE INDEX by_first ON version (first, id);"
            "CREATE TABLE passage (id INTEGER PRIMARY KEY, key BLOB, data BLOB, used INTEGER DEFAULT 0);"
            "CREATE INDEX passage_by_key ON passage (key);"
            "CREATE TABLE partial (data BLOB);"
        )

    def add(self, version: Version) -> None:
        key = _digest(passage_key(version.text, version.meta))
        row = self._connection.execute("SELECT first FROM version WHERE key = ? LIMIT 1", (key,)).fetchone()
        self._versions += 1
        self._connection.execute(
            "INSERT INTO version (id, first, key, data) VALUES (?, ?, ?, ?)",
            (self._versions, row[0] if row else self._versions, key, _packed(version)),
        )

    def count(self, what: str) -> int:
        """How many rows there are of a table, with or without a condition."""
        return int(self._connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])

    def groups(self) -> Iterator[list[Version]]:
        """The versions of each passage, in the order in which the passages came first."""
        rows = self._connection.execute("SELECT first, data FROM version ORDER BY first, id")
        for _, group in groupby(rows, key=lambda row: row[0]):
            yield [pickle.loads(data) for _, data in group]

    def add_passage(self, passage: Passage, version: Version, each: bool) -> None:
        key = _digest(passage_key(passage.text, passage.meta, each))
        # Of the version, its place and status are all that is needed.
        place = Version("", id=version.id, status=version.status, file=version.file, line=version.line)
        self._connection.execute("INSERT INTO passage (key, data) VALUES (?, ?)", (key, _packed((passage, place))))

    def take(self, passage: Passage) -> tuple[Passage, Version] | None:
        """What was imported for the same text and source."""
        keys = {passage_key(passage.text, passage.meta), passage_key(passage.text, passage.meta, each=True)}
        for key in map(_digest, sorted(keys)):
            row = self._connection.execute("SELECT id, data FROM passage WHERE key = ?", (key,)).fetchone()
            if row is not None:
                self._connection.execute("UPDATE passage SET used = 1 WHERE id = ?", (row[0],))
                return pickle.loads(row[1])
        return None

    def new_passages(self) -> Iterator[tuple[Passage, Version]]:
        """What has not been taken."""
        for (data,) in self._connection.execute("SELECT data FROM passage WHERE used = 0 ORDER BY id"):
            yield pickle.loads(data)

    def add_partial(self, passage: Passage) -> None:
        self._connection.execute("INSERT INTO partial VALUES (?)", (_packed(passage),))

    def partial(self) -> Iterator[Passage]:
        for (data,) in self._connection.execute("SELECT data FROM partial ORDER BY rowid"):
            yield pickle.loads(data)

    def close(self) -> None:
        self._connection.close()


def passage_key(text: str, meta: dict[str, Any], each: bool = False) -> bytes:
    """What makes two passages the same: their text, white space folded, and their source.

    each: Whether versions of several annotators are passages of their own.
    """
    source = meta.get("source")
    parts = [identity(text), "" if source is None else str(source)]
    if each:
        parts.append(str(meta.get("annotator", "")))
    return "\0".join(parts).encode("utf8")


def _digest(key: bytes) -> bytes:
    """A key of a few bytes: an index of whole texts would be as large as they are."""
    return blake2b(key, digest_size=16).digest()


def _packed(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _read_all(
    sources: list[Source], database: _Database, account: _Account, form: str | None, text_key: str | None,
    tag_column: int | None,
) -> dict[str, Counter[str]]:  # fmt: skip
    """Read every file into the database.

    RETURNS: For each file, how many spans fit by one unit of offsets alone.
    """
    report = account.report
    votes: dict[str, Counter[str]] = {}
    for source in sources:
        recognised = recognise(source, form, tag_column)
        report.files.append((source.name, recognised.title if recognised else ""))
        if recognised is None:
            what = describe(source)
            if len(sources) == 1:
                known = f"Known are: {', '.join(FORMATS.values())}. If it is one of them, say which with --format."
                raise UserError(f"{source.name} {what}", known if ":" not in what else "Nothing was imported.")
            account.add("unread", "file", Version("", file=source.name), "", what)
            continue
        votes[source.name] = Counter()
        for number, version in read(source, recognised, text_key):
            report.passages["read"] += 1
            line = number if recognised.has_lines else 0
            if isinstance(version, Version):
                version.file, version.line = source.name, line
                version.annotator = version.annotator or source.annotator
                version.id = version.id or ("" if line or not number else f"record {number}")
                report.spans["read"] += len(version.spans) + len(version.refused)
                report.ignored.update(version.ignored)
                problem = _unreadable(version)
            else:
                problem = version.reason
                record_id = version.id or ("" if line or not number else f"record {number}")
                version = Version(version.text, id=record_id, file=source.name, line=line)
            if problem:
                account.add("refused", "passage", version, version.text[:MAX_LENGTH], problem)
                report.spans["left out"] += len(version.spans) + len(version.refused)
                continue
            votes[source.name] += offsets.votes(version.text, version.spans)
            database.add(version)
    report.offset_units = {name: dict(counts) for name, counts in votes.items() if set(counts) - {offsets.CODE_POINTS}}
    if not any(form for _, form in report.files):
        raise UserError("None of the files is in a format that is known", "Name it with --format.")
    return votes


def _unreadable(version: Version) -> str:
    if not version.text.strip():
        return "an empty text"
    if len(version.text) > MAX_LENGTH:
        return f"a text of {len(version.text)} characters: divide it into passages of a few sentences"
    try:
        rest = json.dumps([version.meta, version.extra, [s.label for s in version.spans]], ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "what it says beside its text can't be written as JSON"
    if _depth([version.meta, version.extra]) > DEEPEST:
        return "what it says beside its text is nested too deeply"
    if lone_surrogate(version.text) is not None or lone_surrogate(rest + version.annotator) is not None:
        return "half of a surrogate pair: this is no Unicode text"
    return ""


def _depth(value: Any) -> int:
    """How deeply lists and objects are nested in a value, no further than `DEEPEST`."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            item
            for parent in level
            if isinstance(parent, dict | list)
            for item in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(item, dict | list)
        ]
    return depth


def _combine_all(
    groups: Iterable[list[Version]], database: _Database, account: _Account, policies: Policies,
    schema: EntitySchema | None, votes: dict[str, Counter[str]], keep_partial: bool,
) -> None:  # fmt: skip
    report = account.report
    for versions in groups:
        counting, left_out = candidates(versions, policies)
        sounds = []
        for version in counting:
            sound = make_sound(version, policies, schema, votes.get(version.file))
            _account_for(sound, account)
            if sound.problem:
                account.add("refused", "passage", version, version.text, sound.problem)
                report.spans["left out"] += len(sound.spans)
            elif not sound.spans and policies.empty is KeepOrDrop.drop:
                left_out.append((version, "without any span"))
            elif _onto(sound, versions[0].text):
                sounds.append(sound)
            else:
                account.add("refused", "passage", version, version.text, OTHER_FORM)
                report.spans["left out"] += len(sound.spans)
        for version, reason in left_out:
            account.add("left out", "passage", version, version.text, reason)
            report.reasons[reason] += 1
            if not any(version is other for other in counting):
                report.spans["left out"] += len(version.spans) + len(version.refused)
        if sounds:
            _keep(sounds, database, account, policies)
        elif keep_partial and not counting:
            _keep_partial([v for v in versions if v.status is Status.PARTIAL], database, policies, schema, votes)


def _account_for(sound: Sound, account: _Account) -> None:
    for text, reason in sound.changed:
        account.add("changed", "span" if text else "passage", sound.version, text or sound.version.text, reason)
    for text, reason in sound.refused:
        account.add("refused", "span", sound.version, text, reason)
    account.report.unknown_labels.update(sound.unknown_labels)
    for text, reason in sound.left_out:
        account.add("left out", "span", sound.version, text, reason)
    account.report.spans["merged"] += sum(reason.endswith("there twice, merged") for _, reason in sound.changed)


def _onto(sound: Sound, text: str) -> bool:
    """Move a version's spans onto the text of the passage's first version, if that differs in white space only."""
    try:
        sound.spans = list(rebase(sound.spans, sound.version.text, text))
    except ValueError:
        return False
    sound.version.text = text
    return True


def _keep(sounds: list[Sound], database: _Database, account: _Account, policies: Policies) -> None:
    report = account.report
    annotations, difference = combine(sounds, policies.annotators)
    total = sum(len(sound.spans) for sound in sounds)
    if not annotations:
        account.add("refused", "passage", sounds[0].version, sounds[0].version.text, difference)
    elif difference:
        account.add("changed", "passage", sounds[0].version, sounds[0].version.text, difference)
    each = policies.annotators is Annotators.each
    named: Counter[str] = Counter()
    for sound, spans in annotations:
        version, meta = sound.version, sound.version.meta
        if each:
            named[version.annotator] += 1
            again = f" ({named[version.annotator]})" if named[version.annotator] > 1 else ""
            meta = {**meta, "annotator": (version.annotator or "unknown") + again}
        database.add_passage(Passage(version.text, spans, meta, version.extra), version, each)
        report.passages["kept"] += 1
        report.spans["kept"] += len(spans)
        report.labels.update(span.label for span in spans)
        report.without_spans += not spans
        total -= len(spans)
    if other := len(sounds) - len(annotations):
        report.passages["left out"] += other - (not annotations)
        if annotations:
            report.reasons["another version of the passage was taken, or all combined"] += other
    report.spans["left out"] += total


def _keep_partial(
    versions: list[Version], database: _Database, policies: Policies, schema: EntitySchema | None,
    votes: dict[str, Counter[str]],
) -> None:  # fmt: skip
    spans: set[Span] = set()
    for version in versions:
        spans.update(make_sound(version, policies, schema, votes.get(version.file)).spans)
    if versions:
        merged = Version(versions[0].text, meta=versions[0].meta)
        for span in sorted(spans):
            merged.add_span(span.start, span.end, span.label)
        sound = make_sound(merged, Policies(overlaps=policies.overlaps, offset_unit=offsets.CODE_POINTS))
        database.add_partial(Passage(merged.text, sound.spans, merged.meta))


def _merged(database: _Database, account: _Account, output: Path, progress: "_Progress") -> Iterator[str]:
    """The lines of the annotation file as it will be."""
    counts = account.report.passages
    if output.is_file():
        with output.open(encoding="utf8", newline="\n") as stream:
            total = output.stat().st_size
            for number, line in progress.over(enumerate(stream, 1), total, 0.1, lambda item: len(item[1])):
                line = line.rstrip("\r\n")
                old = read_line(line, str(output), number) if line.strip() else None
                found = database.take(old) if isinstance(old, Passage) else None
                if old is None or found is None:
                    counts["untouched"] += isinstance(old, Passage)
                    yield line
                    continue
                assert isinstance(old, Passage)
                yield _updated(old, *found, account) or line
    new = database.new_passages()
    for passage, _ in progress.over(new, database.count("passage WHERE used = 0"), 0.2):
        counts["added"] += 1
        yield json.dumps(to_record(passage), ensure_ascii=False)


def _updated(old: Passage, new: Passage, version: Version, account: _Account) -> str | None:
    """The line of a passage that was there, None where it stays as it is."""
    if version.status is Status.UNCONFIRMED and old.spans:
        account.report.passages["unchanged"] += 1
        reason = "without a span, perhaps not annotated; the annotation that was there stays"
        account.add("changed", "passage", version, old.text, reason)
        return None
    try:
        # The text that is there stays, whatever white space a tool made of it.
        spans = list(rebase(new.spans, new.text, old.text))
        text = old.text
    except ValueError:
        spans, text = new.spans, new.text
    before, after = set(old.spans), set(spans)
    meta = {**old.meta, **new.meta}
    if before == after and meta == old.meta and text == old.text:
        account.report.passages["unchanged"] += 1
        return None
    parts = []
    for sign, some, whose in (("+", after - before, text), ("-", before - after, old.text)):
        parts += [f"{sign}{span.label} {whose[span.start : span.end]!r}" for span in sorted(some)]
    account.add("updated", "passage", version, text, "updated: " + (", ".join(parts) or "its meta"))
    updated = Passage(text, spans, meta, {**old.extra, **new.extra})
    return json.dumps(to_record(updated), ensure_ascii=False)
