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
    # Workers of one run must agree on the names of the tests, and gzip notes the time.
    ids=["plain", "marked", "utf-16", "gzip"],
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


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "secret.txt").write_text("Redis")
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/in.txt").write_text("Kafka")
    (folder / "a.txt").symlink_to("../secret.txt")
    (folder / "b.txt").symlink_to("sub/in.txt")
    with pytest.raises(RefusedError, match=r"a\.txt is a link that leads out of the folder"):
        TextFolder(folder).read("/data/upload/1/a.txt")
    assert TextFolder(folder).read("/data/upload/1/b.txt") == "Kafka"
