"""Importing annotations: every format in, canonical passages out, merged into what is there, and an account of all.

Nothing depends on a file's size but the temporary database on the disk in which the versions of a passage wait for
each other: they may stand anywhere in one file, or in several.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from spacy_domain_ner.corpus.jsonl import MAX_LENGTH, read_line, to_record
from spacy_domain_ner.corpus.passage import MODEL_ERRORS, SUSPECTS, Passage, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.account import Account, ImportReport
from spacy_domain_ner.exchange.formats.recognise import FORMATS, describe, find_sources, read, recognise
from spacy_domain_ner.exchange.formats.stream import Source
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.policies import (
    Annotators,
    CleanVersion,
    KeepOrDrop,
    Policies,
    candidates,
    clean,
    combine,
    rebase,
)  # fmt: skip
from spacy_domain_ner.exchange.staging import Staging
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import lone_surrogate

Item = TypeVar("Item")
OTHER_FORM = "the same text in another Unicode form"
# Beside their text, records are kept as they are; what is nested more deeply than this could not be written again.
DEEPEST = 100


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
        database = stack.enter_context(closing(Staging()))
        account = stack.enter_context(Account(report))
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
) -> Iterator[list[CleanVersion]]:
    """Every version of each passage that counts, for comparing what people annotated.

    inputs, form, schema, encoding, text_key: As in `import_annotations`. Where a file does not say who made its
        versions and there are several files, the file's name stands for the annotator.
    report: Filled with the files that were read, and the first of what could not be.
    YIELDS: The sound versions of one passage, all on the same text.
    RAISES: UserError where a file can't be read as a whole.
    """
    with ExitStack() as stack:
        sources = stack.enter_context(find_sources(inputs, encoding))
        database = stack.enter_context(closing(Staging()))
        account = stack.enter_context(Account(None, report))
        if len(sources) > 1:
            sources = [replace(source, annotator=source.annotator or source.name) for source in sources]
        votes = _read_all(sources, database, account, form, text_key, None)
        for versions in database.groups():
            counting, _ = candidates(versions, policies)
            sounds = [clean(version, policies, schema, votes.get(version.file)) for version in counting]
            comparable = []
            for sound in sounds:
                if problem := sound.problem or ("" if _onto(sound, versions[0].text) else OTHER_FORM):
                    account.add("refused", "passage", sound.version, sound.version.text, problem)
                else:
                    comparable.append(sound)
            yield comparable


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


def _read_all(
    sources: list[Source], database: Staging, account: Account, form: str | None, text_key: str | None,
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
                version.meta.pop(MODEL_ERRORS, None)
                version.extra.pop(SUSPECTS, None)
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
    groups: Iterable[list[Version]], database: Staging, account: Account, policies: Policies,
    schema: EntitySchema | None, votes: dict[str, Counter[str]], keep_partial: bool,
) -> None:  # fmt: skip
    report = account.report
    for versions in groups:
        counting, left_out = candidates(versions, policies)
        sounds = []
        for version in counting:
            sound = clean(version, policies, schema, votes.get(version.file))
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


def _account_for(sound: CleanVersion, account: Account) -> None:
    for text, reason in sound.changed:
        account.add("changed", "span" if text else "passage", sound.version, text or sound.version.text, reason)
    for text, reason in sound.refused:
        account.add("refused", "span", sound.version, text, reason)
    account.report.unknown_labels.update(sound.unknown_labels)
    for text, reason in sound.left_out:
        account.add("left out", "span", sound.version, text, reason)
    account.report.spans["merged"] += sum(reason.endswith("there twice, merged") for _, reason in sound.changed)


def _onto(sound: CleanVersion, text: str) -> bool:
    """Move a version's spans onto the text of the passage's first version, if that differs in white space only."""
    try:
        sound.spans = list(rebase(sound.spans, sound.version.text, text))
    except ValueError:
        return False
    sound.version.text = text
    return True


def _keep(sounds: list[CleanVersion], database: Staging, account: Account, policies: Policies) -> None:
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
    versions: list[Version], database: Staging, policies: Policies, schema: EntitySchema | None,
    votes: dict[str, Counter[str]],
) -> None:  # fmt: skip
    spans: set[Span] = set()
    for version in versions:
        spans.update(clean(version, policies, schema, votes.get(version.file)).spans)
    if versions:
        merged = Version(versions[0].text, meta=versions[0].meta)
        for span in sorted(spans):
            merged.add_span(span.start, span.end, span.label)
        sound = clean(merged, Policies(overlaps=policies.overlaps, offset_unit=offsets.CODE_POINTS))
        database.add_partial(Passage(merged.text, sound.spans, merged.meta))


def _merged(database: Staging, account: Account, output: Path, progress: "_Progress") -> Iterator[str]:
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


def _updated(old: Passage, new: Passage, version: Version, account: Account) -> str | None:
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
