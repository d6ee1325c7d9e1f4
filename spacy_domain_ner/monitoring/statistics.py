"""The statistics that a window of live text is compared by, and how far each moves without a change.

How far is found by drawing (the bootstrap): windows of the same size and as many reference sets are drawn from the
sources of the evaluation set and the passages of the window, which are alike where nothing has changed, a few thousand
times, and compared as the live window is compared. A rule of thumb can't
do this: how far a statistic moves depends on the window's size, the reference's size, and how much sources differ.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray

from spacy_domain_ner.monitoring.measures import COLUMNS, PLACE, Sums

DRAWS = 4000
# So many draws are made together, in bounded memory.
TOGETHER = 100
SEED = 0
# The share of unchanged windows in which any statistic at all is unusual, and in which any is far out.
UNUSUAL, FAR_OUT = 0.01, 0.001
# What a statistic needs before anything is said of it: what it is a share of, and entities of a type.
FEWEST, FEWEST_ENTITIES = 20, 10
# Rows of the reference that are of more passages than this, on average, are not like the window's, which are of one.
MOST_PER_ROW = 1.5
# A window of more sources than this many times those of the reference adds nothing to its uncertainty.
MOST_TIMES = 50
BINS = slice(PLACE["bin_0"], PLACE["bin_9"] + 1)

Values = NDArray[numpy.float64]


@dataclass(frozen=True)
class Statistic:
    """One of the statistics.

    Attributes:
        name: Its fixed name in files.
        title: What it is, in words.
        unit: `per 1,000 words`, `%`, `points` of a distribution's shape, or `words`.
        least: The smallest change that matters: of shares in hundredths, of rates and lengths as a factor.
        of: The entity type that it is about; "" for all.
        value: The statistic of sums of rows.
        amount: What it is a share or a rate of, or the number of entities of a rate.
        least_spread: The least that chance moves it: counts differ at least as much as those of a Poisson process.
    """

    name: str
    title: str
    unit: str
    least: float
    value: Callable[[Sums], Values]
    amount: Callable[[Sums], Values]
    of: str = ""
    least_spread: float = 1e-6

    @property
    def is_rate(self) -> bool:
        """Whether it counts entities, or sums what they count by."""
        return self.unit == "per 1,000 words"

    def effect(self, window: float, reference: float) -> float:
        """The size of a change: a difference of shares, else the logarithm of a factor."""
        if self.unit in ("%", "points"):
            return window - reference
        return math.log(max(window, 1e-9) / max(reference, 1e-9))

    @property
    def least_effect(self) -> float:
        """The least change that matters, as `effect` gives it."""
        return self.least if self.unit in ("%", "points") else math.log(self.least)


@dataclass(frozen=True)
class Compared:
    """A statistic of a window, beside that of the reference.

    Attributes:
        statistic: Which one.
        value: Of the window.
        reference: Of the evaluation set.
        low: The lower end of the values that are usual for windows of this size.
        high: The upper end.
        score: How far out the window is, in standard deviations of windows without a change.
        state: `usual`, `unusual` or `far out`; both of the latter are also a change that matters.
    """

    statistic: Statistic
    value: float
    reference: float
    low: float
    high: float
    score: float
    state: str


def _ratio(top: str, bottom: str, factor: float = 1.0) -> Callable[[Sums], Values]:
    def value(sums: Sums) -> Values:
        below = sums[..., PLACE[bottom]]
        return factor * sums[..., PLACE[top]] / numpy.maximum(below, 1e-9)

    return value


def _sum(name: str) -> Callable[[Sums], Values]:
    return lambda sums: sums[..., PLACE[name]]


def _column(number: int) -> Callable[[Sums], Values]:
    return lambda sums: sums[..., number]


def _misses(sums: Sums) -> Values:
    expected = sums[..., PLACE["expected"]]
    return (expected - sums[..., PLACE["found_confidence"]]) / numpy.maximum(expected, 1e-9)


def _length(sums: Sums) -> Values:
    return numpy.exp(sums[..., PLACE["log_words"]] / numpy.maximum(sums[..., 0], 1)) - 1


def _rate(number: int) -> Callable[[Sums], Values]:
    return lambda sums: 1000 * sums[..., number] / numpy.maximum(sums[..., PLACE["words"]], 1)


def _share(name: str, title: str, top: str, bottom: str, least: float) -> Statistic:
    return Statistic(name, title, "%", least, _ratio(top, bottom), _sum(bottom))


# The shape of a distribution has no value of its own: it is compared with the reference's.
SHAPE = Statistic(
    "confidence_shape", "entities at another confidence than usual", "points", 0.05, lambda sums: sums[..., 0],
    _sum("confident"),
)  # fmt: skip


def statistics(labels: Sequence[str]) -> list[Statistic]:
    """List the statistics for the types of a model.

    Args:
        labels: The entity types, in the order of their columns.
    """
    per = "per 1,000 words"
    entities = PLACE["entities"]
    of_types = [
        Statistic(f"entities_{label}", f"{label} entities", per, 1.15, _rate(place), _column(place), label, 1.0)
        for place, label in enumerate(labels, len(COLUMNS))
    ]
    return [
        Statistic("entities", "entities", per, 1.15, _rate(entities), _column(entities), least_spread=1.0),
        *(of_types if len(labels) > 1 else []),
        _share("unseen_forms", "names that training never had", "unseen_forms", "entities", 0.10),
        # Where most names are new anyway, hardly more can become new, but what they share with training is lost. Each
        # counts by its confidence and by the share of its words that training had.
        Statistic(
            "known_entities",
            "sure entities whose words training had",
            per,
            1.15,
            _rate(PLACE["known_entities"]),
            _sum("known_entities"),
        ),
        _share("unseen_words", "words that training never had", "unseen_words", "words", 0.05),
        _share("said_precision", "precision, as the model says", "confidence", "confident", 0.03),
        Statistic("said_misses", "missed entities, as the model says", "%", 0.03, _misses, _sum("expected")),
        SHAPE,
        Statistic("passage_length", "words per passage, in the middle", "words", 1.2, _length, _sum("passages")),
        _share("common_words", "words that are common in training's language", "common", "words", 0.05),
        _share("beyond_ascii", "words with letters beyond ASCII", "beyond_ascii", "words", 0.05),
        _share("capitalised", "words that begin with a capital", "capitalised", "words", 0.05),
        _share("upper", "words in capitals", "upper", "words", 0.05),
        _share("digits", "words with a digit", "digits", "words", 0.05),
        _share("signs", "signs among words and signs", "signs", "pieces", 0.05),
    ]


def compare(
    window: Sums,
    reference: Sums,
    labels: Sequence[str],
    *,
    rows: Sums | None = None,
    distinct: int | None = None,
    asked: int | None = None,
    without: Sequence[str] = (),
) -> list[Compared]:
    """Compare a window's sums with the reference.

    Args:
        window: The sums of the window's rows.
        reference: The rows of the reference, one per source or passage.
        labels: The entity types, in the order of their columns.
        rows: Rows of the window, or of a part of it. Without a change they are like those of the reference, so both are
            drawn from: a small reference does not know how much passages differ. None draws from the reference only.
        distinct: How many different passages the window has, where it has some several times: they say no more than
            one; None where all differ.
        asked: In how many of the window's passages the expected entities are known; None for all.
        without: Names of statistics that can't be compared.

    Returns:
        Each statistic of which something can be said.
    """
    total = reference.sum(axis=0)
    per_row = total[0] / len(reference)
    rng = numpy.random.default_rng(SEED)
    pool = reference
    if rows is not None and per_row < MOST_PER_ROW:
        pool = numpy.concatenate([reference, rows])
        per_row = float(pool[:, 0].sum()) / len(pool)
    again = _draw(rng, pool, total[0] / per_row)
    size = window[0] if distinct is None else min(window[0], distinct)
    drawn = _draw(rng, pool, size / per_row)
    if asked is not None and asked < size:
        # The model was asked about a part of the window only, and that part moves more.
        part = [PLACE["expected"], PLACE["found_confidence"]]
        drawn[:, part] = _draw(rng, pool, asked / per_row)[:, part]
    kept, distances, drawn_distances = [], [], []
    for statistic in statistics(labels):
        if statistic.name in without or not _enough(statistic, window, total):
            continue
        distance = _distance(statistic, window, total)
        moved = _distance(statistic, drawn, again)
        middle = float(moved.mean())
        spread = max(float(moved.std()), statistic.least_spread)
        kept.append((statistic, middle, spread))
        distances.append((float(distance) - middle) / spread)
        drawn_distances.append((moved - middle) / spread)
    if not kept:
        return []
    furthest = numpy.abs(numpy.array(drawn_distances)).max(axis=0)
    unusual, far_out = (float(numpy.quantile(furthest, 1 - share)) for share in (UNUSUAL, FAR_OUT))
    return [
        _compared(statistic, window, total, score, (unusual, far_out), middle, spread)
        for (statistic, middle, spread), score in zip(kept, distances, strict=True)
    ]


def _draw(rng: numpy.random.Generator, rows: Sums, number: float) -> Sums:
    """Draw that many rows, with replacement, and sum them; again and again."""
    count = max(1, min(round(number), MOST_TIMES * len(rows)))
    sums = numpy.empty((DRAWS, rows.shape[1]))
    for start in range(0, DRAWS, TOGETHER):
        if count <= 4 * len(rows):
            drawn = rng.integers(len(rows), size=(TOGETHER, count))
            drawn += len(rows) * numpy.arange(TOGETHER)[:, None]
            times = numpy.bincount(drawn.ravel(), minlength=TOGETHER * len(rows)).reshape(TOGETHER, len(rows))
        else:
            times = rng.multinomial(count, numpy.full(len(rows), 1 / len(rows)), size=TOGETHER)
        sums[start : start + TOGETHER] = times.astype(numpy.float64) @ rows
    return sums


def _enough(statistic: Statistic, window: Sums, total: Sums) -> bool:
    of_window, of_reference = float(statistic.amount(window)), float(statistic.amount(total))
    if not statistic.is_rate:
        return of_window >= FEWEST and of_reference >= FEWEST
    usual = of_reference * window[PLACE["words"]] / max(total[PLACE["words"]], 1)
    # A type that is rare in both says nothing; one that has become frequent does.
    return (of_reference >= FEWEST_ENTITIES and usual >= FEWEST_ENTITIES / 2) or of_window >= 2 * FEWEST_ENTITIES


def _distance(statistic: Statistic, window: Sums, reference: Sums) -> Values:
    """How far two sums are apart, on a scale on which the spread depends little on the value."""
    if statistic is SHAPE:
        return _moved(window, reference)
    if statistic.is_rate:
        # The square root of a count has the same spread, whatever the count.
        words = window[..., PLACE["words"]] / numpy.maximum(reference[..., PLACE["words"]], 1)
        usual = statistic.amount(reference) * words
        return 2 * (numpy.sqrt(statistic.amount(window) + 3 / 8) - numpy.sqrt(usual + 3 / 8))
    values = statistic.value(window), statistic.value(reference)
    if statistic.unit == "words":
        return numpy.log(numpy.maximum(values[0], 0.1)) - numpy.log(numpy.maximum(values[1], 0.1))
    return values[0] - values[1]


def _moved(window: Sums, reference: Sums) -> Values:
    """The share of the entities that would have to change their bin of confidence (total variation)."""
    shares = [
        sums[..., BINS] / numpy.maximum(sums[..., BINS].sum(axis=-1)[..., None], 1) for sums in (window, reference)
    ]
    return numpy.abs(shares[0] - shares[1]).sum(axis=-1) / 2


def _compared(
    statistic: Statistic, window: Sums, total: Sums, score: float, limits: tuple[float, float], middle: float,
    spread: float,
) -> Compared:  # fmt: skip
    unusual, far_out = limits
    if statistic is SHAPE:
        # Only more than by chance is a change, and chance alone moves some.
        value, reference, low = float(_moved(window, total)), middle, 0.0
        high = middle + unusual * spread
    else:
        value, reference = float(statistic.value(window)), float(statistic.value(total))
        low, high = (_value_at(statistic, window, total, middle + side * unusual * spread) for side in (-1, 1))
    effect = statistic.effect(value, reference)
    matters = effect >= statistic.least_effect if statistic is SHAPE else abs(effect) >= statistic.least_effect
    state = "usual"
    if matters and (score if statistic is SHAPE else abs(score)) > unusual:
        state = "far out" if abs(score) > far_out else "unusual"
    return Compared(statistic, value, reference, low, high, score, state)


def _value_at(statistic: Statistic, window: Sums, total: Sums, distance: float) -> float:
    """The value of a window that is at a distance from the reference."""
    reference = float(statistic.value(total))
    if statistic.is_rate:
        words = float(window[PLACE["words"]])
        usual = float(statistic.amount(total)) * words / max(float(total[PLACE["words"]]), 1)
        count = max(0.0, math.sqrt(usual + 3 / 8) + distance / 2) ** 2 - 3 / 8
        return 1000 * max(0.0, count) / max(words, 1)
    if statistic.unit == "words":
        return reference * math.exp(distance)
    return min(1.0, max(0.0, reference + distance))
