"""Cleaning the relations of a version: those that are taken connect two spans that were taken, and have known types."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from spacy_domain_ner.corpus.passage import Relation, Span
from spacy_domain_ner.exchange.formats.version import Version
from spacy_domain_ner.exchange.policies import Policies, UnknownLabels
from spacy_domain_ner.exchange.reasons import Note, Reason
from spacy_domain_ner.relation_types import RelationTypes


@dataclass
class CleanRelations:
    """The relations of a version.

    Attributes:
        kept: Those that were taken; None where the version does not say that anybody looked for some.
        changed: What was changed in a relation.
        refused: The relations that could not be taken.
        left_out: The relations that the user does not want.
        spellings: How often a type was taken for one whose name is spelt differently, by both.
    """

    kept: list[Relation] | None = None
    changed: list[Note] = field(default_factory=list)
    refused: list[Note] = field(default_factory=list)
    left_out: list[Note] = field(default_factory=list)
    spellings: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def unknown_types(self) -> list[str]:
        """The type of each relation that was refused because its type is not a relation type."""
        return [str(note.details["type"]) for note in self.refused if note.reason is Reason.UNKNOWN_RELATION]


def clean_relations(
    version: Version,
    taken: Mapping[str, list[Span]],
    spans: Collection[Span],
    policies: Policies,
    relation_types: RelationTypes | None = None,
) -> CleanRelations:
    """Clean a version's relations.

    Args:
        version: The version as it was read.
        taken: What became of each of its spans, by what relations call them.
        spans: The spans that were taken in the end.
        policies: How to decide.
        relation_types: The relation types; None takes every type.
    """
    cleaned = CleanRelations(None if version.relations is None else [])
    cleaned.refused += [Reason.RELATION_IN_WORDS.note(text, words=words) for text, words in version.refused_relations]
    symmetric = relation_types.symmetric if relation_types else frozenset()
    for raw in version.relations or ():
        name = policies.rename.get(raw.type, raw.type)
        known = relation_types.meant(name) if relation_types is not None and name else name
        ends = {}
        for end, called in (("head", raw.head), ("tail", raw.tail)):
            found = next((span for span in taken.get(called, ()) if span in spans), None)
            if found is None:
                cleaned.refused.append(_no_end(version, raw.type, end, called, taken))
                break
            ends[end] = found
        else:
            head, tail = ends["head"], ends["tail"]
            text = f"{version.text[head.start : head.end]} -> {version.text[tail.start : tail.end]}"
            if not name:
                cleaned.left_out.append(Reason.RELATION_RENAMED.note(text, type=raw.type))
            elif not known and policies.unknown_labels is not UnknownLabels.keep:
                cleaned.refused.append(Reason.UNKNOWN_RELATION.note(text, type=name))
            elif head == tail:
                cleaned.refused.append(Reason.TO_ITSELF.note(text, type=name))
            else:
                relation = Relation(head, known or name, tail).normal(symmetric)
                if known and known != name:
                    cleaned.spellings[name, known] += 1
                _take(cleaned, relation, text, raw.type)
    return cleaned


def _take(cleaned: CleanRelations, relation: Relation, text: str, name: str) -> None:
    assert cleaned.kept is not None
    if relation in cleaned.kept:
        cleaned.changed.append(Reason.RELATION_MERGED.note(text, type=name))
    else:
        cleaned.kept.append(relation)


def _no_end(version: Version, name: str, end: str, called: str, taken: Mapping[str, list[Span]]) -> Note:
    if spans := taken.get(called):
        text = version.text[spans[0].start : spans[0].end]
        return Reason.LOST_END.note(text, type=name, end=end, words=f"{spans[0].label} overlaps another span")
    if called in version.lost:
        return Reason.LOST_END.note("", type=name, end=end, words=version.lost[called])
    return Reason.UNKNOWN_END.note("", type=name, end=end, id=called)
