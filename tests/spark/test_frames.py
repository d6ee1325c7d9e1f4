"""Data frames and SQL on a real Spark."""

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extractor import Extractor
from spacy_domain_ner.spark import entities_udf, extract_entities_df, ship_model, spark_mapper
from spacy_domain_ner.spark.frames import check_executors
from spacy_domain_ner.spark.loading import load_pipeline


@pytest.fixture(scope="module")
def wanted(model: Path, texts: list[str | None]) -> dict[int, list[dict[str, Any]] | None]:
    extractor = Extractor(model)
    return {
        number: [entity.to_dict() for entity in next(extractor([text]))] if text and text.strip() else None
        for number, text in enumerate(texts)
    }


@pytest.fixture(scope="module")
def df(spark: Any, texts: list[str | None]) -> Any:
    rows = [(number, text, {"source": number % 3}) for number, text in enumerate(texts)]
    return spark.createDataFrame(rows, "id int, body string, meta map<string, int>").repartition(8)


def test_all_columns_stay_and_each_row_has_what_extract_finds(
    df: Any, model: Path, wanted: dict[int, Any], texts: list[str | None]
) -> None:
    found = df.transform(extract_entities_df, model=model, text="BODY").collect()
    assert sorted(row.id for row in found) == sorted(wanted)
    for row in found:
        each = row.asDict(recursive=True)
        assert list(each) == ["id", "body", "meta", "entities", "error"]
        assert (each["body"], each["meta"]) == (texts[row.id], {"source": row.id % 3})
        assert each["entities"] == wanted[row.id]
        assert (each["error"] is None) == (wanted[row.id] is not None or texts[row.id] is None)


def test_a_python_worker_loads_the_model_once_and_garbage_collection_passes_over_it(df: Any, model: Path) -> None:
    first = df.transform(extract_entities_df, model=model, text="body")
    assert first.count() == df.count()

    def loads(batches: Iterator[Any]) -> Iterator[Any]:
        import pyarrow

        for _ in batches:
            pass
        counts = [load_pipeline.cache_info().misses, gc.get_freeze_count(), len(gc.get_objects())]
        columns = [pyarrow.array([count]) for count in counts]
        yield pyarrow.RecordBatch.from_arrays(columns, ["loads", "frozen", "others"])

    counted = first.repartition(4).mapInArrow(loads, "loads long, frozen long, others long").collect()
    assert {row.loads for row in counted} <= {0, 1}
    loaded = [row for row in counted if row.loads]
    assert loaded
    assert all(row.frozen > 2 * row.others for row in loaded), loaded


def test_a_function_of_sql_gives_entities_and_error(spark: Any, df: Any, model: Path, wanted: dict[int, Any]) -> None:
    spark.udf.register("find_entities", entities_udf(spark, model))
    df.createOrReplaceTempView("passages")
    found = spark.sql("SELECT id, f.* FROM (SELECT id, find_entities(body) AS f FROM passages)").collect()
    assert {row.id: row.asDict(recursive=True)["entities"] for row in found} == wanted
    assert {row.error for row in found} == {None, "an empty text"}


def test_a_shipped_model_is_found_by_the_executors(
    spark: Any, df: Any, make_wheel: Callable[..., Path], wanted: dict[int, Any]
) -> None:
    shipped = ship_model(spark, make_wheel())
    assert shipped.startswith("en_by_heart-0.0.0-")
    assert ship_model(spark, make_wheel()) == shipped
    found = df.transform(extract_entities_df, model=shipped, text="body").collect()
    assert {row.id: row.asDict(recursive=True)["entities"] for row in found} == wanted


def test_one_partition_is_divided_with_a_warning(df: Any, model: Path) -> None:
    with pytest.warns(UserWarning, match="one partition, which one core would work on"):
        divided = df.coalesce(1).transform(extract_entities_df, model=model, text="body")
    assert divided.rdd.getNumPartitions() == 4
    assert df.transform(extract_entities_df, model=model, text="body", partitions=3).rdd.getNumPartitions() == 3


def test_executors_that_are_not_like_the_driver_are_one_message(spark: Any, model: Path) -> None:
    mapper = spark_mapper(model)
    other = replace(mapper, same=tuple({**dict(mapper.same), "spaCy": "3.8.0"}.items()))
    with pytest.raises(
        UserError, match=r"An executor is not like the driver: .* has spaCy .* made with 3\.8\.0"
    ) as told:
        check_executors(spark, other)
    assert "ship_model" in told.value.hint
    gone = replace(mapper, model="/nowhere/model-best", same=tuple({**dict(mapper.same), "digest": "1"}.items()))
    with pytest.raises(UserError, match=r"An executor is not like the driver: The model .* can't be loaded"):
        check_executors(spark, gone)


@pytest.mark.parametrize(
    ("columns", "text", "what"),
    [
        ("body", "text", "no column 'text'"),
        ("struct(body) AS a", "a.body", "no column 'a.body'"),
        ("struct(body) AS a", "a", "holds struct<body:string>, not text"),
        ("id", "id", "holds int, not text"),
        ("body, id AS Error", "body", "a column 'error' already"),
        ("body, id AS entities", "body", "a column 'entities' already"),
        ("body, id, id", "body", "2 columns 'id'"),
        ("body, make_interval(1) AS i", "body", "Spark can't hand all columns to Python"),
    ],
)
def test_columns_that_do_not_fit_are_refused_before_the_job(
    df: Any, model: Path, columns: str, text: str, what: str
) -> None:
    with pytest.raises(UserError, match=what):
        df.selectExpr(*columns.split(", ")).transform(extract_entities_df, model=model, text=text)
