"""The order in which candidates are chosen, and the reasons that are given."""

import pytest

from spacy_domain_ner.annotation.candidates import Candidate, key_of
from spacy_domain_ner.annotation.choosing import WordCounts, by_doubts, by_vocabulary, reason_of, reason_of_words
from spacy_domain_ner.annotation.labelled import Labelled
from spacy_domain_ner.annotation.pool import _hashes
from spacy_domain_ner.confidence.doubts import Doubt
from spacy_domain_ner.corpus import Passage


def candidate(text: str, *doubts: tuple[str, float, float, str]) -> Candidate:
    """A passage with doubts: the word, its entropy, the probability that it is in an entity, the type."""
    made, end = [], 0
    for word, entropy, inside, label in doubts:
        start = text.index(word, end)
        end = start + len(word)
        made.append(Doubt(start, end, label, entropy, entropy + inside, inside))
    return Candidate(Passage(text), key_of(text), len(text.split()), tuple(made), _hashes(text))


@pytest.mark.parametrize(
    ("text", "doubts", "names", "reason"),
    [
        ("we use react-native here", [("react", 0.6, 0.5, "LIBRARY"), ("native", 0.4, 0.5, "LIBRARY")], "",
         "1 unsure LIBRARY (react-native)"),
        ("it is Redis, or not", [("Redis", 0.6, 0.5, "INFRA"), (",", 0.5, 0.3, "INFRA")], "",
         "1 unsure INFRA (Redis)"),
        ("Redis and Apache Kafka run", [("Redis", 0.01, 0.99, "INFRA"), ("Apache", 0.01, 0.99, "INFRA"),
                                        ("Kafka", 0.5, 0.7, "INFRA")], "",
         "1 unsure INFRA (Apache Kafka), 1 more entity"),
        ("it is Redis that stops", [("Redis", 0.1, 0.9, "INFRA")], "", "1 nearly sure INFRA (Redis)"),
        ("it is Redis that stops", [("Redis", 0.01, 1.0, "INFRA")], "kafka", "1 sure INFRA (Redis), 1 form never seen"),
        ("Redis, mail-job and Kafka", [("Redis", 0.01, 1.0, "INFRA"), ("mail", 0.5, 0.6, "SERVICE"),
                                       ("job", 0.5, 0.6, "SERVICE"), ("Kafka", 0.1, 0.9, "INFRA")], "redis",
         "1 unsure SERVICE (mail-job), 2 more entities, 2 forms never seen"),
        ("mail or mail", [("mail", 0.4, 0.5, "INFRA"), ("mail", 0.6, 0.5, "SERVICE")], "",
         "1 unsure SERVICE (mail)"),
        ("the mail-job and Kafka stop", [("mail", 0.5, 0.6, "SERVICE"), ("job", 0.5, 0.6, "SERVICE"),
                                         ("Kafka", 0.5, 0.6, "INFRA"), ("stop", 0.2, 0.1, "INFRA")], "kafka",
         "1 unsure INFRA (Kafka), 1 unsure SERVICE (mail-job), 1 form never seen"),
        ("nothing that is likely", [("likely", 0.4, 0.08, "TEAM"), ("is", 0.1, 0.05, "TEAM")][:1], "",
         "1 unsure TEAM (likely)"),
        ("a (b) - c stops", [("(", 0.4, 0.3, "TEAM"), ("b", 0.4, 0.3, "TEAM"), (")", 0.4, 0.3, "TEAM")], "",
         "1 unsure TEAM (b)"),
        ("call get(id ) or {url}x", [("get", 0.6, 0.5, "CONFIG"), ("(", 0.6, 0.5, "CONFIG"), ("id", 0.6, 0.5, "CONFIG"),
                                     (")", 0.6, 0.5, "CONFIG")], "", "1 unsure CONFIG (get(id ))"),
        ("call {url}x", [("url", 0.6, 0.5, "CONFIG"), ("}", 0.6, 0.5, "CONFIG"), ("x", 0.6, 0.5, "CONFIG")], "",
         "1 unsure CONFIG ({url}x)"),
    ],
)  # fmt: skip
def test_the_reason_names_whole_forms_and_says_how_sure_the_model_is(text, doubts, names, reason):
    assert reason_of(candidate(text, *doubts), Labelled(names={*names.split()})) == reason


def test_passages_that_differ_only_in_their_names_are_worth_half_each_time():
    alike = [
        candidate(f"the job {name} failed on host 3 at {n}", (name, 0.9, 0.9, "SERVICE"))
        for n, name in enumerate(["ab", "cd", "ef"])
    ]
    other = candidate("nobody knows why jk was stopped last night", ("jk", 0.6, 0.9, "SERVICE"))
    chosen = [one for one, _, _ in by_doubts([*alike, other], WordCounts(), lambda one: True)]
    assert chosen[1] is other
    assert len(chosen) == 4


def test_names_count_where_the_model_is_sure_and_long_passages_by_the_root_of_their_words():
    sure = candidate("Redis and Kafka stop", ("Redis", 0.0, 1.0, "INFRA"), ("Kafka", 0.0, 1.0, "INFRA"))
    unsure = candidate("it may stop there", ("stop", 0.3, 0.3, "INFRA"))
    long = candidate(
        "nobody knows why the job ran as Ab and Cd and Ef that night on this one host",
        *((name, 0.4, 0.6, "SERVICE") for name in ("Ab", "Cd", "Ef")),
    )
    chosen = [one for one, _, _ in by_doubts([unsure, sure, long], WordCounts(), lambda one: True)]
    # By the words, the second one would be the best.
    assert chosen == [long, sure, unsure]
    assert 3 / (len(long.passage.text.split()) + 8) < 2 / (len(sure.passage.text.split()) + 8)


def test_before_there_is_a_model_words_that_are_everywhere_count_less_than_words_of_the_field():
    others = ["kafka", "redis"] * 5 + [f"x{number}" for number in range(30)]
    texts = [f"the and of a {word} is here" for word in others] + ['then "Kafka," and (redis) stop']
    counts, candidates = WordCounts(), [candidate(text) for text in texts]
    for one in candidates:
        counts.add(one.lower)
    first, _, words = next(by_vocabulary(candidates, counts, lambda one: True))
    assert first.passage.text == texts[-1]
    assert {*words[:2]} == {"kafka", "redis"}
    assert reason_of_words(words[:2]) == f"words that were not chosen yet ({words[0]}, {words[1]})"
    assert reason_of_words([]) == "words that were hardly chosen yet"
