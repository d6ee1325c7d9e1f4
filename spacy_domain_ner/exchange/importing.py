"""Importing annotations: every format in, canonical passages out, merged into what is there, and a report on all of it.

Memory does not grow with a file: the versions of a passage may be anywhere in one file or in several, and wait for each
other in a temporary database on the disk.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from shlex import join
from typing import Any, TypeVar

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.jsonl import MAX_LENGTH, read_line, to_record
from spacy_domain_ner.corpus.passage import MODEL_ERRORS, PART_OF, SUSPECTS, Passage
from spacy_domain_ner.corpus.sentences import cut_at_sentences
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.cleaning import CleanVersion, clean, rebase
from spacy_domain_ner.exchange.combining import candidates, combine
from spacy_domain_ner.exchange.formats import FORMATS
from spacy_domain_ner.exchange.formats.label_studio_texts import TextFolder
from spacy_domain_ner.exchange.formats.recognise import describe, find_exports, read, recognise
from spacy_domain_ner.exchange.formats.tag_names import read_tag_names
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.import_report import ImportLog, ImportReport
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Policies
from spacy_domain_ner.exchange.reasons import Note, Reason
from spacy_domain_ner.exchange.staging import Staging
from spacy_domain_ner.files import at_work, write_together
from spacy_domain_ner.reading.source import MAX_SIZE, Source
from spacy_domain_ner.schema import EntitySchema, read_schema
from spacy_domain_ner.text import lone_surrogate

Item = TypeVar("Item")
# A record's other keys are kept as they are. Values that are nested more deeply than this could not be written again.
DEEPEST = 100


def import_annotations(
    inputs: Iterable[str | Path],
    output: str | Path,
    policies: Policies = Policies(),
    *,
    schema: EntitySchema | str | Path | None = None,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str | None = None,
    columns: str | None = None,
    tag_names: str | Path | None = None,
    texts: str | Path | None = None,
    sentences: bool = False,
    to_label: str | Path | None = None,
    report: str | Path | None = None,
    strict: bool = False,
    max_size: int = MAX_SIZE,
    progress: Callable[[float], None] | None = None,
) -> ImportReport:
    """Import annotations of labelling tools and corpora into an annotation file.

    The passages of the annotation file stay. A passage with the same text and source as an imported one gets the
    imported annotation. The file's other lines are kept as they are.

    Args:
        inputs: Files, folders and zip archives in any format of `spacy_domain_ner.exchange.formats.FORMATS`.
        output: The annotation file to add to; it is made where it is missing.
        policies: How to decide where a file leaves a choice.
        schema: The entity types or the file that has them; None takes every label.
        file_format: The format's name in `FORMATS`; None recognises it by the content.
        encoding: The inputs' encoding.
        text_key: The key of the text in the records; None finds it. Where people annotate several texts of a Label
            Studio task, None takes each as a passage.
        columns: Which columns of a table of tokens and tags have what: `token=2,tag=4,sentence=1` with their numbers,
            counted from 1, or the names in the header, or the role of each: `_,token,_,tag`. The roles are token, tag,
            type, sentence and document; what is not said is found. None finds all.
        tag_names: The names of tags that are numbers, in their order and divided by commas, or a file that has them: a
            data set's dataset_info.json or README.md, a model's config.json, or one name per line.
        texts: The folder of the texts that Label Studio's tasks only refer to, by URL or path. They are found by the
            names of the files; nothing is fetched.
        sentences: Whether to cut each passage into its sentences. No span is cut: sentences that one crosses stay
            together. The parts keep `meta.source`, or get one in common, and say in `meta` what they are parts of: so
            a later import of the whole passage, in parts or not, takes their place.
        to_label: A file to write with the passages that are annotated in part, to be completed; None writes none.
        report: A JSON file to write with everything that was changed, refused or left out; None writes none.
        strict: Whether anything refused is an error.
        max_size: How many megabytes each archive or packed file may unpack to.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        The counts, and the first entries of each kind.

    Raises:
        UserError: If a file can't be read as a whole, no format is recognised, no label is an entity type, every
            passage is refused, something is refused and `strict` is set, or another import into the same file is
            running. Only the report is written then.
    """
    entity_types = schema_of(schema)
    folder = _text_folder(texts, encoding)
    names = None if tag_names is None else read_tag_names(tag_names)
    output = Path(output)
    with ExitStack() as stack:
        # Another import would read the annotation file before this one has written it.
        stack.enter_context(at_work(output))
        bar = _Progress(progress)
        sources = stack.enter_context(find_exports(inputs, encoding, bar.read, max_size))
        bar.bytes_in_all = sum(source.path.stat().st_size for source in sources)
        database = stack.enter_context(closing(Staging()))
        log = stack.enter_context(ImportLog(None if report is None else Path(report)))
        running = _Import(database, log, policies, entity_types, sentences)
        running.read_all(sources, file_format, text_key, columns, folder, names)
        versions = bar.over(database.groups(), database.count("version WHERE first = id"), 0.5, 0.85)
        running.combine_all(versions, keep_partial=to_label is not None)
        _check(log.report, entity_types, strict)
        contents = {output: running.merged_lines(output, bar)}
        if to_label is not None:
            contents[Path(to_label)] = running.partial_lines()
        write_together(contents, before_placing=log.finish)
    bar.tell(1)
    return log.report


def annotated_versions(
    inputs: Iterable[str | Path],
    policies: Policies = Policies(),
    *,
    schema: EntitySchema | None = None,
    file_format: str | None = None,
    encoding: str = "utf-8",
    text_key: str | None = None,
    columns: str | None = None,
    tag_names: str | Path | None = None,
    texts: str | Path | None = None,
    report: ImportReport | None = None,
) -> Iterator[list[CleanVersion]]:
    """Read every version of each passage that counts, to compare what people annotated.

    Args:
        inputs: As for `import_annotations`. Where a file does not say who made its versions and there are several
            files, the file's name stands for the annotator.
        policies: As for `import_annotations`.
        schema: The entity types; None takes every label.
        file_format: As for `import_annotations`.
        encoding: As for `import_annotations`.
        text_key: As for `import_annotations`.
        columns: As for `import_annotations`.
        tag_names: As for `import_annotations`.
        texts: As for `import_annotations`.
        report: Filled with the files that were read, and the first entries of what could not be read.

    Yields:
        The versions of one passage, all on the same text.

    Raises:
        UserError: If a file can't be read as a whole.
    """
    with ExitStack() as stack:
        sources = stack.enter_context(find_exports(inputs, encoding))
        if len(sources) > 1:
            sources = [replace(source, annotator=source.annotator or source.name) for source in sources]
        database = stack.enter_context(closing(Staging()))
        log = stack.enter_context(ImportLog(None, report))
        running = _Import(database, log, policies, schema)
        names = None if tag_names is None else read_tag_names(tag_names)
        running.read_all(sources, file_format, text_key, columns, _text_folder(texts, encoding), names)
        for versions in database.groups():
            comparable = []
            for version in candidates(versions, policies)[0]:
                cleaned = running.clean(version)
                problem = cleaned.problem or _move_onto(cleaned, versions[0].text)
                if problem:
                    log.add_passage("refused", version, problem)
                else:
                    comparable.append(cleaned)
            yield comparable


def schema_of(schema: EntitySchema | str | Path | None) -> EntitySchema | None:
    """Return the entity types, read where a file is named.

    Args:
        schema: The entity types, the file that has them, or None for none.
    """
    return schema if schema is None or isinstance(schema, EntitySchema) else read_schema(Path(schema))


def _text_folder(texts: str | Path | None, encoding: str) -> TextFolder | None:
    if texts is not None and not Path(texts).is_dir():
        raise UserError(f"There is no folder {texts}", "`texts` names the folder of the texts that tasks refer to.")
    return None if texts is None else TextFolder(Path(texts), encoding)


def _check(report: ImportReport, schema: EntitySchema | None, strict: bool) -> None:
    if strict and report.refused:
        raise UserError(
            f"{report.refused} passage(s), span(s) or file(s) refused; nothing was imported",
            "Fix them, choose by the options what happens to them, or leave out `strict`.",
        )
    if schema is not None and report.unknown_labels and not report.spans["kept"]:
        labels = ", ".join(f"{label} ({count})" for label, count in report.unknown_labels.most_common(8))
        raise UserError(
            f"None of the labels is an entity type: {labels}; nothing was imported",
            f"The entity types are {', '.join(schema.labels)}. Rename labels with `rename=OLD=NEW`, or add types.",
        )
    if report.nothing_could_be_read:
        first = "".join(f"\n{entry}" for entry in report.shown["refused"][:3])
        raise UserError(
            f"Every annotated passage was refused ({report.passages['refused']} in all); nothing was imported",
            f"The `report` has each with the reason. The first are:{first}",
        )


class _Progress:
    """Tells how far an import is: the first half is reading, the second is what is done with it afterwards."""

    def __init__(self, callback: Callable[[float], None] | None) -> None:
        self.bytes_in_all = 0
        self._callback = callback
        self._bytes = 0
        self._told = 0.0

    def tell(self, share: float) -> None:
        if self._callback is not None and share > self._told:
            self._told = share
            self._callback(share)

    def read(self, size: int) -> None:
        self._bytes += size
        self.tell(0.5 * min(1, self._bytes / max(self.bytes_in_all, 1)))

    def over(
        self, items: Iterable[Item], total: int, start: float, end: float, size: Callable[[Item], int] = lambda _: 1
    ) -> Iterator[Item]:
        """Pass items through, while the share that is told goes evenly from start to end.

        Args:
            items: What to pass through.
            total: The sum of the items' sizes.
            start: The share before the first item.
            end: The share after the last one.
            size: Computes an item's size.
        """
        done = 0
        for number, item in enumerate(items):
            yield item
            done += size(item)
            if number % 256 == 0:
                self.tell(start + (end - start) * min(1, done / max(total, 1)))


class _Import:
    """One import while it runs."""

    def __init__(
        self,
        database: Staging,
        log: ImportLog,
        policies: Policies,
        schema: EntitySchema | None,
        sentences: bool = False,
    ) -> None:
        self._database = database
        self._sentences = sentences
        self._log = log
        self._policies = policies
        self._schema = schema
        # For each file, how many of its spans fit by only one unit of offsets.
        self._votes: dict[str, Counter[str]] = {}

    def read_all(
        self,
        sources: list[Source],
        file_format: str | None,
        text_key: str | None,
        columns: str | None,
        texts: TextFolder | None,
        tag_names: Any = None,
    ) -> None:
        """Read every file into the database."""
        report = self._log.report
        # The names that the file's types may have.
        types = {*(self._schema.labels if self._schema else ()), *self._policies.rename}
        tables = numbers = 0
        for source in sources:
            recognised = recognise(source, file_format, columns, types, tag_names)
            report.files.append((source.name, recognised.title if recognised else ""))
            if recognised is None:
                unknown = describe(source)
                if len(sources) == 1:
                    known = f"Known are: {', '.join(FORMATS.values())}. If it is one of them, name it by `file_format`."
                    hint = "Nothing was imported." if unknown.advice else known
                    if "not in a known format" in unknown.what:
                        tasks = join(["domain-ner", "export", "label-studio", source.name, "--output", "tasks.json"])
                        hint += f"\nIf nobody has labelled it yet, make tasks of it: {tasks}"
                    raise UserError(f"{source.name} {unknown}", hint)
                self._log.add_unread_file(source.name, str(unknown))
                continue
            tables += recognised.file_format in ("conll", "huggingface")
            numbers += bool(recognised.lists and recognised.lists.names) or recognised.file_format == "conll"
            self._votes[source.name] = Counter()
            for number, version in read(source, recognised, text_key, texts):
                report.passages["read"] += 1
                self._stage(source, number if recognised.has_lines else 0, number, version)
        if not any(file_format for _, file_format in report.files):
            raise UserError("The format of none of the files was recognised", "Name it by `file_format`.")
        if columns is not None and not tables:
            raise UserError(
                "`columns` is given, but no file is a table of tokens and tags", "Leave it out, or give a table."
            )
        if tag_names is not None and not numbers:
            raise UserError("`tag_names` is given, but no file has tags that are numbers", "Leave it out.")
        others = {name: dict(votes) for name, votes in self._votes.items() if set(votes) - {offsets.CODE_POINTS}}
        report.offset_units = others

    def _stage(self, source: Source, line: int, number: int, version: Any) -> None:
        """Put a version that was read into the database, or log why it is refused."""
        report = self._log.report
        problem: Note | None
        if isinstance(version, Version):
            version.annotator = version.annotator or source.annotator
            version.meta.pop(MODEL_ERRORS, None)
            version.extra.pop(SUSPECTS, None)
            report.spans["read"] += len(version.spans) + len(version.refused)
            report.ignored.update(version.ignored)
            problem = _unreadable(version, cut_later=self._sentences)
        else:
            problem = Reason.IN_WORDS.note(words=version.reason)
            version = Version(version.text, id=version.id)
        version.file, version.line = source.name, line
        version.id = version.id or ("" if line or not number else f"record {number}")
        if problem:
            self._log.add_passage("refused", version, problem, version.text[:MAX_LENGTH])
            report.spans["left out"] += len(version.spans) + len(version.refused)
            return
        self._votes[source.name] += offsets.votes(version.text, version.spans)
        self._database.add(version)

    def combine_all(self, groups: Iterable[list[Version]], keep_partial: bool) -> None:
        """Make passages of the versions in the database.

        Args:
            groups: The versions of each passage.
            keep_partial: Whether to keep passages that are annotated in part, too, to be completed.
        """
        report = self._log.report
        for versions in groups:
            counting, left_out = candidates(versions, self._policies)
            for version, _ in left_out:
                report.spans["left out"] += len(version.spans) + len(version.refused)
            taken = []
            for version in counting:
                cleaned = self.clean(version)
                self._log_spans(cleaned)
                if not cleaned.problem and not cleaned.spans and self._policies.empty is KeepOrDrop.drop:
                    left_out.append((version, Reason.NO_SPAN))
                    continue
                if problem := cleaned.problem or _move_onto(cleaned, versions[0].text):
                    self._log.add_passage("refused", version, problem)
                    report.spans["left out"] += len(cleaned.spans)
                else:
                    taken.append(cleaned)
            for version, reason in left_out:
                self._log.add_passage("left out", version, reason.note())
                report.reasons[reason] += 1
            if taken:
                self._keep(taken)
            elif keep_partial and not counting:
                self._keep_partial([version for version in versions if version.status is Status.PARTIAL])

    def clean(self, version: Version) -> CleanVersion:
        """Clean a version's spans."""
        return clean(version, self._policies, self._schema, self._votes.get(version.file))

    def _log_spans(self, cleaned: CleanVersion) -> None:
        version, report = cleaned.version, self._log.report
        for words in version.notes:
            self._log.add_passage("changed", version, Reason.IN_WORDS.note(words=words))
        for note in cleaned.changed:
            self._log.add_span("changed", version, note)
        for note in cleaned.refused:
            self._log.add_span("refused", version, note)
        for note in cleaned.left_out:
            self._log.add_span("left out", version, note)
        report.unknown_labels.update(cleaned.unknown_labels)
        report.spellings.update(cleaned.spellings)
        report.spans["merged"] += sum(note.reason is Reason.MERGED for note in cleaned.changed)

    def _keep(self, versions: list[CleanVersion]) -> None:
        report, first = self._log.report, versions[0].version
        annotations, difference = combine(versions, self._policies.annotators)
        if difference:
            self._log.add_passage("changed" if annotations else "refused", first, difference)
            report.undecided += difference.reason is Reason.NOT_DECIDED
        spans_left = sum(len(cleaned.spans) for cleaned in versions)
        each = self._policies.annotators is Annotators.each
        named: Counter[str] = Counter()
        for annotation in annotations:
            version, meta, spans = annotation.version.version, annotation.version.version.meta, annotation.spans
            if each:
                named[version.annotator] += 1
                again = f" ({named[version.annotator]})" if named[version.annotator] > 1 else ""
                meta = {**meta, "annotator": (version.annotator or "unknown") + again}
            passage = Passage(version.text, spans, meta, version.extra, unknown=annotation.unknown)
            self._add(passage, version, each)
            report.passages["kept"] += 1
            report.spans["kept"] += len(spans)
            report.labels.update(span.label for span in spans)
            report.without_spans += not spans
            spans_left -= len(spans)
        report.spans["left out"] += spans_left
        if others := len(versions) - len(annotations):
            # Without an annotation, the first version has been counted as refused.
            report.passages["left out"] += others - (not annotations)
            if annotations:
                report.reasons[Reason.COMBINED] += others

    def _add(self, passage: Passage, version: Version, with_annotator: bool) -> None:
        """Put a passage into the database, in parts where the user wants that."""
        key = passage_key(passage.text, passage.meta, with_annotator)
        task = {} if version.id.startswith("record ") or not version.id else {"task": version.id}
        for part in cut_at_sentences(passage, key, task) if self._sentences else [passage]:
            if len(part.text) > MAX_LENGTH:
                note = Reason.TOO_LONG.note(length=len(part.text))
                self._log.add_passage("refused", version, note, part.text[:MAX_LENGTH])
            else:
                self._database.add_passage(part, version, key, with_annotator)

    def _keep_partial(self, versions: list[Version]) -> None:
        if not versions:
            return
        merged = Version(versions[0].text, meta=versions[0].meta)
        spans = {span for version in versions for span in self.clean(version).spans}
        for span in sorted(spans):
            merged.add_span(span.start, span.end, span.label)
        cleaned = clean(merged, Policies(overlaps=self._policies.overlaps, offset_unit=offsets.CODE_POINTS))
        self._database.add_partial(Passage(merged.text, cleaned.spans, merged.meta))

    def merged_lines(self, output: Path, progress: _Progress) -> Iterator[str]:
        """Give the lines of the annotation file as it will be.

        Args:
            output: The annotation file as it is.
            progress: Told how far this is.
        """
        counts = self._log.report.passages
        if output.is_file():
            with output.open(encoding="utf8", newline="\n") as stream:
                size = output.stat().st_size
                for number, line in progress.over(enumerate(stream, 1), size, 0.85, 0.9, lambda item: len(item[1])):
                    line = line.rstrip("\r\n")
                    old = read_line(line, str(output), number) if line.strip() else None
                    found = self._database.take(old) if isinstance(old, Passage) else None
                    if isinstance(old, Passage) and found is not None:
                        yield from (new + "\n" for new in self._replaced(old, line, found))
                        continue
                    counts["untouched"] += isinstance(old, Passage)
                    yield line + "\n"
        total = self._database.count("passage WHERE used = 0")
        for passage, _ in progress.over(self._database.new_passages(), total, 0.9, 1):
            counts["added"] += 1
            yield json.dumps(to_record(passage), ensure_ascii=False) + "\n"

    def _replaced(self, old: Passage, line: str, found: list[tuple[Passage, Version]]) -> Iterator[str]:
        """Give the new lines of a passage that was there: its own, or those of what was imported in its place."""
        if len(found) == 1 and found[0][0].meta.get(PART_OF) == old.meta.get(PART_OF):
            yield self._updated(old, *found[0]) or line
            return
        counts = self._log.report.passages
        if found and found[0][1].status is Status.UNCONFIRMED and old.spans:
            counts["unchanged"] += 1
            self._log.add_passage("changed", found[0][1], Reason.OLD_ANNOTATION_KEPT.note(), old.text)
            yield line
            return
        version = found[0][1] if found else Version(old.text, file=old.file, line=old.line)
        self._log.add_passage("updated", version, Reason.CUT_IN_ANOTHER_WAY.note(), old.text)
        for new, _ in found:
            # A part's own meta and id are not the whole's.
            kept = (
                {} if PART_OF in old.meta else {"meta": {**old.meta, **new.meta}, "extra": {**old.extra, **new.extra}}
            )
            merged = replace(new, **kept)  # type: ignore[arg-type]
            yield json.dumps(to_record(merged), ensure_ascii=False)

    def partial_lines(self) -> Iterator[str]:
        """Give the lines of the passages that are annotated in part."""
        for passage in self._database.partial():
            record = to_record(passage)
            del record["answer"]
            yield json.dumps(record, ensure_ascii=False) + "\n"

    def _updated(self, old: Passage, new: Passage, version: Version) -> str | None:
        """Give the new line of a passage that was there; None where the line stays as it is."""
        counts = self._log.report.passages
        if version.status is Status.UNCONFIRMED and old.spans:
            counts["unchanged"] += 1
            self._log.add_passage("changed", version, Reason.OLD_ANNOTATION_KEPT.note(), old.text)
            return None
        try:
            # The text that was there stays, whatever white space a tool made of it.
            text, spans = old.text, list(rebase(new.spans, new.text, old.text))
            unknown = list(rebase(new.unknown, new.text, old.text))
        except ValueError:
            text, spans, unknown = new.text, new.spans, new.unknown
        before, after = set(old.spans), set(spans)
        meta = {**old.meta, **new.meta}
        if before == after and set(old.unknown) == set(unknown) and meta == old.meta and text == old.text:
            counts["unchanged"] += 1
            return None
        changes = [f"+{span.label} {text[span.start : span.end]!r}" for span in sorted(after - before)]
        changes += [f"-{span.label} {old.surface(span)!r}" for span in sorted(before - after)]
        if set(old.unknown) != set(unknown):
            changes.append("its unknown parts")
        self._log.add_passage("updated", version, Reason.UPDATED.note(changes=", ".join(changes) or "its meta"), text)
        updated = Passage(text, spans, meta, {**old.extra, **new.extra}, unknown=unknown)
        return json.dumps(to_record(updated), ensure_ascii=False)


