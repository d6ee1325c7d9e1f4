"""Relations that break a rule are told with their place, and all are counted by type."""

import pytest
import spacy

from spacy_domain_ner.corpus import Passage, ReadResult, Span
from spacy_domain_ner.corpus.checks import check_corpus
from spacy_domain_ner.corpus.passage import Relation
from spacy_domain_ner.corpus.relation_checks import RelationCount
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.schema import EntitySchema

NLP = spacy.blank("en")
SCHEMA = EntitySchema.model_validate({"entity_types": [{"name": "INFRA"}, {"name": "SERVICE"}]})
TYPES = RelationTypes.model_validate(
    {
        "relation_types": [
            {"name": "USES", "head": ["SERVICE"], "tail": ["INFRA"]},
            {"name": "BESIDE", "head": ["INFRA"], "tail": ["INFRA"], "symmetric": True},
        ]
    }
)
TEXT = "checkout uses Redis and Kafka"
CHECKOUT, REDIS, KAFKA = Span(0, 8, "SERVICE"), Span(14, 19, "INFRA"), Span(24, 29, "INFRA")


def checked(*relations, types=TYPES, **more):
    passage = Passage(TEXT, [CHECKOUT, REDIS, KAFKA], relations=list(relations), file="a.jsonl", line=3, **more)
    return check_corpus(ReadResult([passage]), SCHEMA, NLP, types)


@pytest.mark.parametrize(
    ("relations", "kind", "expected"),
    [
        ([Relation(CHECKOUT, "EATS", REDIS)], "unknown-relation", "unknown relation type 'EATS' (known: USES, BESIDE)"),
        ([Relation(CHECKOUT, "uses", REDIS)], "unknown-relation", "did you mean 'USES'?"),
        ([Relation(REDIS, "USES", KAFKA)], "relation-types", "from INFRA to INFRA, and not from SERVICE to INFRA"),
        ([Relation(REDIS, "USES", CHECKOUT)], "relation-types", "it may have to be turned round"),
        ([Relation(CHECKOUT, "USES", Span(0, 1, "INFRA"))], "relation-end", "the tail of the relation USES is not"),
        ([Relation(KAFKA, "BESIDE", KAFKA)], "relation-to-itself", "from a span to itself"),
        ([Relation(CHECKOUT, "USES", REDIS)] * 2, "duplicate-relation", "USES is there twice"),
        ([Relation(REDIS, "BESIDE", KAFKA), Relation(KAFKA, "BESIDE", REDIS)], "duplicate-relation", "there twice"),
    ],
)
def test_a_relation_that_breaks_a_rule_is_an_error_at_its_line(relations, kind, expected):
    (finding,) = checked(*relations).findings
    assert (finding.kind, finding.error, finding.line) == (kind, True, 3)
    assert expected in finding.message


def test_the_relations_of_each_type_are_counted():
    report = checked(Relation(CHECKOUT, "USES", REDIS), Relation(CHECKOUT, "USES", KAFKA))
    assert report.relations == {"USES": RelationCount(2, 1), "BESIDE": RelationCount(0, 0)}
    assert report.with_relations == 1
    assert not report.findings


def test_without_relation_types_each_type_is_taken():
    report = checked(Relation(REDIS, "EATS", CHECKOUT), types=None)
    assert (report.relations, report.findings) == ({"EATS": RelationCount(1, 1)}, [])


def test_relations_of_another_form_are_a_warning():
    (finding,) = checked(extra={"relations": [{"from_id": 1}]}).findings
    assert (finding.kind, finding.error) == ("unread-relations", False)
