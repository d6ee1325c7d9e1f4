"""What the sources find in a text, and how."""

import pytest
import spacy

from spacy_domain_ner.bootstrapping.names import Name, Names
from spacy_domain_ner.bootstrapping.sources import AMBIGUOUS, JOINED, ORDINARY, OTHER_CASE, Gazetteer, read_models
from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import EntitySchema, EntityType
from spacy_domain_ner.tokenization import create_customize_tokenizer

SCHEMA = EntitySchema(entity_types=[EntityType(name="SERVICE"), EntityType(name="TEAM")])
NLP = create_customize_tokenizer()(spacy.blank("en"))


def name(text, type_="SERVICE", case_sensitive=None, ambiguous=None):
    return Name(text, type_, case_sensitive, ambiguous, 1)


def found(text, *names):
    """The text, type and kind of what a gazetteer finds."""
    (spans,) = Gazetteer(Names("names.csv", list(names)), NLP).find([Passage(text)])
    return [(text[one.span.start : one.span.end], one.span.label, one.kind) for one in spans]


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("Kafka lags", ["Kafka"], [("Kafka", "SERVICE", "")]),
        ("KAFKA lags", ["Kafka"], [("KAFKA", "SERVICE", OTHER_CASE)]),
        ("we search the index", ["search"], [("search", "SERVICE", ORDINARY)]),
        ("we search the index", ["Search"], [("search", "SERVICE", ORDINARY)]),
        ("the Search service", ["Search"], [("Search", "SERVICE", "")]),
        ("ask Search Platform", ["Search", "Search Platform"], [("Search Platform", "SERVICE", "")]),
        ("the checkout-api is down", ["checkout"], []),
        ("the Kafka-based queue", ["Kafka"], [("Kafka", "SERVICE", JOINED)]),
        ("Port\nSaid and Port  Said", ["Port Said"], [("Port\nSaid", "SERVICE", ""), ("Port  Said", "SERVICE", "")]),
        ("it is what IT says", ["IT"], [("IT", "SERVICE", "")]),
        ("call who knows", ["Who"], []),
        ("in Zu\u0308rich", ["Z\u00fcrich"], [("Zu\u0308rich", "SERVICE", "")]),
        ("東京都へ", ["東京都へ"], [("東京都へ", "SERVICE", "")]),
        ("5\" disk, C++ and .NET", ["C++", ".NET"], [("C++", "SERVICE", ""), (".NET", "SERVICE", "")]),
    ],
)  # fmt: skip
def test_names_are_found_as_whole_tokens(text, names, expected):
    assert found(text, *map(name, names)) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"case_sensitive": True}, []),
        ({"case_sensitive": False}, [("ledger", "SERVICE", ORDINARY)]),
        ({"ambiguous": True}, [("ledger", "SERVICE", AMBIGUOUS)]),
        ({"ambiguous": False}, [("ledger", "SERVICE", "")]),
    ],
)
def test_the_flags_of_a_name_count(flags, expected):
    assert found("the ledger fails", name("Ledger", **flags)) == expected


def test_a_name_with_two_types_is_found_as_both_and_reported():
    names = Names("names.csv", [name("Atlas"), name("Atlas", "TEAM"), name("Kafka")])
    gazetteer = Gazetteer(names, NLP)
    (spans,) = gazetteer.find([Passage("Atlas runs Kafka")])
    assert [one.span.label for one in spans] == ["SERVICE", "TEAM", "SERVICE"]
    assert gazetteer.conflicts == {"atlas": ["SERVICE", "TEAM"]}


def other_model(*labels):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": label, "pattern": label.title()} for label in labels])
    return nlp


def test_a_models_labels_are_mapped_and_what_has_no_type_is_counted():
    (model,) = read_models([other_model("ORG", "TEAM", "GPE")], ["ORG=Service"], SCHEMA)
    (spans,) = model.find([Passage("Org and Team and Gpe")])
    assert [(one.span.start, one.span.label) for one in spans] == [(0, "SERVICE"), (8, "TEAM")]
    assert model.unmapped == {"GPE": 1}
    assert model.types == {"SERVICE", "TEAM"}


@pytest.mark.parametrize(
    ("models", "maps", "says"),
    [
        (["en_not_there"], ["ORG=TEAM"], "The model 'en_not_there' is not installed"),
        (["./nowhere/model-best"], ["ORG=TEAM"], "The model './nowhere/model-best' is not installed"),
        ([other_model("ORG")], ["ORG"], "`map` is 'ORG'"),
        ([other_model("ORG")], ["ORG=TEAN"], "'TEAN' is not an entity type; did you mean TEAM?"),
        ([other_model("ORG")], ["ORG=TEAM", "PER=TEAM"], "no model has the label 'PER'"),
        ([other_model("ORG")], [], "No label of the model pipeline has an entity type here"),
        ([], ["ORG=TEAM"], "no model has the label 'ORG'"),
    ],
)
def test_a_model_that_can_not_be_used_is_one_clear_line(models, maps, says):
    with pytest.raises(UserError) as raised:
        read_models(models, maps, SCHEMA)
    assert says in raised.value.what
    assert "\n" not in raised.value.what
