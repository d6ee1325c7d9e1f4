"""The augmenter of training: what it changes of a passage, and what it leaves."""

import random

import pytest
import spacy
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_domain_ner.training.augmentation import create_unseen_names_augmenter

WORDS = ["Restart", "Checkout-API", ",", "then", "İstanbul", "in", "EU"]


@pytest.fixture
def example():
    nlp = spacy.blank("en")
    spaces = [True, False, True, True, True, True, False]
    doc = Doc(nlp.vocab, WORDS, spaces)
    doc.set_ents([Span(doc, 1, 2, "SERVICE"), Span(doc, 4, 5, "PLACE")], missing=[doc[6:7]], default="outside")
    doc.spans["incorrect"] = [Span(doc, 0, 1, "SERVICE")]
    return nlp, Example(Doc(nlp.vocab, WORDS, spaces), doc)


def annotation(doc):
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents], [token.ent_iob_ for token in doc]


def test_a_passage_in_lower_case_has_the_same_annotation(example):
    nlp, original = example
    given, renamed = create_unseen_names_augmenter(0.0, 0.0, lower_case=1.0)(nlp, original)
    for one in (given, renamed):
        assert [token.text for token in one.reference] == [word.lower() for word in WORDS]
        assert [token.text for token in one.predicted] == [word.lower() for word in WORDS]
        assert [token.whitespace_ for token in one.reference] == [token.whitespace_ for token in original.reference]
        assert annotation(one.reference) == annotation(original.reference)
    assert [(span.start, span.end, span.label_) for span in given.reference.spans["incorrect"]] == [(0, 1, "SERVICE")]


def test_about_the_share_that_is_asked_for_is_in_lower_case(example):
    nlp, original = example
    random.seed(0)
    augment = create_unseen_names_augmenter(0.0, 0.0, lower_case=0.25)
    shown = [one.reference.text.islower() for _ in range(500) for one in augment(nlp, original)]
    assert 0.2 < sum(shown) / len(shown) < 0.3


def test_where_nothing_is_to_be_in_lower_case_no_random_number_is_drawn(example):
    nlp, original = example
    augment = create_unseen_names_augmenter()
    random.seed(0)
    given = next(augment(nlp, original))
    assert given is original
    state = random.getstate()
    random.seed(0)
    assert random.getstate() == state
