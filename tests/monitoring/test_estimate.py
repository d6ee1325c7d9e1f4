"""Estimates of live quality: no bias on populations that are small enough to try every sample, and what they say."""

from itertools import combinations

import numpy
import pytest

from spacy_domain_ner.corpus import Span
from spacy_domain_ner.evaluation.bootstrap import Estimate
from spacy_domain_ner.monitoring.counts import Counts
from spacy_domain_ner.monitoring.estimate import estimate_reviews
from spacy_domain_ner.monitoring.evaluated import Evaluated
from spacy_domain_ner.monitoring.intervals import interval, student
from spacy_domain_ner.monitoring.live import Found
from spacy_domain_ner.monitoring.marks import Mark, Totals
from spacy_domain_ner.monitoring.reviews import Review

# Of each passage: the confidences of what was found and whether it is right, and how many entities were missed.
PASSAGES = [
    ([(0.9, True), (0.4, False)], 0), ([], 2), ([(0.7, True)], 1), ([(0.2, False)], 0), ([(0.95, True)] * 3, 0),
    ([(0.5, True), (0.5, False), (0.6, False)], 1),
]  # fmt: skip


def reviews_of(
    passages: list, size: int, probability: float = 1.0, blind: float = 0, totals_of: list | None = None
) -> list[Review]:
    """Review passages of which a model has found entities at places of their own."""
    rows = totals_of or passages
    found = [one for row, _ in rows for one in row]
    totals = Totals(
        len(rows), size, {"A": len(found)}, {"A": sum(sure for sure, _ in found)}, {"A": 0.5 * len(rows)}
    )  # fmt: skip
    made = []
    for number, (row, missed) in enumerate(passages):
        places = [Found(10 * n, 10 * n + 5, "A", sure) for n, (sure, _) in enumerate(row)]
        spans = [Span(f.start, f.end, "A") for f, (_, right) in zip(places, row, strict=True) if right]
        spans += [Span(1000 + 10 * n, 1005 + 10 * n, "A") for n in range(missed)]
        mark = Mark(
            "s", "uniform", number < blind * len(passages), probability, 1, 1, "m", str(number), tuple(places),
            {"A": 0.5}, totals,
        )  # fmt: skip
        made.append(Review(mark, frozenset(spans)))
    return made


def test_the_mean_over_all_samples_is_the_truth_however_wrong_the_model_is_about_itself():
    right, there = [], []
    for part in combinations(PASSAGES, 3):
        totals = Counts(reviews_of(list(part), 3, 0.5, totals_of=PASSAGES), ["A"]).totals([0])
        right.append(totals.right_rows + totals.weights @ totals.tp_off)
        there.append(totals.expected_rows + totals.weights @ totals.gold_off)
    assert numpy.mean(right) == pytest.approx(6)
    assert numpy.mean(there) == pytest.approx(10)


def test_a_review_of_all_rows_is_exact():
    quality = estimate_reviews(reviews_of(PASSAGES * 10, 60))
    found = quality.micro
    assert (found.mentions, found.is_known, quality.rows) == (100, True, 60)
    assert found.precision.value == pytest.approx(6 / 10)
    assert found.recall.value == pytest.approx(6 / 10)
    assert found.f1.value == pytest.approx(0.6)
    assert found.f1.high - found.f1.low < 0.01


def test_intervals_hold_the_truth_in_about_19_of_20_samples():
    generator = numpy.random.default_rng(2)
    population = [PASSAGES[number] for number in generator.integers(6, size=600)]
    right = sum(good for row, _ in population for _, good in row)
    truth = 2 * right / (sum(len(row) + missed for row, missed in population) + right)
    hits = 0
    for _ in range(200):
        part = [population[number] for number in generator.permutation(600)[:60]]
        found = estimate_reviews(reviews_of(part, 60, 0.1, totals_of=population)).micro.f1
        hits += found.low <= truth <= found.high
    assert 182 <= hits <= 199


def test_a_type_with_fewer_than_30_verified_mentions_is_unknown_and_says_how_many_more_passages_it_takes():
    quality = estimate_reviews(reviews_of(PASSAGES * 2, 12, 0.1, totals_of=PASSAGES * 20))
    found = quality.types["A"]
    assert (found.mentions, found.is_known, found.f1) == (20, False, None)
    assert 5 <= found.more_passages <= 7
    assert quality.to_dict()["types"]["A"]["known"] is False


