"""Files that are cut off, empty, of another kind or hostile: what is wrong is said, and nothing is imported of them."""

import bz2
import gzip
import io
import json
import os
import zipfile
import zlib
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations

ROW = json.dumps({"id": 7, "text": "Redis is down", "label": [[0, 5, "INFRA"]]}) + "\n"
RESULT = {
    "id": "r", "type": "labels", "from_name": "label", "to_name": "text",
    "value": {"start": 0, "end": 5, "text": "Redis", "labels": ["INFRA"]},
}  # fmt: skip
TASKS = [
    {"id": number, "data": {"text": f"Redis {number} is down"}, "annotations": [{"id": 1, "result": [RESULT]}]}
    for number in range(20)
]
LIST, PRETTY = json.dumps(TASKS), json.dumps(TASKS, indent=2)
OLD = '{"text": "Kafka is up", "spans": [], "answer": "accept", "meta": {}}\n'


def zipped(**files: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def docbin() -> bytes:
    nlp = spacy.blank("en")
    return DocBin(docs=[nlp(f"Redis {number} is down") for number in range(50)]).to_bytes()


def half(content: bytes | str) -> bytes | str:
    return content[: len(content) // 2]


BROKEN = [
    pytest.param("a.jsonl", "", "is empty", id="empty"),
    pytest.param("a.json", " \n\t\r\n  ", "is empty", id="white space"),
    pytest.param("a.json", "\ufeff", "is empty", id="a byte order mark alone"),
    pytest.param("a.json", half(LIST), "ends in the middle after its record 1", id="a list on one line, cut"),
    pytest.param("a.json", half(PRETTY), "ends in the middle after its record 1", id="a printed list, cut"),
    pytest.param("a.json", LIST[:-1], "ends in the middle after its record 20 (id 19)", id="a list without its end"),
    pytest.param("a.json", LIST[:50], "ends in the middle", id="a list cut in its first record"),
    pytest.param("a.jsonl", half(ROW), "ends in the middle", id="one JSON line, cut"),
    pytest.param("a.json", LIST + "x", "is not valid JSON (trailing garbage) after its record 20",
                 id="more after a list"),
    pytest.param("a.json", LIST[:-1] + ",]", "is not valid JSON", id="a comma too many"),
    pytest.param("a.json", "[{'text': 'a'}]", "is not valid JSON", id="Python's quotes"),
    pytest.param("a.json", LIST.replace('"start": 0', '"start": NaN'), "is not valid JSON (invalid char", id="NaN"),
    pytest.param("a.json", LIST.replace('"start": 0', '"start": ' + "9" * 5000), "(integer overflow)",
                 id="a huge number"),
    pytest.param("a.json", "[" * 100_000, "nested too deeply", id="lists without end"),
    pytest.param("a.json", "[" * 100_000 + "]" * 100_000, "nested too deeply", id="lists in lists"),
    pytest.param("a.json", '[{"text": "a", "label": [], "m": ' + "[" * 90_000 + "]" * 90_000 + "}]",
                 "nested too deeply",
                 id="lists in a record"),
    pytest.param("a.json", '{"a":' * 50_000, "nested too deeply", id="objects without end"),
    pytest.param("a.zip", half(zipped(**{"all.jsonl": ROW * 90})), "cut off or broken", id="zip, cut"),
    pytest.param("a.zip", zipped(**{"all.jsonl": ROW * 90}).replace(b"Redis is", b"Kafka is"), "can't be unpacked",
                 id="zip, changed"),
    pytest.param("a.zip", zipped(**{"readme.md": "x"}), "has no file to read", id="zip of something else"),
    pytest.param("a.xlsx", zipped(**{"[Content_Types].xml": "", "xl/workbook.xml": ""}), "is an Office document",
                 id="xlsx"),
    pytest.param("a.spacy", half(docbin()), "is not a DocBin", id="DocBin, cut"),
    pytest.param("a.spacy", docbin()[:2], "is not a DocBin", id="DocBin, two bytes of it"),
    pytest.param("a.spacy", zlib.compress(b"hello"), "is not a DocBin", id="compressed, but no DocBin"),
    pytest.param("a.json", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is an image", id="PNG"),
    pytest.param("a.jsonl", b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n", "is a PDF document", id="PDF"),
    pytest.param("a.jsonl.gz", gzip.compress(ROW.encode() * 999)[:99], "can't be unpacked", id="half a gzip"),
    pytest.param("a.json", "<!DOCTYPE html>\n<html><body>Sign in</body></html>", "is a web page", id="a login page"),
    pytest.param("a.json", "\n\n<HTML><body>Sign in</body></HTML>", "is a web page", id="a login page in capitals"),
    pytest.param("a.xml", "<?xml version='1.0'?><a/>", "is XML", id="XML"),
    pytest.param("a.jsonl", ROW.encode("utf-16-le"), "UTF-16 text without a byte order mark", id="UTF-16, no mark"),
    pytest.param("a.jsonl", ROW.replace("Redis", "Café").encode() + b'{"text": "caf\xe9"}\n',
                 "a.jsonl:2: this is not UTF-8",
                 id="Latin-1 further down"),
    pytest.param("a.jsonl", ROW + "\0" * 100, "has null bytes", id="null bytes at the end"),
    pytest.param("a.conll", "a O\nb\0 B-X\n", "has null bytes", id="null bytes in CoNLL"),
    pytest.param("a.json", "[[1, 2], [3, 4]]", "but not in a known format", id="a list of lists"),
    pytest.param("a.json", "[1, 2, 3]", "but not in a known format", id="a list of numbers"),
    pytest.param("a.json", f"[{LIST}]", "but not in a known format", id="a list in a list"),
    pytest.param("a.json", "[null]", "but not in a known format", id="a list of nothing"),
    pytest.param("a.json", "[]", "is JSON without a record", id="an empty list"),
    pytest.param("a.json", "{}", "but not in a known format", id="an empty object"),
    pytest.param("a.json", '{"detail": "No credentials."}', "with the keys detail", id="what a server answered"),
    pytest.param("a.jsonl", '{"a": 1}\n{"b": 2}\n', "is JSON with the keys a, b", id="other records"),
    pytest.param("a.json", '"text"', "not in a known format", id="a string"),
    pytest.param("a.json", "null", "not in a known format", id="null"),
    pytest.param("a.txt", "It is late.\n" * 20, "not in a known format", id="prose"),
    pytest.param("a.csv", "text,label\na,b\n", "not in a known format", id="some CSV"),
    pytest.param("a.py", "TRAIN_DATA = [(", "is not Python source", id="Python, cut"),
    pytest.param("a.py", "import os\nos.abort()\n", "is not Python source with pairs", id="Python that is never run"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), BROKEN)
def test_a_broken_file_is_named_with_what_is_wrong_and_what_to_do(tmp_path, name, content, expected):
    path, output = tmp_path / name, tmp_path / "annotations.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    output.write_text(OLD, encoding="utf8")
    with pytest.raises(UserError) as raised:
        import_annotations([path], output, report=tmp_path / "report.json")
    assert name in raised.value.what
    assert expected in raised.value.what
    assert raised.value.hint
    assert "\n" not in raised.value.what
    assert len(raised.value.what) < 400
    assert output.read_text(encoding="utf8") == OLD
    report = tmp_path / "report.json"
    assert not report.exists() or json.loads(report.read_text(encoding="utf8"))["entries"] == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(half(ROW), "not valid JSON", id="cut off"),
        pytest.param("\0\0\0", "not valid JSON", id="null bytes far down"),
        pytest.param('{"text": "x", "label": [], "m": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply",
                     id="nested very deeply"),
        pytest.param('{"text": "x", "label": [], "m": ' + "[" * 500 + "]" * 500 + "}", "nested too deeply",
                     id="nested"),
        pytest.param('{"text": "x", "label": [[0, ' + "9" * 5000 + ', "A"]]}', "thousands of digits",
                     id="a huge number"),
        pytest.param('{"text": "a\\ud800", "label": []}', "half of a surrogate pair", id="half a pair in the text"),
        pytest.param('{"text": "a", "label": [[0, 1, "\\ud800"]]}', "half of a surrogate pair", id="in a label"),
        pytest.param('{"text": "a", "label": [], "meta": {"source": "\\udfff"}}', "half of a surrogate pair",
                     id="in meta"),
        pytest.param('{"text": "a", "label": [], "note": "\\ud800"}', "half of a surrogate pair", id="in another key"),
        pytest.param('{"text": "  ", "label": []}', "an empty text", id="a blank text"),
        pytest.param('{"text": 3, "label": []}', "no text under 'text'", id="a number for a text"),
        pytest.param(json.dumps({"text": "a" * 1_000_001, "label": []}), "a text of 1000001 characters", id="too long"),
    ],
)  # fmt: skip
def test_a_broken_line_is_refused_and_the_others_are_read(tmp_path, line, reason):
    path, output = tmp_path / "a.jsonl", tmp_path / "annotations.jsonl"
    path.write_text(ROW * 300 + line + "\n" + ROW.replace("Redis", "Kafka"), encoding="utf8")
    report = import_annotations([path], output, report=tmp_path / "report.json")
    assert report.passages["refused"] == 1
    assert report.shown["refused"][0].line == 301
    assert reason in report.shown["refused"][0].reason
    assert [json.loads(row)["text"] for row in output.read_text(encoding="utf8").splitlines()] == [
        "Redis is down",
        "Kafka is down",
    ]
    json.loads((tmp_path / "report.json").read_text(encoding="utf8"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1", "1e300", "1e400", "9" * 400, "0.5", "null", '"0"', "{}"])
def test_an_offset_that_is_none_loses_its_span_alone(tmp_path, value):
    path, output = tmp_path / "a.jsonl", tmp_path / "annotations.jsonl"
    path.write_text(f'{{"text": "Redis is", "spans": [{{"start": 0, "end": {value}, "label": "A"}},'
                    '{"start": 6, "end": 8, "label": "B"}], "answer": "accept"}\n', encoding="utf8")  # fmt: skip
    report = import_annotations([path], output)
    assert (report.spans["kept"], report.spans["refused"]) == (1, 1)
    assert json.loads(output.read_text(encoding="utf8"))["spans"] == [{"start": 6, "end": 8, "label": "B"}]


def test_a_broken_file_among_others_is_listed_and_they_are_read(tmp_path):
    folder, output = tmp_path / "exports", tmp_path / "annotations.jsonl"
    folder.mkdir()
    for name, content in {"a.jsonl": ROW, "b.json": "", "c.json": "<html>", "d.txt": "prose", "e.json": "[]"}.items():
        (folder / name).write_text(content, encoding="utf8")
    report = import_annotations([folder], output)
    assert report.passages["kept"] == 1
    assert [(Path(entry.file).name, entry.reason) for entry in report.shown["unread"]] == [
        ("b.json", "is empty: export the annotations again"),
        ("c.json", "is a web page, perhaps one that asks to log in: export it again"),
        ("d.txt", "is not in a known format"),
        ("e.json", "is JSON without a record"),
    ]


@pytest.mark.parametrize("content", ["WT-03 has stopped.\n", '{"text": "WT-03 has stopped."}\n', "no,text\n1,WT-03\n"])
def test_whoever_imports_what_nobody_labelled_hears_how_to_label_it(tmp_path, content):
    path = tmp_path / "no labels"
    path.write_text(content)
    with pytest.raises(UserError, match="not in a known format") as raised:
        import_annotations([path], tmp_path / "annotations.jsonl")
    assert f"domain-ner export label-studio '{path}' --output tasks.json" in raised.value.hint


def test_a_place_without_a_file_is_named(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "nothing.json")
    (tmp_path / "empty").mkdir()
    for name, expected in (
        ("missing.json", "There is no file"),
        ("link.json", "There is no file"),
        ("empty", "has no annotation"),
    ):
        with pytest.raises(UserError, match=expected) as raised:
            import_annotations([tmp_path / name], tmp_path / "annotations.jsonl")
        assert name in raised.value.what


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(ROW, encoding="utf8")
    path.chmod(0)
    with pytest.raises(UserError, match=r"Can't read .*a\.jsonl: Permission denied"):
        import_annotations([path], tmp_path / "annotations.jsonl")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.jsonl", ROW.encode("utf16"), id="UTF-16"),
        pytest.param("a.jsonl", ROW.encode("utf32"), id="UTF-32"),
        pytest.param("a.jsonl.gz", gzip.compress(ROW.encode()), id="gzip"),
        pytest.param("a.json", bz2.compress(ROW.encode("utf16")), id="bzip2 of UTF-16 that is not called so"),
        pytest.param("a.zip", zipped(**{"a.jsonl": ROW, "__MACOSX/._a.jsonl": "x"}), id="a Mac's zip"),
    ],
)
def test_marks_and_packing_tell_themselves(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    report = import_annotations([tmp_path / name], tmp_path / "annotations.jsonl", encoding="latin-1")
    assert report.passages["kept"] == 1
