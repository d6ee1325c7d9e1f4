"""Extraction over files of every kind, called from Python: resumed after an interruption, reported on as it runs."""

import csv
import gzip
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language

from spacy_domain_ner import Extractor, UserError, extract_files
from spacy_domain_ner.extraction.runs import Extraction
from spacy_domain_ner.files import at_work


def test_files_folders_and_whole_files_give_where_they_come_from(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfRedis\r\n\r\nKafka\r\n")
    (folder / "b.jsonl").write_bytes(b'{"id": 1, "text": "svc1"}\r\n')
    output = tmp_path / "out.jsonl"
    extraction = extract_files(model, [folder], output)
    assert (extraction.passages, extraction.entities, extraction.refused) == (3, 3, 0)
    rows = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    source = str(folder / "a.txt")
    infra = {"type": "INFRA", "start": 0, "end": 5}
    assert rows == [
        {"text": "Redis", "meta": {"source": source, "line": 1}, "entities": [{"name": "Redis", **infra}]},
        {"text": "Kafka", "meta": {"source": source, "line": 3}, "entities": [{"name": "Kafka", **infra}]},
        {"id": 1, "text": "svc1", "entities": [{"name": "svc1", "type": "SERVICE", "start": 0, "end": 4}]},
    ]
    extract_files(model, [source], output, whole_files=True)
    [row] = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    assert row["text"] == "Redis\r\n\r\nKafka\r\n"
    assert row["meta"] == {"source": source}
    assert [row["text"][entity["start"] : entity["end"]] for entity in row["entities"]] == ["Redis", "Kafka"]


def test_a_row_says_on_request_what_the_model_expects_and_which_model_it_is(knowing: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("The billing-api-1 fails since Redis is slow.\nNothing\n")
    for workers, name in ((1, "one.jsonl"), (2, "two.jsonl")):
        extract_files(knowing, [tmp_path / "in.txt"], tmp_path / name, workers=workers, expected=True)
    assert (tmp_path / "one.jsonl").read_text() == (tmp_path / "two.jsonl").read_text()
    rows = [json.loads(line) for line in (tmp_path / "one.jsonl").read_text().splitlines()]
    extractor = Extractor(knowing)
    for row, expected in zip(rows, extractor.expected([row["text"] for row in rows]), strict=True):
        assert row["expected"] == {label: round(count, 3) for label, count in expected.items() if count >= 0.0005}
        assert row["model"] == extractor.identity
    assert extractor.identity.keys() == {"name", "version", "digest"}


def test_what_a_model_expects_is_refused_at_once_where_it_can_not_tell(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Redis")
    with pytest.raises(UserError, match="no recognizer that says how many entities it expects"):
        extract_files(model, [tmp_path / "in.txt"], tmp_path / "out.jsonl", expected=True)
    with pytest.raises(UserError, match="`text_key` is 'model'"):
        extract_files(model, [tmp_path / "in.txt"], tmp_path / "out.jsonl", expected=True, text_key="model")


def test_the_text_may_stand_under_another_key(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"body": "Redis", "text": 3}\n')
    extract_files(model, [path], tmp_path / "out.jsonl", text_key="body")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["body"], row["text"], len(row["entities"])) == ("Redis", 3, 1)


def test_a_second_run_with_the_same_output_is_refused_and_leaves_the_first_alone(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Redis")
    (tmp_path / "out.jsonl.partial").write_text("of the first run")
    with at_work(tmp_path / "out.jsonl"), pytest.raises(UserError, match="Another run is at work on"):
        extract_files(model, [tmp_path / "in.txt"], tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl.partial").read_text() == "of the first run"
    assert extract_files(model, [tmp_path / "in.txt"], tmp_path / "out.jsonl").passages == 1


def test_an_empty_input_gives_an_empty_output(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert extract_files(model, [tmp_path / "in.jsonl"], tmp_path / "out.jsonl").passages == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "`workers` is 0"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"window": 0}, "`window` is 0"),
        ({"file_format": "word"}, "`file_format` is 'word'"),
        ({"text_key": "entities"}, "`text_key` is 'entities'"),
        ({"model": spacy.blank("en"), "workers": 2}, "Several workers can't share one pipeline"),
        ({"model": "no_such_model"}, "The model 'no_such_model' can't be loaded"),
        ({"inputs": ["missing.txt"]}, "There is no file or folder missing.txt"),
        ({"output": Path("in.txt")}, "The output in.txt is one of the inputs"),
        ({"output": Path("link.txt")}, "The output link.txt is one of the inputs"),
        ({"output": Path("folder")}, "folder is not a file"),
    ],
)
def test_an_argument_that_does_not_fit_is_named_before_any_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("in.txt").write_text("Redis\n")
    Path("link.txt").symlink_to("in.txt")
    before = sorted(os.listdir())
    with pytest.raises(UserError, match="^" + says.replace("(", r"\(")):
        extract_files(**{"model": model, "inputs": ["in.txt"], "output": Path("out.jsonl"), **options})
    assert sorted(os.listdir()) == before
    assert Path("in.txt").read_text() == "Redis\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_batch_size_changes_nothing(model: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"svc{n} calls Redis\n\n" for n in range(100)))
    extract_files(model, [path], tmp_path / "expected.jsonl")
    extract_files(model, [path], tmp_path / "out.jsonl", batch_size=size)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "expected.jsonl").read_bytes()


