"""Intervals against a recomputation without arrays, and what is known of them."""

import random

import numpy
import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.bootstrap import (
    Estimate,
    count_passages,
    estimate,
    estimate_difference,
    f1,
    precision,
    recall,
)
from spacy_domain_ner.evaluation.scores import Score, score


def made_up(passages: int, found: float = 0.7, seed: int = 0) -> numpy.ndarray:
    """Counts of passages with up to four mentions, some of which a model finds."""
    chance = random.Random(seed)
    rows = []
    for _ in range(passages):
        mentions = chance.randint(0, 4)
        hits = sum(chance.random() < found for _ in range(mentions))
        rows.append((hits, sum(chance.random() < 0.2 for _ in range(2)), mentions - hits))
    return numpy.array(rows)


def recomputed(score_of, passages: int, resamples: int = 1000) -> tuple[float, float]:
    """The interval of a function of passages' numbers: the draws one by one, the quantiles by sorting."""
    draws = numpy.random.default_rng(0).integers(passages, size=(resamples, passages)).tolist()
    values = sorted(value for draw in draws if (value := score_of(draw)) is not None)

    def quantile(share: float) -> float:
        place = share * (len(values) - 1)
        low = int(place)
        return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])

    return quantile(0.025), quantile(0.975)


def scored(counts: numpy.ndarray, draw: list[int]) -> Score:
    return sum((Score(*(int(number) for number in counts[passage])) for passage in draw), Score())


@pytest.mark.parametrize(("statistic", "name"), [(f1, "f1"), (precision, "precision"), (recall, "recall")])
@pytest.mark.parametrize("passages", [1, 5, 83])
def test_an_interval_is_that_of_plain_python(statistic, name, passages):
    counts = made_up(passages, seed=passages)
    found = estimate(counts, statistic)
    value = getattr(scored(counts, list(range(passages))), name)
    low, high = recomputed(lambda draw: getattr(scored(counts, draw), name), passages)
    assert [found.value, found.low, found.high] == pytest.approx([value, low, high], abs=1e-12)


def test_a_difference_is_that_of_plain_python():
    better, worse = made_up(40, 0.9), made_up(40, 0.6, seed=1)
    found = estimate_difference(better, worse)
    low, high = recomputed(lambda draw: scored(better, draw).f1 - scored(worse, draw).f1, 40)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-12)
    assert found.value == pytest.approx(estimate(better).value - estimate(worse).value)
    assert found.low > 0


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_holds_the_score_and_shrinks_with_more_passages(seed):
    widths = []
    for passages in (25, 100, 400, 1600):
        found = estimate(made_up(passages, seed=seed))
        assert 0 <= found.low <= found.value <= found.high <= 1
        widths.append(found.high - found.low)
    assert widths == sorted(widths, reverse=True)
    # With the root of their number.
    assert widths[0] / widths[-1] == pytest.approx(8, rel=0.4)


def test_about_95_of_100_intervals_hold_the_true_score():
    counts = [made_up(60, seed=seed) for seed in range(300)]
    truth = f1(numpy.concatenate(counts).sum(axis=0))
    held = sum(found.low <= truth <= found.high for found in map(estimate, counts))
    assert 0.9 <= held / 300 <= 0.98


def test_the_same_counts_give_the_same_interval_and_another_seed_another():
    counts = made_up(50)
    assert estimate(counts) == estimate(counts.copy())
    assert estimate(counts) != estimate(counts, seed=1)


def test_a_wider_level_gives_a_wider_interval():
    counts = made_up(50)
    narrow, wide = estimate(counts, level=0.8), estimate(counts, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_a_model_differs_from_itself_by_nothing():
    assert estimate_difference(made_up(30), made_up(30)) == Estimate(0.0, 0.0, 0.0)


def test_a_paired_interval_is_narrower_than_that_of_two_models_that_fail_on_the_same_passages():
    counts = made_up(100)
    slightly_better = counts.copy()
    missed = numpy.flatnonzero(counts[:, 2])[:10]
    slightly_better[missed] += [1, 0, -1]
    alone, paired = estimate(counts), estimate_difference(slightly_better, counts)
    assert paired.high - paired.low < (alone.high - alone.low) / 2
    assert paired.low > 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([], (None, None, None), id="no passage"),
        pytest.param([(0, 0, 0)] * 3, (None, None, None), id="neither a mention nor a prediction"),
        pytest.param([(0, 1, 0), (0, 0, 0)], (0.0, 0.0, None), id="inventions only"),
        pytest.param([(0, 0, 1), (0, 0, 0)], (0.0, None, 0.0), id="misses only"),
        pytest.param([(2, 0, 0), (1, 0, 0)], (1.0, 1.0, 1.0), id="all right"),
    ],
)
def test_a_score_that_is_undefined_is_none(rows, expected):
    counts = numpy.array(rows, dtype=int).reshape(-1, 3)
    for statistic, value in zip((f1, precision, recall), expected, strict=True):
        found = estimate(counts, statistic)
        assert found == (None if value is None else Estimate(value, value, value))
    if expected[0] is None:
        assert estimate_difference(counts, counts) is None


def test_draws_without_a_mention_are_left_out():
    # Most draws of these passages miss the only one that counts.
    counts = numpy.zeros((50, 3), dtype=int)
    counts[7] = 1, 1, 0
    assert estimate(counts) == Estimate(*[pytest.approx(2 / 3)] * 3)


def test_other_passages_can_not_be_paired():
    with pytest.raises(ValueError, match="30 and of 31"):
        estimate_difference(made_up(30), made_up(31))


def test_the_counts_of_passages_add_up_to_the_score():
    passages = [
        Passage("Redis and Kafka", [Span(0, 5, "INFRA"), Span(10, 15, "INFRA")]),
        Passage("nothing"),
        Passage("billing", [Span(0, 7, "SERVICE")]),
    ]
    predictions = [[Span(0, 5, "INFRA"), Span(6, 9, "TEAM")], [Span(0, 7, "INFRA")], [Span(0, 7, "SERVICE")]]
    counts = count_passages(passages, predictions, ["CONFIG", "INFRA"])
    assert {label: of_type.tolist() for label, of_type in counts.items()} == {
        "CONFIG": [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        "INFRA": [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
        "TEAM": [[0, 1, 0], [0, 0, 0], [0, 0, 0]],
        "SERVICE": [[0, 0, 0], [0, 0, 0], [1, 0, 0]],
    }
    for label, result in score(passages, predictions, []).types.items():
        assert Score(*counts[label].sum(axis=0).tolist()) == result
