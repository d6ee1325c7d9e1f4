"""What more labelled passages are likely to gain."""

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.forecasts import Forecast, LearningCurve
from spacy_domain_ner.evaluation.gains import gains_at_random, labelling_hours


def test_labelling_takes_time_for_passages_words_and_mentions():
    assert labelling_hours(100, 2_400, 200) == pytest.approx((300 + 600 + 600) / 3600)


def test_passages_at_random_gain_by_the_mentions_that_the_present_ones_have():
    def forecast(f1: float, doubled: float) -> Forecast:
        return Forecast(100, f1, (doubled, doubled, doubled), None, (None, None), "")

    curve = LearningCurve([], {"A": forecast(0.5, 0.75), "B": forecast(0.5, 0.5), "C": forecast(0.5, 0.9)})
    drawn = [Passage("one two three", [Span(0, 3, "A")]), Passage("one two three four five", [Span(0, 3, "B")])] * 50
    chosen = Passage("one two", [Span(0, 3, "A"), Span(4, 7, "A")], {"training_only": True})
    gains = gains_at_random(curve, [*drawn, *[chosen] * 70])
    # 50 of 100 mentions more: errors fall to a half with each doubling.
    assert [(gain.label, round(gain.points, 1)) for gain in gains] == [("A", 16.7), ("B", 0.0)]
    assert gains[0].hours == pytest.approx(labelling_hours(100, 400, 100))
    assert gains[0].per_hour == pytest.approx(gains[0].points / gains[0].hours)
    assert gains_at_random(curve, [chosen]) == []
