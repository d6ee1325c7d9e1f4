"""Checking an annotated corpus before time is spent on training with it."""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.findings import Finding
from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.jsonl import ReadResult, read_passages
from spacy_domain_ner.corpus.passage import Passage, Span
from spacy_domain_ner.corpus.relation_checks import RelationCount, count_relations, relation_findings
from spacy_domain_ner.corpus.split import HELD_OUT
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.relation_types import RelationTypes, relation_types_of
from spacy_domain_ner.schema import EntitySchema, read_schema
from spacy_domain_ner.text import shorten, trimmed, visible

if TYPE_CHECKING:
    from spacy.language import Language

# The numbers of annotated mentions from which a type is usable, and good.
USABLE = 200
GOOD = 500
# Tokens of a passage from which training makes little of it. All of it is learned from, but the step of training that
# it makes alone counts no more than one of 200 words (the batch of the CPU model), five of which it has; a transformer
# reads at most 512 word pieces at once, some 400 words, and what stands further away explains nothing.
LONG_PASSAGE = 1_000
# Tokens of an entity that no window of a transformer holds: those of the configs have 500 bytes or 256 word pieces.
LONG_ENTITY = 100


@dataclass
class TypeCount:
    """How often a type is annotated.

    Attributes:
        mentions: The number of its spans.
        forms: The number of its distinct surface forms.
        passages: The number of passages with at least one of its spans.
    """

    mentions: int
    forms: int
    passages: int

    @property
    def verdict(self) -> str:
        """`good` (500 mentions and more), `usable` (200 and more), or how many are missing."""
        if self.mentions >= GOOD:
            return "good"
        if self.mentions >= USABLE:
            return "usable"
        return f"{USABLE - self.mentions} short of usable"


@dataclass
class CheckReport:
    """What a check found, and how often each type is annotated.

    Attributes:
        passages: The number of passages that were read.
        skipped: The number of passages that the annotator skipped.
        without_entities: The number of passages without a span.
        unknown_parts: How many passages have parts of which nobody knows yet what they are.
        types: The counts of each type, in the order of the schema; unknown labels come last.
        findings: The problems, in the order of the files.
        relations: The counts of each relation type, in the order of `relation_types.yml`; types that it does not have
            come last. Empty where there are neither relation types nor relations.
        with_relations: The number of passages in which somebody has looked for relations.
    """

    passages: int
    skipped: int
    without_entities: int
    unknown_parts: int
    types: dict[str, TypeCount]
    findings: list[Finding] = field(default_factory=list)
    relations: dict[str, RelationCount] = field(default_factory=dict)
    with_relations: int = 0

    @property
    def errors(self) -> list[Finding]:
        """The problems that must be fixed before training."""
        return [finding for finding in self.findings if finding.error]

    @property
    def warnings(self) -> list[Finding]:
        """The other problems."""
        return [finding for finding in self.findings if not finding.error]

    def to_dict(self) -> dict[str, Any]:
        """The report as it is written to a file."""
        return {
            "passages": self.passages,
            "skipped": self.skipped,
            "without_entities": self.without_entities,
            "unknown_parts": self.unknown_parts,
            "types": {label: {**asdict(count), "verdict": count.verdict} for label, count in self.types.items()},
            "relations": {name: asdict(count) for name, count in self.relations.items()},
            "with_relations": self.with_relations,
            "findings": [asdict(finding) for finding in self.findings],
        }


