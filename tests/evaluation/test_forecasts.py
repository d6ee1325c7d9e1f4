"""Known curves are recovered, and a forecast that the points do not support is not made."""

import numpy
import pytest

from spacy_domain_ner.evaluation.forecasts import Measured, fit, learn_from

SIZES = (100, 200, 400, 800)


def counts(f1: float, support: int = 1000) -> numpy.ndarray:
    """Passages with one mention each: this many are found, and there are as many inventions as misses."""
    found = numpy.arange(support) < round(f1 * support)
    return numpy.stack([found, ~found, ~found], axis=1).astype(int)


def curve(*scores: float, support: int = 1000, sizes=SIZES):
    return learn_from(
        [Measured(size, {"A": size}, {"A": counts(f1, support)}) for size, f1 in zip(sizes, scores, strict=True)]
    )


@pytest.mark.parametrize(("limit", "factor", "exponent"), [(0.95, 1.2, 0.3), (0.9, 2.0, 0.5), (0.8, 0.9, 0.4)])
def test_the_range_holds_what_the_curve_would_come_to(limit, factor, exponent):
    scores = [limit - factor * size**-exponent for size in SIZES]
    value, low, high = curve(*scores).forecasts["A"].doubled
    truth = limit - factor * 1600**-exponent
    assert low <= truth <= high
    assert abs(value - truth) < 0.03


def test_points_without_noise_are_continued():
    """Each doubling leaves 0.7 of the errors, and so do the next ones, a little more with each."""
    sizes = numpy.array(SIZES, float)
    growth = fit(sizes, 1 - 0.8 * 0.7 ** numpy.arange(4), numpy.full(4, 1e-8))
    assert growth.misfit < 1e-6
    assert 1 - 0.8 * 0.7**3.75 < numpy.median(growth.after(1)) < 1 - 0.8 * 0.7**4
    steady = growth.decays > 0.99
    assert growth.after(2)[steady] == pytest.approx(1 - 0.8 * 0.7**5, abs=0.01)
    reached = growth.doublings_to(1 - 0.8 * 0.7**5)[steady & (growth.decays < 1.01)]
    assert reached == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize(
    "scores", [(0.31, 0.41, 0.68, 0.82), (0.7, 0.7, 0.7, 0.7), (0.72, 0.71, 0.7, 0.69), (0.5, 0.7, 0.65, 0.72)]
)
@pytest.mark.parametrize("support", [40, 400])
def test_a_forecast_is_never_less_than_what_is_measured(scores, support):
    found = curve(*scores, support=support).forecasts.get("A")
    if found is not None:
        likely, low, high = found.doubled
        assert found.f1 <= low <= likely <= high <= 1


def test_a_type_that_rises_faster_and_faster_is_not_out_of_reach():
    assert "out of reach" not in curve(0.31, 0.41, 0.68, 0.82, support=60).forecasts["A"].text


def test_few_mentions_to_judge_by_make_the_range_wider():
    scores = (0.55, 0.65, 0.72, 0.77)
    wide, narrow = (
        found.doubled[2] - found.doubled[1]
        for found in (curve(*scores, support=support).forecasts["A"] for support in (30, 3000))
    )
    assert wide > 1.5 * narrow


def test_a_steep_curve_says_how_many_more_examples():
    forecast = curve(0.4, 0.58, 0.7, 0.78).forecasts["A"]
    assert forecast.needed
    fewest, most = forecast.needed_range
    assert fewest <= forecast.needed
    assert most is None or forecast.needed <= most
    assert "more examples for F1 0.85" in forecast.text
    assert forecast.worth_it


def test_a_flat_curve_says_that_more_will_not_help():
    forecast = curve(0.7, 0.7, 0.7, 0.7).forecasts["A"]
    assert "more data of the same kind will hardly help" in forecast.text
    assert forecast.needed is None


def test_a_falling_curve_counts_as_flat():
    forecast = curve(0.72, 0.71, 0.7, 0.69).forecasts["A"]
    assert forecast.doubled[0] <= 0.73
    assert "hardly help" in forecast.text
    assert not forecast.worth_it


def test_a_type_that_is_good_enough_needs_no_more_examples():
    assert "F1 0.95 is enough" in curve(0.8, 0.88, 0.92, 0.95).forecasts["A"].text


def test_a_type_with_too_few_mentions_or_points_has_no_forecast():
    assert curve(0.5, 0.6, 0.7, 0.8, support=19).forecasts == {}
    assert curve(0.5, 0.6, 0.7, 0.8, sizes=(4, 8, 15, 29)).forecasts == {}
    assert curve(0.5, 0.6, sizes=(100, 200)).forecasts == {}
    same = [Measured(size, {"A": 50}, {"A": counts(0.5)}) for size in SIZES]
    assert learn_from(same).forecasts == {}


def test_points_that_do_not_lie_on_a_curve_give_no_forecast():
    # Too few examples yet: F1 still rises ever faster.
    found = curve(0.0, 0.02, 0.1, 0.6)
    assert found.forecasts == {}
    assert [point.f1["A"] for point in found.points] == [0.0, 0.02, 0.1, 0.6]


def test_a_type_that_small_parts_lack_has_a_point_for_each():
    measured = [
        Measured(100, {"A": 10}, {"A": counts(0.5, 20)}),
        Measured(200, {"A": 20, "B": 2}, {"A": counts(0.6, 20), "B": counts(0.1, 20)}),
    ]
    found = learn_from(measured[::-1])
    assert [point.passages for point in found.points] == [100, 200]
    assert found.points[0].mentions == {"A": 10, "B": 0}
    assert found.points[0].f1["B"] == 0
    assert found.points[1].micro == pytest.approx((12 + 2) / 40)


def test_the_figures_are_those_of_the_page():
    figures = curve(0.4, 0.58, 0.7, 0.78).to_dict()
    assert [point["f1"]["A"] for point in figures["points"]] == [0.4, 0.58, 0.7, 0.78]
    assert figures["forecasts"]["A"]["mentions"] == 800
    assert len(figures["forecasts"]["A"]["doubled"]) == 3
