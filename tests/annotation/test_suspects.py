"""Which contradictions between models and annotations weigh most."""

import pytest

from spacy_domain_ner.annotation.suspects import find_suspects
from spacy_domain_ner.confidence import Prediction
from spacy_domain_ner.corpus import Passage, Span

A, B, LONGER = Span(0, 4, "A"), Span(0, 4, "B"), Span(0, 7, "A")


def reader(predictions: dict[str, Prediction]):
    """Models that find in each text what is given; else what is annotated, surely."""

    def read(rest, dev, held_out):
        assert not {id(p) for p in held_out} & {id(p) for p in (*rest, *dev)}
        sure = (dict.fromkeys(passage.spans, 1.0) for passage in held_out)
        return [predictions.get(p.text, Prediction(p.spans, shares)) for p, shares in zip(held_out, sure, strict=True)]

    return read


def folds(*passages: Passage) -> list[list[Passage]]:
    known = [[Passage(f"Name of {fold} {number}", [A]) for number in range(30)] for fold in range(3)]
    known[0] += passages
    return known


def test_where_models_agree_nothing_is_suspect():
    assert find_suspects(folds(), reader({})) == []


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
    [suspect] = find_suspects(folds(passage), reader({passage.text: prediction}))
    assert suspect.passage is passage
    assert (suspect.annotated, suspect.predicted) == expected
    assert 0.7 < suspect.confidence <= 0.9


def test_the_surer_contradiction_comes_first():
    texts = {f"Name is {share}": share for share in (0.5, 0.9, 0.7)}
    predictions = {text: Prediction([B], {A: 1 - share, B: share}) for text, share in texts.items()}
    found = find_suspects(folds(*(Passage(text, [A]) for text in texts)), reader(predictions))
    assert [suspect.passage.text for suspect in found] == ["Name is 0.9", "Name is 0.7", "Name is 0.5"]


def test_what_models_contradict_everywhere_weighs_little():
    # Names that no training had are missed, all of them; one that training has is missed once.
    new = [Passage(f"N{number:03} is new", [A]) for number in range(30)]
    odd = Passage("Name is odd", [A])
    predictions = {passage.text: Prediction([], {A: 0.0}) for passage in new}
    predictions[odd.text] = Prediction([], {A: 0.2})
    found = find_suspects(folds(*new, odd), reader(predictions))
    assert found[0].passage is odd
    assert found[1].confidence < 0.5 * found[0].confidence


def test_a_model_that_gives_no_probabilities_still_contradicts():
    passage = Passage("Name is odd", [A])
    [suspect] = find_suspects(folds(passage), reader({passage.text: Prediction([B])}))
    assert 0.3 < suspect.confidence <= 0.5
