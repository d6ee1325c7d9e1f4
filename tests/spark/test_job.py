"""`spark-extract`: from files to files, killed and resumed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.needs_spark import needs_spark
from helpers.outcome import Outcome

from spacy_domain_ner import spark_extract
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.runs import extract_files

pytest.importorskip("pyarrow", reason="the spark extra is not installed")

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def passages(texts: list[str | None]) -> Rows:
    return [{"id": number, "body": text} for number, text in enumerate(texts)]


@pytest.fixture(scope="module")
def folder(passages: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The passages in four Parquet files and in four of JSON lines; each file is a year older than the next."""
    import pyarrow
    from pyarrow import parquet

    folder = tmp_path_factory.mktemp("passages")
    for number in range(4):
        rows = passages[number::4]
        table, lines = (folder / kind / f"{number} {kind}.{kind}" for kind in ("parquet", "jsonl"))
        table.parent.mkdir(exist_ok=True)
        lines.parent.mkdir(exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(rows), table)
        broken = ["", "{broken", '{"id": 99}'] if number == 2 else []
        lines.write_text("\n".join([*map(json.dumps, rows), *broken]) + "\n", encoding="utf8")
        for path in (table, lines):
            os.utime(path, (1.7e9 - 3e7 * number,) * 2)
    return folder


@pytest.fixture(scope="module")
def wanted(folder: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Any]:
    """What `extract` finds, by the passage's id."""
    output = tmp_path_factory.mktemp("extracted") / "out.jsonl"
    extract_files(model, [folder / "jsonl"], output, text_key="body")
    rows = map(json.loads, output.read_text(encoding="utf8").split("\n")[:-1])
    return {row["id"]: row["entities"] for row in rows}


def written(output: Path) -> Rows:
    from pyarrow import parquet

    rows: Rows = []
    for path in sorted(output.iterdir()):
        if path.suffix == ".parquet":
            rows += parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            rows += map(json.loads, path.read_text(encoding="utf8").split("\n")[:-1])
    return rows


def check(rows: Rows, passages: Rows, wanted: dict[int, Any]) -> None:
    """Each passage is there once, with what `extract` finds."""
    assert sorted(row["id"] for row in rows) == [passage["id"] for passage in passages]
    for row in rows:
        text = passages[row["id"]]["body"]
        assert row.get("body") == text
        assert row.get("entities") == wanted.get(row["id"])
        assert row.get("error") == ("an empty text" if text is not None and not text.strip() else None)


@pytest.mark.usefixtures("spark")
def test_a_job_gives_what_extract_finds_and_a_batch_that_was_not_finished_is_done_again(
    folder: Path, model: Path, passages: Rows, wanted: dict[int, Any], tmp_path: Path
) -> None:
    output, checkpoint = tmp_path / "out", tmp_path / "checkpoint"
    settings: dict[str, Any] = {
        "model": model, "checkpoint": checkpoint, "text": "body", "files_per_batch": 2, "partitions": 2
    }  # fmt: skip
    done = spark_extract(folder / "parquet", output, **settings)
    assert (done.batches, done.passages, done.resumed) == (2, len(passages), False)
    assert done.entities == sum(map(len, wanted.values()))
    assert done.errors == sum(row["error"] is not None for row in written(output)) == 2
    check(written(output), passages, wanted)
    # A job that was killed after it had placed a part of the last batch, and while it wrote.
    commits = checkpoint / "stream/commits"
    for name in ("1", ".1.crc"):
        (commits / name).unlink(missing_ok=True)
    second = sorted(output.glob("batch-000001-*"))
    second[0].rename(output / "batch-000001-00077.parquet")
    (output / ".batch-0123").mkdir()
    again = spark_extract(folder / "parquet", output, **settings)
    assert again.resumed
    assert 0 < again.passages < len(passages)
    check(written(output), passages, wanted)
    # Checksums of files are hidden, too, and stay beside them.
    assert not [path for path in output.glob(".batch-*") if path.is_dir()]
    assert not (output / "batch-000001-00077.parquet").exists()
    assert spark_extract(folder / "parquet", output, **settings).batches == 0
    for changed, what in (
        ({"min_confidence": 0.5}, "made with another `min_confidence`: none, and now it is 0.5"),
        ({"output_format": "jsonl"}, "made with another `output_format`"),
    ):
        with pytest.raises(UserError, match=what):
            spark_extract(folder / "parquet", output, **{**settings, **changed})
    with pytest.raises(UserError, match="not the checkpoint that they were written with"):
        spark_extract(folder / "parquet", output, **{**settings, "checkpoint": tmp_path / "other"})
    (output / ".spark-extract.json").unlink()
    with pytest.raises(UserError, match="a part is done, and it is not in"):
        spark_extract(folder / "parquet", output, **settings)


