"""Extraction from files to files as a Spark job that can be killed and run again: each passage is there once.

Spark's structured streaming remembers which files make up a batch, and gives a batch that was not finished the same
files again. A batch is written beside its place and renamed, file by file, under names that begin with its number: one
that is done again takes the place of what was there of it. So the output is ordinary files, which any tool may read.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import at_work
from spacy_domain_ner.spark.frames import check_executors, check_frame, told
from spacy_domain_ner.spark.json_lines import LINE, JsonLinesMapper
from spacy_domain_ner.spark.mapper import SparkMapper, spark_mapper
from spacy_domain_ner.spark.places import Places
from spacy_domain_ner.spark.shipping import is_connect, ship_model
from spacy_domain_ner.spark.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from spacy_domain_ner.extraction.extractor import Confidences

TEXT, JSON_LINES, PARQUET = "text", "jsonl", "parquet"
_SUFFIXES = {".parquet": PARQUET, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES, ".json": JSON_LINES}
_PACKED = (".gz", ".bz2", ".zst", ".lz4", ".deflate", ".xz")
# Of the input, in bytes per core: about a minute of work for a small model.
_BATCH = 16_000_000
_PARTS_PER_CORE = 4
_MOST_FILES = 10_000
_SETTINGS = {
    # Spark's own number, 10,000, is a gigabyte of passages of 100,000 characters.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
    # JSON and Parquet know keys that differ in their case alone.
    "spark.sql.caseSensitive": "true",
}
# Of a session that is made here: what has failed is told in a line at the end.
_OWN = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "OFF"}
_JAVA = "Install Java 17 (apt-get install openjdk-17-jre-headless), or set JAVA_HOME to where it is."


@dataclass
class SparkExtraction:
    """What a job has done.

    Attributes:
        passages: The passages of this run, also those that can't be read.
        entities: The entities in them.
        errors: The passages that can't be read; their rows say why.
        batches: The batches of this run.
        resumed: Whether earlier runs had finished some batches.
        output: The folder of the output, with its file system.
    """

    passages: int = 0
    entities: int = 0
    errors: int = 0
    batches: int = 0
    resumed: bool = False
    output: str = ""


def spark_extract(
    inputs: str | Path,
    output: str | Path,
    *,
    model: str | Path,
    checkpoint: str | Path,
    file_format: str | None = None,
    output_format: str = PARQUET,
    text: str = "text",
    min_confidence: "Confidences" = (),
    precision: float | None = None,
    keep_unproven: bool = True,
    batch_size: int | None = None,
    window: int | None = None,
    expected: bool = False,
    utf16: bool = False,
    partitions: int | None = None,
    files_per_batch: int | None = None,
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
    report: Callable[[SparkExtraction], object] | None = None,
) -> SparkExtraction:
    """Find the entities in files of any number and size, on the machines that Spark has.

    A job that was killed, in whatever part, is resumed by the same call: no passage is lost, and none is there twice.
    Files that have come in the meantime are read as well. What can't be read is told in its row, as `error`.

    Args:
        inputs: A file, a folder, or a path with wildcards, in any file system that Spark reads.
        output: The folder to write.
        model: A trained model's folder or the name of its package; or its wheel, which is sent to the executors.
        checkpoint: The folder in which Spark keeps what is done; neither in the input nor in the output.
        file_format: "text" with one passage per line, "jsonl" or "parquet"; None looks at the files' names.
        output_format: "parquet" or "jsonl".
        text: The column of the text, and its key in JSON records.
        min_confidence: As for `spark_mapper`.
        precision: As for `spark_mapper`.
        keep_unproven: As for `spark_mapper`.
        batch_size: As for `spark_mapper`.
        window: As for `spark_mapper`.
        expected: As for `spark_mapper`.
        utf16: As for `spark_mapper`.
        partitions: Into how many parts the passages of a batch are divided, evenly; None makes four per core.
        files_per_batch: The most input files of a batch, which is what a killed job does again; None makes batches of
            about 16 MB per core.
        master: Where Spark is, such as "local[4]" or "yarn"; None takes what `spark-submit` says, else this machine.
        conf: Further settings of Spark. A session that is there already keeps its own.
        report: Called after each batch.

    Returns:
        The counts of this run.

    Raises:
        UserError: Java or PySpark is missing, an argument does not fit, the model is not the same everywhere, the
            checkpoint or the output belongs to another run, or the job has failed.
    """
    _check_arguments(file_format, output_format, partitions, files_per_batch)
    with ExitStack() as stack:
        spark = stack.enter_context(_session(master, conf or {}))
        places = Places(Storage(spark), str(inputs), str(output), str(checkpoint))
        files = places.input_files()
        kind = file_format or _format_of([name for name, _ in files])
        if str(model).endswith(".whl"):
            model = ship_model(spark, model)
        mapper = spark_mapper(
            model, text, min_confidence=min_confidence, precision=precision, keep_unproven=keep_unproven,
            batch_size=batch_size, window=window, expected=expected, utf16=utf16,
        )  # fmt: skip
        cores = spark.sparkContext.defaultParallelism
        most = files_per_batch or _files_per_batch([size for _, size in files], cores)
        stream, function, schema = _plan(spark, places.inputs, files, kind, output_format, mapper, most)
        if "://" not in str(checkpoint):
            stack.enter_context(at_work(checkpoint))
        settings = {name: list(value) if isinstance(value, tuple) else value for name, value in mapper.settings}
        resumed = places.claim({
            "model": mapper.identity, **settings, "text": text, "expected": expected, "utf16": utf16,
            "file_format": kind, "output_format": output_format,
        })  # fmt: skip
        check_executors(spark, mapper)
        job = _Job(
            places, function, schema, output_format, partitions or _PARTS_PER_CORE * cores,
            SparkExtraction(resumed=resumed, output=places.output), report,
        )  # fmt: skip
        writer = stream.writeStream.foreachBatch(job).option("checkpointLocation", f"{places.checkpoint}/stream")
        try:
            writer.trigger(availableNow=True).start().awaitTermination()
        except Exception as error:  # of Spark, in many forms
            raise UserError(
                f"The job has failed: {told(error)}", "What was done is kept: run the same command again to resume."
            ) from error
    return job.done


@dataclass
class _Job:
    """What is done with each batch."""

    places: Places
    function: Any
    schema: "StructType"
    output_format: str
    partitions: int
    done: SparkExtraction
    report: Callable[[SparkExtraction], object] | None

    def __call__(self, df: "DataFrame", batch: int) -> None:
        """Find the entities of a batch, and write it."""
        from pyspark.sql import Observation
        from pyspark.sql import functions as spark_functions

        column = spark_functions.col
        found = df.repartition(self.partitions).mapInArrow(self.function, self.schema)
        lines = "found" in found.columns and LINE in found.columns
        number = column("found") if lines else spark_functions.size("entities")
        seen = Observation()
        observed = found.observe(
            seen,
            spark_functions.count("*").alias("passages"),
            spark_functions.sum(spark_functions.when(column("error").isNull(), number)).alias("entities"),
            spark_functions.count("error").alias("errors"),
        )
        staged = self.places.staged()
        if lines:
            observed.select(LINE).write.text(staged)
        elif self.output_format == JSON_LINES:
            observed.write.json(staged)
        else:
            observed.write.parquet(staged)
        self.places.place(staged, batch, f".{self.output_format}")
        counts = seen.get
        self.done.passages += counts["passages"] or 0
        self.done.entities += max(0, counts["entities"] or 0)
        self.done.errors += counts["errors"] or 0
        self.done.batches += 1
        if self.report:
            self.report(self.done)


def _plan(
    spark: "SparkSession", inputs: str, files: Sequence[tuple[str, int]], kind: str, output_format: str,
    mapper: SparkMapper, most: int,
) -> tuple["DataFrame", Any, "StructType"]:  # fmt: skip
    """The stream of a job's input, what is done with it, and the columns that this gives."""
    from pyspark.sql import functions as spark_functions
    from pyspark.sql.types import StructType

    # Folders named like `day=2026-11-29` are columns in a table; all others are just folders.
    recursive = str(not (kind == PARQUET and any("=" in name[len(inputs) :] for name, _ in files))).lower()
    reader = spark.readStream.option("maxFilesPerTrigger", most).option("recursiveFileLookup", recursive)
    # Spark leaves out files that are a week older than one that it has read.
    reader = reader.option("maxFileAge", "36500d")
    if kind == PARQUET:
        table = spark.read.option("recursiveFileLookup", recursive).option("mergeSchema", "true")
        schema = _schema_of(lambda: table.parquet(inputs).schema)
        stream = reader.schema(schema).parquet(inputs)
    else:
        # A line of white space is not a passage.
        stream = reader.text(inputs).where(spark_functions.col(LINE).rlike(r"\S"))
    if kind == JSON_LINES:
        function = JsonLinesMapper(mapper, as_lines=output_format == JSON_LINES)
        if mapper.text in (*mapper.added, "record"):
            raise UserError(f"`text` is {mapper.text!r}", "A column of that name is added: rename the text's key.")
        return stream, function, spark.createDataFrame([], function.schema).schema
    if kind == TEXT:
        source = spark_functions.struct(spark_functions.col("_metadata.file_path").alias("source"))
        stream = stream.select(spark_functions.col(LINE).alias(mapper.text), source.alias("meta"))
    check_frame(stream, mapper)
    added = spark.createDataFrame([], mapper.schema).schema
    return stream, mapper, StructType([*stream.schema.fields, *added.fields])


