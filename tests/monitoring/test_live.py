"""Live rows: every form in which `extract` and the server's log write them, and what is not one of them."""

import bz2
import csv
import gzip
import io
import json
import sys
from types import SimpleNamespace

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.monitoring.live import fingerprint, open_live

MODEL = {"name": "en_ops", "version": "0.2.0", "digest": "0a1b2c3d"}


def row(number: int = 0, **keys: object) -> dict:
    text = f"Redis {number} is down"
    return {
        "text": text,
        "meta": {"source": f"doc {number}"},
        "entities": [{"name": "Redis", "type": "INFRA", "start": 0, "end": 5, "confidence": 0.9}],
        "expected": {"INFRA": 1.2},
        "model": MODEL,
        **keys,
    }


def lines(*rows: object) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in rows)


def read(*paths: object, **settings: object) -> tuple[list, object]:
    with open_live(paths, **settings) as live:
        return list(live), live


def test_a_row_has_all_that_the_output_of_extract_says(tmp_path):
    (tmp_path / "live.jsonl").write_text(lines(row(7)))
    [[found], live] = read(tmp_path / "live.jsonl")
    assert found.text == "Redis 7 is down"
    assert found.found == ((0, 5, "INFRA", 0.9),)
    assert found.expected == {"INFRA": 1.2}
    assert (found.source, found.probability, found.time) == ("doc 7", 1.0, "")
    assert found.model == live.model == "en_ops 0.2.0 (0a1b2c3d)"
    assert found.place.endswith("live.jsonl:1")


def test_a_row_of_the_log_has_its_time_and_its_probability(tmp_path):
    logged = row(time="2026-11-01T12:00:00Z", inclusion_probability=0.05)
    del logged["expected"]
    (tmp_path / "log").write_text(lines(logged))
    [[found], live] = read(tmp_path / "log")
    assert (found.time, found.probability, found.expected) == ("2026-11-01T12:00:00Z", 0.05, None)
    assert live.without_expected == 1


def as_csv(rows: list[dict], delimiter: str = ",") -> bytes:
    stream = io.StringIO()
    table = csv.writer(stream, delimiter=delimiter)
    table.writerow(rows[0])
    for one in rows:
        table.writerow(value if isinstance(value, str) else json.dumps(value) for value in one.values())
    return stream.getvalue().encode()


