"""Samples for review: how they are drawn, what they carry, and what is refused."""

import gzip
import json
import re

import pytest
from helpers.live_text import MODEL, live_row, read_rows, write_rows

from spacy_domain_ner import UserError, sample_for_review
from spacy_domain_ner.monitoring.live import open_live
from spacy_domain_ner.monitoring.marks import Mark


@pytest.fixture
def live(tmp_path):
    return write_rows(tmp_path / "live.jsonl", [live_row(number) for number in range(300)])


def marks(path) -> list[Mark]:
    return [Mark.from_meta(row["meta"]) for row in read_rows(path)]


def test_a_sample_has_whole_passages_with_the_entities_but_in_a_fifth(live, tmp_path):
    sample = sample_for_review([live], tmp_path / "s.jsonl", size=50)
    rows = read_rows(tmp_path / "s.jsonl")
    assert (sample.size, sample.blind, sample.rows, sample.model) == (50, 10, 300, "en_ops 0.2.0 (0a1b2c3d)")
    assert len({row["text"] for row in rows}) == 50
    for row in rows:
        is_blind = row["meta"]["monitor"]["blind"]
        assert len(row["spans"]) == (0 if is_blind else 1)
        assert "Redis" not in str(row["meta"])
    assert sum(not row["spans"] for row in rows) == 10


def test_a_mark_has_all_that_an_estimate_needs_and_survives_as_a_text(live, tmp_path):
    sample_for_review([live], tmp_path / "s.jsonl", size=60)
    for row, mark in zip(read_rows(tmp_path / "s.jsonl"), marks(tmp_path / "s.jsonl"), strict=True):
        assert mark.is_of(row["text"])
        assert mark.probability == pytest.approx(0.2)
        assert (mark.weight, mark.share, mark.totals.rows, mark.totals.size) == (1, 1, 300, 60)
        assert mark.totals.right["INFRA"] == pytest.approx(240)
        assert mark.expected == {"INFRA": 0.9}
        assert mark.found[0].confidence == 0.8
        assert Mark.from_meta({"monitor": json.dumps(row["meta"]["monitor"])}) == mark


def test_the_same_rows_and_seed_give_the_same_choice(live, tmp_path):
    texts = []
    for seed in (1, 1, 2):
        sample_for_review([live], tmp_path / "s.jsonl", size=20, seed=seed)
        # When it was drawn is another time.
        texts.append(re.sub('"last": "[^"]*"', "", (tmp_path / "s.jsonl").read_text()))
    assert texts[0] == texts[1] != texts[2]


def test_where_the_model_is_unsure_is_drawn_more_often_and_a_part_is_uniform_by_itself(tmp_path):
    rows = [live_row(number) for number in range(400)]
    for row in rows[:40]:
        row["entities"][0]["confidence"] = 0.5
    for row in rows[40:]:
        row["entities"][0]["confidence"] = 0.999
        row["expected"] = {"INFRA": 1.0}
    live = write_rows(tmp_path / "live.jsonl", rows)
    sample_for_review([live], tmp_path / "s.jsonl", size=80)
    found = marks(tmp_path / "s.jsonl")
    unsure = [mark for mark in found if mark.found[0].confidence == 0.5]
    assert len(unsure) > 13
    assert min(mark.probability for mark in unsure) > 2 * max(
        mark.probability for mark in found if mark.found[0].confidence > 0.9
    )
    uniform = [mark for mark in found if mark.part == "uniform"]
    assert 30 <= len(uniform) <= 50
    assert sum(mark.found[0].confidence == 0.5 for mark in uniform) < 15


def test_a_text_that_comes_often_is_reviewed_once_and_stands_for_all(tmp_path):
    rows = [live_row(0)] * 50 + [live_row(number) for number in range(1, 51)]
    sample_for_review([write_rows(tmp_path / "live.jsonl", rows)], tmp_path / "s.jsonl", size=20)
    assert sorted({mark.weight for mark in marks(tmp_path / "s.jsonl")}) == [1, 50]


def test_a_type_gets_the_passages_that_are_asked_for(tmp_path):
    rows = [live_row(number) for number in range(500)]
    for row in rows[:50]:
        row["expected"] = {"INFRA": 0.9, "TEAM": 1.0}
    live = write_rows(tmp_path / "live.jsonl", rows)
    few = sample_for_review([live], tmp_path / "s.jsonl", size=60)
    many = sample_for_review([live], tmp_path / "s.jsonl", size=60, types=["TEAM=30"])
    assert many.expected["TEAM"] >= 27 > 2 * few.expected["TEAM"]
    none = sample_for_review([live], tmp_path / "s.jsonl", size=60, types=["PERSON=30"])
    assert none.size == 60
    assert "neither finds nor expects PERSON" in none.notes[0]


