"""Annotations as files of other tools, so that they can leave: CoNLL, Hugging Face's tokens and tags, spaCy, brat."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.corpus.relations import held_by, in_words
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange import offsets
from spacy_domain_ner.exchange.cleaning import CleanVersion, clean
from spacy_domain_ner.exchange.formats import brat, tokens
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.exchange.policies import Overlaps, Policies
from spacy_domain_ner.exchange.reasons import Note
from spacy_domain_ner.exchange.tasks import read_to_label
from spacy_domain_ner.exchange.tokenizing import tokenizing_pipeline
from spacy_domain_ner.files import replacing, replacing_path
from spacy_domain_ner.text import shorten, trimmed

if TYPE_CHECKING:
    from spacy.language import Language


class Target(str, Enum):
    """A form in which annotations leave.

    Attributes:
        conll: A file with one token and its tag per line.
        huggingface: JSON lines with lists of tokens and tags, and the text.
        spacy: A binary file with Docs.
        brat: A folder with a text and its annotation for each passage.
    """

    conll = "conll"
    huggingface = "huggingface"
    spacy = "spacy"
    brat = "brat"


@dataclass
class ExportedAnnotations:
    """What an export of annotations wrote.

    Attributes:
        passages: How many passages were written.
        spans: How many spans were written.
        relations: How many relations were written.
        left_out: Spans, relations and passages that could not be written, each with its place and the reason.
        changed: What was changed, each with its place: white space at the edges of a span, tokens that were cut.
        skipped: How many passages were left out because the annotator skipped them.
        refusals: The lines that could not be read.
    """

    passages: int = 0
    spans: int = 0
    relations: int = 0
    left_out: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    skipped: int = 0
    refusals: list[Refusal] = field(default_factory=list)


def export_annotations(
    target: Target | str,
    annotations: str | Path | Iterable[str | Path],
    output: str | Path,
    *,
    config: str | Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> ExportedAnnotations:
    """Write annotations in the form of another tool. `import_annotations` reads all of these forms back.

    Only brat's form has relations. Where spans overlap, only brat's form has all of them: in the others, the longest
    stays. Where the edge of a span is
    inside a token, the token is cut there. CoNLL's form does not keep the spaces of the text; the others do. A passage
    of which a part is unknown is written for "spacy" alone, which can say so.

    Args:
        target: "conll", "huggingface", "spacy" or "brat".
        annotations: Annotation files (JSON lines), folders and zip archives of them.
        output: The file to write; for "brat" the folder, which must be new or empty.
        config: The training config whose tokenizer cuts the text. None takes training/config.cfg where it is, else
            spaCy's English rules with those for names.
        progress: Called with the share that is done, from 0 to 1.

    Returns:
        What was written, changed and left out.

    Raises:
        UserError: If there is no such target, an input can't be read, a label can't be written, there is no passage, or
            the output can't be written.
    """
    try:
        target = Target(target)
    except ValueError:
        known = ", ".join(one.value for one in Target)
        raise UserError(f"`target` is {target!r}", f"It is one of: {known}") from None
    output = Path(output)
    exported = ExportedAnnotations()
    inputs = [annotations] if isinstance(annotations, str | Path) else list(annotations)
    for path in inputs:
        if output.exists() and Path(path).exists() and output.samefile(path):
            raise UserError(f"The output {output} is what is exported", "Name another file: it would be lost.")
    passages = list(_clean_passages(inputs, target, exported))
    if not passages:
        hints = [f"{exported.skipped} were skipped by their annotators."] if exported.skipped else []
        hints += [f"Not read: {refusal}" for refusal in exported.refusals[:5]] + exported.left_out[:5]
        raise UserError("There is no annotated passage to write", "\n".join(hints) or "The files have no passages.")
    _refuse_labels_with_blanks(passages, target)
    if target is Target.brat:
        _write_brat(output, passages, progress)
    else:
        _write_tokens(output, passages, target, tokenizing_pipeline(config), exported, progress)
    exported.passages = len(passages)
    exported.spans = sum(len(passage.spans) for passage in passages)
    if target is Target.brat:
        exported.relations = sum(len(passage.relations or ()) for passage in passages)
    return exported


def _clean_passages(inputs: Iterable[str | Path], target: Target, exported: ExportedAnnotations) -> Iterator[Passage]:
    """Read passages whose spans can be written, and log what was changed and left out."""
    overlaps = Overlaps.keep if target is Target.brat else Overlaps.longest
    policies = Policies(overlaps=overlaps, offset_unit=offsets.CODE_POINTS)
    for path in inputs:
        read = read_to_label(path, file_format="jsonl")
        exported.skipped += sum(refusal.skipped for refusal in read.refusals)
        exported.refusals += [refusal for refusal in read.refusals if not refusal.skipped]
        for passage in read.passages:
            version = Version(passage.text)
            for span in passage.spans:
                version.add_span(span.start, span.end, span.label)
            cleaned = clean(version, policies)
            exported.changed += [_entry(passage, note) for note in cleaned.changed]
            exported.left_out += [_entry(passage, note) for note in cleaned.refused]
            exported.left_out += [f"{passage.place}: {words}: {text!r}" for text, words in version.refused]
            if passage.unknown and target is not Target.spacy:
                # As a text without an entity there, it would say what nobody has said.
                words = f"a part of it is unknown, which {target.value} can't say: decide it first, or write spacy"
                exported.left_out.append(f"{_place(passage)}: {words}: {shorten(passage.text, 60)!r}")
            elif cleaned.problem is None:
                yield replace(
                    passage, spans=cleaned.spans, relations=_writable_relations(passage, cleaned, target, exported)
                )
            else:
                exported.left_out.append(_entry(passage, cleaned.problem))


def _writable_relations(
    passage: Passage, cleaned: CleanVersion, target: Target, exported: ExportedAnnotations
) -> list[Relation] | None:
    """Give the relations that can be written, and log the others."""
    if target is not Target.brat:
        if passage.relations:
            words = f"{target.value} can't have its {len(passage.relations)} relation(s): write brat"
            exported.left_out.append(f"{_place(passage)}: {words}: {shorten(passage.text, 60)!r}")
        return None
    # A span that was trimmed is another one now.
    now = {
        span: Span(*trimmed(passage.text, span.start, span.end), span.label)
        for span in passage.spans
        if 0 <= span.start < span.end <= len(passage.text)
    }
    moved = [
        Relation(now.get(one.head, one.head), one.type, now.get(one.tail, one.tail)) for one in passage.relations or ()
    ]
    kept, gone = held_by(moved, cleaned.spans)
    for one in gone:
        words = "an end of the relation is not among the spans"
        exported.left_out.append(f"{_place(passage)}: {words}: {in_words(one, passage.text)}")
    return kept if passage.relations is not None else None


def _entry(passage: Passage, note: Note) -> str:
    return f"{_place(passage)}: {note}: {shorten(note.text or passage.text, 60)!r}"


def _place(passage: Passage) -> str:
    identity = passage.extra.get("id")
    return passage.place if identity is None else f"{passage.place} (id {identity})"


def _refuse_labels_with_blanks(passages: Iterable[Passage], target: Target) -> None:
    labels = {span.label for passage in passages for span in passage.spans}
    labels |= {relation.type for passage in passages for relation in passage.relations or ()}
    bad = sorted(label for label in labels if label.split() != [label])
    if bad and target in (Target.conll, Target.brat):
        raise UserError(
            f"{target.value} can't have the label {bad[0]!r}, which has a blank",
            "Rename it in the annotation file, or write huggingface or spacy.",
        )


def _write_tokens(
    output: Path,
    passages: list[Passage],
    target: Target,
    nlp: "Language",
    exported: ExportedAnnotations,
    progress: Callable[[float], None] | None,
) -> None:
    cut = []
    for number, passage in enumerate(passages, 1):
        cut.append(tokens.tokenize(nlp, passage))
        for span in cut[-1].cut:
            text = shorten(passage.surface(span), 60)
            exported.changed.append(f"{_place(passage)}: {span.label}: a token is cut at its edge: {text!r}")
        if progress is not None:
            progress(0.9 * number / len(passages))
    if target is Target.spacy:
        data = tokens.to_docbin([one.doc(nlp) for one in cut], passages)
        with replacing_path(output) as beside:
            beside.write_bytes(data)
    else:
        with replacing(output) as stream:
            stream.writelines(_conll(cut) if target is Target.conll else _huggingface(cut))
    if progress is not None:
        progress(1)


def _conll(cut: list[tokens.Tokens]) -> Iterator[str]:
    document = None
    for one in cut:
        source = one.passage.meta.get("source")
        if source != document:
            yield "-DOCSTART- O\n\n"
            document = source
        yield "".join(line + "\n" for line in tokens.conll_lines(one)) + "\n"


def _huggingface(cut: list[tokens.Tokens]) -> Iterator[str]:
    for number, one in enumerate(cut):
        identity = one.passage.extra.get("id")
        row = tokens.huggingface_row(one, str(number if identity is None else identity))
        yield json.dumps(row, ensure_ascii=False) + "\n"


def _write_brat(output: Path, passages: list[Passage], progress: Callable[[float], None] | None) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        what = "a folder with files in it" if output.is_dir() else "a file"
        raise UserError(f"{output} is {what}", "Name a new folder: brat's form has two files for each passage.")
    width = max(4, len(str(len(passages))))
    with replacing_path(output, folder=True) as folder:
        folder.mkdir()
        for number, passage in enumerate(passages, 1):
            text, annotation = brat.to_files(passage)
            (folder / f"{number:0{width}}.txt").write_bytes(text)
            (folder / f"{number:0{width}}.ann").write_bytes(annotation)
            if progress is not None:
                progress(number / len(passages))
        (folder / "annotation.conf").write_text(brat.configuration(passages), encoding="utf8")
