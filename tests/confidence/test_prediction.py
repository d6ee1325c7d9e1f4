"""One interface to the probabilities of different recognizers."""

import pytest
import spacy
from helpers.memorized import memorized

from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import Prediction, expected_entities, predict_with_probabilities
from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.errors import UserError

API, REDIS = Span(0, 7, "SERVICE"), Span(14, 19, "INFRA")
TEXT = "billing calls Redis"


def trained(factory: str):
    return memorized(factory, [Passage(TEXT, [API, REDIS])], steps=40)


@pytest.mark.parametrize("factory", [FACTORY, "ner"])
def test_what_a_model_finds_and_what_is_annotated_has_a_probability(factory):
    nlp = trained(factory)
    other, inside = Span(0, 7, "INFRA"), Span(0, 4, "SERVICE")
    passages = [Passage(TEXT, [other, inside, Span(0, 99, "INFRA")]), Passage(""), Passage(TEXT)]
    first, empty, last = predict_with_probabilities(nlp, passages)
    assert first.spans == last.spans == [API, REDIS]
    assert set(first.probabilities) == {API, REDIS, other}
    assert first.probabilities[API] > 0.5 > first.probabilities[other] >= 0
    assert set(last.probabilities) == {API, REDIS}
    assert empty == Prediction([], {})


def test_a_type_that_the_model_does_not_know_is_impossible():
    span = Span(0, 7, "TEAM")
    [found] = predict_with_probabilities(trained(FACTORY), [Passage(TEXT, [span])])
    assert found.probabilities[span] == 0


def test_a_model_that_can_not_say_gives_its_spans_alone():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "INFRA", "pattern": "Redis"}])
    assert list(predict_with_probabilities(nlp, [Passage(TEXT)])) == [Prediction([REDIS])]


def test_more_passages_than_fit_into_a_batch_come_in_their_order():
    nlp = trained(FACTORY)
    passages = [Passage(" and ".join([TEXT] * (1 + number % 3))) for number in range(150)]
    alone = [next(predict_with_probabilities(nlp, [passage])).spans for passage in passages[:3]]
    assert len({len(spans) for spans in alone}) == 3
    assert [found.spans for found in predict_with_probabilities(nlp, iter(passages))] == alone * 50


@pytest.mark.parametrize("place", [{"before": "ner"}, {"after": "ner"}])
def test_what_a_rule_has_set_has_no_probability(place):
    nlp = trained(FACTORY)
    rules = nlp.add_pipe("entity_ruler", config={"overwrite_ents": True}, **place)
    rules.add_patterns([{"label": "LIBRARY", "pattern": "Redis"}])
    rule = Span(14, 19, "LIBRARY")
    [found] = predict_with_probabilities(nlp, [Passage(TEXT, [API, rule])])
    assert found.spans == [API, rule]
    assert set(found.probabilities) == {API}


def test_texts_have_an_expected_number_of_entities_that_rules_do_not_count_for():
    nlp = trained(FACTORY)
    rules = nlp.add_pipe("entity_ruler", before="ner")
    rules.add_patterns([{"label": "INFRA", "pattern": "Redis"}])
    found = expected_entities(nlp, (text for text in [TEXT, ""] * 40))
    assert [{label: round(count) for label, count in counts.items()} for counts in found] == [
        {"INFRA": 0, "SERVICE": 1}, {"INFRA": 0, "SERVICE": 0}
    ] * 40  # fmt: skip


@pytest.mark.parametrize(
    ("factory", "message"),
    [("ner", "`ner` does not say how many entities"), ("entity_ruler", "no recognizer that says")],
)
def test_a_model_that_expects_nothing_says_so_before_the_first_text(factory, message):
    nlp = spacy.blank("en")
    nlp.add_pipe(factory)
    with pytest.raises(UserError, match=message):
        expected_entities(nlp, [TEXT])
