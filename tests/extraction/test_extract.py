"""Extraction called from Python: over files of every kind, resumed after an interruption."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.language import Language

from spacy_domain_ner.cli.extract import extract
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction import extract as extraction
from spacy_domain_ner.extraction.extract import extract_batch, extract_entities
from spacy_domain_ner.extraction.inputs import Line
from spacy_domain_ner.extraction.output import ResumableOutput


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Redis is slow", [("Redis", "INFRA", 0, 5)]),
        ("svc1 calls svc22", [("svc1", "SERVICE", 0, 4), ("svc22", "SERVICE", 11, 16)]),
        ("😀😀 Redis", [("Redis", "INFRA", 3, 8)]),
        ("cafe\u0301 uses Redis", [("Redis", "INFRA", 11, 16)]),
        ("one\r\nRedis\ttwo", [("Redis", "INFRA", 5, 10)]),
        ("\u200b\u00a0 Redis", [("Redis", "INFRA", 3, 8)]),
        ("nothing here", []),
        ("  \n ", []),
        ("", []),
    ],
)
def test_entities_have_their_name_type_and_offsets_in_code_points(
    nlp: Language, text: str, found: list[tuple[str, str, int, int]]
) -> None:
    entities = extract_entities(nlp, text)
    assert [tuple(entity.values()) for entity in entities] == found
    for entity in entities:
        assert list(entity) == ["name", "type", "start", "end"]
        assert text[entity["start"] : entity["end"]] == entity["name"]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{broken", "no valid JSON"),
        (b"[1]", "a record must be a JSON object"),
        (b'{"no": "text"}', "no 'text' in the record"),
        (b'{"text": 3}', "'text' must be a string"),
        (b'{"text": "  "}', "an empty text"),
        (b'{"text": "caf\xe9"}', "no UTF-8 text"),
        (b'{"text": "\\ud83d"}', "half of a surrogate pair at offset 0"),
        (b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "a number of thousands of digits"),
        (b'{"text": "a", "n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON that is nested too deeply"),
        (b'{"text": "' + b"a" * 1_000_001 + b'"}', "1000001 characters, and the model takes 1000000"),
    ],
)
def test_a_broken_line_is_reported_with_its_place_and_the_rest_goes_on(nlp: Language, raw: bytes, reason: str) -> None:
    lines = [
        Line("in.jsonl", 6, b'{"text": "Redis"}', True),
        Line("in.jsonl", 7, raw, True),
        Line("in.jsonl", 8, b'{"text": "Kafka"}', True),
    ]
    result = extract_batch(nlp, lines)
    assert len(result.refusals) == 1
    assert result.refusals[0].startswith(f"in.jsonl:7: {reason}")
    assert [json.loads(row)["text"] for row in result.rows.splitlines()] == ["Redis", "Kafka"]
    assert (result.passages, result.entities) == (2, 2)


def test_a_text_line_that_is_no_utf8_is_reported(nlp: Language) -> None:
    result = extract_batch(nlp, [Line("in.txt", 2, b"caf\xe9", False), Line("in.txt", 3, b"Redis", False)])
    assert result.refusals == ["in.txt:2: no UTF-8 text (unexpected end of data at byte 3)"]
    assert result.passages == 1


@pytest.mark.parametrize(
    "record",
    [
        {"id": 7, "text": "Redis", "meta": {"source": "page", "deep": [{"é": None}]}},
        {"text": "Redis", "spans": [], "answer": "accept", "score": 0.25, "𝒳": "\u2028"},
        {"text": "Redis\nand \u0000 😀", "id": 2**63},
    ],
)
def test_a_record_is_carried_through(nlp: Language, record: dict[str, Any]) -> None:
    rows = extract_batch(nlp, [Line("a", 1, json.dumps(record).encode(), True)]).rows
    assert rows.count(b"\n") == 1
    result = json.loads(rows)
    assert [entity["name"] for entity in result.pop("entities")] == ["Redis"]
    assert result == record


def test_half_a_surrogate_pair_in_the_metadata_stays_as_it_came(nlp: Language) -> None:
    result = extract_batch(nlp, [Line("a", 1, b'{"text": "Redis \xc3\xa9", "meta": "\\ud83d"}', True)])
    assert json.loads(result.rows)["meta"] == "\ud83d"
    assert b"\\ud83d" in result.rows


def test_words_are_forgotten_again_once_the_common_ones_are_known(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp = spacy.load(model)
    monkeypatch.setattr(extraction, "KEPT_WORDS", len(nlp.vocab) + 10)
    sizes = []
    for batch in range(5):
        lines = [Line("a", n, f"svc{batch} svc{batch}{n} Redis".encode(), False) for n in range(1, 21)]
        assert extract_batch(nlp, lines).entities == 60
        sizes.append(len(nlp.vocab.strings))
    assert sizes[0] == sizes[-1]


def test_files_folders_and_whole_files_give_where_they_come_from(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbfRedis\r\n\r\nKafka\r\n")
    (folder / "b.jsonl").write_bytes(b'{"id": 1, "text": "svc1"}\r\n')
    output = tmp_path / "out.jsonl"
    totals = extract(str(model), [str(folder)], output)
    assert (totals.passages, totals.entities, totals.refused) == (3, 3, 0)
    rows = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    source = str(folder / "a.txt")
    infra = {"type": "INFRA", "start": 0, "end": 5}
    assert rows == [
        {"text": "Redis", "meta": {"source": source, "line": 1}, "entities": [{"name": "Redis", **infra}]},
        {"text": "Kafka", "meta": {"source": source, "line": 3}, "entities": [{"name": "Kafka", **infra}]},
        {"id": 1, "text": "svc1", "entities": [{"name": "svc1", "type": "SERVICE", "start": 0, "end": 4}]},
    ]
    extract(str(model), [source], output, whole_files=True)
    [row] = [json.loads(line) for line in output.read_text(encoding="utf8").splitlines()]
    assert row["text"] == "Redis\r\n\r\nKafka\r\n"
    assert row["meta"] == {"source": source}
    assert [row["text"][entity["start"] : entity["end"]] for entity in row["entities"]] == ["Redis", "Kafka"]


def test_the_text_may_stand_under_another_key(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"body": "Redis", "text": 3}\n')
    extract(str(model), [str(path)], tmp_path / "out.jsonl", text_key="body")
    row = json.loads((tmp_path / "out.jsonl").read_text())
    assert (row["body"], row["text"], len(row["entities"])) == ("Redis", 3, 1)


def test_an_empty_input_gives_an_empty_output(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"")
    assert extract(str(model), [str(tmp_path / "in.jsonl")], tmp_path / "out.jsonl").passages == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"workers": 0}, "--workers is 0"),
        ({"batch_size": 0}, "--batch-size is 0"),
        ({"form": "csv"}, "--format is 'csv'"),
        ({"text_key": "entities"}, "--text-key is 'entities'"),
        ({"model": "no_such_model"}, "The model 'no_such_model' can't be loaded"),
        ({"inputs": ["missing.txt"]}, "There is no file or folder missing.txt"),
        ({"output": Path("in.txt")}, "The output in.txt is one of the inputs"),
        ({"output": Path("link.txt")}, "The output link.txt is one of the inputs"),
        ({"output": Path("folder")}, "folder is no file"),
    ],
)
def test_what_does_not_fit_is_said_before_any_work(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("in.txt").write_text("Redis\n")
    Path("link.txt").symlink_to("in.txt")
    before = sorted(os.listdir())
    with pytest.raises(UserError, match="^" + says.replace("(", r"\(")):
        extract(**{"model": str(model), "inputs": ["in.txt"], "output": Path("out.jsonl"), **options})
    assert sorted(os.listdir()) == before
    assert Path("in.txt").read_text() == "Redis\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_batch_size_changes_nothing(model: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "in.txt"
    path.write_text("".join(f"svc{n} calls Redis\n\n" for n in range(100)))
    extract(str(model), [str(path)], tmp_path / "expected.jsonl")
    extract(str(model), [str(path)], tmp_path / "out.jsonl", batch_size=size)
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "expected.jsonl").read_bytes()


@pytest.mark.parametrize(
    "changed", ["nothing", "the batch size", "the input", "the input's time", "the model", "the text's key", "a name"]
)
def test_an_interrupted_run_goes_on_unless_something_that_counts_has_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": f"svc{n}", "body": "Redis"}) + "\n" for n in range(50)))
    nlp = spacy.load(model)
    nlp.to_disk(tmp_path / "model")
    arguments: dict[str, Any] = {"model": str(tmp_path / "model"), "inputs": [str(path)], "batch_size": 10}
    output = tmp_path / "out.jsonl"
    with monkeypatch.context() as patched:
        interrupt_after(2, patched)
        with pytest.raises(KeyboardInterrupt):
            extract(output=output, **arguments)
    assert not output.exists()
    if changed == "the batch size":
        arguments["batch_size"] = 7
    if changed == "the input":
        path.write_text('{"text": "Kafka", "body": "x"}\n' * 50)
    if changed == "the input's time":
        os.utime(path, (1, 1))
    if changed == "the model":
        nlp.get_pipe("entity_ruler").add_patterns([{"label": "OTHER", "pattern": "Postgres"}])  # type: ignore[attr-defined]
        nlp.to_disk(tmp_path / "model")
    if changed == "the text's key":
        arguments["text_key"] = "body"
    if changed == "a name":
        arguments["inputs"] = [str(path.rename(tmp_path / "renamed.jsonl"))]
    extract(output=output, **arguments)
    went_on = "Going on after 20 passages of an earlier run." in capsys.readouterr().err
    assert went_on == (changed in ("nothing", "the batch size"))
    extract(output=tmp_path / "expected.jsonl", **arguments)
    assert output.read_bytes() == (tmp_path / "expected.jsonl").read_bytes()
    assert not list(tmp_path.glob("*.partial*"))


def interrupt_after(batches: int, patched: pytest.MonkeyPatch) -> None:
    write = ResumableOutput.write
    written = []

    def interrupted(self: ResumableOutput, *arguments: Any, **counts: Any) -> None:
        write(self, *arguments, **counts)
        written.append(1)
        if len(written) == batches:
            raise KeyboardInterrupt

    patched.setattr(ResumableOutput, "write", interrupted)
