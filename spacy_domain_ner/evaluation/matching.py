"""Which spans of two annotations of a passage belong together, and how they differ.

The two are the truth (`gold`) and a model's prediction (`predicted`), or the work of two people.

The kinds of agreement are those of the fifth Message Understanding Conference (N. Chinchor and B. Sundheim, MUC-5
Evaluation Metrics, 1993). The four ways to score them are those of SemEval-2013's task 9 (I. Segura-Bedmar et al.).
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.evaluation.scores import rounded

Difference = Literal["missed", "spurious", "type", "boundary", "type and boundary"]
PairKind = Literal["correct", Difference]
Scheme = Literal["strict", "exact", "partial", "type"]
SCHEMES: tuple[Scheme, ...] = ("strict", "exact", "partial", "type")

# What each kind counts as in each scheme, in the order of SCHEMES.
_OUTCOMES: dict[PairKind, tuple[str, str, str, str]] = {
    "correct": ("correct", "correct", "correct", "correct"),
    "type": ("incorrect", "correct", "correct", "incorrect"),
    "boundary": ("incorrect", "incorrect", "partial", "correct"),
    "type and boundary": ("incorrect", "incorrect", "partial", "incorrect"),
    "missed": ("missed", "missed", "missed", "missed"),
    "spurious": ("spurious", "spurious", "spurious", "spurious"),
}


@dataclass(frozen=True)
class Match:
    """An annotated and a predicted span that belong together, or one of them without a partner.

    Attributes:
        gold: The annotated span; None where nothing is annotated.
        predicted: The predicted span; None where nothing is predicted.
    """

    gold: Span | None
    predicted: Span | None

    @property
    def span(self) -> Span:
        """The annotated span, or the predicted one where nothing is annotated."""
        span = self.gold or self.predicted
        assert span
        return span

    @property
    def types(self) -> tuple[str, str]:
        """The annotated and the predicted type, "" where there is no span."""
        return (self.gold.label if self.gold else "", self.predicted.label if self.predicted else "")

    @property
    def kind(self) -> PairKind:
        """How the two differ.

        `correct`: not at all. `type`: the same characters have two types. `boundary`: spans of one type overlap.
        `type and boundary`: spans of two types overlap. `missed`: only annotated. `spurious`: only predicted.
        """
        if self.gold is None:
            return "spurious"
        if self.predicted is None:
            return "missed"
        same_type = self.gold.label == self.predicted.label
        if (self.gold.start, self.gold.end) == (self.predicted.start, self.predicted.end):
            return "correct" if same_type else "type"
        return "boundary" if same_type else "type and boundary"


def pair_spans(gold: Iterable[Span], predicted: Iterable[Span], *, one_to_one: bool = True) -> list[Match]:
    """Pair the annotated with the predicted spans of a passage.

    Equal spans are paired first, then spans of the same characters, then overlapping spans of the same type, then any
    spans that overlap. Among several candidates, the pair with the largest overlap, as a share of the characters that
    the two cover together, is taken first.

    Args:
        gold: The annotated spans.
        predicted: The predicted spans.
        one_to_one: Each span is in one match, so that scores count it once: where two annotated spans lie in one
            predicted span, one of them is missed. False sets a span that is left over against a span that already has
            a partner, if the two overlap and that partner differs from it: to list every difference between two
            people, neither of whom is right from the start.

    Returns:
        The pairs and the spans without a partner, in the order of the text.
    """
    gold, predicted = sorted(gold), sorted(predicted)
    candidates = sorted(_candidates(gold, predicted))
    partner: dict[int, int] = {}
    taken: set[int] = set()
    for _, index, other in candidates:
        if index not in partner and other not in taken:
            partner[index] = other
            taken.add(other)
    pairs = list(partner.items())
    paired = set(partner)
    if not one_to_one:
        agreed = {(index, other) for index, other in pairs if gold[index] == predicted[other]}
        settled, settled_predicted = {index for index, _ in agreed}, {other for _, other in agreed}
        for _, index, other in candidates:
            left_over = index not in paired or other not in taken
            if left_over and index not in settled and other not in settled_predicted:
                pairs.append((index, other))
                paired.add(index)
                taken.add(other)
    matches = [Match(gold[index], predicted[other]) for index, other in pairs]
    matches += [Match(span, None) for index, span in enumerate(gold) if index not in paired]
    matches += [Match(None, span) for index, span in enumerate(predicted) if index not in taken]
    return sorted(matches, key=lambda found: (found.span, found.predicted is None, found.predicted or found.span))


def _candidates(gold: Sequence[Span], predicted: Sequence[Span]) -> Iterator[tuple[tuple[bool, bool, float], int, int]]:
    """Every overlapping pair: its rank (the best pair is the smallest), and the indices of the two spans."""
    # A predicted span that starts earlier than this before an annotated span ends before it. Skipping those keeps
    # long texts linear.
    starts = [span.start for span in predicted]
    longest = max((span.end - span.start for span in predicted), default=0)
    for index, one in enumerate(gold):
        for other in range(bisect_right(starts, one.start - longest), len(predicted)):
            found = predicted[other]
            if found.start >= one.end:
                break
            shared = min(one.end, found.end) - max(one.start, found.start)
            if shared > 0:
                together = max(one.end, found.end) - min(one.start, found.start)
                yield (shared < together, one.label != found.label, -shared / together), index, other


@dataclass
class SchemeScore:
    """How often spans agree by one of the four schemes.

    `strict`: characters and type must be the same. `exact`: the characters. `type`: the type, where the spans overlap.
    `partial`: the characters, where an overlap counts half.
    """

    correct: int = 0
    incorrect: int = 0
    partial: int = 0
    missed: int = 0
    spurious: int = 0

    @property
    def precision(self) -> float | None:
        """The share of the predicted spans that agree; None where nothing was predicted."""
        return self._share(self.correct + self.incorrect + self.partial + self.spurious)

    @property
    def recall(self) -> float | None:
        """The share of the annotated spans that agree; None where nothing is annotated."""
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
        """The score as metrics.json holds it."""
        shares = {name: getattr(self, name) for name in ("precision", "recall", "f1")}
        counts = {name: getattr(self, name) for name in ("correct", "incorrect", "partial", "missed", "spurious")}
        return {**{name: rounded(share) for name, share in shares.items()}, **counts}


def score_schemes(matches: Iterable[Sequence[Match]]) -> dict[Scheme, SchemeScore]:
    """Score by each of the four schemes.

    Args:
        matches: The matches of each passage, one to one.

    Returns:
        The score of each scheme, in the order of `SCHEMES`.
    """
    kinds = Counter(found.kind for of_passage in matches for found in of_passage)
    scores = {}
    for position, scheme in enumerate(SCHEMES):
        counts: Counter[str] = Counter()
        for kind, count in kinds.items():
            counts[_OUTCOMES[kind][position]] += count
        scores[scheme] = SchemeScore(**counts)
    return scores
