"""Krippendorff's alpha: the paper's own examples, and its definition."""

import random

import pytest
from helpers.agreement import by_definition

from spacy_domain_ner.annotation.krippendorff import krippendorff_alpha


@pytest.mark.parametrize(
    ("observers", "alpha"),
    [
        pytest.param(["0100000010", "1110010000"], 0.095, id="A: binary data, two observers"),
        pytest.param(["aabbdcccedda", "babbbccceddd"], 0.692, id="B: nominal data, two observers"),
        pytest.param(
            ["123321412...", "1233224125.3", ".3332342251.", "12332441251."],
            0.743,
            id="C: many observers",
        ),
    ],
)
def test_alpha_is_that_of_the_papers_examples(observers, alpha):
    units = [[value for value in unit if value != "."] for unit in zip(*observers, strict=True)]
    assert round(krippendorff_alpha(units), 3) == alpha


@pytest.mark.parametrize(
    ("units", "alpha"),
    [
        pytest.param(["aa", "bb", "ccc"], 1.0, id="all agree"),
        pytest.param(["ab", "ba"], -0.5, id="they contradict each other"),
        pytest.param(["aa", "aa"], None, id="no variation"),
        pytest.param(["a", "b"], None, id="nothing to pair"),
        pytest.param([], None, id="nothing"),
    ],
)
def test_alpha_at_its_ends(units, alpha):
    assert krippendorff_alpha(units) == alpha


@pytest.mark.parametrize("seed", range(20))
def test_alpha_is_one_less_observed_by_expected_disagreement(seed):
    numbers = random.Random(seed)
    units = [[numbers.choice("abcd") for _ in range(numbers.randrange(5))] for _ in range(30)]
    assert krippendorff_alpha(units) == pytest.approx(by_definition(units))
