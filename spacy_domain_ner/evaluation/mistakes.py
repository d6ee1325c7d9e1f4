"""What a model gets wrong: every error with its kind and the details, the most instructive first."""

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
    """The text between a predicted span's ends and the annotated ones, "" where they agree.

    Attributes:
        before: What the prediction adds before the mention.
        head: What the prediction lacks at the mention's start.
        tail: What the prediction lacks at the mention's end.
        after: What the prediction adds after the mention.
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
            f"too long after: {self.after.strip()}": self.after,
        }
        return [said for said, text in words.items() if text]


@dataclass(frozen=True)
class Mistake:
    """One error of a model.

    Attributes:
        kind: The kind of the `matching.Match`, or `tokenization` for a mention that no tokens can express, whatever
            the model predicts.
        number: The passage's index in the evaluation set, from 0.
        gold: The annotated span; None where nothing is annotated.
        predicted: The predicted span; None where nothing is predicted.
        edges: How the boundaries differ.
        seen: Whether training had the surface form as a mention of this type. The form is the annotated one, or the
            predicted one where nothing is annotated. None where the training set is not known.
        repeated: How many errors follow the same pattern: kind, types and surface form, or, at boundaries, kind, types
            and the difference.
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
        return Match(self.gold, self.predicted).span

    @property
    def types(self) -> tuple[str, str]:
        """The annotated and the predicted type, "" where there is no span."""
        return Match(self.gold, self.predicted).types

    def in_words(self, passage: Passage) -> str:
        """Describe the error in a few words, which an annotator reads beside the passage.

        Args:
            passage: The passage of the error.
        """
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
    """List everything that is not correct, the most instructive first.

    A pattern is a kind with its types and the surface form, or the difference at the boundaries. The list starts with
    one error per pattern, the most frequent patterns first, each in its shortest passage. The second error of each
    pattern follows, and so on: the first twenty errors show twenty different things.

    Args:
        passages: The evaluation set.
        matches: The matches of each passage.
        misaligned: The annotated spans of each passage that tokens can't express.
        trained_forms: The surface forms of each type in the training set; None where it is not known.

    Returns:
        The errors.
    """
    patterns: dict[tuple[str, ...], list[Mistake]] = defaultdict(list)
    kinds: Counter[tuple[str, ...]] = Counter()
    for number, (passage, of_passage, off) in enumerate(zip(passages, matches, misaligned, strict=True)):
        for found in of_passage:
            if found.kind != "correct":
                error = _mistake(passage, number, found, off, trained_forms)
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
    """Turn the passages with errors into annotation records: `meta` says what the model got wrong.

    Args:
        passages: The evaluation set.
        errors: Its errors.

    Yields:
        A record per passage with its annotation, in the order of the passages' first errors.
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
    """Count how often each annotated type was predicted as which type.

    Args:
        matches: The matches of each passage.

    Returns:
        The count of each annotated and predicted type, "" where there is no span. Overlapping spans count as one
        mention.
    """
    return Counter(found.types for of_passage in matches for found in of_passage)


def _mistake(
    passage: Passage,
    number: int,
    found: Match,
    misaligned: Collection[Span],
    trained_forms: Mapping[str, Collection[str]] | None,
) -> Mistake:
    kind = found.kind
    assert kind != "correct"
    seen = None
    if trained_forms is not None:
        seen = passage.name(found.span) in trained_forms.get(found.span.label, ())
    return Mistake(
        "tokenization" if found.gold in misaligned else kind,
        number,
        found.gold,
        found.predicted,
        _edges(passage.text, found.gold, found.predicted),
        seen,
    )


def _edges(text: str, gold: Span | None, predicted: Span | None) -> Edges:
    if not gold or not predicted:
        return Edges()
    return Edges(
        before=text[predicted.start : gold.start],
        head=text[gold.start : predicted.start],
        tail=text[predicted.end : gold.end],
        after=text[gold.end : predicted.end],
    )


def _pattern(passage: Passage, error: Mistake) -> tuple[str, ...]:
    what = error.edges.parts if "boundary" in error.kind else [passage.name(error.span)]
    return (error.kind, *error.types, *(part.casefold() for part in what))
