"""What is kept of a stream of live rows: every text once, with the number of rows that it stands for."""

import numpy
import pytest

from spacy_domain_ner.monitoring.candidates import count_weights, digest, expectations, read_stream
from spacy_domain_ner.monitoring.live import Found, LiveRow


def rows(texts: list[str], probability: float = 1.0) -> list[LiveRow]:
    found = (Found(0, 1, "A", 0.8),)
    return [LiveRow(text, found, {"A": 1.0, "B": 0.5}, probability=probability) for text in texts]


def test_a_text_is_one_passage_and_stands_for_all_of_its_rows():
    stream = read_stream(rows(["one", "two", "one ", "one"]), (), 0)
    assert sorted(one.weight for one in stream.passages.values()) == [1, 3]
    assert (stream.rows, stream.weight) == (4, 4)
    assert stream.predicted == {"A": 4}
    assert stream.right["A"] == pytest.approx(3.2)
    assert stream.expected == {"A": 4, "B": 2}


def test_a_row_of_a_log_stands_for_those_that_were_not_logged():
    stream = read_stream(rows(["one", "two"], 0.05), (), 0)
    assert stream.weight == pytest.approx(40)
    assert stream.predicted["A"] == pytest.approx(40)


def test_what_a_rule_has_found_is_expected_too():
    row = LiveRow("text", (Found(0, 1, "A", None), Found(2, 3, "B", 0.9)), {"B": 1.2})
    assert expectations(row) == {"A": 1, "B": 1.2}
    assert expectations(LiveRow("text", row.found)) == {"A": 1, "B": 0.9}


def test_of_more_texts_than_fit_a_random_part_is_kept_and_its_weights_are_counted_again():
    texts = [f"text {number % 300}" for number in range(900)]
    stream = read_stream(rows(texts), (), 3, most=50)
    assert len(stream.passages) == 50
    assert stream.rows == 900
    count_weights(rows(texts), stream)
    assert {one.weight for one in stream.passages.values()} == {3}
    assert read_stream(rows(texts), (), 3, most=50).passages.keys() == stream.passages.keys()
    assert read_stream(rows(texts), (), 4, most=50).passages.keys() != stream.passages.keys()


def test_the_kept_part_has_no_bias_though_texts_come_more_or_less_often():
    # Text n comes n times: the number of rows is estimated from what is kept, and on average it is right.
    texts = [f"text {number}" for number in range(1, 41) for _ in range(number)]
    estimates = []
    for seed in range(300):
        stream = read_stream(rows(texts), (), seed, most=20)
        count_weights(rows(texts), stream)
        weights = numpy.array([one.weight for one in stream.passages.values()])
        estimates.append((weights / (1 - numpy.exp(-stream.threshold * weights))).sum())
    error = numpy.std(estimates) / numpy.sqrt(300)
    assert abs(numpy.mean(estimates) - len(texts)) < 4 * error


def test_digests_leave_out_white_space():
    assert digest("a b") == digest("a\nb ") != digest("a c")
