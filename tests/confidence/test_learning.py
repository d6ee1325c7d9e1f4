"""How much there is to be learned from a passage."""

import pytest

from spacy_domain_ner.confidence.learning import expected_errors, sureness

FOUND = [("TEAM", 0.9), ("TEAM", 0.5), ("SERVICE", 0.8)]


@pytest.mark.parametrize(
    ("found", "expected", "errors"),
    [
        ([], None, 0),
        ([], {}, 0),
        (FOUND, None, 0.8),
        # Nothing is found, and something is expected.
        ([], {"TEAM": 0.7, "SERVICE": 0.2}, 0.9),
        # Two of three TEAM are missed; more SERVICE are found than expected, which makes up for nothing.
        (FOUND, {"TEAM": 3.4, "SERVICE": 0.1}, 2.8),
        (FOUND, {"TEAM": 1.4, "SERVICE": 0.8}, 0.8),
        ([("TEAM", 1.0)], {"TEAM": 1.0, "OTHER": 0.0}, 0),
    ],
)
def test_expected_errors_are_what_is_wrong_and_what_is_missed_of_each_type(found, expected, errors):
    assert expected_errors(found, expected) == pytest.approx(errors)


def test_a_score_is_lower_where_more_errors_are_expected_and_where_fewer_words_have_them():
    scores = [sureness(errors, 25) for errors in (0, 0.01, 1, 10, 1000)]
    assert scores == sorted(set(scores), reverse=True)
    assert (scores[0], scores[-1] > 0) == (1, True)
    assert sureness(1, 0) < sureness(1, 25) < sureness(1, 2500)
    # A passage that is four times as long and has four times the errors teaches more, but not four times as much.
    assert sureness(4, 100) < sureness(1, 25)
