"""Relations as records have them: the project's own form, and Prodigy's.

    {"type": "DEPENDS_ON", "head": {"start": 0, "end": 12, "label": "SERVICE"}, "tail": {"start": 18, ...}}

The ends are places and types, not numbers of spans: whatever sorts, merges or drops spans leaves the others' relations
right. What `extract` writes has `type` and `name` in an end, as its entities have. Prodigy's form has `head_span`,
`child_span` and `label`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.corpus.passage import Relation, Span
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.text import shorten


@dataclass(frozen=True)
class End:
    """An end of a relation as a record has it.

    Attributes:
        start: Where it begins.
        end: Where it ends.
        label: Its entity type; "" where the record does not say.
    """

    start: int
    end: int
    label: str = ""

    def among(self, spans: Iterable[Span]) -> Span | None:
        """Find the only span that it means; None where there is none, or several are there."""
        found = [
            span
            for span in spans
            if (span.start, span.end) == (self.start, self.end) and self.label in ("", span.label)
        ]
        return found[0] if len(found) == 1 else None


def read_relations(value: Any, spans: Sequence[Span]) -> list[Relation] | None:
    """Read the relations of a record.

    Args:
        value: What the record has under `relations`.
        spans: The record's spans.

    Returns:
        The relations, each once; None where the record has none at all.

    Raises:
        RefusedError: It is not a list of relations in the project's form or Prodigy's.
    """
    if value is None:
        return None
    found: dict[Relation, None] = {}
    for name, head, tail in parse_relations(value):
        ends = [one.among(spans) or Span(one.start, one.end, one.label) for one in (head, tail)]
        if not all(one.label for one in ends):
            raise RefusedError(f"a relation {name!r} whose ends have no `label`, and are not spans")
        found[Relation(ends[0], name, ends[1])] = None
    return list(found)


def parse_relations(value: Any) -> Iterator[tuple[str, End, End]]:
    """Read relations whose ends may count any unit.

    Args:
        value: What a record has under `relations`.

    Yields:
        The type, the head and the tail of each.

    Raises:
        RefusedError: It is not a list of relations.
    """
    if not isinstance(value, list):
        raise RefusedError("'relations' must be a list")
    for item in value:
        yield parse_relation(item)


def parse_relation(item: Any) -> tuple[str, End, End]:
    """Read one relation.

    Args:
        item: What stands in the list.

    Returns:
        Its type, its head and its tail.

    Raises:
        RefusedError: It is not a relation in the project's form or Prodigy's.
    """
    if not isinstance(item, dict):
        raise RefusedError(f"a relation must be an object with 'type', 'head' and 'tail', not {_shown(item)}")
    if "head_span" in item or "child_span" in item:
        name, head, tail = item.get("label"), item.get("head_span"), item.get("child_span")
    else:
        name, head, tail = item.get("type"), item.get("head"), item.get("tail")
    if not isinstance(name, str) or not name.strip():
        raise RefusedError("a relation has no type")
    return name.strip(), _end(head, name, "head"), _end(tail, name, "tail")


def relation_record(relation: Relation) -> dict[str, Any]:
    """Make the record of a relation, as an annotation file has it."""
    return {"type": relation.type, "head": _span_record(relation.head), "tail": _span_record(relation.tail)}


def entity_relation_record(relation: Relation, text: str) -> dict[str, Any]:
    """Make the record of a relation between entities, as the output of `extract` has it.

    Args:
        relation: The relation.
        text: The passage.
    """

    def end(span: Span) -> dict[str, Any]:
        return {"name": text[span.start : span.end], "type": span.label, "start": span.start, "end": span.end}

    return {"type": relation.type, "head": end(relation.head), "tail": end(relation.tail)}


def in_words(relation: Relation, text: str) -> str:
    """Say a relation as messages do: TYPE 'head' -> 'tail'.

    Args:
        relation: The relation.
        text: The passage.
    """
    head, tail = (shorten(text[max(0, one.start) : max(0, one.end)], 40) for one in (relation.head, relation.tail))
    return f"{relation.type} {head!r} -> {tail!r}"


def held_by(relations: Iterable[Relation], spans: Collection[Span]) -> tuple[list[Relation], list[Relation]]:
    """Divide relations by whether both of their ends are there.

    Args:
        relations: The relations.
        spans: The spans that are there.

    Returns:
        Those whose ends are there, and the others.
    """
    there = set(spans)
    kept = [one for one in relations if {one.head, one.tail} <= there]
    return kept, [one for one in relations if not {one.head, one.tail} <= there]


def _end(value: Any, name: str, which: str) -> End:
    if not isinstance(value, dict):
        raise RefusedError(f"the {which} of a relation {name!r} must be an object with 'start' and 'end'")
    start, end = value.get("start"), value.get("end")
    if not (isinstance(start, int) and isinstance(end, int)) or isinstance(start, bool) or isinstance(end, bool):
        raise RefusedError(f"the {which} of a relation {name!r} must have whole numbers as 'start' and 'end'")
    label = value.get("label", value.get("type"))
    if label is not None and not isinstance(label, str):
        raise RefusedError(f"the label of the {which} of a relation {name!r} must be a string, not {_shown(label)}")
    return End(start, end, label or "")


def _span_record(span: Span) -> dict[str, Any]:
    return {"start": span.start, "end": span.end, "label": span.label}


def _shown(value: Any) -> str:
    return shorten(repr(value), 40)
