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
from typing import Any

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.jsonl import MAX_LENGTH, to_record
from spacy_domain_ner.corpus.passage import MODEL_ERRORS, SUSPECTS, TRAINING_ONLY, Passage, Span
from spacy_domain_ner.corpus.relations import in_words
from spacy_domain_ner.corpus.sentences import cut_at_sentences
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.cleaning import CleanVersion, clean, move_onto, why_unreadable
from spacy_domain_ner.exchange.combining import answers, candidates, combine, combine_answers
from spacy_domain_ner.exchange.formats import FORMATS
from spacy_domain_ner.exchange.formats.label_studio_texts import TextFolder
from spacy_domain_ner.exchange.formats.recognise import describe, find_exports, read, recognise
from spacy_domain_ner.exchange.formats.tag_names import read_tag_names
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.import_progress import ImportProgress
from spacy_domain_ner.exchange.import_report import ImportLog, ImportReport
from spacy_domain_ner.exchange.merging import merged_lines
from spacy_domain_ner.exchange.policies import Annotators, KeepOrDrop, Overlaps, Policies
from spacy_domain_ner.exchange.reasons import Note, Reason
from spacy_domain_ner.exchange.staging import Staging
from spacy_domain_ner.files import at_work, write_together
from spacy_domain_ner.reading.source import MAX_SIZE, Source
from spacy_domain_ner.relation_types import RelationTypes, relation_types_of
from spacy_domain_ner.schema import EntitySchema, read_schema


