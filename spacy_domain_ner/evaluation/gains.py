"""What more labelled passages are likely to gain, for the time that they take to label.

What is left of the errors, 1 - F1, falls by about the same share with every doubling of the examples: see
`spacy_domain_ner.evaluation.forecasts`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, log2

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.evaluation.forecasts import HIGHEST, LearningCurve

# An estimate of the time in seconds: to open a passage, to read a word, to mark a mention.
SECONDS_PER_PASSAGE, SECONDS_PER_WORD, SECONDS_PER_MENTION = 3.0, 0.25, 3.0
# Passages are labelled so many at a time.
BATCH = 100


@dataclass(frozen=True)
class Gain:
    """What the next passages are likely to gain for a type.

    Attributes:
        label: The type.
        f1: Its F1 today.
        points: By how many points, hundredths of F1, it is likely to rise.
        hours: How long the passages take to label.
        by_batches: Whether the batches before say so; else it is the learning curve.
    """

    label: str
    f1: float
    points: float
    hours: float
    by_batches: bool = False

    @property
    def per_hour(self) -> float:
        """Points per hour of labelling."""
        return self.points / self.hours if self.hours else 0.0

    def __str__(self) -> str:
        return f"{self.label}: {self.points:.1f} points of F1 ({self.f1:.2f} today), {self.per_hour:.1f} per hour"


def gains_at_random(curve: LearningCurve, trained: Sequence[Passage]) -> list[Gain]:
    """Say what the next passages are likely to gain if they are drawn at random, as most of the present ones were.

    Args:
        curve: How F1 grows with the number of examples.
        trained: The training passages. Those that were chosen for what a model makes of them do not tell how many
            mentions the others have.

    Returns:
        The gain of each type that has a forecast, the highest first.
    """
    drawn = [passage for passage in trained if not passage.is_training_only]
    if not drawn:
        return []
    share = BATCH / len(drawn)
    mentions = Counter(span.label for passage in drawn for span in passage.spans)
    words = sum(len(passage.text.split()) for passage in drawn)
    hours = labelling_hours(BATCH, round(words * share), mentions.total() * share)
    gains = [
        Gain(label, one.f1, points_after(one.f1, errors(one.doubled[0]) - errors(one.f1), one.mentions, more), hours)
        for label, one in curve.forecasts.items()
        if (more := mentions[label] * share)
    ]
    return sorted(gains, key=lambda gain: -gain.points)


def labelling_hours(passages: int, words: int, mentions: float) -> float:
    """Estimate how long labelling takes.

    Args:
        passages: How many passages there are.
        words: How many words they have.
        mentions: How many mentions there are to mark.
    """
    seconds = SECONDS_PER_PASSAGE * passages + SECONDS_PER_WORD * words + SECONDS_PER_MENTION * mentions
    return seconds / 3600


def points_after(f1: float, rise: float, before: float, more: float) -> float:
    """By how many points F1 rises with more examples.

    Args:
        f1: The F1 today.
        rise: By how much -log(1 - F1) rises with each doubling of the examples.
        before: How many examples there are.
        more: How many are added.
    """
    after = 1 - exp(-(errors(f1) + max(0.0, rise) * log2((before + more) / before)))
    return 100 * max(0.0, after - f1)


def errors(f1: float) -> float:
    """The scale on which doublings add up: -log(1 - F1)."""
    return -log(1 - min(f1, HIGHEST))
