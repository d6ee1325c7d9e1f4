"""Forms that are annotated in different ways."""

import time

import pytest

from spacy_domain_ner.annotation.inconsistencies import find_inconsistencies
from spacy_domain_ner.corpus import Passage, Span


def annotated(text: str, *forms: tuple[str, str]) -> Passage:
    return Passage(text, [Span(text.index(form), text.index(form) + len(form), label) for form, label in forms])


def test_a_form_that_is_sometimes_not_annotated_is_found_with_its_places():
    passages = [*[annotated(f"Redis is up {n}", ("Redis", "INFRA")) for n in range(3)], Passage("all of Redis is down")]
    [found] = find_inconsistencies(passages)
    assert (found.form, found.labels) == ("Redis", {"INFRA": 3, "": 1})
    assert found.examples["INFRA"] == [(passages[0], 0), (passages[1], 0)]
    assert found.examples[""] == [(passages[3], 7)]


def test_a_form_of_two_types_is_found():
    passages = [annotated("Redis a", ("Redis", "INFRA"))] * 2 + [annotated("Redis b", ("Redis", "SERVICE"))]
    [found] = find_inconsistencies(passages)
    assert found.labels == {"INFRA": 2, "SERVICE": 1}


def test_a_form_that_is_always_annotated_the_same_is_not():
    assert find_inconsistencies([annotated("Redis and Kafka", ("Redis", "INFRA"), ("Kafka", "INFRA"))] * 5) == []


def test_a_form_that_occurs_twice_only_says_nothing():
    assert find_inconsistencies([annotated("Redis a", ("Redis", "INFRA")), Passage("Redis b")]) == []


@pytest.mark.parametrize(
    "text",
    [
        "Redisson", "preRedis", "my-Redis", "Redis-cache", "Redis.conf", "/etc/Redis", "Redis/Lettuce", "redis",
    ],
)  # fmt: skip
def test_a_part_of_another_name_is_no_occurrence(text):
    assert find_inconsistencies([*[annotated(f"Redis {n}", ("Redis", "INFRA")) for n in range(3)], Passage(text)]) == []


@pytest.mark.parametrize("text", ["Redis.", "(Redis)", "Redis, then", "use `Redis`", "Redis: down", "no Redis"])
def test_punctuation_around_it_does_not_hide_it(text):
    [found] = find_inconsistencies([*[annotated(f"Redis {n}", ("Redis", "INFRA")) for n in range(3)], Passage(text)])
    assert found.labels[""] == 1


def test_inside_of_an_annotated_span_and_in_a_longer_known_form_it_is_another_name():
    passages = [
        *[annotated(f"Redis {n}", ("Redis", "INFRA")) for n in range(3)],
        *[annotated("Redis Labs says", ("Redis Labs", "TEAM"))] * 3,
        Passage("Redis Labs here"),
    ]
    [found] = find_inconsistencies(passages)
    assert (found.form, found.labels) == ("Redis Labs", {"TEAM": 3, "": 1})


def test_a_form_that_nobody_has_decided_on_is_not_one_that_is_not_annotated():
    passages = [annotated(f"Kafka {n}", ("Kafka", "INFRA")) for n in range(3)]
    undecided = Passage("Kafka b", unknown=[Span(0, 5, "")])
    assert find_inconsistencies([*passages, undecided]) == []
    assert len(find_inconsistencies([*passages, Passage("Kafka b")])) == 1


def test_what_looks_like_a_slip_comes_first_and_common_words_last():
    passages = [
        *[annotated(f"Kafka {n}", ("Kafka", "INFRA")) for n in range(3)], *[Passage("Kafka b")] * 2,
        *[annotated(f"Redis {n}", ("Redis", "INFRA")) for n in range(9)], Passage("Redis b"),
        annotated("time a", ("time", "LIBRARY")), *[Passage("time b")] * 30,
    ]  # fmt: skip
    assert [found.form for found in find_inconsistencies(passages)] == ["Redis", "Kafka", "time"]


def test_every_text_is_read_once_however_many_forms_there_are():
    passages = [annotated(f"name{n} and other words of a passage", (f"name{n}", "A")) for n in range(20_000)]
    started = time.process_time()
    find_inconsistencies(passages)
    # Each form against each text would take hours.
    assert time.process_time() - started < 30
