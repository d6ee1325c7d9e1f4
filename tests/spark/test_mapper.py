"""The mapper over Arrow record batches, without Spark."""

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.extraction.lines import extract_batch
from spacy_domain_ner.reading.texts import Line
from spacy_domain_ner.spark import mapper as mapping
from spacy_domain_ner.spark import spark_mapper
from spacy_domain_ner.spark.json_lines import JsonLinesMapper
from spacy_domain_ner.spark.loading import load_pipeline

pa = pytest.importorskip("pyarrow", reason="the spark extra is not installed")

EMPTY = "an empty text"


def batch(values: Iterable[object], kind: Any = None, **columns: list[object]) -> Any:
    texts = pa.array(list(values), pa.string()) if kind is None else pa.array(list(values), kind)
    return pa.RecordBatch.from_arrays([texts, *map(pa.array, columns.values())], ["body", *columns])


def rows(found: Iterable[Any]) -> list[dict[str, Any]]:
    return [row for each in found for row in each.to_pylist()]


def found_by_extract(model: Path, texts: list[str | None], **settings: Any) -> list[list[dict[str, Any]] | None]:
    extractor = Extractor(model, **settings)
    return [
        None if text is None or not text.strip() else [entity.to_dict() for entity in next(extractor([text]))]
        for text in texts
    ]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
    + ([pa.string_view()] if hasattr(pa, "string_view") else []),
    ids=str,
)
def test_every_form_of_a_string_gives_what_extract_finds(model: Path, texts: list[str | None], kind: Any) -> None:
    values = pa.array(texts, pa.string())
    column = values.dictionary_encode() if pa.types.is_dictionary(kind) else values.cast(kind)
    given = pa.RecordBatch.from_arrays([pa.array(range(len(texts))), column], ["id", "body"])
    # A part of a batch begins in the middle of its buffers.
    found = rows(spark_mapper(model, "body")([given.slice(0, 3), given.slice(3)]))
    assert [row["id"] for row in found] == list(range(len(texts)))
    assert [row["body"] for row in found] == texts
    assert [row["entities"] for row in found] == found_by_extract(model, texts)
    assert [row["error"] for row in found] == [
        EMPTY if text is not None and not text.strip() else None for text in texts
    ]
    assert sum(len(row["entities"] or ()) for row in found) > 60


def test_settings_and_windows_are_those_of_extract(model: Path, texts: list[str | None]) -> None:
    settings = {"min_confidence": {"SERVICE": 0.9}, "window": 500, "batch_size": 7}
    found = rows(spark_mapper(model, "body", **settings)([batch(texts)]))  # type: ignore[arg-type]
    assert [row["entities"] for row in found] == found_by_extract(model, texts, **settings)
    assert not [
        row for row in found if any(e["type"] == "SERVICE" and e["confidence"] < 0.9 for e in row["entities"] or ())
    ]


def test_bytes_that_are_not_utf8_are_an_error_in_their_row() -> None:
    raw = pa.array([b"Redis \xff", b"Redis", b"\xed\xa0\x80"], pa.binary())
    column = pa.Array.from_buffers(pa.string(), 3, raw.buffers())

    class Nothing:
        def __call__(self, texts: list[str]) -> list[list[Any]]:
            return [[] for _ in texts]

    read = mapping.read_texts(mapping._to_bytes(column).to_pylist(), Nothing())  # type: ignore[arg-type]
    assert [one.error for one in read] == [
        "not UTF-8 text (invalid start byte at byte 6)", None, "not UTF-8 text (invalid continuation byte at byte 0)"
    ]  # fmt: skip


def test_a_text_that_the_model_can_not_read_spoils_no_other(model: Path) -> None:
    extractor = Extractor(model)

    class Failing:
        def __call__(self, texts: list[str]) -> Any:
            if "boom" in texts:
                raise IndexError("too long")
            return extractor(texts)

    read = mapping.read_texts([b"Redis", b"boom", b"Kafka"], Failing())  # type: ignore[arg-type]
    assert [one.error for one in read] == [None, "the model can't read it: too long", None]
    assert [one.entities is None for one in read] == [False, True, False]


def test_offsets_count_utf16_units_when_that_is_asked(model: Path, texts: list[str | None]) -> None:
    in_points, in_units = (
        rows(spark_mapper(model, "body", utf16=utf16)([batch(texts)])) for utf16 in (False, True)
    )  # fmt: skip
    moved = 0
    for points, units in zip(in_points, in_units, strict=True):
        text = (points["body"] or "").encode("utf-16-le")
        for one, other in zip(points["entities"] or (), units["entities"] or (), strict=True):
            assert text[2 * other["start"] : 2 * other["end"]].decode("utf-16-le") == one["name"] == other["name"]
            moved += one["start"] != other["start"]
    assert moved


def test_what_is_expected_and_the_model_are_added_as_extract_writes_them(model: Path) -> None:
    mapper = spark_mapper(model, "body", expected=True)
    [one, missing] = rows(mapper([batch(["The billing-api-0 fails since Redis is slow.", None])]))
    line = extract_batch(
        Extractor(model), [Line("a", 1, json.dumps({"text": one["body"]}).encode(), True)], expected=True
    )
    wanted = json.loads(line.rows)
    assert (dict(one["expected"]), one["model"]) == (wanted["expected"], wanted["model"])
    assert (missing["entities"], missing["expected"], missing["model"]) == (None, None, None)


