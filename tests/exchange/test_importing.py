"""Merging imported annotations into what is there, the report of it, and files of any size."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.import_report import ImportReport
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.exchange.policies import Annotators, Policies
from spacy_domain_ner.files import at_work

SPAN = {"start": 0, "end": 5, "label": "INFRA"}


def row(text: str = "Redis is down", *spans: dict[str, object], source: str | None = "a", **more: object) -> str:
    """A line of an annotation file."""
    meta = {} if source is None else {"source": source}
    return (
        json.dumps({"text": text, "spans": list(spans), "answer": "accept", "meta": meta, "format_version": 1, **more})
        + "\n"
    )


@pytest.fixture
def merge(tmp_path: Path) -> Callable[..., tuple[str, ImportReport]]:
    """Import lines into an annotation file that has lines already; its new content comes back, and the report."""

    def merge(old: str | None, new: str, policies: Policies = Policies(), **options: bool) -> tuple[str, ImportReport]:
        path, output = tmp_path / "new.jsonl", tmp_path / "annotations.jsonl"
        path.write_text(new, encoding="utf8")
        if old is not None:
            output.write_bytes(old.encode())
        report = import_annotations([path], output, policies, report=tmp_path / "report.json", **options)  # type: ignore[arg-type]
        return output.read_bytes().decode(), report

    return merge


def test_importing_again_changes_no_byte(merge, tmp_path):
    new = row() + row("Kafka is up", SPAN, source=None) + row("😀 a\u0301", source="b")
    first, report = merge(None, new)
    assert report.passages["added"] == 3
    again, report = merge(first, new)
    assert again == first
    assert (report.passages["unchanged"], report.passages["added"], report.passages["updated"]) == (3, 0, 0)


def test_the_same_text_and_source_is_updated_and_what_changed_is_told(merge):
    old = row("Redis and Kafka", SPAN) + row("Redis and Kafka", SPAN, source="other")
    kafka = {"start": 10, "end": 15, "label": "SERVICE"}
    content, report = merge(old, row("Redis and Kafka", kafka))
    first, second = content.splitlines(keepends=True)
    assert json.loads(first)["spans"] == [kafka]
    assert second == row("Redis and Kafka", SPAN, source="other")
    (entry,) = report.shown["updated"]
    assert entry.reason == "updated: +SERVICE 'Kafka', -INFRA 'Redis'"
    assert (report.passages["updated"], report.passages["untouched"]) == (1, 1)


def test_lines_that_are_no_passages_order_and_other_keys_stay(merge):
    skipped = row("Nginx is slow", SPAN).replace("accept", "reject")
    old = (
        row("first", source="x") + "no JSON at all\n" + skipped + "\n" + '{"text": 3}\n'
        + row(note={"by": ["Ann"]}) + row("last", source="y")
    )  # fmt: skip
    content, report = merge(old, row("Redis is down", SPAN) + row("added"))
    before, after = old.splitlines(), content.splitlines()
    assert after[:5] == before[:5]
    assert after[6] == before[6]
    assert json.loads(after[5])["note"] == {"by": ["Ann"]}
    assert json.loads(after[5])["spans"] == [SPAN]
    assert json.loads(after[7])["text"] == "added"
    assert len(after) == 8
    assert report.passages["untouched"] == 2


def test_a_file_without_a_line_end_at_its_end_loses_nothing(merge):
    content, _ = merge(row("first").rstrip("\n"), row("second"))
    assert content == row("first") + row("second")


@pytest.mark.parametrize(
    ("old", "new", "span"),
    [
        pytest.param("one\r\nRedis", "one\nRedis", (4, 9), id="line ends"),
        pytest.param("one  Redis", "one Redis", (4, 9), id="blanks"),
        pytest.param("\tone Redis ", "one Redis", (4, 9), id="the edges"),
        pytest.param("one\u00a0Redis", "one Redis", (4, 9), id="a no-break space"),
    ],
)
def test_the_text_that_is_there_stays_whatever_white_space_a_tool_made_of_it(merge, old, new, span):
    start, end = span
    content, report = merge(row(old), row(new, {"start": start, "end": end, "label": "INFRA"}))
    (passage,) = map(json.loads, content.splitlines())
    (found,) = passage["spans"]
    assert passage["text"] == old
    assert old[found["start"] : found["end"]] == "Redis"
    assert report.passages["updated"] == 1


def test_two_unicode_forms_of_a_text_never_move_a_span(merge):
    old, new = "Cafe\u0301 Redis", "Café Redis"
    content, _ = merge(row(old), row(new, {"start": 5, "end": 10, "label": "INFRA"}))
    for passage in map(json.loads, content.splitlines()):
        assert all(passage["text"][s["start"] : s["end"]] == "Redis" for s in passage["spans"])


def test_a_passage_that_is_there_twice_is_merged(merge):
    content, report = merge(None, row("Redis is down", SPAN) * 2 + row("Redis  is down", SPAN))
    assert content == row("Redis is down", SPAN)
    assert report.passages["read"] == 3
    assert report.passages["added"] == 1


def test_the_output_may_be_an_input(tmp_path):
    output = tmp_path / "annotations.jsonl"
    output.write_text(row("Redis is down", SPAN) + row("other"), encoding="utf8")
    before = output.read_bytes()
    import_annotations([output], output)
    assert output.read_bytes() == before


def test_every_annotator_s_version_is_kept_apart_and_importing_again_changes_nothing(merge):
    new = row("Redis is down", SPAN, _annotator_id="ann") + row("Redis is down", _annotator_id="bo")
    policies = Policies(annotators=Annotators.each)
    first, _ = merge(None, new, policies)
    assert len(first.splitlines()) == 2
    assert merge(first, new, policies)[0] == first


def test_annotators_who_differ_leave_the_place_unknown_until_one_of_them_is_right(merge):
    ann, bo = row("Redis is down", SPAN, _annotator_id="ann"), row("Redis is down", _annotator_id="bo")
    first, report = merge(None, ann + bo)
    record = json.loads(first)
    assert (record["spans"], record["unknown"]) == ([], [{"start": 0, "end": 5, "label": "INFRA"}])
    assert report.undecided == 1
    # Importing both again changes nothing, nor does importing the annotation file itself.
    assert merge(first, ann + bo)[0] == first
    assert merge(first, first)[0] == first
    # The people agree, and nothing is unknown any more.
    decided = json.loads(merge(first, ann + ann.replace('"ann"', '"bo"'))[0])
    assert len(decided["spans"]) == 1
    assert "unknown" not in decided


def test_strict_writes_only_the_report(merge, tmp_path):
    with pytest.raises(UserError, match=r"2 passage\(s\), span\(s\) or file\(s\) refused"):
        merge(row("old"), row("new", {"start": 50, "end": 60, "label": "X"}), strict=True)
    assert (tmp_path / "annotations.jsonl").read_text(encoding="utf8") == row("old")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf8"))
    span, passage = [entry for entry in report["entries"] if entry["kind"] == "refused"]
    assert span["line"] == passage["line"] == 1
    assert "lies outside the text" in span["reason"]
    assert "none of its spans" in passage["reason"]
    assert sorted(os.listdir(tmp_path)) == ["annotations.jsonl", "new.jsonl", "report.json"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(texts=st.lists(TEXTS, max_size=5), spans=st.lists(st.tuples(TEXTS, st.integers(-3, 20), st.integers(-3, 20))))
def test_the_report_is_complete_whatever_is_imported(tmp_path_factory, texts, spans):
    folder = tmp_path_factory.mktemp("any")
    marked = [{"start": start, "end": end, "label": label} for label, start, end in spans]
    new = row("Redis is down") + "".join(row(text, *marked) for text in texts)
    (folder / "new.jsonl").write_text(new, encoding="utf8")
    output = folder / "annotations.jsonl"
    report = import_annotations([folder / "new.jsonl"], output, report=folder / "report.json")
    written = json.loads((folder / "report.json").read_text(encoding="utf8"))
    assert written["counts"]["passages"]["read"] == 1 + len(texts)
    assert (
        len([e for e in written["entries"] if (e["kind"], e["of"]) == ("refused", "span")]) == report.spans["refused"]
    )
    assert all({"kind", "of", "file", "line", "id", "text", "reason"} == set(entry) for entry in written["entries"])
    for passage in read_valid_passages(output):
        assert all(passage.surface(span) == passage.surface(span).strip() != "" for span in passage.spans)
    first = output.read_bytes()
    import_annotations([folder / "new.jsonl"], output)
    assert output.read_bytes() == first


@pytest.mark.parametrize("packed", [False, True], ids=["a file", "an archive"])
def test_progress_continues_after_all_is_read_and_ends_at_1(tmp_path, packed):
    path = tmp_path / "new.jsonl"
    path.write_text("".join(row(f"Redis {number} is down", SPAN) for number in range(3000)), encoding="utf8")
    if packed:
        with zipfile.ZipFile(tmp_path / "new.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, path.name)
        path = tmp_path / "new.zip"
    shares: list[float] = []
    import_annotations([path], tmp_path / "annotations.jsonl", progress=shares.append)
    assert shares == sorted(set(shares))
    assert shares[-1] == 1
    assert 0.5 in shares
    assert len([share for share in shares if 0.5 < share < 1]) > 10


def many_rows(path: Path, megabytes: int) -> Path:
    text = "The {0} fails since Redis is slow, and nobody knows why it has not been so before. " * 24
    with path.open("w", encoding="utf8") as stream:
        number = 0
        while stream.tell() < megabytes * 1_000_000:
            for _ in range(1000):
                number += 1
                stream.write(row(text.format(f"api-{number}"), {"start": 4, "end": 9, "label": "SERVICE"}))
    return path


def many_tasks(path: Path, megabytes: int) -> Path:
    """One list on one line."""
    value = {"start": 0, "end": 5, "text": "Redis", "labels": ["INFRA"]}
    result = [{"id": "r", "type": "labels", "from_name": "label", "to_name": "text", "value": value}]
    with path.open("w", encoding="utf8") as stream:
        stream.write("[")
        number = 0
        while stream.tell() < megabytes * 1_000_000:
            for _ in range(1000):
                number += 1
                data = {"text": f"Redis {number} is down again and nobody knows why. " * 40}
                task = {"id": number, "data": data, "annotations": [{"id": number, "result": result}]}
                stream.write((", " if number > 1 else "") + json.dumps(task))
        stream.write("]")
    return path


def many_sentences(path: Path, megabytes: int) -> Path:
    with path.open("w", encoding="utf8") as stream:
        number = 0
        while stream.tell() < megabytes * 1_000_000:
            for _ in range(1000):
                number += 1
                stream.write(f"api-{number} NN B-SERVICE\n" + "is VB O\nslow JJ O\nagain RB O\n" * 80 + "\n")
    return path


IMPORT = """
import resource, sys
from pathlib import Path
from spacy_domain_ner.exchange.importing import import_annotations
import_annotations([Path(sys.argv[1])], Path(sys.argv[2]), report=Path(sys.argv[2] + ".json"))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize("make", [many_rows, many_tasks, many_sentences])
def test_memory_does_not_grow_with_the_file(tmp_path, make):
    peaks = []
    for megabytes in (5, 40):
        path, output = make(tmp_path / "large.data", megabytes), tmp_path / f"{megabytes}.jsonl"
        ran = subprocess.run(
            [sys.executable, "-c", IMPORT, path, output], capture_output=True, encoding="utf8", check=True
        )
        peaks.append(int(ran.stdout))
    # The database keeps some 32 megabytes in memory, which the small file does not fill.
    assert peaks[1] - peaks[0] < 60_000, peaks


