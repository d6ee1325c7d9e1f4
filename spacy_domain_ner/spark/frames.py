"""Spark's own ways to ask a model: a function of data frames, and one of columns."""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.spark.mapper import SCHEMA, SparkMapper, check_columns, spark_mapper
from spacy_domain_ner.spark.shipping import is_connect
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame, SparkSession

    from spacy_domain_ner.extraction.extractor import Confidences

# Rows of the table of which each core gets a part, to look at each executor.
_ROWS = 10_000
_REPORT = "error string"
_PYTHON_ERROR = re.compile(r"[\w.]*(?:Error|Exception): ")
_LONGEST = 1000
_HINT = (
    "The driver and all executors need the same Python (PYSPARK_PYTHON names that of the executors), spaCy, "
    "spacy-domain-ner and model. `ship_model` sends the last two."
)


def extract_entities_df(
    df: "DataFrame",
    model: str | Path,
    text: str = "text",
    *,
    min_confidence: "Confidences" = (),
    precision: float | None = None,
    keep_unproven: bool = True,
    batch_size: int | None = None,
    window: int | None = None,
    expected: bool = False,
    utf16: bool = False,
    partitions: int | None = None,
) -> "DataFrame":
    """Add a model's entities to a data frame, which may be a stream.

        df.transform(extract_entities_df, model="en_software_ner", text="body")

    All columns stay, and two are added: `entities`, and `error` where a text can't be read, with the same words as
    `extract` has; the job continues. A text that is null gets null in both.

    Args:
        df: The data frame.
        model: A trained model's folder or the name of its package, which executors must have, too; or what `ship_model`
            gave.
        text: The column of the text.
        min_confidence: As for `spark_mapper`.
        precision: As for `spark_mapper`.
        keep_unproven: As for `spark_mapper`.
        batch_size: As for `spark_mapper`.
        window: As for `spark_mapper`.
        expected: As for `spark_mapper`.
        utf16: As for `spark_mapper`.
        partitions: Into how many parts the rows are divided first, evenly. None leaves them as they are, but for a data
            frame of one partition, which only one core would work on.

    Returns:
        The data frame with its new columns. It is as lazy as any.

    Raises:
        UserError: The model can't be loaded, an executor lacks it or has another version of something, there is not
            such a column of text, or an argument does not fit.
    """
    mapper = spark_mapper(
        model, _column(df, text), min_confidence=min_confidence, precision=precision, keep_unproven=keep_unproven,
        batch_size=batch_size, window=window, expected=expected, utf16=utf16,
    )  # fmt: skip
    return map_frame(df, mapper, partitions)


def map_frame(df: "DataFrame", mapper: SparkMapper, partitions: int | None = None) -> "DataFrame":
    """Let a mapper work on a data frame, after a look at the executors.

    Args:
        df: The data frame.
        mapper: From `spark_mapper`.
        partitions: As for `extract_entities_df`.

    Raises:
        UserError: As for `extract_entities_df`.
    """
    from pyspark.errors import PySparkNotImplementedError
    from pyspark.sql.types import StructType

    check_frame(df, mapper)
    if partitions is not None and partitions < 1:
        raise UserError(f"`partitions` is {partitions}", "It must be 1 or more.")
    check_executors(df.sparkSession, mapper)
    parts = partitions or _more_than_one(df)
    added = df.sparkSession.createDataFrame([], mapper.schema).schema
    schema = StructType([*df.schema.fields, *added.fields])
    try:
        return (df.repartition(parts) if parts else df).mapInArrow(mapper, schema)
    except PySparkNotImplementedError as error:
        raise _not_for_python(error) from None


def entities_udf(spark: "SparkSession", model: str | Path, **settings: Any) -> Callable[..., Any]:
    """Make a function of columns, for SQL users.

        spark.udf.register("find_entities", entities_udf(spark, "en_software_ner"))
        spark.sql("SELECT id, found.entities FROM (SELECT id, find_entities(body) AS found FROM tickets)")

    Args:
        spark: The session.
        model: As for `extract_entities_df`.
        settings: What else `spark_mapper` takes, but for `text` and `expected`.

    Returns:
        The function. It gives a struct of `entities` and `error`, which are as `extract_entities_df` has them.

    Raises:
        UserError: As for `extract_entities_df`.
    """
    if settings.get("expected"):
        raise UserError("`expected` adds columns, and a function gives only one", "Use `extract_entities_df`.")
    mapper = spark_mapper(model, **settings)
    check_executors(spark, mapper)
    result = spark.createDataFrame([], SCHEMA).schema
    try:
        from pyspark.sql.functions import arrow_udf
    except ImportError:  # before PySpark 4.1
        from pyspark.sql.functions import pandas_udf

        return pandas_udf(_in_pandas(mapper), result)
    return arrow_udf(_in_arrow(mapper), result)