def _schema_of(read: Callable[[], "StructType"]) -> "StructType":
    try:
        return read()
    except Exception as error:  # of Spark, in many forms
        raise UserError(f"The input can't be read: {told(error)}", "Give files of one form.") from error


def _format_of(names: Sequence[str]) -> str:
    """The format of files, by their names.

    Raises:
        UserError: They have several.
    """
    found: dict[str, str] = {}
    for name in names:
        bare = name.lower()
        for packed in _PACKED:
            bare = bare.removesuffix(packed)
        found.setdefault(_SUFFIXES.get(PurePosixPath(bare).suffix, TEXT), name)
    if len(found) > 1:
        one, other = list(found.values())[:2]
        raise UserError(
            f"The input has files of several formats: {one}, {other}",
            f"Name one of them by a path with wildcards; or say what all of them are (`file_format={TEXT}`).",
        )
    return next(iter(found))


def _files_per_batch(sizes: Sequence[int], cores: int) -> int:
    mean = max(1, sum(sizes) // len(sizes))
    return min(max(cores, _BATCH * cores // mean), _MOST_FILES)


def _check_arguments(
    file_format: str | None, output_format: str, partitions: int | None, files_per_batch: int | None
) -> None:
    for name, value, known in (
        ("file_format", file_format, (None, TEXT, JSON_LINES, PARQUET)),
        ("output_format", output_format, (JSON_LINES, PARQUET)),
    ):
        if value not in known:
            raise UserError(f"`{name}` is {value!r}", f"It must be one of {', '.join(filter(None, known))}.")
    for name, number in (("partitions", partitions), ("files_per_batch", files_per_batch)):
        if number is not None and number < 1:
            raise UserError(f"`{name}` is {number}", "It must be 1 or more.")


@contextmanager
def _session(master: str | None, conf: Mapping[str, str]) -> Iterator["SparkSession"]:
    """A session of Spark: one of the user's, with settings of its own; else a new one, which ends with the block."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise UserError("PySpark is not installed", "Install it: pip install 'spacy-domain-ner[spark]'") from None
    active = SparkSession.getActiveSession()
    if active is not None:
        if is_connect(active):
            raise UserError("This session is one of Spark Connect", "Use `extract_entities_df` there.")
        spark = active.newSession()
        for name, value in {**_SETTINGS, **conf}.items():
            if spark.conf.isModifiable(name):
                spark.conf.set(name, value)
        yield spark
        return
    # The JVM of `spark-submit` runs already, and has settings of its own.
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not submitted and not os.environ.get("JAVA_HOME") and not shutil.which("java"):
        raise UserError("There is no Java, which Spark runs on", _JAVA)
    builder = SparkSession.builder.appName("domain-ner spark-extract")
    if not submitted:
        # A part that has failed is tried four times, as on a cluster, and not once.
        master = master or "local[*,4]"
        if master.startswith("local"):
            # Python workers on this machine are like this process, and not whatever python3 may be.
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if master:
        builder = builder.master(master)
    for name, value in {**({} if submitted else _OWN), **_SETTINGS, **conf}.items():
        builder = builder.config(name, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:  # of Spark, in many forms
        raise UserError(f"Spark can't be started: {told(error)}", _JAVA) from error
    try:
        yield spark
    finally:
        # After a kill of the JVM nobody answers.
        with suppress(Exception):
            spark.stop()
