"""domain-ner extract"""

import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from itertools import islice
from math import isinf
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail
from spacy_domain_ner.confidence import least_confidences
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.extract import Extracted, extract_batch, extract_in_workers
from spacy_domain_ner.extraction.inputs import Line, find_inputs, in_batches, read_lines
from spacy_domain_ner.extraction.output import ResumableOutput, identify_run
from spacy_domain_ner.models import load_model


@verb("extract")
def extract_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    inputs: list[str] = typer.Argument(..., help="Files (JSON lines or text, one passage a line), folders, or -"),
    output: Path = typer.Option(None, "--output", "-o", help="JSON lines file to write; standard output without"),
    workers: int = typer.Option(1, "--workers", "-w", help="Processes that work at once"),
    batch_size: int = typer.Option(None, "--batch-size", "-b", help="Passages at a time; the model's own without"),
    form: str = typer.Option(None, "--format", help="jsonl or text; told by the files' names without"),
    whole_files: bool = typer.Option(False, "--whole-files", help="Make a text file one passage, not each line"),
    text_key: str = typer.Option("text", help="The key of the text in JSON records"),
    min_confidence: list[str] = typer.Option(
        [], help="Keep only entities with at least this confidence, 0 to 1; for one type: TYPE=0.8. Can be repeated"
    ),
    precision: float = typer.Option(
        None, help="Keep of each type what reached this precision on the early-stopping set, 0 to 1"
    ),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if any line could not be read"),
) -> None:
    """Find the entities in files of passages. Writes each record again with its `entities` added.

    A run that was interrupted goes on where it was when the same command is given again.
    """
    totals = extract(model, inputs, output, workers, batch_size, form, whole_files, text_key, min_confidence, precision)
    if totals.refused and strict:
        fail(f"{totals.refused} line(s) could not be read.", "They are listed above.")


class Totals:
    """What an extraction has done so far."""

    def __init__(self) -> None:
        self.passages = 0
        self.entities = 0
        self.refused = 0


def extract(
    model: str,
    inputs: list[str],
    output: Path | None = None,
    workers: int = 1,
    batch_size: int | None = None,
    form: str | None = None,
    whole_files: bool = False,
    text_key: str = "text",
    min_confidence: Sequence[str] = (),
    precision: float | None = None,
) -> Totals:
    """Find the entities in files of passages and write them as JSON lines.

    output: The file to write, None for standard output.
    batch_size: Passages that the model, or a worker, takes at a time.
    min_confidence: What an entity must at least have, for all types or as TYPE=NUMBER.
    precision: What each type is to reach, by the thresholds that the model keeps.
    RETURNS: The counts.
    RAISES: UserError where the model or an input can't be read, or an option is no good.
    """
    for name, value in (("--workers", workers), ("--batch-size", batch_size)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}", "It must be 1 or more.")
    if form not in (None, "jsonl", "text"):
        raise UserError(f"--format is {form!r}", "It is jsonl or text.")
    if text_key == "entities":
        raise UserError("--text-key is 'entities'", "That is the key which the found entities get: rename the text's.")
    sources = find_inputs(inputs, form)
    if output is not None and output.exists():
        for source in sources:
            if source.can_be_read_again and output.samefile(source.path):
                raise UserError(f"The output {output} is one of the inputs", "Name another file for --output.")
    nlp = load_model(model)
    least = least_confidences(nlp, min_confidence, precision)
    for label in sorted(label for label, value in least.items() if isinf(value)):
        print(f"{label}: none is kept, no confidence reached a precision of {precision}", file=sys.stderr)
    lines = read_lines(sources, whole_files)
    size = batch_size or nlp.batch_size

    def results(lines: Iterable[Line]) -> Iterator[tuple[list[Line], Extracted]]:
        batches = in_batches(lines, size)
        if workers == 1:
            return ((batch, extract_batch(nlp, batch, text_key, least)) for batch in batches)
        # The batches go to the workers ahead of their results, so they are kept until these come.
        kept: list[list[Line]] = []

        def keep() -> Iterator[list[Line]]:
            for batch in batches:
                kept.append(batch)
                yield batch

        return ((kept.pop(0), result) for result in extract_in_workers(model, keep(), workers, text_key, least))

    totals = Totals()
    with ExitStack() as stack:
        saved = None
        if output is not None:
            run = identify_run(nlp, sources, whole_files, text_key, sorted(least.items()))
            saved = stack.enter_context(ResumableOutput(output, run))
            totals.passages, totals.entities, totals.refused = saved.passages, saved.entities, saved.refused
            if saved.lines_done:
                print(f"Going on after {saved.passages} passages of an earlier run.", file=sys.stderr)
                lines = islice(lines, saved.lines_done, None)
        report = stack.enter_context(_Report(sum(source.size for source in sources), totals))
        try:
            for batch, result in results(lines):
                if saved is None:
                    _print(result.rows)
                else:
                    saved.write(
                        result.rows, lines=len(batch), passages=result.passages, entities=result.entities,
                        refused=len(result.refusals),
                    )  # fmt: skip
                report.add(batch, result)
        except BrokenProcessPool:
            raise UserError(
                "A worker process was killed, perhaps for want of memory",
                "Run the same command again, with fewer --workers or a smaller --batch-size.",
            ) from None
        except BrokenPipeError:
            # The reader of standard output (head, say) has seen enough.
            pass
    return totals


def _print(rows: bytes) -> None:
    try:
        sys.stdout.buffer.write(rows)
        sys.stdout.buffer.flush()
    except OSError as error:
        # What Python flushes at its end would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise UserError(f"Can't write to standard output: {error.strerror}") from None


class _Report:
    """Progress while it runs (where standard error is a terminal), refused lines as they come, the sum at the end."""

    def __init__(self, size: int, totals: Totals) -> None:
        self._totals = totals
        console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(), TextColumn("{task.fields[done]} passages, {task.fields[speed]} a second"),
            TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=size or None, done=0, speed="–")
        self._start = time.perf_counter()
        self._new = 0

    def __enter__(self) -> "_Report":
        self._progress.start()
        return self

    def add(self, batch: list[Line], result: Extracted) -> None:
        self._totals.passages += result.passages
        self._totals.entities += result.entities
        self._totals.refused += len(result.refusals)
        self._new += result.passages
        for refusal in result.refusals:
            print(refusal, file=sys.stderr)
        read = sum(len(line.raw) + 1 for line in batch)
        speed = f"{self._new / (time.perf_counter() - self._start):,.0f}"
        self._progress.update(self._task, advance=read, done=self._totals.passages, speed=speed)

    def __exit__(self, kind: object, *_: object) -> None:
        self._progress.stop()
        if kind is None:
            seconds = time.perf_counter() - self._start
            speed = f"{self._new / seconds:,.0f} passages a second" if self._new else "nothing new"
            refused = f", {self._totals.refused} line(s) not read" if self._totals.refused else ""
            summary = f"{self._totals.passages} passages, {self._totals.entities} entities{refused} ({speed})"
            print(summary, file=sys.stderr)