def check(
    annotations: str | Path,
    schema: str | Path = "entity_types.yml",
    config: str | Path = "training/config.cfg",
    output: str | Path | None = None,
    *,
    relation_types: str | Path | None = None,
) -> CheckReport:
    """Read and check annotations before training.

    Args:
        annotations: An annotation file (JSON lines), or a folder of them.
        schema: The file of the entity types.
        config: The training config, for its tokenizer.
        output: A JSON file for the whole report, None to write none.
        relation_types: The file of the relation types; None takes every relation.

    Returns:
        The counts of each type and every problem.

    Raises:
        UserError: A file can't be read at all, or the report can't be written.
    """
    import spacy

    from spacy_domain_ner.corpus.spacy_docs import load_tokenizing_pipeline

    entity_schema = read_schema(schema)
    related = relation_types_of(relation_types, entity_schema)
    if not os.path.exists(annotations):
        raise UserError(
            f"There is no file {annotations}", "Put your annotations there as JSON lines, one passage per line."
        )
    read = read_passages(annotations)
    # Where nothing is annotated, that is what is to be said, also before there is a config.
    needs_config = any(passage.spans for passage in read.passages) or os.path.exists(config)
    nlp = load_tokenizing_pipeline(config) if needs_config else spacy.blank("xx")
    report = check_corpus(read, entity_schema, nlp, related)
    if output is not None:
        with replacing(Path(output)) as stream:
            stream.write(json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return report


def check_corpus(
    read: ReadResult, schema: EntitySchema, nlp: "Language", relation_types: RelationTypes | None = None
) -> CheckReport:
    """Check passages against the entity types, the rules for spans and the tokenizer.

    Args:
        read: The passages, and what the reader refused.
        schema: The entity types; every other label is an error.
        nlp: A pipeline with the tokenizer that training will use.
        relation_types: The relation types; None takes every relation.

    Returns:
        The counts of each type and every problem, in the order of the files.
    """
    findings = [
        Finding("unreadable", True, refusal.file, refusal.line, refusal.reason, refusal.text)
        for refusal in read.refusals
        if not refusal.skipped
    ]
    for passage in read.passages:
        findings += _span_findings(passage, schema)
        findings += _alignment_findings(passage, nlp)
        findings += _length_findings(passage, nlp)
        findings += _selection_findings(passage)
        findings += relation_findings(passage, relation_types)
    findings += _repeated_passages(read.passages)
    return CheckReport(
        passages=len(read.passages),
        skipped=sum(refusal.skipped for refusal in read.refusals),
        without_entities=sum(not passage.spans for passage in read.passages),
        unknown_parts=sum(bool(passage.unknown) for passage in read.passages),
        types=_count_types(read.passages, schema),
        findings=sorted(findings, key=lambda finding: (finding.file, finding.line)),
        relations=count_relations(read.passages, relation_types),
        with_relations=sum(passage.relations is not None for passage in read.passages),
    )


def _span_findings(passage: Passage, schema: EntitySchema) -> Iterator[Finding]:
    def finding(kind: str, message: str, span: Span) -> Finding:
        return Finding(kind, True, passage.file, passage.line, message, passage.surface(span) or passage.text)

    valid = []
    for span in passage.spans:
        where = f"{span.label} {span.start} to {span.end}"
        if span.label not in schema.labels:
            message = f"unknown label {span.label!r} (known: {', '.join(schema.labels)})"
            yield finding("unknown-label", message + _meant(span.label, schema), span)
        if span.end < span.start:
            yield finding("inverted", f"the span {where} ends before it starts", span)
        elif span.end == span.start:
            yield finding("empty", f"the span {where} is empty", span)
        elif span.start < 0 or span.end > len(passage.text):
            length = len(passage.text)
            yield finding("out-of-range", f"the span {where} lies outside the text of {length} characters", span)
        else:
            valid.append(span)
            surface = passage.surface(span)
            if trimmed(passage.text, span.start, span.end) != (span.start, span.end):
                invisible = surface.strip() == surface
                what = f"an invisible character: {visible(surface)}" if invisible else "white space"
                yield finding("white-space", f"the span {where} starts or ends with {what}", span)
    yield from _overlaps(passage, sorted(valid))
    for part in passage.unknown:
        if not 0 <= part.start < part.end <= len(passage.text):
            where = f"the unknown part {part.start} to {part.end}"
            message = f"{where} is empty, or lies outside the text of {len(passage.text)} characters"
            yield finding("unknown-part", message, part)


def _overlaps(passage: Passage, spans: list[Span]) -> Iterator[Finding]:
    """Compare each span with the span before it that reaches furthest: linear after sorting."""
    furthest: Span | None = None
    for span in spans:
        if furthest is not None and span.start < furthest.end:
            first = f"{furthest.label} {furthest.start} to {furthest.end}"
            second = f"{span.label} {span.start} to {span.end}"
            if span == furthest:
                kind, message = "duplicate-span", f"the span {second} is annotated twice"
            else:
                kind, message = "overlap", f"the spans {first} and {second} overlap"
            yield Finding(kind, True, passage.file, passage.line, message, passage.surface(span))
        if furthest is None or span.end > furthest.end:
            furthest = span


def _alignment_findings(passage: Passage, nlp: "Language") -> Iterator[Finding]:
    from spacy_domain_ner.corpus.spacy_docs import misaligned_spans

    length = len(passage.text)
    valid = [
        span
        for span in passage.spans
        # Spans out of range and white space at the edges are findings of their own.
        if 0 <= span.start < span.end <= length
        and trimmed(passage.text, span.start, span.end) == (span.start, span.end)
    ]
    if valid:
        for span, tokens in misaligned_spans(nlp.make_doc(passage.text), valid):
            message = (
                f"the {span.label} span {span.start} to {span.end} does not end where tokens do (tokens: "
                f"{' | '.join(shorten(token, 30) for token in tokens)}), so it can't be learned and counts as missed"
            )
            yield Finding("misaligned", False, passage.file, passage.line, message, passage.surface(span))


def _length_findings(passage: Passage, nlp: "Language") -> Iterator[Finding]:
    def tokens(text: str, most: int) -> int:
        # There are never more tokens than characters.
        return len(nlp.make_doc(text)) if len(text) > most else 0

    if (length := tokens(passage.text, LONG_PASSAGE)) > LONG_PASSAGE:
        message = (
            f"a passage of {length} tokens, of which training makes little: divide it into passages of a few sentences "
            "(`domain-ner import FILE --sentences` does)"
        )
        yield Finding("long-passage", False, passage.file, passage.line, message, passage.text)
    for span in passage.spans:
        if (length := tokens(passage.surface(span), LONG_ENTITY)) > LONG_ENTITY:
            message = (
                f"the {span.label} span {span.start} to {span.end} has {length} tokens, more than a transformer reads "
                "in one window: annotate the name alone, or leave it out"
            )
            yield Finding("long-entity", False, passage.file, passage.line, message, passage.surface(span))


def _selection_findings(passage: Passage) -> Iterator[Finding]:
    if passage.is_training_only and Path(passage.file).stem in HELD_OUT:
        message = (
            "a passage for training only (meta.training_only): it was chosen, not drawn at random, and measures nothing"
        )
        yield Finding("training-only", False, passage.file, passage.line, message, passage.text)


def _repeated_passages(passages: list[Passage]) -> Iterator[Finding]:
    first_of: dict[str, Passage] = {}
    for passage in passages:
        first = first_of.setdefault(text_identity(passage.text), passage)
        if first is passage:
            continue
        # Compared by surface form: the same text may differ in white space.
        if _annotation(first) == _annotation(passage):
            kind, message = "repeated", f"the same passage is also at {first.place}"
        else:
            kind, message = "contradiction", f"the same text is annotated differently at {first.place}"
        yield Finding(kind, False, passage.file, passage.line, message, passage.text)


def _annotation(passage: Passage) -> list[tuple[str, str]]:
    return [(text_identity(passage.surface(span)), span.label) for span in sorted(passage.spans)]


def _count_types(passages: list[Passage], schema: EntitySchema) -> dict[str, TypeCount]:
    mentions: Counter[str] = Counter()
    forms: dict[str, set[str]] = defaultdict(set)
    containing: Counter[str] = Counter()
    for passage in passages:
        for span in passage.spans:
            mentions[span.label] += 1
            forms[span.label].add(passage.name(span))
        containing.update({span.label for span in passage.spans})
    return {
        label: TypeCount(mentions[label], len(forms[label]), containing[label])
        for label in [*schema.labels, *sorted(set(mentions) - set(schema.labels))]
    }


def _meant(label: str, schema: EntitySchema) -> str:
    for known in schema.labels:
        if known.lower() == label.lower():
            return f"; did you mean {known!r}?"
    return ""


def no_entities(path: Path, passages: int) -> UserError:
    """The error for a set that has nothing to learn from or to stop by.

    Args:
        path: The set's file.
        passages: How many passages it has.
    """
    return UserError(
        f"{path} has no entities ({passages} passages)",
        "Annotate more passages, or give fewer of them the same meta.source: those stay on one side of the split.",
    )
