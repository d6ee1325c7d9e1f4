"""Probabilities that are exact: they add up to the size, and a draw keeps to them."""

import numpy
import pytest

from spacy_domain_ner.monitoring.probabilities import draw, inclusion_probabilities, whole_numbers

ALONE = numpy.arange


def test_probabilities_add_up_to_the_size_and_follow_the_weights():
    weights = numpy.array([1.0, 2, 3, 4, 5, 5, 10])
    found, limit = inclusion_probabilities([(3, weights)], ALONE(7), 1)
    assert found.sum() == pytest.approx(3)
    assert found == pytest.approx(3 * weights / weights.sum())
    assert limit == 1


def test_a_passage_that_would_be_drawn_more_than_once_is_certain_and_the_others_share_the_rest():
    found, _ = inclusion_probabilities([(2, numpy.array([100.0, 1, 1, 2]))], ALONE(4), 1)
    assert found == pytest.approx([1, 0.25, 0.25, 0.5])


def test_parts_of_a_sample_are_added_and_a_part_without_weight_is_left_out():
    parts = [(2.0, numpy.ones(8)), (2.0, numpy.array([1.0, 0, 0, 0, 1, 0, 1, 1])), (0.0, numpy.zeros(8))]
    found, _ = inclusion_probabilities(parts, ALONE(8), 1)
    assert found == pytest.approx([0.75, 0.25, 0.25, 0.25, 0.75, 0.25, 0.75, 0.75])


def test_a_sample_of_all_is_certain():
    found, _ = inclusion_probabilities([(5, numpy.array([1.0, 1e-9, 0, 3, 9]))], ALONE(5), 1)
    assert found == pytest.approx(numpy.ones(5))


@pytest.mark.parametrize(
    ("sources", "size", "limit"), [([0, 0, 0, 0, 1, 2, 3], 3, 1), ([0] * 7, 3, 3), ([0, 0, 0, 0, 0, 1, 1], 4, 2)]
)
def test_a_source_is_drawn_as_often_as_it_may_be_and_the_sizes_hold(sources, size, limit):
    sources = numpy.array(sources)
    weights = numpy.array([50.0, 40, 30, 1, 1, 1, 1])
    found, most = inclusion_probabilities([(size, weights)], sources, 1)
    assert most == limit
    assert found.sum() == pytest.approx(size)
    assert (found <= 1 + 1e-9).all()
    generator = numpy.random.default_rng(0)
    for _ in range(200):
        drawn = draw(found, sources, generator)
        assert len(set(drawn)) == len(drawn) == size
        assert numpy.bincount(sources[drawn]).max() <= limit


def test_passages_are_drawn_as_often_as_their_probabilities_say():
    probabilities = numpy.array([0.9, 0.1, 0.5, 0.5, 0.25, 0.75])
    sources = numpy.array([0, 1, 2, 2, 3, 3])
    generator = numpy.random.default_rng(1)
    times = numpy.zeros(6)
    for _ in range(4000):
        times[draw(probabilities, sources, generator)] += 1
    deviations = numpy.sqrt(4000 * probabilities * (1 - probabilities))
    assert (numpy.abs(times - 4000 * probabilities) < 4 * deviations).all()


def test_whole_numbers_add_up_to_the_size():
    assert whole_numbers(10, [1, 1, 1]) == [4, 3, 3]
    assert whole_numbers(7, [60, 10]) == [6, 1]
