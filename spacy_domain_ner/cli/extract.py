"""domain-ner extract"""

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb, with_options
from spacy_domain_ner.cli._messages import fail, msg
from spacy_domain_ner.cli._options import (
    BATCH_SIZE,
    ENCODING,
    EXPECTED,
    FILE_FORMAT,
    KEEP_UNPROVEN,
    MIN_CONFIDENCE,
    PRECISION,
    TEXT_KEY,
    WINDOW,
)
from spacy_domain_ner.errors import UserError

if TYPE_CHECKING:
    from spacy_domain_ner.extraction.runs import Extraction

# So many reasons why the LLM has not answered are printed.
_SHOWN = 5
# What a terminal obeys and JSON need not escape: controls, and marks that turn the direction of what follows.
_OBEYED = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@verb("extract")
def extract_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    inputs: list[str] = typer.Argument(
        ..., help="Files (JSON, text with one passage per line, HTML, CSV, TSV, Parquet), folders, zip archives, or -"
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="File to write: JSON lines, or a table if it ends in .csv; by default standard output",
    ),
    workers: int = typer.Option(1, "--workers", "-w", help="Number of processes"),
    batch_size: int = BATCH_SIZE,
    window: int = WINDOW,
    file_format: str = typer.Option(None, "--format", help=FILE_FORMAT),
    encoding: str = typer.Option("utf-8", help=ENCODING),
    whole_files: bool = typer.Option(
        False, "--whole-files", help="A text file or web page is one passage, not each of its lines"
    ),
    text_key: str = typer.Option("text", help=TEXT_KEY),
    max_size: int = typer.Option(4000, min=1, help="Megabytes that an archive or a packed file may unpack to"),
    min_confidence: list[str] = MIN_CONFIDENCE,
    precision: float = PRECISION,
    keep_unproven: bool = KEEP_UNPROVEN,
    expected: bool = EXPECTED,
    llm: Path = typer.Option(
        None, help="The decision.json of `llm evaluate`: an LLM finds the types that it decided for. Text goes there"
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Exit with 1 if a line could not be read, or the LLM has not answered for a passage"
    ),
) -> None:
    """Find the entities in files of passages. Writes each record again with its `entities` added.

    A run that was interrupted is resumed when the same command is given again.
    """
    with _Progress(precision, keep_unproven) as progress:
        extraction = ner.extract_files(
            model,
            inputs,
            output or _StandardOutput(),  # type: ignore[arg-type]
            workers=workers,
            batch_size=batch_size,
            window=window,
            file_format=file_format,
            encoding=encoding,
            whole_files=whole_files,
            text_key=text_key,
            max_size=max_size,
            min_confidence=min_confidence,
            precision=precision,
            keep_unproven=keep_unproven,
            expected=expected,
            llm=llm,
            report=progress,
        )
    if extraction.refused and not extraction.passages:
        fail(
            f"Not one of {extraction.refused} line(s) could be read.",
            "They are listed above. --text-key names the key or column of the text, --format what the files are.",
        )
    if strict and extraction.hybrid and extraction.hybrid.errors:
        fail(f"The LLM has not answered for {extraction.hybrid.errors.total()} passage(s).", "The reasons are above.")
    if strict and (extraction.refused or extraction.left_out):
        files = f" and {len(extraction.left_out)} file(s)" if extraction.left_out else ""
        fail(f"{extraction.refused} line(s){files} could not be read.", "They are listed above.")


class _StandardOutput:
    """Standard output in bytes, of which a failure is told once."""

    def write(self, rows: bytes) -> None:
        try:
            sys.stdout.buffer.write(_escaped(rows))
            sys.stdout.buffer.flush()
        except OSError as error:
            # Python writes the rest when it ends, which would fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                raise
            raise UserError(f"Can't write to standard output: {error.strerror}") from None

    def flush(self) -> None:
        """Each write is flushed."""


class _Progress:
    """Shows how far a run is on standard error: a bar on a terminal, refused lines as they come, at last the sum."""

    def __init__(self, precision: float | None, keep_unproven: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._precision, self._keep_unproven = precision, keep_unproven
        self._bar = Progress(
            BarColumn(), TextColumn("{task.fields[done]} passages, {task.fields[speed]} per second"),
            TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._extraction: Extraction | None = None

    def __enter__(self) -> "_Progress":
        return self

    def __call__(self, extraction: "Extraction") -> None:
        if self._extraction is None:
            self._begin(extraction)
        for refusal in extraction.refusals:
            msg.plain(with_options(refusal), sys.stderr)
        extraction.refusals.clear()
        self._bar.update(
            self._task, completed=extraction.bytes_read, done=extraction.passages, speed=self._speed(extraction)
        )

    def _begin(self, extraction: "Extraction") -> None:
        for label in extraction.unreachable:
            msg.plain(f"{label}: none is kept, no confidence reached a precision of {self._precision}", sys.stderr)
        for label in extraction.unproven:
            what, other = ("all are kept", "--drop-unproven drops") if self._keep_unproven else (
                "none is kept", "--keep-unproven keeps"
            )  # fmt: skip
            msg.plain(
                f"{label}: {what}, too few were held out in training to tell whether their precision is "
                f"{self._precision} ({other} them)",
                sys.stderr,
            )
        for left_out in extraction.left_out:
            msg.plain(f"not read: {left_out}", sys.stderr)
        if extraction.hybrid:
            for note in extraction.hybrid.notes:
                msg.plain(note, sys.stderr)
            msg.plain(extraction.hybrid.destination, sys.stderr)
        if extraction.resumed:
            msg.plain(f"Resumed after {extraction.resumed} passages of an earlier run.", sys.stderr)
        self._extraction = extraction
        self._start = time.perf_counter()
        self._task = self._bar.add_task("", total=extraction.bytes_total or None, done=0, speed="–")
        self._bar.start()

    def _speed(self, extraction: "Extraction") -> str:
        return f"{(extraction.passages - extraction.resumed) / (time.perf_counter() - self._start):,.0f}"

    def __exit__(self, kind: object, *_: object) -> None:
        self._bar.stop()
        if kind is None and (done := self._extraction) is not None:
            speed = f"{self._speed(done)} passages per second" if done.passages > done.resumed else "nothing new"
            refused = f", {done.refused} line(s) not read" if done.refused else ""
            entities = "1 entity" if done.entities == 1 else f"{done.entities} entities"
            msg.plain(
                f"{done.passages} passage{'' if done.passages == 1 else 's'}, {entities}{refused} ({speed})",
                sys.stderr,
            )
            if done.hybrid:
                msg.plain(f"{done.hybrid.sent} of them were sent to the LLM", sys.stderr)
                for error, count in done.hybrid.errors.most_common(_SHOWN):
                    msg.plain(f"{count} not answered, so the model's own entities stand there: {error}", sys.stderr)


def _escaped(rows: bytes) -> bytes:
    """The same JSON, with escapes for what a terminal would obey."""
    if rows.isascii() and b"\x7f" not in rows:
        return rows
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", rows.decode("utf8")).encode("utf8")
