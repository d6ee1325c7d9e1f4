"""`import --sentences`: parts with their own spans, and no text twice, whatever was imported before."""

import json
from pathlib import Path

import pytest

from spacy_domain_ner import import_annotations
from spacy_domain_ner.corpus.jsonl import read_passages

TEXT = "Redis is down.  OK. Yahoo! Inc called.\nOK. Kafka is up."
SPANS = [(0, 5, "INFRA"), (20, 30, "TEAM"), (43, 48, "INFRA")]
PARTS = ["Redis is down.", "OK.", "Yahoo! Inc called.", "OK.", "Kafka is up."]


def export(path: Path, spans: list[tuple[int, int, str]] = SPANS, **keys: object) -> Path:
    path.write_text(json.dumps({"id": 7, "text": TEXT, "label": spans, **keys}) + "\n")
    return path


def read(path: Path) -> list[tuple[str, list[str]]]:
    return [(passage.text, [passage.surface(span) for span in passage.spans]) for passage in read_passages(path)]


def test_a_task_becomes_passages_that_name_it(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    report = import_annotations([export(tmp_path / "a.jsonl")], output, sentences=True)
    assert (report.passages["kept"], report.passages["added"], report.spans["kept"]) == (1, 5, 3)
    assert read(output) == list(zip(PARTS, [["Redis"], [], ["Yahoo! Inc"], [], ["Kafka"]], strict=True))
    passages = read_passages(output).passages
    assert {passage.meta["task"] for passage in passages} == {"7"}
    assert len({(passage.meta["source"], passage.meta["part_of"]) for passage in passages}) == 1
    assert all(TEXT[p.meta["part_start"] :].startswith(p.text) for p in passages)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
@pytest.mark.parametrize("spans", [SPANS, [(0, 18, "INFRA"), *SPANS[1:]]])
def test_importing_again_doubles_no_text(
    tmp_path: Path, first: bool, second: bool, spans: list[tuple[int, int, str]]
) -> None:
    output = tmp_path / "out.jsonl"
    output.write_text('{"text": "an old one", "spans": []}\n')
    import_annotations([export(tmp_path / "a.jsonl")], output, sentences=first)
    import_annotations([export(tmp_path / "a.jsonl", spans)], output, sentences=second)
    import_annotations([export(tmp_path / "b.jsonl", spans)], tmp_path / "fresh.jsonl", sentences=second)
    assert read(output)[0] == ("an old one", [])
    assert sorted(read(output)[1:]) == sorted(read(tmp_path / "fresh.jsonl"))
    before = output.read_bytes()
    report = import_annotations([tmp_path / "a.jsonl"], output, sentences=second)
    assert output.read_bytes() == before
    assert report.passages["added"] == report.passages["updated"] == 0


def test_a_task_without_a_span_leaves_the_annotation_of_the_parts(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    import_annotations([export(tmp_path / "a.jsonl", [(0, 18, "INFRA"), *SPANS[1:]])], output, sentences=True)
    before = read(output)
    for sentences in (False, True):
        import_annotations([export(tmp_path / "a.jsonl", [])], output, sentences=sentences)
        assert read(output) == before
    report = import_annotations([export(tmp_path / "a.jsonl")], output)
    assert (report.passages["updated"], report.passages["added"], len(read(output))) == (len(before), 0, 1)


def test_a_part_that_was_labelled_again_finds_its_place(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    import_annotations([export(tmp_path / "a.jsonl")], output, sentences=True)
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    rows[0]["spans"] = [{"start": 0, "end": 5, "label": "LIBRARY"}]
    (tmp_path / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = import_annotations([tmp_path / "part.jsonl"], output)
    assert (report.passages["updated"], report.passages["added"]) == (1, 0)
    assert [text for text, _ in read(output)] == PARTS
    assert read_passages(output).passages[0].spans[0].label == "LIBRARY"


def test_a_text_that_is_too_long_for_a_passage_can_be_cut(tmp_path: Path) -> None:
    text = "Redis is down. " * 80_000
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": text, "label": [[0, 5, "INFRA"]]}) + "\n")
    report = import_annotations([tmp_path / "a.jsonl"], tmp_path / "out.jsonl", sentences=True)
    assert (report.passages["added"], report.spans["kept"], report.refused) == (80_000, 1, 0)
