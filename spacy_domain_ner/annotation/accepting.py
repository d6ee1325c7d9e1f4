"""Which passages may be chosen beside those that were."""

from collections import Counter

from spacy_domain_ner.annotation.candidates import Candidate, key_of
from spacy_domain_ner.annotation.labelled import Labelled, source_of
from spacy_domain_ner.annotation.selected import Selection


class Accepting:
    """Says whether a candidate can be chosen beside those that were."""

    def __init__(self, found: Selection, known: Labelled, per_source: int) -> None:
        """Begin with nothing chosen.

        Args:
            found: What was chosen. Those that can't be are counted there.
            known: The labelled passages.
            per_source: The most passages with the same `meta.source`.
        """
        self._found, self._known, self._per_source = found, known, per_source
        self._of_source: Counter[str] = Counter()
        self._texts: set[bytes] = set()
        self._random_sources: set[str] = set()

    def random(self, one: Candidate) -> bool:
        """Whether a passage that was drawn at random may be chosen; if so, it counts as chosen."""
        source = source_of(one.passage)
        # Passages of a source stay together: those for training only could not be trained on any more.
        if source in self._known.targeted or not self._take(one, source):
            return False
        self._random_sources.add(source)
        return True

    def targeted(self, one: Candidate) -> bool:
        """Whether a passage from which much is learned may be chosen; if so, it counts as chosen."""
        source = source_of(one.passage)
        if key_of(one.passage.text) in self._texts:
            return False
        for sources, why in ((self._known.held_out, "is held out"), (self._random_sources, "was drawn from at random")):
            if source and source in sources:
                self._found.left_out[f"its source {why}, for the evaluation"] += 1
                return False
        return self._take(one, source)

    def _take(self, one: Candidate, source: str) -> bool:
        key = key_of(one.passage.text)
        if key in self._texts:
            return False
        if source and self._of_source[source] >= self._per_source:
            self._found.left_out[f"{self._per_source} of its source are chosen"] += 1
            return False
        if self._known.near.has_like(one.passage.text):
            self._found.left_out["nearly the same as another one"] += 1
            return False
        self._known.near.add(one.passage.text)
        self._texts.add(key)
        self._of_source[source] += 1
        return True
