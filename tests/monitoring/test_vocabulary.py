"""What is kept of the training set's words: it can be asked, and it can't be read."""

import json

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.monitoring.vocabulary import Filter, Vocabulary, form_key, word_key, words_of


def test_a_filter_knows_each_of_its_entries_and_hardly_any_other():
    entries = [f"entry {number}" for number in range(5000)]
    found = Filter.from_dict(json.loads(json.dumps(Filter.of(entries).to_dict())))
    assert all(entry in found for entry in entries)
    assert sum(f"other {number}" in found for number in range(5000)) < 100
    assert "anything" not in Filter.of([])


def test_a_vocabulary_counts_a_word_once_per_passage():
    passages = [Passage("Redis redis REDIS is down", [Span(0, 5, "INFRA")]), Passage("redis is up")]
    vocabulary = Vocabulary.of(passages)
    assert vocabulary.frequent == {word_key("redis"): 2, word_key("is"): 2}
    assert (form_key("INFRA", "rEdis") in vocabulary.forms, form_key("TEAM", "Redis") in vocabulary.forms) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The gateway-2, isn't up", {"the", "gateway", "2", "isn", "t", "up"}),
        ("部署 Redis", {"部", "署", "redis"}),
        ("Ärger mit STRASSE", {"ärger", "mit", "strasse"}),
        ("MAX_POOL_SIZE={};", {"max_pool_size"}),
        ("", set()),
    ],
)
def test_words_are_told_in_any_script(text, words):
    assert words_of(text) == words


def test_words_that_are_as_frequent_are_in_one_order_in_each_process():
    words = [f"word{number}" for number in range(50)]
    vocabulary = Vocabulary.of([Passage(" ".join(words)), Passage(" ".join(reversed(words)))])
    assert [*vocabulary.frequent] == [word_key(word) for word in sorted(words)]
