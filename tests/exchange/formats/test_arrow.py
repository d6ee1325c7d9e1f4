"""Arrow and Parquet tables, in which Hugging Face's libraries keep data sets."""

import json
import sys
from pathlib import Path

import pytest

from spacy_domain_ner.corpus import read_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.importing import import_annotations

pyarrow = pytest.importorskip("pyarrow")

NAMES = ["O", "B-INFRA", "I-INFRA"]
TOKENS, TAGS = [["Redis", "Cluster", "fell"], ["All", "quiet"]], [[1, 2, 0], [0, 0]]
INFO = {"info": {"features": {"ner_tags": {"feature": {"names": NAMES, "_type": "ClassLabel"}, "_type": "Sequence"}}}}
MENTIONS = [["Redis Cluster"], []]


def table(described=True, **columns):
    made = pyarrow.table(columns or {"tokens": TOKENS, "ner_tags": TAGS})
    return made.replace_schema_metadata({"huggingface": json.dumps(INFO)}) if described else made


def write(path: Path, made):
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(made, path)
        return
    new = pyarrow.ipc.new_file if path.stem == "file" else pyarrow.ipc.new_stream
    with new(str(path), made.schema) as writer:
        writer.write_table(made)


def mentions(tmp_path, path, **options):
    import_annotations([path], tmp_path / "out.jsonl", **options)
    return [[p.surface(span) for span in p.spans] for p in read_passages(tmp_path / "out.jsonl")]


@pytest.mark.parametrize("name", ["rows.parquet", "file.arrow", "stream.arrow"])
def test_a_table_brings_the_names_of_its_tags(tmp_path: Path, name: str):
    write(tmp_path / name, table())
    assert mentions(tmp_path, tmp_path / name) == MENTIONS


def test_the_names_may_be_given_and_are_never_guessed(tmp_path: Path):
    write(tmp_path / "rows.parquet", table(described=False))
    assert mentions(tmp_path, tmp_path / "rows.parquet", tag_names=",".join(NAMES)) == MENTIONS
    with pytest.raises(UserError, match="does not say what they mean"):
        mentions(tmp_path, tmp_path / "rows.parquet")


def test_the_folder_that_save_to_disk_writes_is_read(tmp_path: Path):
    for split in ("train", "test"):
        write(tmp_path / "data" / split / "data-00000-of-00001.arrow", table())
        for name in ("dataset_info.json", "state.json"):
            (tmp_path / "data" / split / name).write_text("{}", encoding="utf8")
    (tmp_path / "data" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}', encoding="utf8")
    report = import_annotations([tmp_path / "data"], tmp_path / "out.jsonl", strict=True)
    assert [Path(name).suffix for name, _ in report.files] == [".arrow", ".arrow"]
    assert report.spans["read"] == 2


def test_other_records_in_a_table_are_read_as_those_in_json_are(tmp_path: Path):
    spans = [[{"start": 0, "end": 5, "label": "INFRA"}], []]
    write(tmp_path / "rows.parquet", table(False, text=["Redis fell", "All quiet"], spans=spans))
    assert mentions(tmp_path, tmp_path / "rows.parquet") == [["Redis"], []]


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch):
    write(tmp_path / "rows.parquet", table())
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes()[:200])
    with pytest.raises(UserError, match=r"cut.parquet can't be read"):
        mentions(tmp_path, tmp_path / "cut.parquet")
    write(tmp_path / "other.parquet", table(False, price=[1, 2], name=["a", "b"]))
    with pytest.raises(UserError, match="is a table with the columns price, name"):
        mentions(tmp_path, tmp_path / "other.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match="pyarrow, which reads those, is not installed"):
        mentions(tmp_path, tmp_path / "rows.parquet")