def import_annotations(
    inputs: Iterable[str | Path],
    output: str | Path,
    policies: Policies = Policies(),
    *,
    schema: EntitySchema | str | Path | None = None,
    relation_types: RelationTypes | str | Path | None = None,
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
        relation_types: The relation types or the file that has them; None takes every type.
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
    related = relation_types_of(relation_types, entity_types)
    folder = _text_folder(texts, encoding)
    names = None if tag_names is None else read_tag_names(tag_names)
    output = Path(output)
    with ExitStack() as stack:
        # Another import would read the annotation file before this one has written it.
        stack.enter_context(at_work(output))
        bar = ImportProgress(progress)
        sources = stack.enter_context(find_exports(inputs, encoding, bar.read, max_size))
        bar.bytes_in_all = sum(source.path.stat().st_size for source in sources)
        database = stack.enter_context(closing(Staging()))
        log = stack.enter_context(ImportLog(None if report is None else Path(report)))
        running = _Import(database, log, policies, entity_types, related, sentences)
        running.read_all(sources, file_format, text_key, columns, folder, names)
        versions = bar.over(database.groups(), database.count("version WHERE first = id"), 0.5, 0.85)
        running.combine_all(versions, keep_partial=to_label is not None)
        _check(log.report, entity_types, strict)
        contents = {output: merged_lines(output, database, log, bar)}
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
                problem = cleaned.problem or move_onto(cleaned, versions[0].text)
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


class _Import:
    """One import while it runs."""

    def __init__(
        self,
        database: Staging,
        log: ImportLog,
        policies: Policies,
        schema: EntitySchema | None,
        relation_types: RelationTypes | None = None,
        sentences: bool = False,
    ) -> None:
        self._database = database
        self._sentences = sentences
        self._log = log
        self._policies = policies
        self._schema = schema
        self._relation_types = relation_types
        # Whether anybody has marked a relation, where the format can't say that there are none.
        self._relations_marked = False
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
            if version.rejected and self._policies.partial is KeepOrDrop.keep:
                # They are known to be wrong, and counted as such.
                version.ignored.pop("rejected suggestion", None)
            report.ignored.update(version.ignored)
            report.relations["read"] += len(version.relations or ()) + len(version.refused_relations)
            self._relations_marked |= version.relations_unsaid and version.relations is not None
            problem = why_unreadable(version, cut_later=self._sentences)
        else:
            problem = Reason.IN_WORDS.note(words=version.reason)
            version = Version(version.text, id=version.id)
        version.file, version.line = source.name, line
        version.id = version.id or ("" if line or not number else f"record {number}")
        if problem:
            self._log.add_passage("refused", version, problem, version.text[:MAX_LENGTH])
            self._leave_out(version)
            return
        self._votes[source.name] += offsets.votes(version.text, version.spans)
        self._database.add(version)

    def _leave_out(self, version: Version) -> None:
        """Count what a version has that is not read."""
        report = self._log.report
        report.spans["left out"] += len(version.spans) + len(version.refused)
        report.relations["left out"] += len(version.relations or ()) + len(version.refused_relations)

    def combine_all(self, groups: Iterable[list[Version]], keep_partial: bool) -> None:
        """Make passages of the versions in the database.

        Args:
            groups: The versions of each passage.
            keep_partial: Whether to keep passages that are annotated in part, too, to be completed.
        """
        report = self._log.report
        for versions in groups:
            counting, left_out = candidates(versions, self._policies)
            if not counting and self._policies.partial is KeepOrDrop.keep:
                partial, others = answers(left_out)
                if self._keep_answers(partial):
                    left_out = others
            for version, _ in left_out:
                self._leave_out(version)
            taken = []
            for version in counting:
                cleaned = self.clean(version)
                self._log_spans(cleaned)
                if not cleaned.problem and not cleaned.spans and self._policies.empty is KeepOrDrop.drop:
                    left_out.append((version, Reason.NO_SPAN))
                    continue
                if problem := cleaned.problem or move_onto(cleaned, versions[0].text):
                    self._log.add_passage("refused", version, problem)
                    report.spans["left out"] += len(cleaned.spans)
                    report.relations["left out"] += len(cleaned.relations.kept or ())
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
        if version.relations is None and version.relations_unsaid and self._relations_marked:
            # Others have marked relations, and an annotated passage without one says that there are none.
            version.relations = []
        votes = self._votes.get(version.file)
        return clean(version, self._policies, self._schema, votes, self._relation_types)

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
        related = cleaned.relations
        for kind, notes in (
            ("changed", related.changed), ("refused", related.refused), ("left out", related.left_out),
        ):  # fmt: skip
            for note in notes:
                self._log.add_relation(kind, version, note)  # type: ignore[arg-type]
        report.unknown_relations.update(related.unknown_types)
        report.spellings.update(related.spellings)
        report.relations["merged"] += len(related.changed)

    def _keep(self, versions: list[CleanVersion]) -> None:
        report, first = self._log.report, versions[0].version
        annotations, difference = combine(versions, self._policies.annotators)
        if difference:
            self._log.add_passage("changed" if annotations else "refused", first, difference)
            report.undecided += difference.reason is Reason.NOT_DECIDED
        spans_left = sum(len(cleaned.spans) for cleaned in versions)
        relations_left = sum(len(cleaned.relations.kept or ()) for cleaned in versions)
        each = self._policies.annotators is Annotators.each
        named: Counter[str] = Counter()
        for annotation in annotations:
            version, meta, spans = annotation.version.version, annotation.version.version.meta, annotation.spans
            if each:
                named[version.annotator] += 1
                again = f" ({named[version.annotator]})" if named[version.annotator] > 1 else ""
                meta = {**meta, "annotator": (version.annotator or "unknown") + again}
            passage = Passage(
                version.text, spans, meta, version.extra, unknown=annotation.unknown, incorrect=annotation.incorrect,
                relations=annotation.relations,
            )  # fmt: skip
            for relation, count, total in annotation.undecided:
                note = Reason.NO_MAJORITY.note(
                    in_words(relation, version.text), type=relation.type, count=count, versions=total
                )
                self._log.add_relation("changed", version, note)
            self._add(passage, version, each)
            report.passages["kept"] += 1
            report.spans["kept"] += len(spans)
            report.labels.update(span.label for span in spans)
            report.without_spans += not spans and not annotation.incorrect
            spans_left -= len(spans)
            related = annotation.relations or ()
            report.relations["kept"] += len(related)
            report.relation_types.update(relation.type for relation in related)
            relations_left -= len(related)
        report.relations["left out"] += relations_left
        report.spans["left out"] += spans_left
        if others := len(versions) - len(annotations):
            # Without an annotation, the first version has been counted as refused.
            report.passages["left out"] += others - (not annotations)
            if annotations:
                report.reasons[Reason.COMBINED] += others

    def _keep_answers(self, versions: list[Version]) -> bool:
        """Keep what binary answers say of a passage. The rest of it is unknown, so nothing can be measured by it.

        Returns:
            Whether they say anything.
        """
        if not any(version.spans or version.rejected for version in versions):
            return False
        report, first, loose = self._log.report, versions[0], replace(self._policies, overlaps=Overlaps.keep)
        accepted: list[Span] = []
        rejected: list[Span] = []
        for version in versions:
            if version.status is Status.SKIPPED:
                # What was removed before is wrong; what was left in a skipped passage, nobody has confirmed.
                report.spans["left out"] += len(version.spans) + len(version.refused)
                version = replace(version, spans=[], refused=[])
            report.relations["left out"] += len(version.relations or ()) + len(version.refused_relations)
            version = replace(version, relations=None, refused_relations=[])
            for raw, found in ((version.spans, accepted), (version.rejected, rejected)):
                cleaned = clean(replace(version, spans=raw), loose, self._schema, self._votes.get(version.file))
                if found is rejected:
                    # Only what can't be taken counts as spans that were read.
                    report.spans["read"] += len(raw) - len(cleaned.spans)
                    cleaned.refused = [note for note in cleaned.refused if note.reason is not Reason.IN_WORDS]
                self._log_spans(cleaned)
                # Texts of one passage may differ in white space.
                if move_onto(cleaned, first.text) is None:
                    found += cleaned.spans
                elif found is accepted:
                    report.spans["left out"] += len(cleaned.spans)
        spans, wrong, unknown = combine_answers(accepted, rejected, len(first.text))
        meta = {**first.meta, TRAINING_ONLY: True}
        self._add(Passage(first.text, spans, meta, first.extra, unknown=unknown, incorrect=wrong), first, False)
        report.passages["kept"] += 1
        report.passages["left out"] += len(versions) - 1
        report.spans["kept"] += len(spans)
        report.spans["left out"] += len(accepted) - len(spans)
        report.incorrect += len(wrong)
        report.labels.update(span.label for span in spans)
        return True

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

    def partial_lines(self) -> Iterator[str]:
        """Give the lines of the passages that are annotated in part."""
        for passage in self._database.partial():
            record = to_record(passage)
            del record["answer"]
            yield json.dumps(record, ensure_ascii=False) + "\n"
