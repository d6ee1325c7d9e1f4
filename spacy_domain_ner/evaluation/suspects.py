"""Annotations that are likely to be wrong: models that were not trained on them contradict them most confidently."""

from dataclasses import dataclass

from spacy_domain_ner.corpus.passage import Passage, Span


@dataclass(frozen=True)
class Suspect:
    """An annotation that models contradict.

    passage: Of the training side, with its annotation.
    annotated: The annotated span; None where the models find one that nobody annotated.
    predicted: The span that they find in its place; None where they find none.
    confidence: How sure they are, from 0 to 1.
    """

    passage: Passage
    annotated: Span | None
    predicted: Span | None
    confidence: float


@dataclass(frozen=True)
class Inconsistency:
    """A surface form that is annotated in different ways.

    labels: How often it is annotated as which type; "" is not at all.
    examples: Up to two passages for each, with the offset of the form.
    """

    form: str
    labels: dict[str, int]
    examples: dict[str, list[tuple[Passage, int]]]
