"""Annotations that deserve a second look, as an assessment holds them; `annotation` finds them."""

from dataclasses import dataclass

from spacy_domain_ner.corpus.passage import Passage, Span


@dataclass(frozen=True)
class Suspect:
    """An annotation that models contradict.

    Attributes:
        passage: A passage of the training side, with its annotation.
        annotated: The annotated span; None where the models find a span that nobody annotated.
        predicted: The span that the models find in its place; None where they find nothing.
        confidence: How much the contradiction weighs, from 0 to 1. It ranks suspects and is not a probability.
    """

    passage: Passage
    annotated: Span | None
    predicted: Span | None
    confidence: float

    @property
    def in_words(self) -> str:
        """The contradiction in a few words, which an annotator reads beside the passage."""
        annotated, predicted = (
            f"{span.label} {self.passage.surface(span)!r}" if span else "" for span in (self.annotated, self.predicted)
        )
        if not annotated:
            return f"nothing annotated, models find {predicted}"
        return f"annotated {annotated}, models find {predicted or 'nothing'}"


@dataclass(frozen=True)
class Inconsistency:
    """A surface form that is annotated in different ways.

    Attributes:
        form: The surface form.
        labels: How often it is annotated as which type; "" is not at all.
        examples: Up to two passages for each type, with the offset of the form in code points.
    """

    form: str
    labels: dict[str, int]
    examples: dict[str, list[tuple[Passage, int]]]
