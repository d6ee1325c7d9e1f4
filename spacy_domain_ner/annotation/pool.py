"""Reading a pool of passages once, in constant memory: which ones may be chosen, and which of them are the best."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import tee
from pathlib import Path
from typing import Any

import numpy

from spacy_domain_ner.annotation.candidates import Best, Candidate, key_of
from spacy_domain_ner.annotation.choosing import WordCounts, cost_of, word_of, words_of
from spacy_domain_ner.annotation.junk import LANGUAGES, why_junk
from spacy_domain_ner.annotation.labelled import Labelled
from spacy_domain_ner.annotation.selected import Selection
from spacy_domain_ner.confidence.doubts import Doubts
from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage

# The pool's best passages that are kept for the choice: so many times those that are wanted, and at least so many.
CANDIDATES, FEWEST_CANDIDATES = 20, 2_000
# Passages with the same leading word that are kept before others: each one chosen halves what the word is worth.
PER_LEAD = 20
# Why a passage is left out where there are others.
NO_ENTITY = "the model is sure that it has no entity of the wanted types"
# So many of the lines that could not be read are listed.
LISTED = 256
# What `extract` adds to a record.
_OF_EXTRACT = ("entities", "expected", "model")

DoubtsOf = Callable[[Iterable[str]], Iterable[Doubts]]


class PoolReader:
    """Reads a pool once.

    Attributes:
        best: The passages from which most is learned.
        drawn: Some passages at random.
        counts: How often the pool has each word.
    """

    def __init__(self, found: Selection, known: Labelled, language: str, max_words: int, seed: int, size: int) -> None:
        """Begin with nothing read.

        Args:
            found: Gets the number of passages, and what is left out.
            known: The labelled passages.
            language: The language of the passages.
            max_words: The most words of a passage.
            seed: The seed of what is random.
            size: How many passages are wanted.
        """
        self._found, self._known = found, known
        self._language, self._max_words, self._seed = language, max_words, seed
        self._script = known.script or ("LATIN" if language in LANGUAGES else "")
        most = max(FEWEST_CANDIDATES, CANDIDATES * size)
        self.counts = WordCounts()
        self.best = Best(most, PER_LEAD)
        # The order of a hash is a random one.
        self.drawn = Best(most)

    def refuse(self, refusals: Iterable[Refusal]) -> None:
        """Count the lines and files that can't be read."""
        for refusal in refusals:
            self._found.refused += not refusal.skipped
            if not refusal.skipped and len(self._found.refusals) < LISTED:
                self._found.refusals.append(refusal)
            elif refusal.skipped:
                self._found.left_out["rejected or skipped by an annotator"] += 1

    def good(self, lines: Iterable[Passage | Refusal]) -> Iterator[Passage]:
        """Give the passages that may be chosen, and count the others."""
        for line in lines:
            if isinstance(line, Refusal):
                self.refuse([line])
                continue
            self._found.read += 1
            why = why_junk(line.text, self._language, self._script, self._max_words)
            if not why and key_of(line.text) in self._known.texts:
                why = "labelled already"
            if why:
                self._found.left_out[why] += 1
            else:
                yield _as_passage(line)

    def read(self, passages: Iterator[Passage], doubts_of: DoubtsOf | None) -> None:
        """Read passages, and keep the best ones.

        Args:
            passages: The passages that may be chosen.
            doubts_of: Finds what a model is unsure of in each text; None keeps random ones only.
        """
        if doubts_of is None:
            for passage in passages:
                lower = _hashes(passage.text)
                self.counts.add(lower)
                words = len(passage.text.split())
                self._draw(Candidate(passage, key_of(passage.text, self._seed), words, (), lower))
            return
        passages, read = tee(passages)
        for passage, doubts in zip(passages, doubts_of(passage.text for passage in read), strict=True):
            self.counts.add(doubts.lower)
            candidate = Candidate(passage, key_of(passage.text), doubts.words, doubts.doubts, doubts.lower)
            score = doubts.gain / cost_of(doubts.words)
            if score <= 0:
                self._found.left_out[NO_ENTITY] += 1
            elif self.best.takes(score, candidate.key):
                most = max(doubts.doubts, key=lambda doubt: doubt.gain)
                self.best.add(score, word_of(passage.text, most), candidate)
            self._draw(replace(candidate, key=key_of(passage.text, self._seed)))

    def _draw(self, candidate: Candidate) -> None:
        self.drawn.add(0.0, "", candidate)


def _as_passage(passage: Passage) -> Passage:
    """A passage of the pool without what `extract` has added; its source is the line where `extract` read one."""
    extra = {key: value for key, value in passage.extra.items() if key not in _OF_EXTRACT}
    meta = dict(passage.meta)
    if "entities" in passage.extra and "source" in meta and isinstance(meta.get("line"), int):
        meta["source"] = f"{Path(str(meta['source'])).name}:{meta.pop('line')}"
    return replace(passage, meta=meta, extra=extra)


def _hashes(text: str) -> Any:
    from spacy.strings import get_string_id

    return numpy.array([get_string_id(word) for word in words_of(text)], "u8")
