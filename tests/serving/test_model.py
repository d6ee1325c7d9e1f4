"""A model that is served, on texts that it can't stand."""

import pickle

import spacy
from spacy.language import Language

from spacy_domain_ner.extraction.extractor import Entity
from spacy_domain_ner.serving import model
from spacy_domain_ner.serving.model import ServedModel
from spacy_domain_ner.serving.settings import Settings


@Language.component("fails_on_some")
def fails_on_some(doc):
    if "bad" in doc.text:
        raise ValueError(doc.text)
    return doc


def test_a_text_on_which_the_model_fails_does_not_harm_the_others():
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "INFRA", "pattern": "Redis"}])
    nlp.add_pipe("fails_on_some")
    served = ServedModel(nlp, Settings())
    found = served.read(["Redis", "bad secret", "a Redis"], ())
    assert [entities if isinstance(entities, str) else entities[0].start for entities, _ in found] == [
        0, "the model failed on this passage (ValueError)", 2
    ]  # fmt: skip
    assert [expected for _, expected in found] == [{}] * 3


def test_after_many_words_a_model_is_worn(monkeypatch):
    served = ServedModel(spacy.blank("en"), Settings())
    monkeypatch.setattr(model, "WORN_WORDS", 2_000)
    assert not served.is_worn
    served.read([" ".join(f"word{number}" for number in range(2_000))], [])
    assert served.is_worn


def test_entities_and_what_is_known_of_a_model_go_from_process_to_process():
    entity = Entity("Redis", "INFRA", 1, 6, 0.5)
    assert pickle.loads(pickle.dumps(entity)) == entity
    known = ServedModel(spacy.blank("en"), Settings()).known
    assert pickle.loads(pickle.dumps(known)) == known
