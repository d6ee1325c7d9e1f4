"""What was chosen from a pool of passages, to label next."""

from collections import Counter
from dataclasses import dataclass, field

from spacy_domain_ner.corpus.jsonl import Refusal
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.evaluation.gains import Gain

# The key of `meta` that says why a passage was chosen.
SELECTED = "selected"


@dataclass(frozen=True)
class Selected:
    """A passage to label next.

    Attributes:
        passage: The passage, as it is written.
        reason: Why it was chosen, in words; "" where it was drawn at random.
        score: How much there is to be learned from it, for what it costs to read; 0 where it was drawn at random.
        words: How many words it has.
    """

    passage: Passage
    reason: str
    score: float
    words: int

    @property
    def is_random(self) -> bool:
        """Whether it was drawn at random, to be labelled blind."""
        return not self.reason


@dataclass
class Selection:
    """What was chosen from a pool.

    Attributes:
        chosen: The passages, those that teach most first, and between them those drawn at random.
        read: How many passages the pool has.
        left_out: How many of them can't be chosen, by the reason.
        refusals: The lines and files that could not be read; the first ones of them.
        refused: How many there are.
        weights: What it counts to learn each type, 1 for the weakest one.
        mentions: How many mentions of each type the model expects in the chosen passages.
        hours: How long they take to label, as an estimate.
        gains: What they are likely to gain for each type of which enough is known.
        notes: What the user should know, a sentence each.
    """

    chosen: list[Selected] = field(default_factory=list)
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    refusals: list[Refusal] = field(default_factory=list)
    refused: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    mentions: dict[str, float] = field(default_factory=dict)
    hours: float = 0.0
    gains: list[Gain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
