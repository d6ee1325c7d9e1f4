"""brat stand-off: texts and their annotations beside them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.import_report import ImportReport
from spacy_domain_ner.exchange.importing import import_annotations

Read = Callable[..., tuple[list[list[tuple[str, str]]], ImportReport]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Write files to a folder and import it, or one of them; the mentions of each passage come back."""

    def read(
        files: dict[str, str | bytes], target: str = "", **options: str
    ) -> tuple[list[list[tuple[str, str]]], ImportReport]:
        for name, content in files.items():
            path = tmp_path / "brat" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        output = tmp_path / "annotations.jsonl"
        report = import_annotations([tmp_path / "brat" / target], output, **options)  # type: ignore[arg-type]
        passages = read_valid_passages(output)
        return [[(passage.surface(span), span.label) for span in passage.spans] for passage in passages], report

    return read


@pytest.mark.parametrize(
    ("text", "annotation", "mentions"),
    [
        pytest.param("Redis is down", "T1\tINFRA 0 5\tRedis\n", [("Redis", "INFRA")], id="plain"),
        pytest.param("Redis is down", "", [], id="an empty annotation"),
        pytest.param("Redis is down", "T1\tINFRA 0 5", [("Redis", "INFRA")], id="no text and no line end"),
        pytest.param("Redis is", "\n\nT1\tX 0 5\tRedis\n\n\nT2\tY 6 8\tis\n\n", [("Redis", "X"), ("is", "Y")],
                     id="gaps"),
        pytest.param("slow\nqueue is", "T1\tX 0 10\tslow\nqueue\nT2\tY 11 13\tis\n",
                     [("slow\nqueue", "X"), ("is", "Y")],
                     id="a line broken in two"),
        pytest.param("slow\nqueue", "T1\tX 0 4;5 10\tslow queue\n", [("slow\nqueue", "X")], id="divided by a line end"),
        pytest.param("one\r\ntwo\r\nRedis", "T1\tX 8 13\tRedis\r\n", [("Redis", "X")], id="CRLF counted as one"),
        pytest.param("one\r\ntwo\r\nRedis", "T1\tX 10 15\tRedis\r\n", [("Redis", "X")], id="CRLF counted as two"),
        pytest.param("😀😀 Redis", "T1\tX 3 8\tRedis\n", [("Redis", "X")], id="astral characters"),
        pytest.param("😀😀 Redis", "T1\tX 5 10\tRedis\n", [("Redis", "X")], id="astral characters in UTF-16"),
        pytest.param("\ufeffRedis is", "T1\tX 0 5\tRedis\n", [("Redis", "X")], id="a mark before the text"),
        pytest.param("\ufeffRedis is", "T1\tX 1 6\tRedis\n", [("Redis", "X")], id="a mark that is counted"),
        pytest.param("Redis is", "\ufeffT1\tX 0 5\tRedis\n", [("Redis", "X")], id="a mark before the annotation"),
        pytest.param("Redis is", "T1\tX 0 6\tRedis \n", [("Redis", "X")], id="a blank at the edge"),
    ],
)  # fmt: skip
def test_an_annotation_is_read(read, text, annotation, mentions):
    found, report = read({"a.txt": text, "a.ann": annotation})
    assert found == [mentions]
    assert not report.refused


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        pytest.param("T9\tX 0 3;13 18\tlow wind", "X is discontinuous", id="discontinuous"),
        pytest.param("T9\tX 90 95\tKafka", "lies outside the text", id="beyond the text"),
        pytest.param("T9\tX 7 5\tx", "ends before it starts", id="the wrong way round"),
        pytest.param("T9\tX 5 5\t", "is empty", id="empty"),
        pytest.param("T9\tX -1 5\tRedis", "not an entity as brat writes it", id="negative"),
        pytest.param("T9\tX 0 ²\tR", "not an entity as brat writes it", id="another script's digit"),
        pytest.param("T9\tX 0 " + "9" * 5000, "not an entity as brat writes it", id="thousands of digits"),
        pytest.param("T9 X 0 3 low", "not an entity as brat writes it", id="blanks for tabs"),
        pytest.param("T9\tX 6", "not an entity as brat writes it", id="cut off"),
        pytest.param("T9\tBig Thing 0 3\tlow", "not an entity as brat writes it", id="a label with a blank"),
        pytest.param("Q1\tX 0 3\tlow", "not a line as brat writes it", id="an unknown kind"),
        pytest.param("Nothing of the kind", "not a line as brat writes it", id="prose"),
        pytest.param('{"a": 1}', "not a line as brat writes it", id="JSON"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_line_that_is_no_span_is_refused_and_the_others_are_read(read, first, annotation, reason):
    known = "T1\tY 0 3\tlow"
    lines = [annotation, known] if first else [known, annotation]
    found, report = read({"a.txt": "low and high wind", "a.ann": "\n".join(lines) + "\n"})
    assert found == [[("low", "Y")]]
    (entry,) = report.shown["refused"]
    assert reason in entry.reason
    assert entry.id == "a"
    assert len(str(entry)) < 400


def test_what_are_no_spans_is_counted_by_kind(read):
    annotation = (
        "T1\tX 0 5\tRedis\nE1\tX:T1\nA1\tNeg T1\nM1\tNeg T1\nN1\tReference T1 a:1\tRedis\n"
        "#1\tAnnotatorNotes T1\tof several\nlines\n*\tEquiv T1 T1\n"
    )
    found, report = read({"a.txt": "Redis is", "a.ann": annotation})
    assert found == [[("Redis", "X")]]
    assert not report.refused
    assert report.ignored == {
        "event": 1, "attribute": 2, "normalization": 1, "note": 1, "equivalence": 1,
    }  # fmt: skip


def test_folders_in_folders_are_read_and_what_lies_beside_is_told(read):
    files = {
        "a/1.txt": "Redis is down", "a/1.ann": "T1\tX 0 5\tRedis\n",
        "a/b/1.txt": "Kafka is up", "a/b/1.ann": "T1\tX 0 5\tKafka\n",
        "a/2.txt": "nobody read this", "a/b/3.txt": "",
        "a/b/4.ann": "T1\tX 0 5\tRedis\n", "README.txt": "Ours.", ".hidden.ann": "T1\tX 0 5\tRedis\n",
    }  # fmt: skip
    found, report = read(files)
    assert found == [[("Redis", "X")], [("Kafka", "X")]]
    assert [entry.reason for entry in report.shown["left out"]] == ["not annotated"]
    assert {entry.reason for entry in report.shown["refused"]} == {"there is no 4.txt beside it", "an empty text"}
    assert [Path(entry.file).name for entry in report.shown["unread"]] == ["README.txt"]


@pytest.mark.parametrize("link", ["a.txt", "a.ann"])
def test_a_link_that_leads_out_of_the_folder_is_refused(read, tmp_path, link):
    (tmp_path / "secret").write_text("T1\tX 0 5\tRedis\n")
    files = {"a.txt": "Redis is down", "a.ann": "T1\tX 0 5\tRedis\n"}
    (tmp_path / "brat").mkdir()
    (tmp_path / "brat" / link).symlink_to("../secret")
    with pytest.raises(UserError, match=rf"{link} is a link that leads out of the folder"):
        read({name: content for name, content in files.items() if name != link})


@pytest.mark.parametrize("target", ["a.ann", "a.txt", ""])
def test_the_annotation_the_text_or_the_folder_may_be_named(read, target):
    assert read({"a.txt": "Redis is down", "a.ann": "T1\tX 0 5\tRedis\n"}, target)[0] == [[("Redis", "X")]]


def test_an_encoding_is_that_of_both_files(read):
    files = {"a.txt": "Köln ruft".encode("latin1"), "a.ann": "T1\tX 0 4\tKöln\n".encode("latin1")}
    assert read(files, encoding="latin-1")[0] == [[("Köln", "X")]]
    with pytest.raises(UserError) as raised:
        read({**files, "a.txt": "Köln ruft"})
    assert "a.ann:1: this is not UTF-8 text" in raised.value.what
    assert "`encoding=latin-1`" in raised.value.hint


def test_a_text_in_another_encoding_than_its_annotation_is_refused(read):
    found, report = read({"a.txt": "Köln".encode("latin1"), "a.ann": "", "b.txt": "Bonn", "b.ann": ""})
    assert found == [[]]
    assert report.shown["refused"][0].reason == "a.txt is not UTF-8 text (invalid start byte): give its encoding"
