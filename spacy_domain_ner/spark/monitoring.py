"""Whether live text has changed, counted on Spark: what `monitor drift` counts, of more rows than one machine reads."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.monitoring.changes import KEPT, Kept
from spacy_domain_ner.monitoring.drift import DISTINCT, Drift, Window, compare_window
from spacy_domain_ner.monitoring.live import Found, Live, LiveRow, model_name
from spacy_domain_ner.monitoring.measures import Measures
from spacy_domain_ner.monitoring.reference import Reference, find_reference
from spacy_domain_ner.spark.mapper import check_columns

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

_COUNTS = "model string, sums array<double>, rows long, entities long, unsure long, asked long"


@dataclass
class _Counts:
    """What one partition has of one model."""

    sums: Any
    rows: int = 0
    entities: int = 0
    unsure: int = 0
    asked: int = 0


def measure_drift_df(
    df: "DataFrame",
    model: str | Path,
    text: str = "text",
    *,
    reference: str | Path | None = None,
    output: str | Path | None = None,
    redact: bool = False,
) -> Drift:
    """Compare live text in a data frame with what the model was evaluated on, as `measure_drift` does files.

        measure_drift_df(spark.read.parquet("entities/"), "en_software_ner", "body", output="monitor/")

    The rows are counted where they are, and only sums and 2,000 rows come to the driver. The data frame is read twice.

    Args:
        df: What `extract_entities_df` or `spark_extract` has made, best with `expected`. Rows without `entities`, those
            that could not be read, are not counted.
        model: The model that has read it: its folder, or the name of its package.
        text: The column of the text.
        reference: As for `measure_drift`.
        output: As for `measure_drift`.
        redact: As for `measure_drift`.

    Returns:
        The comparison.

    Raises:
        UserError: The reference can't be read, the rows are of another model or of two, or there is not a row.
    """
    from pyspark.sql import functions as spark_functions

    check_columns(df.columns, text, ())
    if "entities" not in df.columns:
        raise UserError("The table has no column 'entities'", "Give what `extract_entities_df` has made.")
    known = find_reference(model, reference)
    names = [text, "entities", *(name for name in ("expected", "model") if name in df.columns)]
    rows = df.select(*map(_quoted, names)).where("entities IS NOT NULL")
    live, window = _counted(rows, text, known)
    kept = Kept()
    for row in rows.orderBy(spark_functions.rand(0)).limit(KEPT).collect():
        kept.offer(_live_row(row.asDict(recursive=True), text))
    hashes = rows.select(spark_functions.xxhash64(_quoted(text)).alias("hash"))
    # A window with more is large in any case.
    [[about]] = hashes.select(spark_functions.approx_count_distinct("hash")).collect()
    window.distinct = live.rows if about >= 2 * DISTINCT else hashes.distinct().count()
    if window.distinct >= DISTINCT:
        window.distinct = live.rows
    measures = Measures(known.vocabulary, known.labels)
    return compare_window(
        live, window, kept, measures, known, model, output=output, redact=redact, days=None, now=time.time()
    )


def _counted(rows: "DataFrame", text: str, known: Reference) -> tuple[Live, Window]:
    """Count the rows, where they are."""
    counts = rows.mapInArrow(partial(count_rows, text, known), _COUNTS).collect()
    models = sorted({count["model"] for count in counts})
    if not models:
        raise UserError("There is not a row with entities in the table", "Give what `extract_entities_df` has made.")
    if len(models) > 1:
        raise UserError(
            f"The rows are of several models: {', '.join(name or 'one that is not named' for name in models)}",
            "Each model has figures of its own: choose the rows of one (where).",
        )
    live = Live(["the data frame"], models[0])
    live.rows, live.unsure, entities, asked = (
        sum(count[name] for count in counts) for name in ("rows", "unsure", "entities", "asked")
    )
    if entities and live.unsure == entities:
        raise UserError(
            "The entities have no confidence", "spaCy's own `ner` gives none: use this plugin's recognizer."
        )
    live.without_expected = live.rows - asked
    return live, Window(numpy.array([count["sums"] for count in counts]).sum(axis=0), asked=asked)


def count_rows(
    text: str, known: Reference, batches: Iterable["pyarrow.RecordBatch"]
) -> Iterator["pyarrow.RecordBatch"]:
    """Count the live rows of a partition.

    Args:
        text: The column of the text.
        known: The reference: what is counted depends on what training had.
        batches: The rows.

    Yields:
        A row of sums for each model.
    """
    import pyarrow

    measures = Measures(known.vocabulary, known.labels)
    found: dict[str, _Counts] = {}
    for batch in batches:
        for record in batch.to_pylist():
            row = _live_row(record, text)
            counts = found.setdefault(row.model, _Counts(numpy.zeros(measures.width)))
            counts.sums += measures.count(row.text, row.found, row.expected)
            counts.rows += 1
            counts.entities += len(row.found)
            counts.unsure += sum(one.confidence is None for one in row.found)
            counts.asked += row.expected is not None
    rows = [{"model": name, **vars(counts), "sums": counts.sums.tolist()} for name, counts in found.items()]
    if rows:
        yield pyarrow.RecordBatch.from_pylist(rows)


def _live_row(record: dict[str, Any], text: str) -> LiveRow:
    found = tuple(Found(one["start"], one["end"], one["type"], one["confidence"]) for one in record["entities"])
    # Arrow's maps are pairs, and Spark's are dictionaries.
    expected = record.get("expected")
    return LiveRow(
        record[text], found, None if expected is None else dict(expected), model=model_name(record.get("model"))
    )


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
