"""The texts that Label Studio's tasks only refer to: read by the rules for all files."""

import gzip

import pytest

from spacy_domain_ner.exchange.formats.label_studio_texts import TextFolder
from spacy_domain_ner.reading.records import RefusedError


@pytest.mark.parametrize(
    "data",
    [
        "é Redis\r\n".encode(),
        "\ufeffé Redis\r\n".encode(),
        "é Redis\r\n".encode("utf-16"),
        gzip.compress("é Redis\r\n".encode()),
    ],
)
def test_marks_and_packing_tell_themselves(tmp_path, data):
    (tmp_path / "a.txt").write_bytes(data)
    assert TextFolder(tmp_path).read("https://host/a.txt") == "é Redis\r\n"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"%PDF-1.4", "is a PDF document"), (b"Redis\0", "has null bytes"), (b"caf\xe9", "can't be read")],
)
def test_what_is_not_text_is_refused(tmp_path, data, says):
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(RefusedError, match=says):
        TextFolder(tmp_path).read("/data/upload/1/a.txt")
