"""Precision, recall and F1 per relation type, and how often entities are called related that only occur together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy

from spacy_domain_ner.corpus.identity import text_identity
from spacy_domain_ner.corpus.passage import Passage, Relation, Span
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation.bootstrap import SETTINGS, Counts, Estimate, estimate, f1, precision, recall
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.pairs import MOST_SENTENCES, possible_pairs


@dataclass(frozen=True)
class RelationScore:
    """How well relations of one type, or of all, were found.

    Attributes:
        precision: The share of the relations that were found which is right, with its interval; None where none was.
        recall: The share of the annotated relations that was found, with its interval; None where there are none.
        f1: The harmonic mean of the two, with its interval; None where there is neither.
        true_positives: Relations that are annotated and were found.
        false_positives: Relations that were only found.
        false_negatives: Relations that are only annotated.
    """

    precision: Estimate | None
    recall: Estimate | None
    f1: Estimate | None
    true_positives: int
    false_positives: int
    false_negatives: int

    @classmethod
    def of(cls, counts: Counts) -> "RelationScore":
        """Make a score of the counts of each passage, of shape (passages, 3)."""
        right, wrong, missed = (int(count) for count in counts.sum(axis=0))
        return cls(estimate(counts, precision), estimate(counts, recall), estimate(counts, f1), right, wrong, missed)

    @property
    def support(self) -> int:
        """The number of annotated relations."""
        return self.true_positives + self.false_negatives

    def to_dict(self) -> dict[str, Any]:
        """The score as JSON."""
        return {
            **{name: found and found.to_dict() for name, found in self._estimates.items()},
            "support": self.support,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
        }

    @property
    def _estimates(self) -> dict[str, Estimate | None]:
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class RelationScores:
    """How well relations were found.

    Attributes:
        passages: The number of passages that were compared.
        entities: "given" where the entities were those of the annotation, else "found".
        types: The score of each relation type.
        micro: All relations together.
        unrelated_pairs: The number of pairs of entities that occur together, could be related by their types, and are
            not. Where the entities were found by a model, both must be right.
        false_on_unrelated: The share of these pairs that were called related, with its interval; None where there are
            none.
        notes: What was left out, and why.
    """

    passages: int
    entities: str
    types: dict[str, RelationScore]
    micro: RelationScore
    unrelated_pairs: int
    false_on_unrelated: Estimate | None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON."""
        return {
            "passages": self.passages,
            "entities": self.entities,
            "intervals": SETTINGS,
            "micro": self.micro.to_dict(),
            "types": {name: found.to_dict() for name, found in self.types.items()},
            "unrelated_pairs": self.unrelated_pairs,
            "false_on_unrelated": self.false_on_unrelated and self.false_on_unrelated.to_dict(),
        }


@dataclass(frozen=True)
class FoundIn:
    """What was found in a passage.

    Attributes:
        text: The passage.
        source: Its `meta.source`.
        spans: The entities that it was found between.
        relations: The relations; None where they could not be found, which counts as none.
        is_given: Whether the entities are those of an annotation, and not what a model has found.
    """

    text: str
    source: str
    spans: Sequence[Span]
    relations: Sequence[Relation] | None
    is_given: bool = False


def score_relations(annotated: Iterable[Passage], found: Iterable[FoundIn], types: RelationTypes) -> RelationScores:
    """Compare relations that were found with annotated ones.

    A relation is right where its type and both of its ends are, each with its boundaries and entity type. Where the
    type holds both ways, head and tail may be exchanged.

    Args:
        annotated: The annotated passages; those in which nobody has looked for relations are left out.
        found: What was found in them, in any order.
        types: The relation types.

    Returns:
        The scores.

    Raises:
        UserError: Not one of the annotated passages has relations and is among those that were found.
    """
    looked_through = [passage for passage in annotated if passage.relations is not None]
    by_text: dict[tuple[str, str], FoundIn] = {}
    for one in found:
        by_text[text_identity(one.text), one.source] = one
    matched, notes = _match(looked_through, by_text)
    if not matched:
        raise UserError(
            "No annotated passage with relations is among the rows",
            "The rows must have the texts of the annotated passages, and these `relations` (an empty list says none).",
        )
    counts = {name: numpy.zeros((len(matched), 3), dtype=numpy.int64) for name in types.names}
    # Of the pairs that only occur together: those that were called related, and those that were not.
    together = numpy.zeros((len(matched), 3), dtype=numpy.int64)
    symmetric = types.symmetric
    for number, (passage, one) in enumerate(matched):
        gold = {relation.normal(symmetric) for relation in passage.relations or ()}
        said = {relation.normal(symmetric) for relation in one.relations or ()}
        for relation in gold | said:
            of_type = counts.setdefault(relation.type, numpy.zeros((len(matched), 3), dtype=numpy.int64))
            of_type[number] += (relation in gold and relation in said, relation not in gold, relation not in said)
        together[number, :2] = _unrelated(passage, one, gold, said, types)
    total = numpy.sum(list(counts.values()), axis=0)
    is_given = all(one.is_given for _, one in matched)
    return RelationScores(
        passages=len(matched),
        entities="given" if is_given else "found",
        types={name: RelationScore.of(of_type) for name, of_type in counts.items()},
        micro=RelationScore.of(total),
        unrelated_pairs=int(together[:, :2].sum()),
        false_on_unrelated=estimate(together, precision),
        notes=notes,
    )


def _match(
    annotated: Sequence[Passage], found: dict[tuple[str, str], FoundIn]
) -> tuple[list[tuple[Passage, FoundIn]], list[str]]:
    """Find what was found in each annotated passage, by text and source, else by the text alone."""
    by_text_alone = {text: one for (text, _), one in found.items()}
    matched, missing, failed = [], 0, 0
    for passage in annotated:
        text = text_identity(passage.text)
        one = found.get((text, str(passage.meta.get("source", "")))) or by_text_alone.get(text)
        if one is None or one.text != passage.text:
            missing += 1
        else:
            matched.append((passage, one))
            failed += one.relations is None
    notes = []
    if missing:
        notes.append(f"{missing} annotated passage(s) are not among the rows, and are left out")
    if failed:
        notes.append(f"{failed} row(s) have no relations because of an error: theirs count as missed")
    return matched, notes


def _unrelated(
    passage: Passage, one: FoundIn, gold: set[Relation], said: set[Relation], types: RelationTypes
) -> tuple[int, int]:
    """Count the pairs that only occur together: those that were called related, and those that were not."""
    right = [span for span in one.spans if span in set(passage.spans)]
    related = {frozenset((relation.head, relation.tail)) for relation in gold}
    claimed = {frozenset((relation.head, relation.tail)) for relation in said}
    pairs = {
        frozenset((pair.first, pair.second)) for pair in possible_pairs(passage.text, right, types, MOST_SENTENCES)
    }
    unrelated = pairs - related
    return len(unrelated & claimed), len(unrelated - claimed)