@pytest.mark.parametrize(("sources", "most"), [(100, 1), (10, 3)])
def test_a_source_is_in_the_sample_once_unless_there_are_too_few(tmp_path, sources, most):
    rows = [live_row(number, meta={"source": f"page {number % sources}"}) for number in range(300)]
    sample = sample_for_review([write_rows(tmp_path / "live.jsonl", rows)], tmp_path / "s.jsonl", size=30)
    found = [row["meta"]["source"] for row in read_rows(tmp_path / "s.jsonl")]
    assert max(map(found.count, found)) <= most
    assert sample.per_source == most
    assert any("too few sources" in note for note in sample.notes) == (most > 1)


def test_of_fewer_passages_than_asked_for_all_are_taken(tmp_path):
    live = write_rows(tmp_path / "live.jsonl", [live_row(number) for number in range(15)])
    assert sample_for_review([live], tmp_path / "s.jsonl", size=200).size == 15
    assert {mark.probability for mark in marks(tmp_path / "s.jsonl")} == {1.0}


def test_a_log_stands_for_what_was_not_logged_too(tmp_path):
    rows = [live_row(number, inclusion_probability=0.05, time="2026-11-01T00:00:00Z") for number in range(100)]
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(write_rows(tmp_path / "log", rows).read_bytes()))
    sample_for_review([path], tmp_path / "s.jsonl", size=20)
    mark = marks(tmp_path / "s.jsonl")[0]
    assert (mark.share, mark.totals.rows) == (0.05, 2000)
    assert mark.weight == pytest.approx(20)


def test_more_passages_are_needed_for_a_smaller_drop(live, tmp_path):
    sample = sample_for_review([live], tmp_path / "s.jsonl", size=20, detect=[0.05, 0.1])
    small, large = sample.detectable
    assert 300 >= small.passages > large.passages > 10
    assert small.of_types.keys() == {"INFRA"}


def test_rows_that_do_not_say_what_the_model_expects_are_sampled_all_the_same_and_that_is_told(tmp_path):
    rows = [{key: value for key, value in live_row(n).items() if key != "expected"} for n in range(30)]
    sample = sample_for_review([write_rows(tmp_path / "live.jsonl", rows)], tmp_path / "s.jsonl", size=10)
    assert "30 of 30 rows do not say how many entities the model expects" in sample.notes[0]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"size": 5}, "`size` is 5"),
        ({"per_source": 0}, "`per_source` is 0"),
        ({"blind": 1.5}, "`blind` is 1.5"),
        ({"detect": [0]}, "`detect` is 0"),
        ({"types": ["TEAM"]}, "`types` is 'TEAM'"),
        ({"types": ["TEAM=x"]}, "`types` is 'TEAM=x'"),
        ({"types": {"TEAM": 300}}, "`types` asks for 300 passages"),
        ({"model_version": "9"}, "There is no live row of the model 9"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(live, tmp_path, arguments, what):
    with pytest.raises(UserError) as error:
        sample_for_review([live], tmp_path / "s.jsonl", **arguments)
    assert what in error.value.what
    assert not (tmp_path / "s.jsonl").exists()


def test_the_live_rows_are_never_written_over(live):
    with pytest.raises(UserError, match="is one of the inputs"):
        sample_for_review([live], live)
    with open_live([live]) as rows:
        assert len(list(rows)) == 300


def test_a_model_is_asked_what_it_expects_where_rows_do_not_say_it(make_passages, tmp_path):
    from helpers.memorized import memorized

    from spacy_domain_ner import extract_files

    memorized("spacy_domain_ner_biluo_v1", make_passages()).to_disk(tmp_path / "model")
    write_rows(tmp_path / "in.jsonl", [{"text": passage.text} for passage in make_passages()])
    for expected in (True, False):
        extract_files(tmp_path / "model", [tmp_path / "in.jsonl"], tmp_path / f"{expected}.jsonl", expected=expected)
    samples = []
    for expected in (True, False):
        sample_for_review([tmp_path / f"{expected}.jsonl"], tmp_path / "s.jsonl", model=tmp_path / "model", size=10)
        samples.append(marks(tmp_path / "s.jsonl"))
    for one, other in zip(*samples, strict=True):
        assert one.model == other.model
        assert one.expected["INFRA"] == pytest.approx(other.expected["INFRA"], abs=0.001)
        assert one.probability == pytest.approx(other.probability, abs=0.01)
    other = write_rows(tmp_path / "other.jsonl", [live_row(number, model=MODEL) for number in range(20)])
    with pytest.raises(UserError, match=r"20 row\(s\) are of en_ops 0\.2\.0"):
        sample_for_review([other], tmp_path / "s.jsonl", model=tmp_path / "model")
