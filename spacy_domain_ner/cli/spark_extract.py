"""domain-ner spark-extract"""

import sys
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import (
    BATCH_SIZE,
    EXPECTED,
    KEEP_UNPROVEN,
    MIN_CONFIDENCE,
    PRECISION,
    WINDOW,
)
from spacy_domain_ner.errors import UserError

if TYPE_CHECKING:
    from spacy_domain_ner.spark.job import SparkExtraction


@verb("spark-extract")
def spark_extract_cli(
    inputs: str = typer.Argument(..., help="File, folder or path with wildcards, wherever Spark reads"),
    output: str = typer.Argument(..., help="Folder to write"),
    model: str = typer.Option(
        ..., "--model", "-m", help="Trained model: a folder, an installed package, or a wheel to send to the executors"
    ),
    checkpoint: str = typer.Option(
        ..., help="Folder in which Spark keeps what is done: with it, the same command resumes a job"
    ),
    file_format: str = typer.Option(
        None, "--format", help="text (one passage per line), jsonl or parquet; if not given, by the files' names"
    ),
    output_format: str = typer.Option("parquet", help="parquet or jsonl"),
    text: str = typer.Option("text", "--text-key", help="Column of the text, and its key in JSON records"),
    min_confidence: list[str] = MIN_CONFIDENCE,
    precision: float = PRECISION,
    keep_unproven: bool = KEEP_UNPROVEN,
    batch_size: int = BATCH_SIZE,
    window: int = WINDOW,
    expected: bool = EXPECTED,
    utf16: bool = typer.Option(
        False, "--utf16", help="Offsets count UTF-16 units, as Java, Scala and JavaScript do, not code points"
    ),
    partitions: int = typer.Option(
        None, help="Parts that the passages of a batch are divided into; if not given, four per core"
    ),
    files_per_batch: int = typer.Option(
        None, help="Most input files of a batch, which a killed job does again; if not given, 16 MB per core"
    ),
    master: str = typer.Option(None, help="Where Spark is, such as local[4] or yarn; by default this machine"),
    conf: list[str] = typer.Option([], "--conf", help="Further setting of Spark: NAME=VALUE. Can be repeated"),
) -> None:
    """Find the entities in files of any number and size with Apache Spark. Needs Java and the extra `spark`.

    A job that was killed is resumed when the same command is given again: no passage is lost, none is there twice.
    """
    settings = dict(_setting(each) for each in conf)
    done = ner.spark_extract(
        inputs,
        output,
        model=model,
        checkpoint=checkpoint,
        file_format=file_format,
        output_format=output_format,
        text=text,
        min_confidence=min_confidence,
        precision=precision,
        keep_unproven=keep_unproven,
        batch_size=batch_size,
        window=window,
        expected=expected,
        utf16=utf16,
        partitions=partitions,
        files_per_batch=files_per_batch,
        master=master,
        conf=settings,
        report=_report,
    )
    begun = "Resumed: " if done.resumed else ""
    errors = f", {done.errors} of them not read (`error` says why)" if done.errors else ""
    new = f"{done.passages} passages{errors}, {done.entities} entities" if done.batches else "nothing new"
    msg.good(f"{begun}{new} in {done.output}")


def _report(done: "SparkExtraction") -> None:
    msg.plain(f"batch {done.batches}: {done.passages} passages, {done.entities} entities", sys.stderr)


def _setting(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name.startswith("spark.") or not value:
        raise UserError(f"`conf` is {text!r}", "Give a setting of Spark: `conf=spark.executor.memory=4g`")
    return name, value
