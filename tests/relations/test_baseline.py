"""The most frequent relation of two types within a sentence, with its direction and the distance that it reaches."""

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.corpus.passage import Relation
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.relation_types import RelationTypes
from spacy_domain_ner.relations.baseline import learn_baseline
from spacy_domain_ner.relations.pairs import pairs_of

TYPES = RelationTypes.model_validate(
    {
        "relation_types": [
            {"name": "USES", "head": ["SERVICE"], "tail": ["SERVICE", "INFRA"]},
            {"name": "BESIDE", "head": ["INFRA"], "tail": ["INFRA"], "symmetric": True},
        ]
    }
)


def passage(text, *relations):
    """A passage whose words in capitals are INFRA, and those with a hyphen SERVICE; relations by words."""
    spans, at = {}, 0
    for word in text.replace(".", " ").split():
        at = text.index(word, at)
        if word.isupper() or "-" in word:
            spans.setdefault(word, Span(at, at + len(word), "INFRA" if word.isupper() else "SERVICE"))
        at += len(word)
    found = [Relation(spans[head], name, spans[tail]) for head, name, tail in relations]
    return Passage(text, sorted(spans.values()), relations=found)


NEAR = [passage("a-b calls REDIS", ("a-b", "USES", "REDIS"))] * 4
FAR = [passage("a-b and many other words that say nothing at all and REDIS")] * 4


def found(baseline, text):
    one = passage(text)
    return [(text[r.relation.head.start : r.relation.head.end], r.relation.type,
             text[r.relation.tail.start : r.relation.tail.end]) for r in baseline.find(text, one.spans)]  # fmt: skip


def test_the_most_frequent_relation_is_found_up_to_the_distance_that_pays():
    baseline = learn_baseline(NEAR + FAR, TYPES)
    [rule] = baseline.rules.values()
    assert (str(rule), rule.most_words, rule.right, rule.pairs) == ("SERVICE -USES-> INFRA", 1, 4, 4)
    assert found(baseline, "x-y likes KAFKA") == [("x-y", "USES", "KAFKA")]
    assert found(baseline, "x-y likes the new KAFKA") == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("KAFKA behind x-y", id="the other order of the types"),
        pytest.param("x-y is up. KAFKA is down", id="two sentences"),
        pytest.param("x-y calls y-z", id="types without a rule"),
        pytest.param("KAFKA", id="one entity"),
    ],
)
def test_no_relation_is_found_where_no_rule_fits(text):
    assert found(learn_baseline(NEAR, TYPES), text) == []


def test_a_relation_is_found_in_the_direction_that_is_most_frequent():
    backwards = [passage("a-b is called by c-d", ("c-d", "USES", "a-b"))] * 4
    forwards = [passage("a-b is called by c-d", ("a-b", "USES", "c-d"))] * 3
    baseline = learn_baseline(backwards + forwards, TYPES)
    assert str(baseline.rules["SERVICE", "SERVICE"]) == "SERVICE <-USES- SERVICE"
    assert found(baseline, "x-y is called by y-z") == [("y-z", "USES", "x-y")]


def test_a_symmetric_relation_counts_in_both_directions():
    beside = [passage("REDIS beside KAFKA", ("KAFKA", "BESIDE", "REDIS"))] * 2
    beside += [passage("REDIS beside KAFKA", ("REDIS", "BESIDE", "KAFKA"))] * 2
    assert learn_baseline(beside, TYPES).rules["INFRA", "INFRA"].right == 4


def test_what_nobody_has_looked_through_says_nothing():
    untouched = [Passage(one.text, one.spans) for one in NEAR * 3]
    assert learn_baseline(NEAR + untouched, TYPES).rules["SERVICE", "INFRA"].pairs == 4


def test_relations_that_no_rule_can_find_are_counted():
    across = passage("a-b is slow. It calls REDIS", ("a-b", "USES", "REDIS"))
    assert learn_baseline([*NEAR, across], TYPES).beyond == 1


@pytest.mark.parametrize(
    "passages",
    [
        pytest.param([], id="nothing"),
        pytest.param([Passage("a-b calls REDIS")], id="nobody looked"),
        pytest.param(FAR, id="none found"),
    ],
)
def test_without_relations_there_is_nothing_to_learn(passages):
    with pytest.raises(UserError, match="no relations to learn from"):
        learn_baseline(passages, TYPES)


def test_a_relation_that_is_too_rare_is_not_a_rule():
    assert learn_baseline(NEAR[:2], TYPES).rules == {}


@pytest.mark.parametrize(
    ("text", "words", "sentences"),
    [
        pytest.param("a-b, the old one, calls REDIS", 4, 1, id="signs are not words"),
        pytest.param("a-b is up. REDIS is down", 2, 2, id="two sentences"),
        pytest.param("a-b 调用 REDIS", 2, 1, id="each character of a script without spaces is a word"),
        pytest.param("a-b\r\n\r\nREDIS", 0, 2, id="paragraphs"),
    ],
)
def test_pairs_know_the_words_and_sentences_between_them(text, words, sentences):
    [pair] = pairs_of(text, passage(text).spans)
    assert (pair.words, pair.sentences) == (words, sentences)


def test_entities_that_overlap_are_not_a_pair():
    assert not list(pairs_of("Redis Cluster", [Span(0, 5, "A"), Span(0, 13, "B")]))
