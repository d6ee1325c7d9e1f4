"""What would fill the disk, the memory or the day is refused, and the limit is said."""

import bz2
import gzip
import json
import lzma
import zipfile

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations
from spacy_domain_ner.reading import finding, stream
from spacy_domain_ner.reading.records import RefusedError, parse_json
from spacy_domain_ner.reading.source import Source

ROW = b'{"text": "Redis is slow", "spans": [{"start": 0, "end": 5, "label": "INFRA"}]}\n'


def archive(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members:
            packed.writestr(name, content)


def refused(tmp_path, path, *expected, **settings):
    with pytest.raises(UserError) as raised:
        import_annotations([path], tmp_path / "out.jsonl", **settings)
    for words in expected:
        assert words in str(raised.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_an_archive_says_what_it_unpacks_to_where_that_is_too_much(tmp_path):
    path = tmp_path / "a.zip"
    archive(path, [("a.jsonl", ROW), ("b.jsonl", b" " * 3_000_000)])
    refused(tmp_path, path, "unpacks to 3 MB", "2 MB are read at most", "`max_size`", max_size=2)
    assert import_annotations([path], tmp_path / "out.jsonl", max_size=4).passages["added"] == 1


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_packed_file_unpacks_no_further_than_the_limit(tmp_path, pack):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(pack(ROW + b" " * 3_000_000 + b"\n"))
    refused(tmp_path, path, "2 MB are read at most", "`max_size`", max_size=2)
    assert import_annotations([path], tmp_path / "out.jsonl", max_size=4).passages["added"] == 1


def test_an_archive_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(finding, "MOST_MEMBERS", 10)
    archive(tmp_path / "a.zip", [(f"{number}.jsonl", ROW) for number in range(11)])
    refused(tmp_path, tmp_path / "a.zip", "has 11 files, and 10 are read at most")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_in_an_archive_are_refused(tmp_path):
    archive(tmp_path / "a.zip", [("a.jsonl", ROW), ("a.jsonl", b"{}\n")])
    refused(tmp_path, tmp_path / "a.zip", "several files that are called a.jsonl")


@pytest.mark.parametrize("position", range(0, 240, 12))
def test_an_archive_with_flipped_bytes_is_an_error_or_is_read(tmp_path, position):
    path = tmp_path / "a.zip"
    archive(path, [("a.jsonl", ROW * 9)])
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 0xFF
    path.write_bytes(content)
    try:
        assert import_annotations([path], tmp_path / "out.jsonl").passages["read"] > 0
    except UserError as error:
        said = error.what
        assert "a.zip" in said


@pytest.mark.parametrize(
    "content", [b'[{"text": "%s"}]' % (b"x" * 9_000_000), b'[{"text": "a", "id": %s}]' % (b"9" * 9_000_000)]
)
def test_a_text_or_number_that_is_too_long_is_refused_with_the_limit(tmp_path, monkeypatch, content):
    monkeypatch.setattr(stream, "_LONGEST_TEXT", 4_000_000)
    path = tmp_path / "a.json"
    path.write_bytes(content)
    refused(tmp_path, path, "a text or a number of more than 4 MB")


def test_texts_with_quotes_in_them_and_many_texts_are_not_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "_LONGEST_TEXT", 2_000_000)
    path = tmp_path / "a.json"
    rows = [{"text": f'"Redis" {number} "is" slow\\', "spans": [], "x": [number] * 200} for number in range(2_500)]
    path.write_text(json.dumps(rows))
    assert len(list(stream.json_values(Source(path, "a.json"), "list"))) == 2_500


@pytest.mark.parametrize("depth", [101, 500, 990, 5_000, 200_000])
@pytest.mark.parametrize(("opened", "closed"), [("[", "]"), ('{"a":', "}")])
def test_json_that_is_nested_too_deeply_is_refused_wherever_it_stands(tmp_path, depth, opened, closed):
    nested = opened * depth + "1" + closed * depth
    with pytest.raises(RefusedError, match="nested too deeply"):
        parse_json(nested)
    contents = {"a.jsonl": f'{{"text": "Redis", "x": {nested}}}\n', "a.json": f'[\n{{"x": {nested}}}\n]'}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
        refused(tmp_path, tmp_path / name)


def test_a_value_with_many_brackets_that_are_not_deep_is_read():
    assert parse_json("[" + "[]," * 500 + "[]]") == [[]] * 501
    assert parse_json(b'{"text": "' + b"[" * 500 + b'"}') == {"text": "[" * 500}


def test_a_number_of_thousands_of_digits_in_a_table_is_a_word(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"{number}\t{'9' * 5_000}\tKafka\tB-INFRA\n" for number in range(6)))
    assert import_annotations([path], tmp_path / "out.jsonl").spans["read"] == 6