def check_executors(spark: "SparkSession", mapper: SparkMapper) -> None:
    """Let each executor load the model and compare its versions, before the job.

    An executor that comes later does so before its first row.

    Args:
        spark: The session.
        mapper: What will be run.

    Raises:
        UserError: An executor is not like the driver.
    """
    report = partial(_report, mapper)
    try:
        rows = spark.range(_ROWS).mapInArrow(report, _REPORT).where("error is not null").collect()
    except Exception as error:  # of Spark, in many forms
        raise UserError(f"The executors can't run the job: {told(error)}", _HINT) from error
    if found := sorted({row["error"] for row in rows}):
        others = f" ({len(found) - 1} others have something else)" if len(found) > 1 else ""
        raise UserError(f"An executor is not like the driver: {found[0]}{others}", _HINT)


def told(error: Exception) -> str:
    """What an error of Spark comes down to, in a line: what Python has said on the executor, if it was Python."""
    lines = [line.strip().removeprefix(": ") for line in str(error).splitlines()]
    said = [line for line in lines if _PYTHON_ERROR.match(line)]
    return shorten(said[-1] if said else next(filter(None, lines), reason(error)), _LONGEST)


def _report(mapper: SparkMapper, batches: Iterable["pyarrow.RecordBatch"]) -> Iterator["pyarrow.RecordBatch"]:
    """Say what is wrong on an executor, in a row."""
    import pyarrow

    for _ in batches:
        pass
    error = None
    try:
        mapper.load()
    except Exception as found:  # whatever is wrong there is told
        error = found.what if isinstance(found, UserError) else f"{type(found).__name__}: {found}"
    yield pyarrow.RecordBatch.from_pydict({"error": pyarrow.array([error], pyarrow.string())})


def check_frame(df: "DataFrame", mapper: SparkMapper) -> None:
    """Check that a data frame has a column of text, and none of those that are added.

    Raises:
        UserError: It is otherwise.
    """
    columns = list(df.columns)
    # Spark takes `Error` and `error` for one column, unless it is told not to.
    names = columns if _is_case_sensitive(df) else [name.lower() if name != mapper.text else name for name in columns]
    check_columns(names, mapper.text, mapper.added)
    kind = df.schema[columns.index(mapper.text)].dataType
    if not kind.typeName().startswith(("string", "varchar", "char", "void")):
        raise UserError(
            f"The column {mapper.text!r} holds {kind.simpleString()}, not text",
            "Name a column of strings by `text`, or make it one before: df.withColumn(..., col(...).cast('string'))",
        )


def _column(df: "DataFrame", text: str) -> str:
    """A column as the data frame writes its name."""
    try:
        names = df.columns
    except ValueError as error:  # of PySpark 3.5, which has no Python form of some types
        raise _not_for_python(error) from None
    if text in names or _is_case_sensitive(df) or not isinstance(text, str):
        return text
    same = [name for name in names if name.lower() == text.lower()]
    return same[0] if len(same) == 1 else text


def _not_for_python(error: Exception) -> UserError:
    return UserError(
        f"Spark can't hand all columns to Python: {shorten(reason(error), _LONGEST)}",
        "Drop those, or cast them to strings.",
    )


def _is_case_sensitive(df: "DataFrame") -> bool:
    return str(df.sparkSession.conf.get("spark.sql.caseSensitive", "false")).lower() == "true"


def _more_than_one(df: "DataFrame") -> int | None:
    """How many partitions to make of a single one; None where there are several, or where that can't be told."""
    spark = df.sparkSession
    if df.isStreaming or is_connect(spark):
        return None
    cores = spark.sparkContext.defaultParallelism
    plan = df._jdf.queryExecution()
    parts = plan.sparkPlan().outputPartitioning().numPartitions()
    # A scan does not say how many it has. To count them behind an exchange would run what comes before.
    if parts == 0 and "Exchange" not in plan.executedPlan().toString():
        parts = df.rdd.getNumPartitions()
    if parts != 1 or cores < 2:
        return None
    warnings.warn(
        f"The data frame has one partition, which one core would work on: it is divided into {2 * cores} "
        "(`partitions` sets another number)",
        stacklevel=5,
    )
    return 2 * cores


def _in_arrow(mapper: SparkMapper) -> Callable[..., Any]:
    import pyarrow

    def find(columns: Iterator[pyarrow.Array]) -> Iterator[pyarrow.Array]:
        for texts in columns:
            yield pyarrow.StructArray.from_arrays(mapper.of_column(texts), mapper.added)

    return find


def _in_pandas(mapper: SparkMapper) -> Callable[..., Any]:
    import pandas

    def find(columns: Iterator[pandas.Series]) -> Iterator[pandas.DataFrame]:
        import pyarrow

        for texts in columns:
            found = mapper.of_column(pyarrow.array(texts, pyarrow.string(), from_pandas=True))
            yield pandas.DataFrame(
                {name: pandas.Series(column.to_pylist(), dtype=object)
                 for name, column in zip(mapper.added, found, strict=True)}
            )  # fmt: skip

    return find
