"""Relations that were found, compared with annotated ones."""

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.passage import Relation
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.scores import FoundIn, score_relations

TYPES = RelationTypes.model_validate(
    {
        "relation_types": [
            {"name": "USES", "head": ["A"], "tail": ["A"]},
            {"name": "BESIDE", "head": ["A"], "tail": ["A"], "symmetric": True},
            {"name": "NEVER", "head": ["B"], "tail": ["B"]},
        ]
    }
)
TEXT = "one two six"
ONE, TWO, SIX = Span(0, 3, "A"), Span(4, 7, "A"), Span(8, 11, "A")
SPANS = [ONE, TWO, SIX]


def scored(gold, said, spans=SPANS, text=TEXT, **more):
    passage = Passage(text, SPANS, relations=gold)
    return score_relations([passage], [FoundIn(text, "", spans, said, **more)], TYPES)


@pytest.mark.parametrize(
    ("gold", "said", "counts"),
    [
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(ONE, "USES", TWO)], (1, 0, 0), id="right"),
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(TWO, "USES", ONE)], (0, 1, 1), id="the other way"),
        pytest.param([Relation(ONE, "BESIDE", TWO)], [Relation(TWO, "BESIDE", ONE)], (1, 0, 0), id="symmetric"),
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(ONE, "BESIDE", TWO)], (0, 1, 1), id="another type"),
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(ONE, "USES", Span(4, 7, "B"))], (0, 1, 1),
                     id="an end of another type"),
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(ONE, "USES", Span(4, 6, "A"))], (0, 1, 1),
                     id="an end that is cut"),
        pytest.param([Relation(ONE, "USES", TWO)], [Relation(ONE, "USES", TWO)] * 2, (1, 0, 0), id="said twice"),
        pytest.param([], [], (0, 0, 0), id="nothing"),
        pytest.param([Relation(ONE, "USES", TWO)], None, (0, 0, 1), id="failed"),
    ],
)  # fmt: skip
def test_a_relation_is_right_where_type_and_ends_are(gold, said, counts):
    micro = scored(gold, said).micro
    assert (micro.true_positives, micro.false_positives, micro.false_negatives) == counts


def test_pairs_that_only_occur_together_are_counted():
    # Three pairs: one is related, one of the others is called related.
    result = scored([Relation(ONE, "USES", TWO)], [Relation(TWO, "USES", ONE), Relation(ONE, "USES", SIX)])
    assert (result.unrelated_pairs, result.false_on_unrelated.value) == (2, 0.5)


def test_pairs_of_entities_that_are_wrong_do_not_count():
    assert scored([], [], spans=[ONE, Span(4, 6, "A")]).unrelated_pairs == 0


def test_each_type_has_its_score_and_one_without_any_has_none():
    result = scored([Relation(ONE, "USES", TWO)], [Relation(ONE, "USES", TWO)], is_given=True)
    assert list(result.types) == ["USES", "BESIDE", "NEVER"]
    assert result.types["USES"].f1.value == 1
    assert result.types["NEVER"].f1 is None
    assert result.entities == "given"
    assert result.to_dict()["types"]["NEVER"]["precision"] is None


def test_passages_that_nobody_looked_through_or_that_are_not_there_are_left_out():
    passages = [Passage(TEXT, SPANS, relations=[]), Passage("another", relations=[]), Passage("unknown")]
    result = score_relations(passages, [FoundIn(TEXT, "", SPANS, []), FoundIn("unknown", "", [], [])], TYPES)
    assert result.passages == 1
    assert result.notes == ["1 annotated passage(s) are not among the rows, and are left out"]
    with pytest.raises(UserError, match="No annotated passage"):
        score_relations(passages[2:], [FoundIn("unknown", "", [], [])], TYPES)
