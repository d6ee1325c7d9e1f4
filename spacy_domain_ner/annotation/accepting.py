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
        self._taken: set[bytes] = set()
        self._refused: set[bytes] = set()
        self._random_sources: set[str] = set()

    def random(self, one: Candidate) -> bool:
        """Whether a passage that was drawn at random may be chosen; if so, it counts as chosen."""
        key, source = key_of(one.passage.text), source_of(one.passage)
        # Passages of a source stay together: those for training only could not be trained on any more.
        if source in self._known.targeted or not self._take(one, key, source):
            return False
        self._random_sources.add(source)
        return True

    def targeted(self, one: Candidate) -> bool:
        """Whether a passage from which much is learned may be chosen; if so, it counts as chosen."""
        key, source = key_of(one.passage.text), source_of(one.passage)
        if key in self._taken:
            return False
        for sources, why in ((self._known.held_out, "is held out"), (self._random_sources, "was drawn from at random")):
            if source and source in sources:
                return self._refuse(key, f"its source {why}, for the evaluation")
        return self._take(one, key, source)

    def has_seen(self, one: Candidate) -> bool:
        """Whether a passage was chosen, or left out for a reason that is counted."""
        key = key_of(one.passage.text)
        return key in self._taken or key in self._refused

    def _take(self, one: Candidate, key: bytes, source: str) -> bool:
        if source and self._of_source[source] >= self._per_source:
            return self._refuse(key, f"{self._per_source} of its source are chosen")
        if self._known.near.has_like(one.passage.text):
            return self._refuse(key, "nearly the same as another one")
        self._known.near.add(one.passage.text)
        self._taken.add(key)
        self._of_source[source] += 1
        return True

    def _refuse(self, key: bytes, why: str) -> bool:
        """Count a passage that can't be chosen, once: what was refused at random is tried again."""
        if key not in self._refused:
            self._refused.add(key)
            self._found.left_out[why] += 1
        return False
