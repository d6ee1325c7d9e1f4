"""Merging what was imported into the annotation file: the lines that stay, those that change, and the new ones."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from spacy_domain_ner.corpus.jsonl import read_line, to_record
from spacy_domain_ner.corpus.passage import PART_OF, Passage, Relation, Span
from spacy_domain_ner.corpus.relations import held_by, in_words
from spacy_domain_ner.exchange.cleaning import rebase, rebase_relations
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.exchange.import_progress import ImportProgress
from spacy_domain_ner.exchange.import_report import ImportLog
from spacy_domain_ner.exchange.reasons import Reason
from spacy_domain_ner.exchange.staging import Staging


def merged_lines(output: Path, database: Staging, log: ImportLog, progress: ImportProgress) -> Iterator[str]:
    """Give the lines of the annotation file as it will be.

    Args:
        output: The annotation file as it is.
        database: The passages that were imported.
        log: Told what becomes of the passages.
        progress: Told how far this is.
    """
    counts = log.report.passages
    if output.is_file():
        with output.open(encoding="utf8", newline="\n") as stream:
            size = output.stat().st_size
            for number, line in progress.over(enumerate(stream, 1), size, 0.85, 0.9, lambda item: len(item[1])):
                line = line.rstrip("\r\n")
                old = read_line(line, str(output), number) if line.strip() else None
                found = database.take(old) if isinstance(old, Passage) else None
                if isinstance(old, Passage) and found is not None:
                    yield from (new + "\n" for new in _replaced(old, line, found, log))
                    continue
                counts["untouched"] += isinstance(old, Passage)
                yield line + "\n"
    total = database.count("passage WHERE used = 0")
    for passage, _ in progress.over(database.new_passages(), total, 0.9, 1):
        counts["added"] += 1
        yield json.dumps(to_record(passage), ensure_ascii=False) + "\n"


def _replaced(old: Passage, line: str, found: list[tuple[Passage, Version]], log: ImportLog) -> Iterator[str]:
    """Give the new lines of a passage that was there: its own, or those of what was imported in its place."""
    if len(found) == 1 and found[0][0].meta.get(PART_OF) == old.meta.get(PART_OF):
        yield _updated(old, *found[0], log) or line
        return
    counts = log.report.passages
    if found and found[0][1].status is Status.UNCONFIRMED and old.spans:
        counts["unchanged"] += 1
        log.add_passage("changed", found[0][1], Reason.OLD_ANNOTATION_KEPT.note(), old.text)
        yield line
        return
    version = found[0][1] if found else Version(old.text, file=old.file, line=old.line)
    log.add_passage("updated", version, Reason.CUT_IN_ANOTHER_WAY.note(), old.text)
    for new, _ in found:
        # A part's own meta and id are not the whole's.
        kept = {} if PART_OF in old.meta else {"meta": {**old.meta, **new.meta}, "extra": {**old.extra, **new.extra}}
        merged = replace(new, **kept)  # type: ignore[arg-type]
        yield json.dumps(to_record(merged), ensure_ascii=False)


def _updated(old: Passage, new: Passage, version: Version, log: ImportLog) -> str | None:
    """Give the new line of a passage that was there; None where the line stays as it is."""
    counts = log.report.passages
    if version.status is Status.UNCONFIRMED and old.spans:
        counts["unchanged"] += 1
        log.add_passage("changed", version, Reason.OLD_ANNOTATION_KEPT.note(), old.text)
        return None
    try:
        # The text that was there stays, whatever white space a tool made of it.
        text, spans = old.text, list(rebase(new.spans, new.text, old.text))
        unknown = list(rebase(new.unknown, new.text, old.text))
        incorrect = list(rebase(new.incorrect, new.text, old.text))
        relations = new.relations and rebase_relations(new.relations, new.text, old.text)
    except ValueError:
        text, spans, unknown, incorrect, relations = new.text, new.spans, new.unknown, new.incorrect, new.relations
    if relations is None and old.relations is not None:
        relations = _still_there(old, text, spans, version, log)
    before, after = set(old.spans), set(spans)
    meta = {**old.meta, **new.meta}
    same = set(old.unknown) == set(unknown) and set(old.incorrect) == set(incorrect)
    same = same and _as_set(old.relations) == _as_set(relations)
    if before == after and same and meta == old.meta and text == old.text:
        counts["unchanged"] += 1
        return None
    changes = [f"+{span.label} {text[span.start : span.end]!r}" for span in sorted(after - before)]
    changes += [f"-{span.label} {old.surface(span)!r}" for span in sorted(before - after)]
    related, was = set(relations or ()), set(old.relations or ())
    changes += [f"+{in_words(one, text)}" for one in sorted(related - was)]
    changes += [f"-{in_words(one, old.text)}" for one in sorted(was - related)]
    if set(old.unknown) != set(unknown):
        changes.append("its unknown parts")
    if set(old.incorrect) != set(incorrect):
        changes.append("what is known to be wrong")
    log.add_passage("updated", version, Reason.UPDATED.note(changes=", ".join(changes) or "its meta"), text)
    updated = Passage(
        text, spans, meta, {**old.extra, **new.extra}, unknown=unknown, incorrect=incorrect, relations=relations
    )
    return json.dumps(to_record(updated), ensure_ascii=False)


def _as_set(relations: list[Relation] | None) -> set[Relation] | None:
    return None if relations is None else set(relations)


def _still_there(old: Passage, text: str, spans: list[Span], version: Version, log: ImportLog) -> list[Relation]:
    """Keep the relations of a passage whose ends are spans of its new annotation, which says nothing of relations."""
    assert old.relations is not None
    kept, gone = held_by(old.relations, spans) if text == old.text else ([], old.relations)
    for one in gone:
        log.add_relation("changed", version, Reason.END_GONE.note(in_words(one, old.text), type=one.type))
    return kept