@pytest.mark.usefixtures("spark")
def test_lines_of_json_and_of_text_are_read_as_extract_reads_them(
    folder: Path, model: Path, passages: Rows, wanted: dict[int, Any], tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"model": model, "text": "body", "partitions": 1, "expected": True}
    spark_extract(
        folder / "jsonl", tmp_path / "lines", checkpoint=tmp_path / "a", output_format="jsonl", **settings
    )  # fmt: skip
    extract_files(model, [folder / "jsonl"], tmp_path / "extracted.jsonl", text_key="body", expected=True)
    lines = (tmp_path / "extracted.jsonl").read_text(encoding="utf8").split("\n")[:-1]
    rows = written(tmp_path / "lines")
    assert sorted(json.dumps(row) for row in rows if "entities" in row) == sorted(
        map(json.dumps, map(json.loads, lines))
    )
    assert sorted(row["error"] for row in rows if "error" in row) == sorted(
        [*["an empty text"] * 2, "no 'body' in the record", "no 'body' in the record", BROKEN]
    )
    assert {"error": BROKEN, "line": "{broken"} in rows
    (tmp_path / "text/deep").mkdir(parents=True)
    (tmp_path / "text/deep/a.txt").write_text("Redis is down\r\n\n \nKafka\n", encoding="utf8")
    spark_extract(tmp_path / "text", tmp_path / "table", checkpoint=tmp_path / "b", **settings)
    table = written(tmp_path / "table")
    assert sorted(row["body"] for row in table) == ["Kafka", "Redis is down"]
    assert table[0]["meta"]["source"].endswith("/text/deep/a.txt")


BROKEN = "not valid JSON (Expecting property name enclosed in double quotes at column 2)"


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(
    ("inputs", "output", "checkpoint", "settings", "what"),
    [
        ("parquet", "parquet/out", "ck", {}, "is in the inputs"),
        ("parquet", "out", "parquet/ck", {}, "is in the inputs"),
        ("parquet", "out", "out/ck", {}, "is in the output"),
        ("parquet", ".", "ck", {}, "is in the output"),
        ("nothing", "out", "ck", {}, "There is no file in"),
        (".", "../out", "../ck", {}, "files of several formats"),
        ("parquet", "out", "ck", {"text": "text"}, "no column 'text'"),
        ("parquet", "out", "ck", {"text": "id"}, "not text"),
        ("parquet", "out", "ck", {"file_format": "csv"}, "`file_format` is 'csv'"),
        ("parquet", "out", "ck", {"output_format": "csv"}, "`output_format` is 'csv'"),
        ("parquet", "out", "ck", {"partitions": 0}, "`partitions` is 0"),
        ("parquet", "out", "ck", {"model": "en_nothing"}, "no model 'en_nothing'"),
        ("parquet", "out", "ck", {"model": "none.whl"}, "There is no wheel"),
        ("parquet", "out", "jsonl", {}, "is not the checkpoint of an extraction"),
        ("parquet", "jsonl", "ck", {}, "not the checkpoint that they were written with"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_written(
    folder: Path, model: Path, inputs: str, output: str, checkpoint: str, settings: dict[str, Any], what: str
) -> None:
    before = sorted(folder.rglob("*"))
    arguments = {"model": model, "text": "body", **settings}
    with pytest.raises(UserError, match=what):
        spark_extract(folder / inputs, folder / output, checkpoint=folder / checkpoint, **arguments)  # type: ignore[arg-type]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.slow
def test_a_driver_that_was_killed_is_resumed_by_the_same_command(
    folder: Path, model: Path, passages: Rows, wanted: dict[int, Any], tmp_path: Path
) -> None:
    needs_spark()
    command = [
        sys.executable, "-m", "spacy_domain_ner", "spark-extract", str(folder / "parquet"), "out",
        "--model", str(model), "--checkpoint", "ck", "--text-key", "body", "--files-per-batch", "1",
        "--partitions", "1",
        "--master", "local[1]", "--conf", "spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    # Spark notes a batch as done after it was told of: when the second is told of, the first is noted.
    seen = [line for line in iter(process.stderr.readline, "") if line.startswith("batch 2:") and _kill(process)]
    assert seen
    assert process.wait() == -signal.SIGKILL
    process.stderr.close()
    resumed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr
    assert "Resumed: " in resumed.stdout
    check(written(tmp_path / "out"), passages, wanted)


def _kill(process: "subprocess.Popen[str]") -> bool:
    process.kill()
    return True


def test_without_java_or_pyspark_one_line_says_what_to_install(
    domain_ner: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("pyspark", reason="the spark extra is not installed")
    monkeypatch.setattr("pyspark.sql.SparkSession.getActiveSession", lambda: None)
    arguments = ("spark-extract", "in", tmp_path / "out", "--model", "en_x", "--checkpoint", tmp_path / "ck")
    with monkeypatch.context() as patch:
        patch.delenv("JAVA_HOME", raising=False)
        patch.setenv("PATH", str(tmp_path))
        outcome = domain_ner(*arguments)
        assert outcome.code == 1
        assert "There is no Java, which Spark runs on" in outcome.err
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    outcome = domain_ner(*arguments)
    assert outcome.code == 1
    assert "PySpark is not installed" in outcome.err
    assert "pip install 'spacy-domain-ner[spark]'" in outcome.err
