"""Which contradictions between models and annotations weigh most."""

import pytest

from spacy_domain_ner.annotation.suspects import rank_suspects
from spacy_domain_ner.confidence import Prediction
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.label_issues import Suspect

A, B, LONGER = Span(0, 4, "A"), Span(0, 4, "B"), Span(0, 7, "A")


def ranked(predictions: dict[str, Prediction], *passages: Passage) -> list[Suspect]:
    """What is suspect among three folds of known names and some passages, of which the models find what is given.

    In all other passages they find what is annotated, and are sure.
    """
    folds = [[Passage(f"Name of {fold} {number}", [A]) for number in range(30)] for fold in range(3)]
    folds[0] += passages
    readings = []
    for index, held_out in enumerate(folds):
        sure = [Prediction(passage.spans, dict.fromkeys(passage.spans, 1.0)) for passage in held_out]
        found = [predictions.get(passage.text, one) for passage, one in zip(held_out, sure, strict=True)]
        readings.append((held_out, found, folds[index - 1]))
    return rank_suspects(readings)


def test_where_models_agree_nothing_is_suspect():
    assert ranked({}) == []


@pytest.mark.parametrize(
    ("annotated", "prediction", "expected"),
    [
        pytest.param([A], Prediction([B], {A: 0.1, B: 0.9}), (A, B), id="another type"),
        pytest.param([A], Prediction([LONGER], {A: 0.1, LONGER: 0.9}), (A, LONGER), id="another boundary"),
        pytest.param([], Prediction([A], {A: 0.9}), (None, A), id="forgotten"),
        pytest.param([A], Prediction([], {A: 0.1}), (A, None), id="too much"),
    ],
)
def test_a_contradiction_of_each_kind_is_found(annotated, prediction, expected):
    passage = Passage("Name is odd", annotated)
    [suspect] = ranked({passage.text: prediction}, passage)
    assert suspect.passage is passage
    assert (suspect.annotated, suspect.predicted) == expected
    assert 0.7 < suspect.confidence <= 0.9


def test_the_surer_contradiction_comes_first():
    texts = {f"Name is {share}": share for share in (0.5, 0.9, 0.7)}
    predictions = {text: Prediction([B], {A: 1 - share, B: share}) for text, share in texts.items()}
    found = ranked(predictions, *(Passage(text, [A]) for text in texts))
    assert [suspect.passage.text for suspect in found] == ["Name is 0.9", "Name is 0.7", "Name is 0.5"]


def test_what_models_contradict_everywhere_weighs_little():
    # Names that no training had are missed, all of them; one that training has is missed once.
    new = [Passage(f"N{number:03} is new", [A]) for number in range(30)]
    odd = Passage("Name is odd", [A])
    predictions = {passage.text: Prediction([], {A: 0.0}) for passage in new}
    predictions[odd.text] = Prediction([], {A: 0.2})
    found = ranked(predictions, *new, odd)
    assert found[0].passage is odd
    assert found[1].confidence < 0.5 * found[0].confidence


def test_a_model_that_gives_no_probabilities_still_contradicts():
    passage = Passage("Name is odd", [A])
    [suspect] = ranked({passage.text: Prediction([B])}, passage)
    assert 0.9 < suspect.confidence < 1
