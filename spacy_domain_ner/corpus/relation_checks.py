"""Checking the relations of an annotated corpus."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy_domain_ner.corpus.findings import Finding
from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.corpus.relations import in_words
from spacy_domain_ner.relation_types import RelationTypes


@dataclass
class RelationCount:
    """How often a relation type is annotated.

    Attributes:
        relations: The number of its relations.
        passages: The number of passages that have one.
    """

    relations: int
    passages: int


def count_relations(passages: Sequence[Passage], types: RelationTypes | None) -> dict[str, RelationCount]:
    """Count the relations of each type.

    Args:
        passages: The passages.
        types: The relation types; None takes those that occur.

    Returns:
        The counts, in the order of the types; others that occur come last.
    """
    relations = Counter(one.type for passage in passages for one in passage.relations or ())
    containing = Counter(name for passage in passages for name in {one.type for one in passage.relations or ()})
    names = types.names if types else []
    return {
        name: RelationCount(relations[name], containing[name])
        for name in [*names, *sorted(set(relations) - set(names))]
    }


def relation_findings(passage: Passage, types: RelationTypes | None) -> Iterator[Finding]:
    """Find what is wrong with the relations of a passage.

    Args:
        passage: The passage.
        types: The relation types; None takes every relation.

    Yields:
        Each problem.
    """
    if "relations" in passage.extra:
        message = (
            "its relations are in a form that is not read: each needs `type`, `head` and `tail`, and these `start`, "
            "`end` and `label`"
        )
        yield Finding("unread-relations", False, passage.file, passage.line, message, passage.text)
    spans = set(passage.spans)
    symmetric = types.symmetric if types else frozenset()
    seen: set[Relation] = set()
    for relation in passage.relations or ():
        for kind, message in _problems(relation, spans, types):
            yield Finding(kind, True, passage.file, passage.line, message, in_words(relation, passage.text))
        if (normal := relation.normal(symmetric)) in seen:
            message = f"the relation {relation.type} is there twice"
            yield Finding(
                "duplicate-relation", True, passage.file, passage.line, message, in_words(relation, passage.text)
            )
        seen.add(normal)


def _problems(relation: Relation, spans: set[Span], types: RelationTypes | None) -> Iterator[tuple[str, str]]:
    for end, span in (("head", relation.head), ("tail", relation.tail)):
        if span not in spans:
            where = f"{span.label} {span.start} to {span.end}"
            yield "relation-end", f"the {end} of the relation {relation.type} is not a span of the passage ({where})"
    if relation.head == relation.tail:
        yield "relation-to-itself", f"the relation {relation.type} leads from a span to itself"
    if types is None:
        return
    known = types.named(relation.type)
    if known is None:
        near = types.meant(relation.type)
        meant = f"; did you mean {near!r}?" if near else ""
        yield "unknown-relation", f"unknown relation type {relation.type!r} (known: {', '.join(types.names)}){meant}"
    elif not known.fits(relation.head.label, relation.tail.label):
        wanted = f"{' or '.join(known.head)} to {' or '.join(known.tail)}"
        message = f"{relation.type} leads from {relation.head.label} to {relation.tail.label}, and not from {wanted}"
        if known.fits(relation.tail.label, relation.head.label):
            message += ": it may have to be turned round"
        yield "relation-types", message