def test_a_drop_against_the_evaluation_set_has_a_probability():
    reviews = reviews_of(PASSAGES * 10, 60, 0.2, totals_of=PASSAGES * 50)
    for before, low, high in ((0.95, 0.99, 1), (0.6, 0, 0.2), (0.65, 0.4, 0.6)):
        evaluated = Evaluated("metrics.json", {"f1": Estimate(before, before - 0.02, before + 0.02)}, {})
        assert low <= estimate_reviews(reviews, evaluated).micro.drop_probability <= high
    assert estimate_reviews(reviews).micro.drop_probability is None


def test_passages_that_did_not_come_back_are_taken_to_be_like_the_others():
    quality = estimate_reviews(reviews_of(PASSAGES * 5, 60, 1.0, totals_of=PASSAGES * 10))
    assert quality.micro.f1.value == pytest.approx(0.6)
    assert quality.micro.f1.low < 0.55
    assert "30 of 60 sampled passages did not come back" in quality.notes[0]


def test_what_reviewers_left_open_counts_as_the_model_says():
    [review] = reviews_of([([(0.9, True), (0.4, False)], 0)], 1)
    open_one = Review(review.mark, review.spans, (Span(10, 12, ""),))
    totals = Counts([open_one], ["A"]).totals([0])
    assert totals.tp[0] == pytest.approx(1.4)
    assert totals.tp_off[0] == pytest.approx(0.1)


def test_reviewers_who_confirm_what_they_see_are_found_out_by_the_blind_passages():
    honest = reviews_of(PASSAGES * 30, 180, 0.5, blind=0.2, totals_of=PASSAGES * 60)
    assert not estimate_reviews(honest).anchoring.is_certain
    following = [
        one if one.mark.blind else Review(one.mark, frozenset(Span(f.start, f.end, f.label) for f in one.mark.found))
        for one in honest
    ]
    quality = estimate_reviews(following)
    assert quality.anchoring.is_certain
    assert quality.anchoring.confirmed.value > 0.9
    assert quality.micro.f1.value > 0.85
    assert quality.anchoring.f1_blind.low < 0.6 < quality.anchoring.f1_blind.high
    assert "Reviewers confirmed" in quality.notes[-1]


def test_confidence_is_compared_with_what_is_right():
    found = estimate_reviews(reviews_of([([(0.9, True)] * 4, 0), ([(0.9, False)], 0)] * 20, 40)).calibration
    assert found.said == pytest.approx(0.9)
    assert found.precision.value == pytest.approx(0.8)
    assert found.error == pytest.approx(0.1)


def test_mentions_of_a_type_that_the_model_does_not_have_count_as_missed_and_are_told():
    reviews = reviews_of(PASSAGES * 10, 60)
    other = Review(reviews[0].mark, reviews[0].spans | {Span(500, 505, "B")})
    quality = estimate_reviews([other, *reviews[1:]])
    assert quality.types["B"].mentions == 1
    assert quality.micro.recall.value == pytest.approx(60 / 101, abs=1e-6)
    assert "B: 1 mention(s) of a type that the model neither finds nor expects" in quality.notes[0]


def test_the_interval_is_wilsons_where_passages_are_independent_mentions():
    found = interval(0.9, 0.9 * 0.1 / 50, 1e9, 50)
    assert (found.low, found.high) == pytest.approx((0.7864, 0.9565), abs=1e-3)


def test_where_not_one_error_was_seen_the_interval_leaves_room_for_some():
    found = estimate_reviews(
        reviews_of([([(0.99, True)], 0)] * 40, 40, 0.1, totals_of=[([(0.99, True)], 0)] * 400)
    ).micro.precision
    assert found.value == pytest.approx(1)
    assert 0.85 < found.low < 0.95


@pytest.mark.parametrize(("freedom", "quantile"), [(5, 2.571), (9, 2.262), (39, 2.023), (199, 1.972)])
def test_students_quantile(freedom, quantile):
    assert student(freedom) == pytest.approx(quantile, abs=0.005)
