"""domain-ner spark-extract"""

import sys
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
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
    min_confidence: list[str] = typer.Option(
        [], help="Keep only entities with at least this confidence, 0 to 1; for one type: TYPE=0.8. Can be repeated"
    ),
    precision: float = typer.Option(
        None, help="Keep only entities that are sure enough for their type to reach this precision, 0 to 1"
    ),
    keep_unproven: bool = typer.Option(
        True,
        "--keep-unproven/--drop-unproven",
        help="With --precision, a type of which too few entities were held out in training to show any precision",
    ),
    batch_size: int = typer.Option(
        None, "--batch-size", "-b", help="Passages that a model reads at once; if not given, the model's own number"
    ),
    window: int = typer.Option(None, help="Read a longer passage in parts of at most this many characters"),
    expected: bool = typer.Option(
        False, "--expected", help="Also write how many entities the model expects, and which model it is: for `monitor`"
    ),
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
