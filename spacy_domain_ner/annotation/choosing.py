"""The choice among the candidates: the passages from which a model learns most for what they cost to read.

Each choice makes the others worth less: what a word has to teach is half as much each time it was chosen before, and so
is a passage that differs only in its names from one that was. Such a score never rises while passages are chosen, so
the choice is made with a heap of scores that are brought up to date only when they come to the top (M. Minoux,
Accelerated Greedy Algorithms, 1978).
"""

import heapq
import re
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import log, log1p, sqrt
from typing import NamedTuple

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.annotation.candidates import Candidate
from spacy_domain_ner.annotation.labelled import Labelled
from spacy_domain_ner.confidence.doubts import DOUBTFUL, Doubt
from spacy_domain_ner.confidence.learning import WORDS_PER_PASSAGE
from spacy_domain_ner.text import shorten, without_invisible

# How the reason calls a form, from this entropy of one of its words: 0.3 is a chance of one in ten to be wrong.
LEVELS = {"unsure": 0.3, "nearly sure": DOUBTFUL, "sure": 0.0}
# A word is told as a part of a form from this probability that it is in an entity.
IN_FORM = 0.2
# What may stand between two words of a form.
JOINING = ("", " ", "-", ".", "_")
# So many forms of a type are named in the reason, each shortened to so many characters.
NAMED, LONGEST_FORM = 3, 40
BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"))
# How often the pool must have a word for it to be one that the model will meet again.
OFTEN = 3
# Pools with fewer passages do not tell which words are frequent.
FEW_PASSAGES = 500
# What a word teaches, or a pattern, each time that it was chosen before.
AGAIN = 0.5
# So many words beside the names make a pattern.
FEWEST_IN_PATTERN = 4
_DIGITS = re.compile(r"\d+")
_PUNCTUATION = string.punctuation + "\u00ab\u00bb\u201c\u201d\u201e\u2018\u2019\u2026\u2013\u2014"

Accepts = Callable[[Candidate], bool]
# A passage, its score, and the words that count most of those that no passage before it has.
Scored = tuple[Candidate, float, list[str]]


class Prepared(NamedTuple):
    """A passage to choose.

    Attributes:
        candidate: The passage.
        gains: What there is to be learned from each of its words.
        cost: What it costs to read.
        pattern: What it has in common with those that differ only in their names; "" for none.
    """

    candidate: Candidate
    gains: Sequence[tuple[str, float]]
    cost: float
    pattern: str = ""


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


def words_of(text: str) -> list[str]:
    """The words of a text that no model has read, in lower case, without the punctuation around them."""
    words = (word.strip(_PUNCTUATION) for word in without_invisible(text.lower()).split())
    return [word for word in words if word]


def word_of(passage_text: str, doubt: Doubt) -> str:
    """The word of a doubt as it is counted: without capitals, and with all numbers the same."""
    return _DIGITS.sub("0", passage_text[doubt.start : doubt.end].lower())


def cost_of(words: int) -> float:
    """What a passage costs to read, as the score divides by it: the square root of the words.

    With the words themselves, short passages with one or two names come first, and more of them are needed. Without a
    cost, the longest come first, which take most time.

    Args:
        words: How many words the passage has. To open it takes as long as reading some more.
    """
    return sqrt(words + WORDS_PER_PASSAGE)


def by_doubts(
    candidates: Iterable[Candidate], counts: WordCounts, accepts: Accepts, again: float = AGAIN
) -> Iterator[Scored]:
    """Choose passages by what a model is unsure of in them.

    Args:
        candidates: The passages to choose from.
        counts: The pool's words. A passage whose words the pool hardly has counts less: it is like no other.
        accepts: Whether the best one of those that are left can be chosen.
        again: What a word teaches each time that it was chosen before, as a share of the time before.

    Yields:
        The passages, the best one first, each with its score, and the words that count most of those that no
        passage before it has.
    """
    prepared = []
    for one in candidates:
        usual = float((counts.of(one.lower) >= OFTEN).mean()) if counts.passages >= FEW_PASSAGES else 1.0
        gains = [(word_of(one.passage.text, doubt), usual * doubt.gain) for doubt in one.doubts if doubt.gain > 0]
        prepared.append(Prepared(one, gains, cost_of(one.words), _pattern(one)))
    return _greedy(prepared, accepts, again)


def by_vocabulary(candidates: Iterable[Candidate], counts: WordCounts, accepts: Accepts) -> Iterator[Scored]:
    """Choose passages so that the first ones have as many of the pool's words as possible.

    A word that $k$ of $n$ passages have counts $\\log(1 + k) \\log((n + 1) / k)$: much where it is frequent, and little
    where it is everywhere, as "the" is.

    Args:
        candidates: As for `by_doubts`.
        counts: The pool's words.
        accepts: As for `by_doubts`.

    Yields:
        As for `by_doubts`.
    """
    prepared = []
    for one in candidates:
        pairs = zip(words_of(one.passage.text), counts.of(one.lower).tolist(), strict=True)
        gains = {word: log1p(count) * log((counts.passages + 1) / count) for word, count in pairs}
        # All words count here, not only names, and the root was measured with a model only.
        prepared.append(Prepared(one, [*gains.items()], one.words + WORDS_PER_PASSAGE))
    return _greedy(prepared, accepts)


