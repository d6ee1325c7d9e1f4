"""How often each source is right, and from that how probable each span is that a source has found.

Dawid and Skene (Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm, 1979), on spans: each
span that a source has found is an entity or not, and given that, the sources decide independently. What source j says
of a span of its types is an outcome o: it has found the span, in one of its kinds; it has found another span there; or
nothing. With the share π of spans that are entities, and the probabilities θ1[j, o] and θ0[j, o] of the outcomes for
entities and for others,

    P(entity | outcomes) = π ∏ θ1[j, o_j] / (π ∏ θ1[j, o_j] + (1 - π) ∏ θ0[j, o_j])

They are estimated for each entity type, by expectation maximization. The reviewed passages have the answers: spans in
them count fully and stay what they are, and entities that no source has found count as well. Spans of passages that
nobody has reviewed count `UNREVIEWED` of one, since sources that make the same mistakes are not independent. Before
anything is counted, each kind of a source has `PRIOR` spans, of which as many are right as over all types.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

from spacy_domain_ner.bootstrapping.sources import AMBIGUOUS, LONGER, ORDINARY, UNSURE, Found, Source
from spacy_domain_ner.corpus.passage import Passage, Span

# Outcomes besides the kinds.
NOTHING, OTHER = "nothing", "another span"
UNREVIEWED = 0.1
STEPS = 20
# How many spans of each kind count as seen before anything is counted, and which share of them as right: few spans, so
# that reviewed ones soon say more.
PRIOR, USUAL_SHARE, DOUBTFUL_SHARE = 3.0, 0.9, 0.6
DOUBTFUL = (AMBIGUOUS, ORDINARY, LONGER, UNSURE)
# What a name's own record counts against: a name that was wrong once is not sure any more.
NAME_PRIOR = 2.0
# Right and wrong spans by the source's number and the kind.
Priors = Callable[[int, str], tuple[float, float]]
_LEAST, _MOST = 1e-4, 1 - 1e-4


@dataclass
class Candidate:
    """A span that sources have found in a passage.

    Attributes:
        span: The span.
        name: Its text in small letters.
        kinds: How each source that has found it did, by the source's number.
        others: The sources that have found another span there.
        absent: The sources that have not answered for the passage.
        probability: How probable it is that it is an entity.
        answer: Whether it is one, where the passage is reviewed.
    """

    span: Span
    name: str
    kinds: dict[int, str]
    others: set[int] = field(default_factory=set)
    absent: Collection[int] = ()
    probability: float = 0.0
    answer: bool | None = None


@dataclass
class Record:
    """How often a source is right about a type.

    Attributes:
        found: How many spans it has found in the passages that nobody has reviewed.
        right: How many it has found in the reviewed passages that are entities.
        wrong: How many it has found there that are not.
        missed: How many entities there it has not found.
        precision: How often it is right, as an estimate from all passages.
        recall: How many of the entities it finds, as an estimate.
        kinds: The precision of each kind, with how many of it are found.
    """

    found: int = 0
    right: int = 0
    wrong: int = 0
    missed: int = 0
    precision: float | None = None
    recall: float | None = None
    kinds: dict[str, tuple[int, float]] = field(default_factory=dict)


def candidates_of(passage: Passage, found: Sequence[Sequence[Found] | None]) -> list[Candidate]:
    """Put together what the sources have found in a passage.

    Args:
        passage: The passage.
        found: What each source has found in it; None where it has not answered.
    """
    kinds: dict[Span, dict[int, str]] = defaultdict(dict)
    for source, spans in enumerate(found):
        for span, kind in spans or ():
            kinds[span][source] = kind
    absent = absent_of(found)
    candidates = [
        Candidate(span, passage.name(span).lower(), of_span, absent=absent) for span, of_span in sorted(kinds.items())
    ]
    for one in candidates:
        for other in candidates:
            if other is not one and overlap(one.span, other.span):
                one.others |= other.kinds.keys() - one.kinds.keys()
    return candidates


def absent_of(found: Sequence[Sequence[Found] | None]) -> frozenset[int]:
    """The sources that have not answered for a passage, by their number.

    Args:
        found: What each source has found in it; None where it has not answered.
    """
    return frozenset(source for source, spans in enumerate(found) if spans is None)


def overlap(one: Span, other: Span) -> bool:
    """Whether two spans have a character in common."""
    return one.start < other.end and other.start < one.end


def estimate(
    sources: Sequence[Source],
    reviewed: Sequence[tuple[Passage, Sequence[Candidate]]],
    unreviewed: Iterable[Sequence[Candidate]],
    absent: Iterable[Collection[int]] | None = None,
) -> dict[tuple[int, str], Record]:
    """Estimate how probable each candidate is, which gets its `probability`, and how good the sources are.

    Args:
        sources: The sources.
        reviewed: The reviewed passages with their candidates.
        unreviewed: The candidates of the other passages.
        absent: The sources that have not answered for each reviewed passage; None: all have answered for all.

    Returns:
        The record of each source and type.
    """
    by_type: dict[str, _Type] = defaultdict(_Type)
    for source_number, source in enumerate(sources):
        for label in source.types:
            by_type[label].sources.append(source_number)
    names: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for (passage, candidates), of_passage in zip(reviewed, repeat(()) if absent is None else absent):  # noqa: B905
        judged = set(passage.judged([one.span for one in candidates]))
        for one in candidates:
            if one.span in judged and one.span not in passage.unknown:
                one.answer = one.span in passage.spans
                one.probability = float(one.answer)
                by_type[one.span.label].answered.append(one)
                names[one.name, one.span.label][one.answer] += 1
        known = {one.span for one in candidates}
        for span in passage.spans:
            if span not in known:
                nobody = Candidate(
                    span, "", {}, {n for one in candidates if overlap(one.span, span) for n in one.kinds}, of_passage
                )
                nobody.answer, nobody.probability = True, 1.0
                by_type[span.label].answered.append(nobody)
    everything = [list(candidates) for candidates in unreviewed]
    for candidates in everything:
        for one in candidates:
            by_type[one.span.label].open.append(one)
    records = {}
    prior = _priors(one for of_type in by_type.values() for one in of_type.answered)
    for label, of_type in by_type.items():
        if not of_type.sources:
            # People have annotated the type, and nothing finds it.
            continue
        of_type.learn(prior)
        for source_number in of_type.sources:
            records[source_number, label] = of_type.record(source_number)
    for candidates in everything:
        _settle(candidates, names)
    return records


def _priors(answered: Iterable[Candidate]) -> Priors:
    """Right and wrong ones of a source's kinds before a type's own are counted: as often right as over all types.

    A kind that the reviewed passages have seldom is as good as the source is in all.
    """
    kinds: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])
    whole: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in answered:
        for source, kind in one.kinds.items():
            kinds[source, kind][bool(one.answer)] += 1
            if kind not in DOUBTFUL:
                whole[source][bool(one.answer)] += 1

    def prior(source: int, kind: str) -> tuple[float, float]:
        share = _share(whole[source], USUAL_SHARE)
        share = _share(kinds[source, kind], share * DOUBTFUL_SHARE if kind in DOUBTFUL else share)
        return PRIOR * share, PRIOR * (1 - share)

    return prior


def _share(counts: Sequence[int], before: float) -> float:
    """The share of right ones, where `PRIOR` spans with another share were there before."""
    wrong, right = counts
    return (right + PRIOR * before) / (right + wrong + PRIOR)


def _settle(candidates: Sequence[Candidate], names: Mapping[tuple[str, str], Sequence[int]]) -> None:
    """Bring in what is known of each name, and that of spans which overlap at most one is an entity."""
    for one in candidates:
        wrong, right = names.get((one.name, one.span.label), (0, 0))
        one.probability = (NAME_PRIOR * one.probability + right) / (NAME_PRIOR + right + wrong)
        if not right and one.kinds and all(kind in (ORDINARY, AMBIGUOUS) for kind in one.kinds.values()):
            # Only that name's own record can say more.
            one.probability = min(one.probability, 0.4)
    odds = {id(one): one.probability / (1 - min(one.probability, _MOST)) for one in candidates}
    for one in candidates:
        rivals = sum(odds[id(other)] for other in candidates if other is not one and overlap(one.span, other.span))
        if rivals:
            one.probability = odds[id(one)] / (1 + odds[id(one)] + rivals)


class _Type:
    """The spans of one entity type, and what its sources make of them."""

    def __init__(self) -> None:
        self.sources: list[int] = []
        self.answered: list[Candidate] = []
        self.open: list[Candidate] = []
        self._share = 0.5
        self._outcomes: dict[tuple[int, bool], Counter[str]] = {}

    def learn(self, prior: Priors) -> None:
        for one in self.open:
            one.probability = max(prior(number, kind)[0] / PRIOR for number, kind in one.kinds.items())
        for _ in range(STEPS):
            self._count(prior)
            most = 0.0
            for one in self.open:
                before, one.probability = one.probability, self._probability(one)
                most = max(most, abs(before - one.probability))
            if most < 1e-3:
                break

    def _count(self, prior: Priors) -> None:
        """Count the outcomes of each source for entities and for others, with the priors."""
        counts: dict[tuple[int, bool], Counter[str]] = {(n, z): Counter() for n in self.sources for z in (True, False)}
        kinds = {n: {one.kinds[n] for one in (*self.open, *self.answered) if n in one.kinds} for n in self.sources}
        for number in self.sources:
            for kind in kinds[number]:
                right, wrong = prior(number, kind)
                counts[number, True][kind] += right  # type: ignore[assignment]
                counts[number, False][kind] += wrong  # type: ignore[assignment]
            for outcome in (NOTHING, OTHER):
                for z in (True, False):
                    counts[number, z][outcome] += 0.5  # type: ignore[assignment]
        total = {z: sum(counts[n, z].total() for n in self.sources) / len(self.sources) for z in (True, False)}
        for one in (*self.open, *self.answered):
            weight = UNREVIEWED if one.answer is None else 1.0
            for z in (True, False):
                share = weight * (one.probability if z else 1 - one.probability)
                total[z] += share
                for number in self._present(one):
                    counts[number, z][self._outcome(one, number)] += share  # type: ignore[assignment]
        self._share = total[True] / (total[True] + total[False])
        self._outcomes = counts

    def _present(self, one: Candidate) -> list[int]:
        """The sources that have answered: the silence of the others says nothing."""
        return [number for number in self.sources if number not in one.absent]

    @staticmethod
    def _outcome(one: Candidate, source: int) -> str:
        return one.kinds.get(source, OTHER if source in one.others else NOTHING)

    def _probability(self, one: Candidate) -> float:
        odds = self._share / (1 - self._share)
        for number in self._present(one):
            outcome = self._outcome(one, number)
            true, false = self._outcomes[number, True], self._outcomes[number, False]
            odds *= (true[outcome] / true.total()) / (false[outcome] / false.total())
        return min(_MOST, max(_LEAST, odds / (1 + odds)))

    def record(self, source: int) -> Record:
        mine = [one for one in self.open if source in one.kinds]
        answers = [one for one in self.answered if source in one.kinds]
        record = Record(
            found=len(mine),
            right=sum(bool(one.answer) for one in answers),
            wrong=sum(not one.answer for one in answers),
            missed=sum(
                bool(one.answer) and source not in one.kinds and source not in one.absent for one in self.answered
            ),
        )
        by_kind: dict[str, list[float]] = defaultdict(list)
        for one in mine:
            by_kind[one.kinds[source]].append(one.probability)
        record.kinds = {kind: (len(all_), sum(all_) / len(all_)) for kind, all_ in sorted(by_kind.items())}
        if mine:
            record.precision = sum(one.probability for one in mine) / len(mine)
        if entities := record.right + record.missed:
            record.recall = record.right / entities
        return record
