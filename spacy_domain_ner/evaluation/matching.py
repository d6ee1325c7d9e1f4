"""Which annotated span and which predicted span belong together, and in what they differ.

The kinds of agreement are those of the fifth Message Understanding Conference (N. Chinchor and B. Sundheim, MUC-5
Evaluation Metrics, 1993) and the four ways to score them those of SemEval-2013's task 9 (I. Segura-Bedmar et al.).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spacy_domain_ner.corpus.passage import Span

Kind = Literal["correct", "type", "boundary", "type and boundary", "missed", "spurious"]
Scheme = Literal["strict", "exact", "partial", "type"]
SCHEMES: tuple[Scheme, ...] = ("strict", "exact", "partial", "type")


@dataclass(frozen=True)
class Match:
    """An annotated and a predicted span that belong together, or one of them that has no partner."""

    gold: Span | None
    predicted: Span | None

    @property
    def types(self) -> tuple[str, str]:
        """The annotated and the predicted type, "" for none."""
        return (self.gold.label if self.gold else "", self.predicted.label if self.predicted else "")

    @property
    def kind(self) -> Kind:
        """In what the two differ."""
        if self.gold is None:
            return "spurious"
        if self.predicted is None:
            return "missed"
        same_type = self.gold.label == self.predicted.label
        if (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end):
            return "correct" if same_type else "type"
        return "boundary" if same_type else "type and boundary"


def match(gold: Iterable[Span], predicted: Iterable[Span]) -> list[Match]:
    """Pair the annotated with the predicted spans of a passage, each with at most one.

    Equal spans are paired first, then spans of the same characters, then those of the same type that overlap, then any
    that overlap; of several, the ones that share most of the characters that they cover together.

    RETURNS: The pairs and the spans without partner, in the order of the text.
    """
    gold, predicted = sorted(gold), sorted(predicted)
    # A span that begins before this much of a gold span ends before it: no pair is looked at in vain in long texts.
    starts = [span.start for span in predicted]
    longest = max((span.end - span.start for span in predicted), default=0)
    candidates = []
    for number, of_gold in enumerate(gold):
        first = bisect_right(starts, of_gold.start - longest)
        for other in range(first, len(predicted)):
            found = predicted[other]
            if found.start >= of_gold.end:
                break
            shared = min(of_gold.end, found.end) - max(of_gold.start, found.start)
            if shared > 0:
                together = max(of_gold.end, found.end) - min(of_gold.start, found.start)
                order = (shared < together, of_gold.label != found.label, -shared / together)
                candidates.append((order, number, other))
    partners: dict[int, int] = {}
    taken: set[int] = set()
    for _, number, other in sorted(candidates):
        if number not in partners and other not in taken:
            partners[number] = other
            taken.add(other)
    matches = [
        Match(span, predicted[partners[number]] if number in partners else None) for number, span in enumerate(gold)
    ]
    matches += [Match(None, span) for number, span in enumerate(predicted) if number not in taken]
    return sorted(matches, key=_place)


@dataclass
class SchemeScore:
    """How often spans agree by one of the four schemes.

    strict: characters and type must be the same; exact: the characters; type: the type, where the spans overlap;
    partial: the characters, an overlap counting half.
    """

    correct: int = 0
    incorrect: int = 0
    partial: int = 0
    missed: int = 0
    spurious: int = 0

    @property
    def precision(self) -> float | None:
        return self._share(self.correct + self.incorrect + self.partial + self.spurious)

    @property
    def recall(self) -> float | None:
        return self._share(self.correct + self.incorrect + self.partial + self.missed)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where there is neither a mention nor a prediction."""
        sides = 2 * (self.correct + self.incorrect + self.partial) + self.missed + self.spurious
        return 2 * self._credit / sides if sides else None

    @property
    def _credit(self) -> float:
        return self.correct + 0.5 * self.partial

    def _share(self, whole: int) -> float | None:
        return self._credit / whole if whole else None

    def to_dict(self) -> dict[str, Any]:
        """The score as it stands in metrics.json."""
        shares = {name: getattr(self, name) for name in ("precision", "recall", "f1")}
        counts = {name: getattr(self, name) for name in ("correct", "incorrect", "partial", "missed", "spurious")}
        return {**{name: None if share is None else round(share, 4) for name, share in shares.items()}, **counts}


def score_schemes(matches: Iterable[Sequence[Match]]) -> dict[Scheme, SchemeScore]:
    """Score by each of the four schemes.

    matches: The matches of each passage.
    """
    outcomes: dict[Kind, tuple[str, str, str, str]] = {
        "correct": ("correct", "correct", "correct", "correct"),
        "type": ("incorrect", "correct", "correct", "incorrect"),
        "boundary": ("incorrect", "incorrect", "partial", "correct"),
        "type and boundary": ("incorrect", "incorrect", "partial", "incorrect"),
        "missed": ("missed",) * 4,
        "spurious": ("spurious",) * 4,
    }
    scores = {scheme: SchemeScore() for scheme in SCHEMES}
    for of_passage in matches:
        for found in of_passage:
            for scheme, outcome in zip(SCHEMES, outcomes[found.kind], strict=True):
                setattr(scores[scheme], outcome, getattr(scores[scheme], outcome) + 1)
    return scores


def _place(found: Match) -> Span:
    span = found.gold or found.predicted
    assert span
    return span
