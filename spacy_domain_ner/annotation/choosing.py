"""The choice among the candidates: the passages from which a model learns most in the time that they take to label.

Each choice makes the others worth less: what a word has to teach is half as much each time it was chosen before. Such a
score never rises while passages are chosen, so the choice is made with a heap of scores that are brought up to date
only when they come to the top (M. Minoux, Accelerated Greedy Algorithms, 1978).
"""

import heapq
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from math import log1p

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.annotation.candidates import Candidate
from spacy_domain_ner.annotation.labelled import Labelled
from spacy_domain_ner.confidence.doubts import Doubt
from spacy_domain_ner.confidence.learning import WORDS_PER_PASSAGE
from spacy_domain_ner.text import shorten, without_invisible

# A form counts as unsure in the reason from this entropy of one of its words: one chance in ten to be wrong.
UNSURE = 0.3
# So many forms of a type are named in the reason, each shortened to so many characters.
NAMED, LONGEST_FORM = 3, 40
# How often the pool must have a word for it to be one that the model will meet again.
OFTEN = 3
# Pools with fewer passages do not tell which words are frequent.
FEW_PASSAGES = 500
_DIGITS = re.compile(r"\d+")

Accepts = Callable[[Candidate], bool]
Scored = tuple[Candidate, float]
# A passage, what there is to be learned from each of its words, and how many words it has.
Prepared = tuple[Candidate, list[tuple[str, float]], int]


class WordCounts:
    """How often a pool has each word, in constant memory: words share a counter where their hashes do."""

    def __init__(self) -> None:
        """Make counters that are 0."""
        self.passages = 0
        self._counts = numpy.zeros(1 << 20, "u4")

    def add(self, lower: NDArray[numpy.uint64]) -> None:
        """Count the words of a passage, each once."""
        self.passages += 1
        self._counts[numpy.unique(lower & numpy.uint64((1 << 20) - 1))] += 1

    def of(self, lower: NDArray[numpy.uint64]) -> NDArray[numpy.uint32]:
        """How many passages have each of these words."""
        return self._counts[lower & numpy.uint64((1 << 20) - 1)]


def word_of(passage_text: str, doubt: Doubt) -> str:
    """The word of a doubt as it is counted: without capitals, and with all numbers the same."""
    return _DIGITS.sub("0", passage_text[doubt.start : doubt.end].lower())


def score_of(gain: float, words: int) -> float:
    """What there is to be learned from a passage, in the time that reading it takes.

    Args:
        gain: What there is to be learned.
        words: How many words the passage has. To open it takes as long as reading some more.
    """
    return gain / (words + WORDS_PER_PASSAGE)


def by_doubts(candidates: Iterable[Candidate], counts: WordCounts, accepts: Accepts) -> Iterator[Scored]:
    """Choose passages by what a model is unsure of in them.

    Args:
        candidates: The passages to choose from.
        counts: The pool's words. A passage whose words the pool hardly has counts less: it is like no other.
        accepts: Whether the best one of those that are left can be chosen.

    Yields:
        The passages, the best one first, each with its score.
    """
    prepared = []
    for one in candidates:
        usual = float((counts.of(one.lower) >= OFTEN).mean()) if counts.passages >= FEW_PASSAGES else 1.0
        gains = [(word_of(one.passage.text, doubt), usual * doubt.gain) for doubt in one.doubts]
        prepared.append((one, gains, one.words))
    return _greedy(prepared, accepts)


def by_vocabulary(candidates: Iterable[Candidate], counts: WordCounts, accepts: Accepts) -> Iterator[Scored]:
    """Choose passages so that the first ones have as many of the pool's words as possible, frequent ones first.

    Args:
        candidates: As for `by_doubts`.
        counts: The pool's words.
        accepts: As for `by_doubts`.

    Yields:
        As for `by_doubts`.
    """
    prepared = []
    for one in candidates:
        often = counts.of(one.lower)
        pairs = zip(one.lower.tolist(), often.tolist(), strict=True)
        prepared.append((one, list({str(word): log1p(count) for word, count in pairs}.items()), one.words))
    return _greedy(prepared, accepts)


def _greedy(prepared: Sequence[Prepared], accepts: Accepts) -> Iterator[Scored]:
    chosen: Counter[str] = Counter()

    def score(number: int) -> float:
        _, gains, words = prepared[number]
        return score_of(sum(gain * 0.5 ** chosen[word] for word, gain in gains), words)

    heap = [(-score(number), one.key, number) for number, (one, _, _) in enumerate(prepared)]
    heapq.heapify(heap)
    while heap:
        _, key, number = heapq.heappop(heap)
        now = -score(number)
        if heap and (now, key) > heap[0][:2]:
            # Others were chosen since it was scored.
            heapq.heappush(heap, (now, key, number))
            continue
        candidate, gains, _ = prepared[number]
        if now < 0 and accepts(candidate):
            chosen.update({word for word, _ in gains})
            yield candidate, -now


def reason_of(candidate: Candidate, known: Labelled, wanted: Callable[[str], bool] = lambda label: True) -> str:
    """Say in words why a passage was chosen: "2 unsure SERVICE (Kafka, mail-job), 1 form never seen".

    Args:
        candidate: The passage, with its doubts.
        known: The labelled passages, whose names are those that were seen.
        wanted: Whether a type was aimed at; the others are told only where no form is likeliest of such a type.
    """
    forms = [*_forms(candidate)]
    # What has letters or digits, where anything has.
    forms = [form for form in forms if any(map(str.isalnum, form[0]))] or forms
    forms = [form for form in forms if wanted(form[1])] or forms
    unsure = [form for form in forms if form[2] >= UNSURE] or forms
    of_type: dict[str, dict[str, str]] = {}
    for form, label, _ in unsure:
        of_type.setdefault(label, {}).setdefault(form.lower(), shorten(form, LONGEST_FORM))
    parts = []
    for label, named in sorted(of_type.items(), key=lambda item: (-len(item[1]), item[0])):
        more = ", ..." if len(named) > NAMED else ""
        parts.append(f"{len(named)} unsure {label} ({', '.join([*named.values()][:NAMED])}{more})")
    if known.names:
        new = len({form for named in of_type.values() for form in named} - known.names)
        parts += [f"{new} form{'s' if new > 1 else ''} never seen"] if new else []
    return ", ".join(parts)


def _forms(candidate: Candidate) -> Iterator[tuple[str, str, float]]:
    """The runs of doubtful words: the form, its likeliest type, and its highest entropy."""
    numbered = enumerate(candidate.doubts)
    for _, run in groupby(numbered, key=lambda item: item[1].token - item[0]):
        doubts = [doubt for _, doubt in run]
        most = max(doubts, key=lambda doubt: doubt.entropy)
        yield without_invisible(candidate.passage.text[doubts[0].start : doubts[-1].end]), most.label, most.entropy
