"""Calibration: against made-up models whose truth is known, and as it is kept with a trained one."""

import math
import random

import numpy
import pytest
import spacy
from helpers.memorized import memorized

from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import (
    Calibration,
    Coverage,
    Judged,
    calibrate,
    chance_calibration_error,
    expected_calibration_error,
    expected_entities,
    find_thresholds,
    fit_line,
    least_confidences,
    read_calibration,
    reliability,
    risk_coverage,
    surest,
)
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError


def drawn(count: int, slope: float = 1.0, intercept: float = 0.0, seed: int = 0) -> list[Judged]:
    """Entities of a model whose log-odds lie on a line to the true ones."""
    draw = random.Random(seed)
    found = []
    for _ in range(count):
        log_odds = draw.gauss(1, 2)
        true = 1 / (1 + numpy.exp(-(slope * log_odds + intercept)))
        found.append(Judged("A", 1 / (1 + numpy.exp(-log_odds)), draw.random() < true))
    return found


def test_the_line_of_many_entities_is_the_true_one():
    judged = drawn(20_000, 0.5, -1.0)
    slope, intercept = fit_line([one.confidence for one in judged], [one.right for one in judged])
    assert slope == pytest.approx(0.5, abs=0.03)
    assert intercept == pytest.approx(-1.0, abs=0.05)


def test_calibration_makes_an_overconfident_model_honest_on_other_entities():
    judged, others = drawn(400, 0.4, -0.5), drawn(5_000, 0.4, -0.5, seed=1)
    line = Calibration(*fit_line([one.confidence for one in judged], [one.right for one in judged]))
    assert expected_calibration_error(others) > 0.15
    assert expected_calibration_error([o._replace(confidence=line.apply(o.confidence)) for o in others]) < 0.04


@pytest.mark.parametrize("right", [[True], [False], [True] * 30, [False] * 30, [True, False]])
@pytest.mark.parametrize("probability", [0.0, 1e-12, 0.5, 1.0])
def test_few_or_extreme_entities_make_a_usable_line(right, probability):
    line = Calibration(*fit_line([probability] * len(right), right))
    values = [line.apply(number / 10) for number in range(11)]
    assert values == sorted(values)
    assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("probability", [1 - 1e-12, 1 - 1e-6, 0.999, 0.5, 1e-3])
@pytest.mark.parametrize("right", [0.1, 0.5, 0.9])
def test_a_model_that_is_always_as_sure_is_right_as_often_as_it_was(probability, right):
    count = 400
    line = Calibration(*fit_line([probability] * count, [number < right * count for number in range(count)]))
    assert line.apply(probability) == pytest.approx(right, abs=0.03)


def test_the_calibration_error_by_hand():
    judged = [Judged("A", 0.95, True), Judged("A", 0.91, False), Judged("A", 0.25, False), Judged("A", 0.25, True)]
    # Upper bin: 0.93 against 0.5; lower bin: 0.25 against 0.5; half of the entities in each.
    assert expected_calibration_error(judged) == pytest.approx((0.43 + 0.25) / 2)
    assert [one.count for one in reliability(judged)] == [2, 2]
    assert expected_calibration_error([]) is None
    assert expected_calibration_error([Judged("A", 1.0, True)]) == 0


def test_by_chance_a_perfect_model_has_an_error_as_well():
    generator = numpy.random.default_rng(0)
    for count in (50, 1000):
        sure = generator.beta(2, 1, size=count)
        drawn = [[Judged("A", p, bool(generator.random() < p)) for p in sure] for _ in range(200)]
        mean = numpy.mean([expected_calibration_error(judged) for judged in drawn])
        assert chance_calibration_error(drawn[0]) == pytest.approx(mean, rel=0.1)
    assert chance_calibration_error([]) is None
    assert chance_calibration_error([Judged("A", 1.0, True)]) == 0


def test_the_surest_are_kept_first():
    judged = [Judged("A", 0.9, True), Judged("A", 0.5, False), Judged("A", 0.8, True), Judged("A", 0.5, True)]
    assert risk_coverage(judged) == [Coverage(0.25, 0.9, 1.0), Coverage(0.5, 0.8, 1.0), Coverage(1.0, 0.5, 0.75)]


def test_a_threshold_keeps_as_much_as_it_can():
    judged = [Judged("A", share / 100, share > 50) for share in range(1, 101)]
    [pairs] = find_thresholds(judged).values()
    assert pairs == sorted(pairs)
    assert [precision for _, precision in pairs] == sorted({precision for _, precision in pairs})
    threshold = Calibration(1, 0, {"A": pairs}).reaching(0.9)["A"]
    # 50 right of 54 from 0.47 on: 51/56 is above 0.9, and 51/57 is not.
    assert threshold == pytest.approx(0.47)
    assert Calibration(1, 0, {"A": pairs}).reaching(0.99)["A"] is None