def _greedy(prepared: Sequence[Prepared], accepts: Accepts, again: float = AGAIN) -> Iterator[Scored]:
    chosen: Counter[str] = Counter()

    def score(number: int) -> float:
        _, gains, cost, pattern = prepared[number]
        # A pattern begins with a blank, so it is counted beside the words.
        alike = again ** chosen[pattern] if pattern else 1.0
        return alike * sum(gain * again ** chosen[word] for word, gain in gains) / cost

    heap = [(-score(number), one.candidate.key, number) for number, one in enumerate(prepared)]
    heapq.heapify(heap)
    while heap:
        _, key, number = heapq.heappop(heap)
        now = -score(number)
        if heap and (now, key) > heap[0][:2]:
            # Others were chosen since it was scored.
            heapq.heappush(heap, (now, key, number))
            continue
        candidate, gains, _, pattern = prepared[number]
        if now < 0 and accepts(candidate):
            new = sorted((-gain, word) for word, gain in gains if not chosen[word])
            chosen.update({pattern, *(word for word, _ in gains)})
            yield candidate, -now, [word for _, word in new[:NAMED]]


def _pattern(candidate: Candidate) -> str:
    """The text without the words that may be names; "" where too little is left for a pattern."""
    text, parts, end = candidate.passage.text, list[str](), 0
    for doubt in candidate.doubts:
        parts.append(text[end : doubt.start])
        end = doubt.end
    words = _DIGITS.sub("0", " ".join([*parts, text[end:]]).lower()).split()
    return " ".join(["", *words]) if len(words) >= FEWEST_IN_PATTERN else ""


def reason_of_words(words: Sequence[str]) -> str:
    """Say in words why a passage was chosen before there is a model."""
    named = ", ".join(shorten(word, LONGEST_FORM) for word in words)
    return f"words that were not chosen yet ({named})" if named else "words that were hardly chosen yet"


def reason_of(candidate: Candidate, known: Labelled, wanted: Callable[[str], bool] = lambda label: True) -> str:
    """Say in words why a passage was chosen: "2 unsure SERVICE (Kafka, mail-job), 1 more entity, 1 form never seen".

    Args:
        candidate: The passage, with its doubts.
        known: The labelled passages, whose names are those that were seen.
        wanted: Whether a type was aimed at; the others are told only where no form is likeliest of such a type.
    """
    # Each form once, where it is least sure.
    forms = [*_forms(candidate)]
    least_sure = {form.text.lower(): form for form in sorted(forms, key=lambda form: form.entropy)}
    forms = [form for form in forms if form is least_sure[form.text.lower()]]
    # What has letters or digits, where anything has.
    forms = [form for form in forms if any(map(str.isalnum, form.text))] or forms
    forms = [form for form in forms if wanted(form.label)] or forms
    how = next(how for how, least in LEVELS.items() if any(form.entropy >= least for form in forms))
    told = [form for form in forms if form.entropy >= LEVELS[how]]
    parts = _told(told, how)
    # What the model doubts less than those stands there, too.
    more = len(forms) - len(told)
    parts += [f"{more} more entit{'ies' if more > 1 else 'y'}"] if more else []
    if known.names:
        unseen = len({form.text.lower() for form in forms} - known.names)
        parts += [f"{unseen} form{'s' if unseen > 1 else ''} never seen"] if unseen else []
    return ", ".join(parts)


def _told(forms: Iterable["_Form"], how: str) -> list[str]:
    """Name forms by their types, the type with the most first."""
    of_type: dict[str, dict[str, str]] = {}
    for form in forms:
        of_type.setdefault(form.label, {}).setdefault(form.text.lower(), shorten(form.text, LONGEST_FORM))
    parts = []
    for label, named in sorted(of_type.items(), key=lambda item: (-len(item[1]), item[0])):
        more = ", ..." if len(named) > NAMED else ""
        parts.append(f"{len(named)} {how} {label} ({', '.join([*named.values()][:NAMED])}{more})")
    return parts


class _Form(NamedTuple):
    """A run of words in which there is something to be learned.

    Attributes:
        text: The words.
        label: Its likeliest type.
        entropy: Its highest entropy.
    """

    text: str
    label: str
    entropy: float


def _forms(candidate: Candidate) -> Iterator[_Form]:
    """The runs of words that may be in an entity; where there is none, the word that is likeliest in one."""
    text, runs = candidate.passage.text, list[list[Doubt]]()
    likeliest = max((doubt.inside for doubt in candidate.doubts), default=0.0)
    for doubt in candidate.doubts:
        if doubt.inside >= min(IN_FORM, likeliest):
            if not runs or text[runs[-1][-1].end : doubt.start] not in JOINING:
                runs.append([])
            runs[-1].append(doubt)
    for run in runs:
        named = [any(map(str.isalnum, text[doubt.start : doubt.end])) for doubt in run]
        if any(named):
            # A comma at the end is not a part of the name.
            run = run[named.index(True) : len(named) - named[::-1].index(True)]
        most = max(run, key=lambda doubt: doubt.entropy)
        form = without_invisible(_with_brackets(text, run[0].start, run[-1].end))
        yield _Form(form, most.label, most.entropy)


def _with_brackets(text: str, start: int, end: int) -> str:
    """A part of a text, with the bracket before or after it that it opens or closes."""
    for opening, closing in BRACKETS:
        inside = text[start:end]
        if inside.count(opening) > inside.count(closing) and text[end:].lstrip().startswith(closing):
            end = text.index(closing, end) + 1
        elif inside.count(opening) < inside.count(closing) and text[:start].rstrip().endswith(opening):
            start = text.rindex(opening, 0, start)
    return text[start:end]
