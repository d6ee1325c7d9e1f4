"""What a model gets wrong: each error with its kind and what it differs in, the most instructive first."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from spacy_domain_ner.corpus.passage import MODEL_ERRORS, Passage, Span
from spacy_domain_ner.evaluation.matching import Difference, Match

MistakeKind = Literal[Difference, "tokenization"]
KINDS: tuple[MistakeKind, ...] = get_args(MistakeKind)


@dataclass(frozen=True)
class Edges:
    """How a predicted span's ends differ from the annotated ones: the text between them, "" where they agree.

    before, after: What the prediction has too much before and behind the mention.
    head, tail: What it lacks of the mention's beginning and end.
    """

    before: str = ""
    head: str = ""
    tail: str = ""
    after: str = ""

    @property
    def parts(self) -> list[str]:
        """Each difference in words."""
        words = {
            f"too long before: {self.before.strip()}": self.before,
            f"cut off at the start: {self.head.strip()}": self.head,
            f"cut off at the end: {self.tail.strip()}": self.tail,
            f"too long behind: {self.after.strip()}": self.after,
        }
        return [said for said, text in words.items() if text]


@dataclass(frozen=True)
class Mistake:
    """One thing that a model got wrong.

    kind: `tokenization` is a mention that no tokens can express, whatever a model says; the others are those of a
        `matching.Match`.
    number: Of the passage, in the order of the evaluation set, from 0.
    gold, predicted: The annotated and the predicted span; None where there is none.
    edges: How the boundaries differ.
    seen: Whether training had the surface form as a mention of this type: the annotated form, or the predicted one
        where nothing is annotated. None where that is not known.
    repeated: How many errors have the same kind and types, and the same surface form or, at boundaries, the same
        difference.
    """

    kind: MistakeKind
    number: int
    gold: Span | None
    predicted: Span | None
    edges: Edges = Edges()
    seen: bool | None = None
    repeated: int = 1

    @property
    def span(self) -> Span:
        """The annotated span, or the predicted one where nothing is annotated."""
        span = self.gold or self.predicted
        assert span
        return span

    @property
    def types(self) -> tuple[str, str]:
        """The annotated and the predicted type, "" for none."""
        return (self.gold.label if self.gold else "", self.predicted.label if self.predicted else "")

    def in_words(self, passage: Passage) -> str:
        """The error in a few words, as an annotator reads it beside the passage."""
        gold, predicted = (f"{passage.surface(span)!r}" if span else "" for span in (self.gold, self.predicted))
        of_gold, of_predicted = self.types
        said = {
            "missed": f"missed {of_gold} {gold}",
            "spurious": f"predicted {of_predicted} {predicted}, where nothing is annotated",
            "type": f"predicted {of_predicted}, annotated {of_gold}: {gold}",
            "boundary": f"{of_gold} {gold} predicted as {predicted}",
            "type and boundary": f"{of_gold} {gold} predicted as {of_predicted} {predicted}",
            "tokenization": f"{of_gold} {gold} begins or ends inside a token",
        }
        return said[self.kind]


def find_errors(
    passages: Sequence[Passage],
    matches: Sequence[Sequence[Match]],
    misaligned: Sequence[Collection[Span]],
    trained_forms: Mapping[str, Collection[str]] | None = None,
) -> list[Mistake]:
    """Everything that is not correct, the most instructive first.

    First comes one error of each pattern (kind, types, and surface form or difference at the boundaries), those that
    are repeated most before others, and of each the one in the shortest passage; then the second one of each pattern,
    and so on: whoever reads the first twenty has seen twenty different things.

    passages: The evaluation set.
    matches: The matches of each passage.
    misaligned: Of each passage the annotated spans that tokens can't express.
    trained_forms: The surface forms of each type in the training set.
    """
    patterns: dict[tuple[str, ...], list[Mistake]] = defaultdict(list)
    kinds: Counter[tuple[str, ...]] = Counter()
    for number, (passage, of_passage, off) in enumerate(zip(passages, matches, misaligned, strict=True)):
        for found in of_passage:
            if found.kind != "correct":
                error = _error(passage, number, found, off, trained_forms)
                kinds[(error.kind, *error.types)] += 1
                patterns[_pattern(passage, error)].append(error)
    ranked = []
    for same in patterns.values():
        same.sort(key=lambda error: (len(passages[error.number].text), error.number, error.span))
        for rank, error in enumerate(same):
            alike = kinds[(error.kind, *error.types)]
            ranked.append(((rank, -len(same), -alike, error.number, error.span), replace(error, repeated=len(same))))
    return [error for _, error in sorted(ranked, key=lambda item: item[0])]


def to_records(passages: Sequence[Passage], errors: Sequence[Mistake]) -> Iterator[dict[str, Any]]:
    """The passages with errors as annotation records: their annotation, and in `meta` what the model got wrong.

    YIELDS: A record for each passage, in the order of its first error in `errors`.
    """
    of_passage: dict[int, list[Mistake]] = defaultdict(list)
    for error in errors:
        of_passage[error.number].append(error)
    for number, found in of_passage.items():
        passage = passages[number]
        spans = [{"start": span.start, "end": span.end, "label": span.label} for span in passage.spans]
        words = [error.in_words(passage) for error in sorted(found, key=lambda error: error.span)]
        yield {**passage.extra, "text": passage.text, "spans": spans, "meta": {**passage.meta, MODEL_ERRORS: words}}


def confusions(matches: Sequence[Sequence[Match]]) -> Counter[tuple[str, str]]:
    """How often an annotated type was predicted as which type; "" is none. Overlapping spans count as one mention."""
    return Counter(found.types for of_passage in matches for found in of_passage)


def _error(
    passage: Passage,
    number: int,
    found: Match,
    misaligned: Collection[Span],
    trained_forms: Mapping[str, Collection[str]] | None,
) -> Mistake:
    kind = found.kind
    assert kind != "correct"
    error = Mistake(
        "tokenization" if found.gold in misaligned else kind,
        number,
        found.gold,
        found.predicted,
        _edges(passage.text, found.gold, found.predicted),
    )
    if trained_forms is None:
        return error
    return replace(error, seen=passage.surface(error.span) in trained_forms.get(error.span.label, ()))


def _edges(text: str, gold: Span | None, predicted: Span | None) -> Edges:
    if not gold or not predicted:
        return Edges()
    return Edges(
        text[predicted.start : gold.start],
        text[gold.start : predicted.start],
        text[predicted.end : gold.end],
        text[gold.end : predicted.end],
    )


def _pattern(passage: Passage, error: Mistake) -> tuple[str, ...]:
    what = error.edges.parts if "boundary" in error.kind else [passage.surface(error.span)]
    return (error.kind, *error.types, *(part.casefold() for part in what))