def test_one_right_entity_is_not_yet_precise():
    assert Calibration(1, 0, find_thresholds([Judged("A", 0.9, True)])).reaching(0.9) == {"A": None}


TEXT = "checkout-api calls Redis"
REDIS, CHECKOUT = Span(19, 24, "INFRA"), Span(0, 12, "SERVICE")


@pytest.fixture
def nlp():
    return memorized(FACTORY, [Passage(TEXT, [CHECKOUT, REDIS])])


def test_a_model_that_is_wrong_is_less_sure_after_calibration_and_keeps_it(nlp, tmp_path):
    before = {ent.text: ent._.confidence for ent in nlp(TEXT).ents}
    found = calibrate(nlp, [Passage(TEXT, [REDIS])] * 30)
    assert found is not None
    nlp.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model")
    kept = read_calibration(again)
    assert (kept.slope, kept.intercept) == pytest.approx((found.slope, found.intercept))
    assert kept.thresholds.keys() == {"INFRA", "SERVICE"}
    after = {ent.text: ent._.confidence for ent in again(TEXT).ents}
    assert sum(after.values()) / 2 == pytest.approx(0.5, abs=0.1)
    assert sum(after.values()) < sum(before.values())
    # Of INFRA all were right, of SERVICE none.
    assert least_confidences(again, [], 0.9)["INFRA"] <= after["Redis"]
    assert least_confidences(again, ["SERVICE=0.1"], 0.9)["SERVICE"] == 0.1
    assert least_confidences(again, [], 0.9)["SERVICE"] == math.inf


def test_of_a_type_that_the_passages_had_nothing_of_none_is_sure_enough(nlp):
    calibrate(nlp, [Passage(TEXT, [CHECKOUT, REDIS])] * 30)
    kept = nlp.get_pipe("ner").calibration
    nlp.get_pipe("ner").calibration = {**kept, "thresholds": {"INFRA": kept["thresholds"]["INFRA"]}}
    least = least_confidences(nlp, [], 0.9)
    assert least["INFRA"] <= 1
    assert least["SERVICE"] == math.inf


def test_the_surest_part_of_a_curve():
    points = risk_coverage([Judged("A", 0.9, True), Judged("A", 0.5, False), Judged("A", 0.5, True)])
    assert [surest(points, share).covered for share in (0.1, 0.5, 1.0)] == [pytest.approx(1 / 3)] * 2 + [1.0]


def test_calibrating_again_begins_anew(nlp):
    passages = [Passage(TEXT, [REDIS])] * 10
    assert calibrate(nlp, passages) == calibrate(nlp, passages)


def test_what_can_not_be_calibrated_is_left_alone(nlp):
    assert calibrate(nlp, []) is None
    assert read_calibration(nlp) is None
    assert calibrate(spacy.blank("en"), [Passage(TEXT)]) is None


@pytest.mark.parametrize(
    ("given", "precision", "message"),
    [
        (["lots"], None, "`min_confidence` is 'lots'"),
        (["1.5"], None, "`min_confidence` is '1.5'"),
        (["TEAM=0.5"], None, "has no type 'TEAM'"),
        ([], 0.9, "has no thresholds"),
        ([], 90.0, "`precision` is 90"),
    ],
)
def test_what_is_no_threshold_is_refused(nlp, given, precision, message):
    with pytest.raises(UserError, match=message):
        least_confidences(nlp, given, precision)


def test_a_model_without_confidence_takes_no_threshold():
    with pytest.raises(UserError, match="gives no confidence"):
        least_confidences(spacy.blank("en"), ["0.5"], None)


def test_after_calibration_as_many_are_expected_as_there_are(nlp):
    # The model knows both names, and only one of them is annotated in two of three passages.
    passages = [Passage(TEXT, [CHECKOUT, REDIS] if number % 3 == 0 else [REDIS]) for number in range(300)]
    calibrate(nlp, passages)
    expected = list(expected_entities(nlp, [passage.text for passage in passages]))
    assert sum(counts["INFRA"] for counts in expected) == pytest.approx(300, rel=0.05)
    assert sum(counts["SERVICE"] for counts in expected) == pytest.approx(100, rel=0.1)


def test_passages_with_unknown_parts_and_what_rules_find_do_not_count_for_what_is_expected(nlp):
    known = [Passage(TEXT, [CHECKOUT, REDIS])] * 20
    alone = calibrate(nlp, known)
    unknown = [Passage(TEXT, [REDIS], unknown=[Span(0, 12, "")])] * 20
    assert calibrate(nlp, [*known, *unknown]).expected == alone.expected
    rules = nlp.add_pipe("entity_ruler", before="ner")
    rules.add_patterns([{"label": "SERVICE", "pattern": "checkout-api"}])
    calibrate(nlp, known)
    assert read_calibration(nlp).expected["INFRA"] == pytest.approx(1, abs=0.1)
    assert read_calibration(nlp).expected["SERVICE"] == pytest.approx(1, abs=0.1)