def _move_onto(cleaned: CleanVersion, text: str) -> Note | None:
    """Move a version's spans onto the text of the passage's first version, if that differs only in white space.

    Returns:
        Why that can't be done; None where it is done.
    """
    try:
        cleaned.spans = list(rebase(cleaned.spans, cleaned.version.text, text))
        cleaned.unknown = list(rebase(cleaned.unknown, cleaned.version.text, text))
    except ValueError:
        return Reason.OTHER_UNICODE_FORM.note()
    cleaned.version.text = text
    return None


def _unreadable(version: Version, cut_later: bool) -> Note | None:
    """Say why a version that was read can't be taken; None where it can."""
    if not version.text.strip():
        return Reason.EMPTY_TEXT.note()
    if len(version.text) > MAX_LENGTH and not cut_later:
        return Reason.TOO_LONG.note(length=len(version.text))
    try:
        labels = [span.label for span in version.spans]
        rest = json.dumps([version.meta, version.extra, labels], ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return Reason.NOT_JSON.note()
    if _depth([version.meta, version.extra]) > DEEPEST:
        return Reason.TOO_DEEP.note()
    if lone_surrogate(version.text) is not None or lone_surrogate(rest + version.annotator) is not None:
        return Reason.SURROGATE.note()
    return None


def _depth(value: Any) -> int:
    """Compute how deeply lists and objects are nested in a value, no further than `DEEPEST`."""
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