def test_a_run_that_is_killed_leaves_the_old_file(tmp_path, monkeypatch):
    path, output = many_rows(tmp_path / "large.jsonl", 20), tmp_path / "annotations.jsonl"
    output.write_text(row("old"), encoding="utf8")
    # What it does not clean up stays in this folder, where the next run finds it.
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", IMPORT, path, output], env=environment)
    # It is writing as soon as a file beside the output is there.
    while process.poll() is None and not list(tmp_path.glob(".annotations.jsonl.????????.tmp")):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert output.read_text(encoding="utf8") == row("old")
    import_annotations([path], output, report=Path(f"{output}.json"))
    assert output.read_text(encoding="utf8").startswith(row("old"))
    assert not list(tmp_path.glob(".*"))


def test_two_imports_at_once_lose_nothing_since_the_second_is_refused(tmp_path):
    path, output = tmp_path / "export.jsonl", tmp_path / "annotations.jsonl"
    path.write_text(row("new"), encoding="utf8")
    with at_work(output), pytest.raises(UserError, match=r"Another run is at work on .*annotations\.jsonl: process"):
        import_annotations([path], output)
    assert not output.exists()
    import_annotations([path], output)
    assert output.read_text(encoding="utf8") == row("new")


def test_an_import_that_refuses_every_passage_is_an_error_that_says_why(merge, tmp_path):
    bad = row("Redis is down", {"start": 90, "end": 95, "label": "INFRA"}, source="b")
    with pytest.raises(UserError, match=r"Every annotated passage was refused \(2 in all\)") as raised:
        merge(row(), bad + bad.replace("down", "slow"))
    assert "new.jsonl:1: INFRA 90 to 95 lies outside the text" in raised.value.hint
    assert (tmp_path / "annotations.jsonl").read_text() == row()
    assert json.loads((tmp_path / "report.json").read_text())["counts"]["passages"]["refused"] == 2


def test_one_passage_that_can_be_taken_is_enough(merge):
    content, report = merge(None, row("Redis is down", {"start": 90, "end": 95, "label": "INFRA"}) + row("Kafka"))
    assert (content, report.passages["refused"]) == (row("Kafka"), 1)
