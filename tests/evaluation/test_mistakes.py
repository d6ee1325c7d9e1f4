"""What is called an error, in which order errors come, and what is written of them."""

import pytest

from spacy_domain_ner.corpus import Passage, Span
from spacy_domain_ner.evaluation.matching import pair_spans
from spacy_domain_ner.evaluation.mistakes import Edges, Mistake, confusions, find_errors, to_records

TEXT = "the billing api calls Redis"
API = Span(4, 15, "SERVICE")
REDIS = Span(22, 27, "INFRA")


def errors_of(*pairs: tuple[Passage, list[Span]], misaligned=(), forms=None) -> list[Mistake]:
    passages = [passage for passage, _ in pairs]
    matches = [pair_spans(passage.spans, predicted) for passage, predicted in pairs]
    off = [[span for span in passage.spans if span in misaligned] for passage in passages]
    return find_errors(passages, matches, off, forms)


def test_a_correct_span_is_not_an_error():
    assert errors_of((Passage(TEXT, [API, REDIS]), [API, REDIS])) == []


@pytest.mark.parametrize(
    ("predicted", "edges", "parts"),
    [
        (Span(0, 15, "SERVICE"), Edges(before="the "), ["too long before: the"]),
        (Span(4, 21, "SERVICE"), Edges(after=" calls"), ["too long after: calls"]),
        (Span(12, 15, "SERVICE"), Edges(head="billing "), ["cut off at the start: billing"]),
        (Span(4, 11, "SERVICE"), Edges(tail=" api"), ["cut off at the end: api"]),
        (
            Span(0, 11, "SERVICE"),
            Edges(before="the ", tail=" api"),
            ["too long before: the", "cut off at the end: api"],
        ),
    ],
)
def test_a_wrong_boundary_says_which_words(predicted, edges, parts):
    [error] = errors_of((Passage(TEXT, [API]), [predicted]))
    assert (error.kind, error.edges, error.edges.parts) == ("boundary", edges, parts)


def test_a_mention_that_no_tokens_express_is_an_error_of_tokenization():
    [error] = errors_of((Passage(TEXT, [API]), [Span(4, 21, "SERVICE")]), misaligned=[API])
    assert error.kind == "tokenization"
    [error] = errors_of((Passage(TEXT, [API]), []), misaligned=[API])
    assert error.kind == "tokenization"


def test_whether_training_had_the_name_goes_by_type():
    pairs = ((Passage(TEXT, [API, REDIS]), [Span(16, 21, "TEAM")]),)
    forms = {"SERVICE": {"billing api"}, "TEAM": {"Redis"}}
    assert [error.seen for error in sorted(errors_of(*pairs, forms=forms), key=lambda error: error.span)] == [
        True, False, False,
    ]  # fmt: skip
    assert {error.seen for error in errors_of(*pairs)} == {None}


def test_what_repeats_comes_first_and_then_one_of_each():
    once = (Passage("Kafka", [Span(0, 5, "INFRA")]), [])
    long = (Passage(TEXT + " and more of it", [REDIS]), [])
    short = (Passage("REDIS", [Span(0, 5, "INFRA")]), [])
    errors = errors_of(once, long, short)
    # Both Redis are the same; the shorter passage shows it.
    assert [(error.number, error.repeated) for error in errors] == [(2, 2), (0, 1), (1, 2)]


def test_among_equally_frequent_patterns_the_more_frequent_types_come_first():
    spurious = (Passage("a b", []), [Span(0, 1, "TEAM")])
    missed = [(Passage(f"{name} x", [Span(0, 1, "INFRA")]), []) for name in "cde"]
    assert [error.kind for error in errors_of(spurious, *missed)] == ["missed"] * 3 + ["spurious"]


def test_the_records_are_the_annotation_with_what_the_model_made_of_it():
    passages = [
        Passage("nothing here"),
        Passage(TEXT, [API, REDIS], {"source": "page-1"}, {"id": 7}),
        Passage("Kafka", [Span(0, 5, "INFRA")]),
    ]
    predicted = [[], [Span(0, 15, "SERVICE"), Span(22, 27, "TEAM")], []]
    errors = errors_of(*zip(passages, predicted, strict=True))
    records = list(to_records(passages, errors[::-1]))
    assert [record["text"] for record in records] == ["Kafka", TEXT]
    assert records[1] == {
        "id": 7,
        "text": TEXT,
        "spans": [{"start": 4, "end": 15, "label": "SERVICE"}, {"start": 22, "end": 27, "label": "INFRA"}],
        "meta": {
            "source": "page-1",
            "model_errors": [
                "SERVICE 'billing api' predicted as 'the billing api'",
                "predicted TEAM, annotated INFRA: 'Redis'",
            ],
        },
    }
    assert passages[1].meta == {"source": "page-1"}


@pytest.mark.parametrize(
    ("gold", "predicted", "misaligned", "words"),
    [
        ([API], [], [], "missed SERVICE 'billing api'"),
        ([], [API], [], "predicted SERVICE 'billing api', where nothing is annotated"),
        ([API], [Span(4, 21, "TEAM")], [], "SERVICE 'billing api' predicted as TEAM 'billing api calls'"),
        ([API], [], [API], "SERVICE 'billing api' begins or ends inside a token"),
    ],
)
def test_each_kind_has_its_words(gold, predicted, misaligned, words):
    passage = Passage(TEXT, gold)
    [error] = errors_of((passage, predicted), misaligned=misaligned)
    assert error.in_words(passage) == words


def test_confusions_count_each_pair_once():
    counted = confusions([pair_spans([API, REDIS], [Span(0, 15, "TEAM"), REDIS, Span(16, 21, "TEAM")]), []])
    assert counted == {("SERVICE", "TEAM"): 1, ("INFRA", "INFRA"): 1, ("", "TEAM"): 1}