def test_batches_are_handed_on_in_parts_of_bounded_rows_and_bytes(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapper = spark_mapper(model, "body", batch_size=10)
    assert [part.num_rows for part in mapper([batch(["Redis"] * 25)])] == [10, 10, 5]
    monkeypatch.setattr(mapping, "_BYTES", 50)
    assert [part.num_rows for part in mapper([batch(["Redis", "a" * 60, "Kafka is down", "b" * 45])])] == [2, 2]


def test_a_table_gives_a_table_as_ray_wants_it(model: Path) -> None:
    mapper = spark_mapper(model, "body")
    table = pa.table({"body": pa.chunked_array([["Redis"], ["Kafka", None]])})
    assert mapper(table).column_names == ["body", "entities", "error"]
    assert mapper(table).num_rows == 3
    assert mapper(table.slice(0, 0)).column_names == ["body", "entities", "error"]
    assert rows(mapper([batch([])])) == []


def test_a_process_loads_the_model_once_whatever_it_is_asked(model: Path) -> None:
    load_pipeline.cache_clear()
    for settings in ({}, {"min_confidence": 0.5}, {"window": 100}):
        mapper = pickle.loads(pickle.dumps(spark_mapper(model, "body", **settings)))  # type: ignore[arg-type]
        for _ in range(2):
            assert len(rows(mapper([batch(["Redis"]), batch(["Kafka"])]))) == 2
    assert load_pipeline.cache_info().misses == 1


@pytest.mark.parametrize(
    ("name", "value"), [("spaCy", "3.8.0"), ("Python", "3.9"), ("digest", "00000000"), ("version", "7")]
)
def test_another_model_or_version_is_refused_where_the_work_is_done(model: Path, name: str, value: str) -> None:
    mapper = spark_mapper(model, "body")
    elsewhere = replace(mapper, same=tuple({**dict(mapper.same), name: value}.items()))
    with pytest.raises(UserError, match=rf"{name} .*, and the job was made with {value}"):
        rows(elsewhere([batch(["Redis"])]))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (
            batch(["a"]).rename_columns(["text"]) if hasattr(pa.RecordBatch, "rename_columns") else None,
            "no column 'body'",
        ),
        (batch([1], pa.int64()), "holds int64, not text"),
        (batch([b"a"], pa.binary()), "holds binary, not text"),
        (batch([["a"]], pa.list_(pa.string())), "not text"),
        (batch(["a"], entities=[1]), "a column 'entities' already"),
        (batch(["a"], error=[1]), "a column 'error' already"),
        (pa.RecordBatch.from_arrays([pa.array(["a"])] * 2, ["body", "body"]), "2 columns 'body'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(model: Path, given: Any, what: str) -> None:
    if given is None:
        pytest.skip("this pyarrow can't rename the columns of a batch")
    with pytest.raises(UserError, match=what):
        rows(spark_mapper(model, "body")([given]))


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"model": "en_nothing_at_all"}, "no model 'en_nothing_at_all'"),
        ({"model": 7}, "only a name or a path"),
        ({"text": ["a"]}, "not the name of a column"),
        ({"min_confidence": 7}, "`min_confidence` is '7'"),
        ({"min_confidence": {"NOPE": 0.5}}, "no type 'NOPE'"),
        ({"batch_size": 0}, "`batch_size` is 0"),
        ({"precision": 2}, "`precision`"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_before_anything_is_read(
    model: Path, arguments: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError, match=what):
        spark_mapper(**{"model": model, "text": "body", **arguments})


def test_lines_of_json_give_what_extract_writes_of_them(model: Path, texts: list[str | None]) -> None:
    records = [{"id": number, "body": text, "meta": {"n": None, "x": 1.0}} for number, text in enumerate(texts)]
    lines = [json.dumps(record, ensure_ascii=False).encode() for record in records]
    broken = [b"{broken", b'{"body": 5}', b'{"id": 1}', b"[1]", b'{"body": "\\ud800"}', b'{"body": "\xff"}', b"null"]
    wanted = extract_batch(
        Extractor(model), [Line("a", number, line, True) for number, line in enumerate([*lines, *broken])], "body"
    )
    mapper = spark_mapper(model, "body")
    raw = pa.array([*lines, *broken], pa.binary())
    column = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    given = pa.RecordBatch.from_arrays([column], ["value"])
    found = rows(JsonLinesMapper(mapper, as_lines=True)([given]))
    good = [row["value"] for row in found if row["error"] is None]
    assert "".join(f"{line}\n" for line in good).encode() == wanted.rows
    refused = [json.loads(row["value"]) for row in found if row["error"]]
    assert [f"a:{number}" for number, row in enumerate(found) if row["error"]] == [
        place.rpartition(": ")[0] if place.count(": ") == 1 else place.partition(": ")[0] for place in wanted.refusals
    ]
    assert [row["error"] for row in refused] == [place.partition(": ")[2] for place in wanted.refusals]
    assert refused[-7] == {"error": refused[-7]["error"], "line": "{broken"}
    table = rows(JsonLinesMapper(mapper, as_lines=False)([given]))
    assert [row["entities"] for row in table] == [*found_by_extract(model, texts), *[None] * len(broken)]
    assert json.loads(table[0]["record"]) == {"id": 0, "meta": {"n": None, "x": 1.0}}
    assert [row["record"] for row in table if row["body"] is None][-7] == "{broken"


def test_a_wheel_is_refused_that_is_not_one_of_a_model(tmp_path: Path, make_wheel: Callable[..., Path]) -> None:
    from spacy_domain_ner.spark import ship_model

    (tmp_path / "broken.whl").write_bytes(b"not a zip")
    for wheel, what in (
        (tmp_path / "none.whl", "There is no wheel"),
        (tmp_path / "broken.whl", "is not the wheel of a model"),
        (make_wheel(without="meta.json"), "it holds no spaCy model"),
    ):
        with pytest.raises(UserError, match=what):
            ship_model(None, wheel)  # type: ignore[arg-type]