def as_parquet(rows: list[dict]) -> bytes:
    """As `spark-extract --expected` writes them: what is expected is a map."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {name: [one[name] for one in rows] for name in rows[0] if name != "expected"}
    expected = [list(one["expected"].items()) for one in rows]
    columns["expected"] = pyarrow.array(expected, pyarrow.map_(pyarrow.string(), pyarrow.float64()))
    columns["error"] = pyarrow.array([None] * len(rows), pyarrow.string())
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("live.jsonl", lambda rows: lines(*rows).encode()),
        ("live.log", lambda rows: lines(*rows).encode()),
        ("live.jsonl.gz", lambda rows: gzip.compress(lines(*rows).encode())),
        ("live.jsonl.bz2", lambda rows: bz2.compress(lines(*rows).encode())),
        ("live.json", lambda rows: json.dumps(rows).encode()),
        ("live.csv", as_csv),
        ("live.tsv", lambda rows: as_csv(rows, "\t")),
        ("live.parquet", as_parquet),
        ("marked.jsonl", lambda rows: b"\xef\xbb\xbf" + lines(*rows).encode()),
        ("windows.jsonl", lambda rows: lines(*rows).replace("\n", "\r\n").encode()),
    ],
)
def test_every_form_gives_the_same_rows(tmp_path, name, write):
    rows = [row(number) for number in range(3)]
    (tmp_path / name).write_bytes(write(rows))
    found, live = read(tmp_path / name)
    assert [(one.text, one.found, one.expected, one.source, one.model) for one in found] == [
        (f"Redis {number} is down", ((0, 5, "INFRA", 0.9),), {"INFRA": 1.2}, f"doc {number}", live.model)
        for number in range(3)
    ]


def test_folders_and_several_files_are_one_stream_that_can_be_read_again(tmp_path):
    (tmp_path / "days").mkdir()
    for day in (1, 2):
        (tmp_path / f"days/{day}.jsonl").write_text(lines(row(day)))
    (tmp_path / "days/3.jsonl.partial").write_text("{")
    (tmp_path / "more.jsonl").write_text(lines(row(9)))
    with open_live([tmp_path / "days", tmp_path / "more.jsonl"]) as live:
        twice = [[one.text for one in live] for _ in range(2)]
    assert twice == [["Redis 1 is down", "Redis 2 is down", "Redis 9 is down"]] * 2
    assert (live.rows, live.refused) == (3, 0)


def test_standard_input_can_be_read_again_too(monkeypatch):
    stdin = io.BytesIO(lines(row(1), row(2)).encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    with open_live(["-"]) as live:
        assert [len(list(live)) for _ in range(2)] == [2, 2]
        assert next(iter(live)).place == "<stdin>:1"


def test_a_half_written_last_line_is_left_out_and_told(tmp_path):
    (tmp_path / "log.jsonl").write_text(lines(row(1), row(2)) + json.dumps(row(3))[:60])
    found, live = read(tmp_path / "log.jsonl")
    assert len(found) == 2
    assert live.refused == 1
    assert "log.jsonl:3: the last line is half-written" in live.refusals[0]


def test_a_broken_line_in_the_middle_is_left_out_with_its_reason(tmp_path):
    broken = row(2, entities=[{"type": "INFRA", "start": 0, "end": 500, "confidence": 0.5}])
    (tmp_path / "a.jsonl").write_text(lines(row(1), '{"text": ', broken, row(3)))
    found, live = read(tmp_path / "a.jsonl")
    assert len(found) == 2
    assert live.refused == 2
    assert "a.jsonl:2: not valid JSON" in live.refusals[0]
    assert "a.jsonl:3: an entity does not lie in the text" in live.refusals[1]


WITHOUT = [{"type": "INFRA", "start": 0, "end": 5}]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lines(row(1, entities=WITHOUT)), "no confidence"),
        (lines(row(1), row(2, model={**MODEL, "version": "0.3.0"})), "two models: en_ops 0.2.0 (0a1b2c3d) (first at"),
        (lines(row(1), row(2, model={**MODEL, "digest": "ffffffff"})), "two models"),
        (lines(row(1), row(2, model=None)), "a model that is not named"),
        (lines({"text": "Redis", "spans": []}), "not a live row: there are no `entities`"),
        (json.dumps([{"id": 1, "data": {"text": "Redis"}, "annotations": []}]), "no 'text'"),
        ("Redis is down\nKafka is slow\n", "not a live row: not valid JSON"),
        (lines({"text": "Redis", "entities": {"0": 1}}), "there are no `entities`"),
        (lines(row(1, inclusion_probability=0)), "`inclusion_probability` must be above 0"),
        (json.dumps(row(1))[:40], "ends in the middle"),
    ],
)
def test_what_is_not_of_one_model_at_work_is_refused_in_one_line(tmp_path, content, what):
    (tmp_path / "live.jsonl").write_text(content)
    with pytest.raises(UserError) as error:
        read(tmp_path / "live.jsonl")
    assert what in error.value.what
    assert error.value.hint


def test_a_text_file_is_refused_and_a_log_that_begins_within_a_line_is_not(tmp_path):
    (tmp_path / "live.txt").write_text("Redis is down\nKafka is slow\n")
    with pytest.raises(UserError, match=r"live.txt:1: this is not a live row: text"):
        read(tmp_path / "live.txt")
    (tmp_path / "log").write_text(lines(row(1)))
    (tmp_path / "cut.jsonl").write_text(json.dumps(row(1))[30:] + "\n" + lines(row(2)))
    assert [one.text for one in read(tmp_path / "cut.jsonl")[0]] == ["Redis 2 is down"]


def test_entities_that_a_rule_has_set_have_no_confidence_and_count_as_sure(tmp_path):
    (tmp_path / "live.jsonl").write_text(lines(row(1, entities=WITHOUT), row(2)))
    found, live = read(tmp_path / "live.jsonl")
    assert live.unsure == 1
    assert found[0].found[0].sure == 1


@pytest.mark.parametrize("version", ["0.3.0", "en_ops-0.3.0", "en_ops 0.3.0", "0a1b2c3e", "en_ops 0.3.0 (0a1b2c3e)"])
def test_one_of_several_models_can_be_chosen(tmp_path, version):
    other = {"name": "en_ops", "version": "0.3.0", "digest": "0a1b2c3e"}
    (tmp_path / "log").write_text(lines(row(1), row(2, model=other), row(3)))
    found, live = read(tmp_path / "log", model_version=version)
    assert [one.text for one in found] == ["Redis 2 is down"]
    assert live.of_other_models == {"en_ops 0.2.0 (0a1b2c3d)": 2}


def test_a_fingerprint_is_that_of_the_text_without_its_white_space():
    assert fingerprint("Redis is\r\ndown ") == fingerprint("Redis  is down")
    assert fingerprint("Redis is down") != fingerprint("redis is down")