@pytest.mark.parametrize(
    "changed",
    ["nothing", "the batch size", "the input", "its time", "the model", "the text's key", "the window", "a name"],
)
def test_an_interrupted_run_is_resumed_unless_something_that_counts_has_changed(
    model: Path, tmp_path: Path, changed: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": f"svc{n}", "body": "Redis"}) + "\n" for n in range(50)))
    nlp = spacy.load(model)
    nlp.to_disk(tmp_path / "model")
    arguments: dict[str, Any] = {"model": tmp_path / "model", "inputs": [path], "batch_size": 10}
    output = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        extract_files(output=output, report=interrupt_after(20), **arguments)
    assert not output.exists()
    if changed == "the batch size":
        arguments["batch_size"] = 7
    if changed == "the input":
        path.write_text('{"text": "Kafka", "body": "x"}\n' * 50)
    if changed == "its time":
        os.utime(path, (1, 1))
    if changed == "the model":
        nlp.get_pipe("entity_ruler").add_patterns([{"label": "OTHER", "pattern": "Postgres"}])  # type: ignore[attr-defined]
        nlp.to_disk(tmp_path / "model")
    if changed == "the text's key":
        arguments["text_key"] = "body"
    if changed == "the window":
        arguments["window"] = 1000
    if changed == "a name":
        arguments["inputs"] = [path.rename(tmp_path / "renamed.jsonl")]
    extraction = extract_files(output=output, **arguments)
    assert extraction.passages == 50
    assert extraction.resumed == (20 if changed in ("nothing", "the batch size") else 0)
    extract_files(output=tmp_path / "expected.jsonl", **arguments)
    assert output.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()
    assert not list(tmp_path.glob("*.partial*"))


def interrupt_after(passages: int) -> Callable[[Extraction], None]:
    def report(extraction: Extraction) -> None:
        if extraction.passages >= passages:
            raise KeyboardInterrupt

    return report


def test_a_run_reports_how_far_it_is_and_what_it_could_not_read(nlp: Language, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "Redis"}\n{broken\n{"text": "no entity"}\n{"no": "text"}\n')
    seen = []
    extraction = extract_files(
        nlp, [path], tmp_path / "out.jsonl", batch_size=2, report=lambda state: seen.append(replace(state))
    )
    assert [(state.passages, state.entities, state.refused) for state in seen] == [(0, 0, 0), (1, 1, 1), (2, 1, 2)]
    assert seen[-1].bytes_read == seen[-1].bytes_total == path.stat().st_size
    assert [refusal.partition(": ")[0] for refusal in extraction.refusals] == [f"{path}:2", f"{path}:4"]


def test_rows_can_be_written_to_a_stream(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("Redis\n")
    stream = io.BytesIO()
    assert extract_files(nlp, [tmp_path / "in.txt"], stream).passages == 1
    assert json.loads(stream.getvalue())["entities"] == [{"name": "Redis", "type": "INFRA", "start": 0, "end": 5}]


def test_a_table_in_gives_a_table_out_with_all_columns(nlp: Language, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_bytes(b'id,text,prio\r\n1,"Redis, ""q""\r\nand more",high\r\n2,no entity\r\n')
    (tmp_path / "in.jsonl").write_text('{"text": "Kafka", "meta": {"a": 1}, "entities": "old"}\n')
    inputs = [tmp_path / "in.csv", tmp_path / "in.jsonl"]
    extract_files(nlp, inputs, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="", encoding="utf8") as stream:
        rows = list(csv.DictReader(stream))
    assert [list(row) for row in rows] == [["id", "text", "prio", "meta", "entities"]] * 3
    assert [row["text"] for row in rows] == ['Redis, "q"\r\nand more', "no entity", "Kafka"]
    assert [row["meta"] for row in rows] == ["", "", '{"a": 1}']
    found = [[entity["name"] for entity in json.loads(row["entities"])] for row in rows]
    assert found == [["Redis"], [], ["Kafka"]]
    extract_files(nlp, [tmp_path / "out.csv"], tmp_path / "again.tsv")
    with (tmp_path / "again.tsv").open(newline="", encoding="utf8") as stream:
        assert list(csv.DictReader(stream, delimiter="\t")) == rows
    (tmp_path / "in.csv").write_text("id,text\n")
    extract_files(nlp, [tmp_path / "in.csv"], tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().split() == ["text,entities"]
    with pytest.raises(UserError, match=r"out\.csv\.gz would not be what its name says"):
        extract_files(nlp, inputs, tmp_path / "out.csv.gz")


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.zip", "in.csv"])
def test_a_packed_input_is_resumed_too(nlp: Language, tmp_path: Path, name: str) -> None:
    path, output = tmp_path / name, tmp_path / "out.csv"
    if name == "in.csv":
        path.write_text("text\n" + "".join(f'"svc{n}, Redis"\n' for n in range(50)))
    elif name == "in.zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("notes.txt", "".join(f"svc{n}\n" for n in range(50)))
    else:
        path.write_bytes(gzip.compress(b"".join(b'{"text": "Redis"}\n' for n in range(50))))
    with pytest.raises(KeyboardInterrupt):
        extract_files(nlp, [path], output, batch_size=10, report=interrupt_after(20))
    assert not output.exists()
    extraction = extract_files(nlp, [path], output, batch_size=10)
    assert (extraction.passages, extraction.resumed) == (50, 20)
    extract_files(nlp, [path], tmp_path / "whole.csv")
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list(tmp_path.glob("*.partial*"))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_passage_longer_than_a_window_is_read_in_parts(model: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "in.txt").write_text("svc1 calls Redis. " * 100 + "\nKafka\n")
    extract_files(model, [tmp_path / "in.txt"], tmp_path / "out.jsonl", workers=workers, window=100)
    extract_files(model, [tmp_path / "in.txt"], tmp_path / "whole.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
