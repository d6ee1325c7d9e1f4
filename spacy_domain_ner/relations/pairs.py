"""Pairs of entities between which a relation may hold."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.corpus.sentences import sentences
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.text import UNSPACED_SCRIPTS

# A relation is looked for between entities that are in one sentence, or in one and the next.
MOST_SENTENCES = 2
# And not where more words stand between them: a list or a log may be one sentence of any length.
MOST_WORDS = 100
# A word, or a character of a script that has no spaces.
_WORD = re.compile(rf"[{UNSPACED_SCRIPTS}]|[^\W{UNSPACED_SCRIPTS}]+")


@dataclass(frozen=True)
class Pair:
    """Two entities, in the order of the text.

    Attributes:
        first: The one that begins first.
        second: The other.
        words: The number of words between them.
        sentences: In how many sentences they and what is between them stand.
    """

    first: Span
    second: Span
    words: int
    sentences: int


def pairs_of(text: str, spans: Sequence[Span], most_sentences: int = MOST_SENTENCES) -> Iterator[Pair]:
    """Find the pairs of entities that occur together.

    Args:
        text: The passage.
        spans: Its entities.
        most_sentences: In how many sentences, one after the other, the two may stand.

    Yields:
        Each pair once. Entities that overlap are not a pair.
    """
    starts = [start for start, _ in sentences(text)]
    word_starts = [found.start() for found in _WORD.finditer(text)]
    ordered = sorted(set(spans))
    where = [bisect_right(starts, span.start) for span in ordered]
    for number, first in enumerate(ordered):
        for second, sentence in zip(ordered[number + 1 :], where[number + 1 :], strict=True):
            if sentence - where[number] >= most_sentences:
                break
            words = bisect_right(word_starts, second.start - 1) - bisect_right(word_starts, first.end - 1)
            if words > MOST_WORDS:
                break
            if second.start >= first.end:
                yield Pair(first, second, words, sentence - where[number] + 1)


def is_possible(pair: Pair, types: RelationTypes) -> bool:
    """Whether a relation of some type can lead from one of the two to the other."""
    first, second = pair.first.label, pair.second.label
    return bool(types.between(first, second) or types.between(second, first))


def possible_pairs(
    text: str, spans: Sequence[Span], types: RelationTypes, most_sentences: int = MOST_SENTENCES
) -> list[Pair]:
    """Find the pairs of entities between which a relation may hold, by their types.

    Args:
        text: The passage.
        spans: Its entities.
        types: The relation types.
        most_sentences: As for `pairs_of`.
    """
    return [pair for pair in pairs_of(text, spans, most_sentences) if is_possible(pair, types)]
