"""Texts from files of every kind: what a file holds is looked at, and what is not text is refused with the reason."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import sys
import tarfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.texts import find_texts, read_lines

MARK = b"\xef\xbb\xbf"
TEXT = "Redis is down\nKafka naïve\n"
ROWS = '{"text": "Redis is down"}\n{"text": "Kafka naïve"}\n'
LIST = json.dumps([json.loads(row) for row in ROWS.splitlines()], indent=1)
TABLE = 'id,text\r\n1,"Redis is down"\r\n2,Kafka naïve\r\n'
PAGE = "<!doctype html><title>T</title><p>Redis is down<p>Kafka na&iuml;ve<script>Redis()</script>"
BOTH = ["Redis is down", "Kafka naïve"]

Lines = list[tuple[int, bytes, bool]]


def read(path: Path | str, file_format: str | None = None, whole_files: bool = False) -> Lines:
    with find_texts([path], file_format=file_format) as texts:
        return [(line.number, line.raw, line.is_json) for line in read_lines(texts.files, whole_files)]


def read_texts(path: Path | str, **options: str) -> list[str]:
    with find_texts([path], **options) as texts:  # type: ignore[arg-type]
        key = options.get("text_key", "text")
        lines = list(read_lines(texts.files, text_key=key))
    assert not any(line.problem for line in lines), lines
    return [json.loads(line.raw)[key] if line.is_json else line.raw.decode() for line in lines]


def give_stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))


def zipped(**members: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", ".").replace("_", "/"), data)
    return packed.getvalue()


def tarred(data: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("notes.txt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n \n\t\r\n", []),
        (b"one\ntwo\n", [(1, b"one"), (2, b"two")]),
        (b"one\ntwo", [(1, b"one"), (2, b"two")]),
        (b"one\r\ntwo\r\n", [(1, b"one"), (2, b"two")]),
        (b"one\rtwo\r", [(1, b"one"), (2, b"two")]),
        (b"\n\none\n\ntwo\n", [(3, b"one"), (5, b"two")]),
        (MARK + b"one\n", [(1, b"one")]),
        (MARK + b"\none\n", [(2, b"one")]),
        (MARK, []),
        # Only a line feed ends a line, whatever Unicode calls a line separator.
        ("a\u2028b\x0bc\x85d\n".encode(), [(1, "a\u2028b\x0bc\x85d".encode())]),
        (b"  indented  \n", [(1, b"  indented  ")]),
        (b"one\r" + b"x" * 200_000 + b"\rtwo", [(1, b"one"), (2, b"x" * 200_000), (3, b"two")]),
        # A carriage return within lines that have line feeds ends none.
        (b"10%\r20%\nend\n", [(1, b"10%\r20%"), (2, b"end")]),
    ],
)
def test_every_line_that_holds_something_is_a_passage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, lines: list[tuple[int, bytes]]
) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    give_stdin(monkeypatch, data)
    expected = [(number, raw, False) for number, raw in lines]
    assert read(path) == expected
    assert read("-") == expected


HOLDS = [
    pytest.param("a.txt", TEXT.encode(), id="text"),
    pytest.param("a.rst", TEXT.encode(), id="reStructuredText"),
    pytest.param("a", TEXT.encode(), id="text without an ending"),
    pytest.param("a.txt", TEXT.encode("utf-16"), id="UTF-16"),
    pytest.param("a.txt", b"\xfe\xff" + TEXT.encode("utf-16-be"), id="UTF-16, the other way round"),
    pytest.param("a.txt", TEXT.encode("utf-32"), id="UTF-32"),
    pytest.param("a.jsonl", ROWS.encode("utf-16"), id="JSON lines in UTF-16"),
    pytest.param("a.jsonl", MARK + ROWS.encode(), id="JSON lines with a mark"),
    pytest.param("a.jsonl", ROWS.replace("\n", "\r").encode(), id="JSON lines that end with CR"),
    pytest.param("a.json", ROWS.encode(), id="JSON lines named .json"),
    pytest.param("a.txt", ROWS.encode(), id="JSON lines named .txt"),
    pytest.param("a.jsonl", LIST.encode(), id="a JSON list named .jsonl"),
    pytest.param("a", LIST.encode(), id="a JSON list without an ending"),
    pytest.param("a.json", json.dumps(BOTH).encode(), id="a JSON list of texts"),
    pytest.param("a.json", ROWS.replace("{", "{\n ").encode(), id="JSON objects on several lines"),
    pytest.param("a.csv", TABLE.encode(), id="CSV"),
    pytest.param("a.csv", TABLE.replace(",", ";").encode("utf-16"), id="CSV of semicolons in UTF-16"),
    pytest.param("a.tsv", TABLE.replace(",", "\t").encode(), id="TSV"),
    pytest.param("a.txt", TABLE.encode(), id="CSV named .txt"),
    pytest.param("a.html", PAGE.partition("<title>T</title>")[2].encode(), id="a web page"),
    pytest.param("a.txt", PAGE.replace("<title>T</title>", "").encode(), id="a web page named .txt"),
    pytest.param("a.txt.gz", gzip.compress(TEXT.encode()), id="gzip"),
    pytest.param("a.jsonl", gzip.compress(ROWS.encode("utf-16")), id="gzip of UTF-16 that is not called so"),
    pytest.param("a.csv.bz2", bz2.compress(TABLE.encode()), id="bzip2"),
    pytest.param("a.json.xz", lzma.compress(LIST.encode()), id="xz"),
    pytest.param("a.zip", zipped(a_b__jsonl=ROWS.encode(), __MACOSX_c__txt=b"x"), id="zip"),
]


@pytest.mark.parametrize(("name", "data"), HOLDS)
def test_what_a_file_holds_is_found_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    assert read_texts(tmp_path / name) == BOTH
    give_stdin(monkeypatch, data)
    if name != "a.html":
        assert read_texts("-") == BOTH


REFUSED = [
    pytest.param("a.txt", b"%PDF-1.4\nRedis\n", "is a PDF document", id="PDF"),
    pytest.param("a.txt", b"\x89PNG\r\n\x1a\n\0", "is an image", id="PNG"),
    pytest.param("a.docx", zipped(__Content_Types____xml=b"x").replace(b".Content/Types.", b"[Content_Types]"),
                 "Office document", id="Word"),
    pytest.param("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", "is an Office document", id="old Word"),
    pytest.param("a.txt", pickle.dumps(["Redis"]), "is a Python pickle", id="pickle"),
    pytest.param("a.txt", pickle.dumps(["Redis"], 0), "is a Python pickle", id="a pickle of letters"),
    pytest.param("a.tar", tarred(b"Redis\n"), "is a tar archive", id="tar"),
    pytest.param("a.tar.gz", gzip.compress(tarred(b"Redis\n")), "is a tar archive", id="packed tar"),
    pytest.param("a.zip", zipped(a__png=b"x"), "has no file to read", id="a zip of something else"),
    pytest.param("a.zip", zipped(a__txt=b"x")[:40], "cut off or broken", id="half a zip"),
    pytest.param("a.gz", gzip.compress(TEXT.encode() * 999)[:60], "can't be unpacked", id="half a gzip"),
    pytest.param("a.txt", b"Redis\0 is down\nKafka\0\n", "has null bytes", id="null bytes"),
    pytest.param("a.dat", bytes(range(1, 256)), "is binary", id="bytes"),
    pytest.param("a.txt", TEXT.encode("utf-16-le"), "`encoding=utf-16-le`", id="UTF-16 without a mark"),
    pytest.param("a.txt", "Привет Redis\nещё\n".encode("utf-16-be"), "`encoding=utf-16-be`", id="Cyrillic UTF-16"),
    pytest.param("a.xml", b"<a>Redis</a>", "is XML", id="XML"),
    pytest.param("a.json", b"Redis is down\n", "is not JSON", id="text named .json"),
    pytest.param("a.csv", b"id,body\n1,Redis\n", "has no column 'text'. Its columns are: 'id', 'body'", id="a column"),
    pytest.param("a.csv", b"text,text\na,b\n", "has 2 columns 'text'", id="two columns"),
    pytest.param("a.csv", b'id,text\n1,"Redis\n2,Kafka\n', "a.csv:2: this row can't be read", id="an open quote"),
    pytest.param("a.json", LIST[:-20].encode(), "ends in the middle after its record 1", id="half a list"),
    pytest.param("a.parquet", b"PAR1\0\0", "arquet", id="half a Parquet table"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "says"), REFUSED)
def test_what_is_not_text_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError) as raised:
        read(tmp_path / name)
    assert says in str(raised.value)
    assert name in str(raised.value)
    if name.endswith((".txt", ".gz", ".tar", ".docx", ".zip", ".dat")):
        give_stdin(monkeypatch, data)
        with pytest.raises(UserError, match="<stdin>"):
            read("-")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("[2026-01-01] Redis\n[2026-01-02] Kafka\n", 2),
        ("{service} is down\n{host} too\n", 2),
        ('"Redis", he said\n', 1),
        ("x^2 and Redis\n", 1),
        ("BZh is not packed\n", 1),
        ("RIFF, ID3 and PAR1\n", 1),
        ("\x1b[31mRedis\x1b[0m\n8=FIX\x0135=D\x01\n", 2),
        ("text, and more\n", 1),
        ("text, and more\nand, less\n", 2),
    ],
)
def test_text_that_begins_like_something_else_is_text(tmp_path: Path, text: str, lines: int) -> None:
    (tmp_path / "a.log").write_text(text)
    assert read(tmp_path / "a.log") == [(n, line.encode(), False) for n, line in enumerate(text.splitlines(), 1)]
    assert len(read(tmp_path / "a.log")) == lines


def test_a_line_alone_is_refused_where_the_others_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"Redis\n" * 20_000 + b"Kafka\0\n")
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,Redis, down\n2,caf\xe9\n3,Kafka\n4\n")
    for name, problems in {"a.txt": ["null bytes"], "a.csv": ["a row of 3 cells", "not UTF-8 text"]}.items():
        with find_texts([tmp_path / name]) as texts:
            found = [line.problem for line in read_lines(texts.files) if line.problem]
        assert [problem for problem, says in zip(found, problems, strict=True) if says not in problem] == []


def test_the_encoding_can_be_given_and_a_mark_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT.encode("latin-1"))
    (tmp_path / "b.txt").write_bytes(TEXT.encode("utf-16"))
    (tmp_path / "c.csv").write_bytes(TABLE.encode("latin-1"))
    (tmp_path / "d.html").write_bytes(b"<meta charset='iso-8859-1'>Redis is down<p>Kafka na\xefve")
    for name in ("a.txt", "b.txt", "c.csv", "d.html"):
        assert read_texts(tmp_path / name, encoding="latin-1") == BOTH
    assert read_texts(tmp_path / "d.html") == BOTH, "a page says which it has"
    (tmp_path / "a.txt").write_bytes(TEXT.encode("utf-16-le"))
    assert read_texts(tmp_path / "a.txt", encoding="UTF-16LE") == BOTH
    with pytest.raises(UserError, match="is not utf-16 text"):
        read_texts(tmp_path / "c.csv", encoding="utf-16")
    with pytest.raises(UserError, match="`encoding` is 'base64'"):
        read_texts(tmp_path / "c.csv", encoding="base64")


def test_the_columns_of_a_table_come_through(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(b'\r\n,n,n,body\r\n1,2,3,"Redis, ""q""\r\nand more"\r\n4,5\r\n,,,\r\n')
    with find_texts([path], text_key="body") as texts:
        rows = [(line.number, json.loads(line.raw)) for line in read_lines(texts.files, text_key="body")]
    assert rows == [
        (3, {"column 1": "1", "n": "2", "n 3": "3", "body": 'Redis, "q"\r\nand more'}),
        (5, {"column 1": "4", "n": "5"}),
    ]


def test_quotes_in_a_table_of_tabs_are_text_unless_cells_are_in_quotes(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('id\ttext\n1\tthe 5" disk\n2\t"Redis" he said\n')
    assert read_texts(tmp_path / "a.tsv") == ['the 5" disk', '"Redis" he said']
    (tmp_path / "a.tsv").write_text('id\ttext\n1\t"a\tb ""c"""\n')
    assert read_texts(tmp_path / "a.tsv") == ['a\tb "c"']
    (tmp_path / "a.csv").write_text("sep=;\nid;text\n1;a, b\n")
    assert read_texts(tmp_path / "a.csv") == ["a, b"]


