"""Reading lines: what is a passage, where it is, and how its file's format is told."""

import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction import inputs
from spacy_domain_ner.extraction.inputs import find_inputs, read_lines

MARK = b"\xef\xbb\xbf"


Lines = list[tuple[int, bytes, bool]]


def read(path: Path, file_format: str | None = None, whole_files: bool = False) -> Lines:
    lines = read_lines(find_inputs([str(path)], file_format), whole_files)
    return [(line.number, line.raw, line.is_json) for line in lines]


def read_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes, file_format: str | None = None) -> Lines:
    monkeypatch.setattr(inputs.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return [(line.number, line.raw, line.is_json) for line in read_lines(find_inputs(["-"], file_format))]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n \n\t\r\n", []),
        (b"one\ntwo\n", [(1, b"one"), (2, b"two")]),
        (b"one\ntwo", [(1, b"one"), (2, b"two")]),
        (b"one\r\ntwo\r\n", [(1, b"one"), (2, b"two")]),
        (b"\n\none\n\ntwo\n", [(3, b"one"), (5, b"two")]),
        (MARK + b"one\n", [(1, b"one")]),
        (MARK + b"\none\n", [(2, b"one")]),
        (MARK, []),
        # Only a line feed ends a line, whatever Unicode calls a line separator.
        ("a\u2028b\x0bc\x85d\n".encode(), [(1, "a\u2028b\x0bc\x85d".encode())]),
        (b"  indented  \n", [(1, b"  indented  ")]),
    ],
)
def test_every_line_that_holds_something_is_a_passage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, lines: list[tuple[int, bytes]]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    assert read(path) == [(number, raw, False) for number, raw in lines]
    assert read_stdin(monkeypatch, data) == [(number, raw, False) for number, raw in lines]


@pytest.mark.parametrize("before", [b"", b"\n \r\n", MARK, MARK + b"\n", MARK + b"  "])
def test_standard_input_is_json_where_its_first_line_is(monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    lines = read_stdin(monkeypatch, before + b'{"text": "a"}\n{broken\nplain\n')
    first = before.count(b"\n") + 1
    assert [(number, is_json) for number, _, is_json in lines] == [(first + n, True) for n in range(3)]


@pytest.mark.parametrize(("file_format", "is_json"), [("jsonl", True), ("text", False)])
def test_the_format_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str, is_json: bool
) -> None:
    for name in ("a.txt", "a.jsonl", "a.json", "a"):
        (tmp_path / name).write_bytes(b"{}\n")
        assert read(tmp_path / name, file_format) == [(1, b"{}", is_json)]
    assert read_stdin(monkeypatch, b"{}\n", file_format) == [(1, b"{}", is_json)]


def test_a_whole_file_is_one_passage_with_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(MARK + b"one\r\n\r\ntwo\n")
    assert read(path, whole_files=True) == [(0, b"one\r\n\r\ntwo\n", False)]
    path.write_bytes(b" \n")
    assert read(path, whole_files=True) == []
    (tmp_path / "a.jsonl").write_bytes(b"{}\n{}\n")
    assert len(read(tmp_path / "a.jsonl", whole_files=True)) == 2


def test_a_folder_gives_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/c.TXT", "a/b.md", "c.ndjson", "picture.png", "data.json", "out.jsonl.partial"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x\n")
    found = find_inputs([str(tmp_path / "in")])
    assert [(Path(each.path).relative_to(tmp_path / "in").as_posix(), each.is_json) for each in found] == [
        ("a/b.md", False),
        ("a/c.TXT", False),
        ("b.jsonl", True),
        ("c.ndjson", True),
    ]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.txt", "There is no file or folder"),
        ("empty-folder", "has no file to read"),
        ("one.json", "file_format=jsonl"),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "empty-folder").mkdir()
    (tmp_path / "one.json").write_text("[]")
    with pytest.raises(UserError, match=says) as raised:
        find_inputs([str(tmp_path / name)])
    assert name in str(raised.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_told_by_its_first_line(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    [source] = find_inputs([str(pipe)])
    assert (source.is_json, source.can_be_read_again, source.size) == (None, False, 0)