def test_a_page_gives_a_line_for_each_block_without_what_nobody_sees(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        "<html><head><title>A &amp; B</title><style>p {}</style></head>\n<body><!-- no -->\n"
        "<p>The <b>Redis</b>\n  cluster&nbsp;is &lt;down&gt;<br>since 9\n<table><tr><td>a<td>b</tr></table>\n"
        "<pre>x\n y</pre><script>if (a < b) {}</script></body></html>"
    )
    found = [(number, raw.decode()) for number, raw, _ in read(tmp_path / "a.html")]
    assert found == [
        (1, "A & B"), (3, "The Redis cluster\xa0is <down>"), (4, "since 9"), (5, "a b"), (6, "x"), (7, "y"),
    ]  # fmt: skip
    [(number, whole, _)] = read(tmp_path / "a.html", whole_files=True)
    assert (number, whole.decode().split("\n")) == (0, [text for _, text in found])


def test_rows_of_parquet_are_records(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import datetime

    import pyarrow

    table = {"text": ["Redis", "Kafka"], "score": [0.5, float("nan")], "at": [datetime.date(2026, 1, 2), None]}
    parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    assert [json.loads(raw) for _, raw, _ in read(tmp_path / "a.parquet")] == [
        {"text": "Redis", "score": 0.5, "at": "2026-01-02"},
        {"text": "Kafka", "score": None, "at": None},
    ]
    with pytest.raises(UserError, match="has no column 'body'"):
        read_texts(tmp_path / "a.parquet", text_key="body")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1\0\0PAR1")
    with pytest.raises(UserError, match="pip install pyarrow"):
        read(tmp_path / "a.parquet")


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names_and_the_others_are_named(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a/c.TXT", "a/b.md", "c.ndjson", "d.csv.gz", ".git/x.txt", "out.jsonl.partial.json"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(b"text\nx\n") if name.endswith("gz") else b"x\n")
    (tmp_path / "in/picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    (tmp_path / "in/paper.txt").write_bytes(b"%PDF-1.4")
    (tmp_path / "in/code.py").write_bytes(b"x = 1\n")
    (tmp_path / "in/more.zip").write_bytes(zipped(a__txt=b"x"))
    (tmp_path / "secret.txt").write_bytes(b"x\n")
    (tmp_path / "in/link.txt").symlink_to("../secret.txt")
    with find_texts([tmp_path / "in"]) as texts:
        found = [(file.source.path.relative_to(tmp_path / "in").as_posix(), file.layout) for file in texts.files]
        left_out = {Path(name).name: why for name, why in texts.left_out}
    assert found == [
        ("a/b.md", "text"), ("a/c.TXT", "text"), ("b.jsonl", "lines"), ("c.ndjson", "lines"), ("d.csv.gz", "table"),
    ]  # fmt: skip
    assert left_out == {
        "picture.png": "is an image", "paper.txt": "is a PDF document", "more.zip": "is a zip archive",
        "code.py": "has an ending that is not read in folders and archives",
        "link.txt": f"is a link that leads out of the folder {tmp_path / 'in'}",
    }  # fmt: skip


def test_a_missing_file_and_a_folder_without_a_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty-folder").mkdir()
    for name, says in {"missing.txt": "There is no file or folder", "empty-folder": "has no file to read"}.items():
        with pytest.raises(UserError, match=says) as raised:
            read(tmp_path / name)
        assert name in str(raised.value)


@pytest.mark.parametrize("before", [b"", b"\n \r\n", MARK, MARK + b"\n", MARK + b"  "])
def test_standard_input_is_json_where_its_first_line_is(monkeypatch: pytest.MonkeyPatch, before: bytes) -> None:
    give_stdin(monkeypatch, before + b'{"text": "a"}\n{broken\nplain\n')
    first = before.count(b"\n") + 1
    assert [(number, is_json) for number, _, is_json in read("-")] == [(first + n, True) for n in range(3)]


@pytest.mark.parametrize(("file_format", "is_json"), [("jsonl", True), ("text", False)])
def test_the_format_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str, is_json: bool
) -> None:
    for name in ("a.txt", "a.jsonl", "a.json", "a.csv", "a.html", "a"):
        (tmp_path / name).write_bytes(b"{}\n")
        assert read(tmp_path / name, file_format) == [(1, b"{}", is_json)]
    give_stdin(monkeypatch, b"{}\n")
    assert read("-", file_format) == [(1, b"{}", is_json)]
    with pytest.raises(UserError, match="`file_format` is 'words'"):
        read(tmp_path / "a", "words")


def test_a_whole_file_is_one_passage_with_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(MARK + b"one\r\n\r\ntwo\n")
    assert read(path, whole_files=True) == [(0, b"one\r\n\r\ntwo\n", False)]
    path.write_bytes(b" \n")
    assert read(path, whole_files=True) == []
    (tmp_path / "a.jsonl").write_bytes(b"{}\n{}\n")
    assert len(read(tmp_path / "a.jsonl", whole_files=True)) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("data", [TEXT.encode(), ROWS.encode(), TABLE.encode()])
def test_a_named_pipe_is_told_by_what_comes_out_of_it(tmp_path: Path, data: bytes) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    with find_texts([pipe]) as texts:
        [file] = texts.files
        assert not file.can_be_read_again
        assert len(list(read_lines([file]))) == 2
    writer.join()
