"""Finding entities in files and streams: a run that is resumed after an interruption, with one process or several."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.batches import in_batches
from spacy_domain_ner.extraction.extractor import Confidences, Extractor, check_text_key
from spacy_domain_ner.extraction.hybrid import HybridExtractor
from spacy_domain_ner.extraction.lines import Extracted, batch_extractor, extract_batch
from spacy_domain_ner.extraction.output import ResumableOutput, StreamOutput, identify_run
from spacy_domain_ner.files import at_work
from spacy_domain_ner.processes import in_processes
from spacy_domain_ner.reading.source import MAX_SIZE, PACKED_SUFFIXES
from spacy_domain_ner.reading.texts import Line, TextFile, find_texts, read_lines

_NOT_WRITTEN = (*PACKED_SUFFIXES, ".zip", ".parquet", ".xlsx", ".xls", ".html", ".spacy")


@dataclass
class Extraction:
    """How far a run over files has come.

    Attributes:
        passages: The passages that were read, including those of the run that this one resumes.
        entities: The entities that were found, likewise.
        refused: The lines that could not be read, likewise.
        resumed: The passages of the run that this one resumes.
        unreachable: The types of which no entity is kept, since no confidence reached the wanted precision.
        unproven: The types of which the early-stopping set had too few entities to show it.
        bytes_read: How much of the input has been read, in bytes; none of standard input and named pipes.
        bytes_total: The size of the whole input, in bytes, as far as it is known.
        left_out: The files of folders and archives that are not read, each with the reason.
        refusals: The lines that this run could not read, each with its place and the reason. Who prints them as they
            come may clear the list.
        hybrid: The model with an LLM for its weak types: where text goes, how many passages this run has sent, and why
            some were not answered. None where no LLM is asked.
    """

    passages: int = 0
    entities: int = 0
    refused: int = 0
    resumed: int = 0
    unreachable: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    bytes_read: int = 0
    bytes_total: int = 0
    left_out: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    hybrid: HybridExtractor | None = None

    def add(self, result: Extracted) -> None:
        """Count the result of a batch of lines."""
        self.passages += result.passages
        self.entities += result.entities
        self.refused += len(result.refusals)
        self.refusals += result.refusals

    def read(self, size: int) -> None:
        """Count bytes of the input."""
        self.bytes_read += size


def extract_files(
    model: str | Path | Language,
    inputs: Sequence[str | Path],
    output: str | Path | BinaryIO,
    *,
    workers: int = 1,
    batch_size: int | None = None,
    window: int | None = None,
    file_format: str | None = None,
    encoding: str = "utf-8",
    whole_files: bool = False,
    text_key: str = "text",
    max_size: int = MAX_SIZE,
    min_confidence: Confidences = (),
    precision: float | None = None,
    keep_unproven: bool = True,
    expected: bool = False,
    llm: str | Path | None = None,
    report: Callable[[Extraction], object] | None = None,
) -> Extraction:
    """Find the entities in files of passages and write each record again, with its `entities` added.

    A file is looked at before it is read: `spacy_domain_ner.reading.texts` says what can be read. The output is there
    when all is done. A run that was interrupted is resumed by the same call, and every passage is in the output once.

    Args:
        model: A trained model's folder or the name of its package; with one worker also a pipeline.
        inputs: Files (JSON lines or lists, text with one passage per line, web pages, CSV, TSV and Parquet tables),
            folders and zip archives of them, or "-" for standard input.
        output: The file to write: JSON lines; a table where it ends in .csv or .tsv, in which what is not a text is
            JSON. Or a binary stream, which gets JSON lines.
        workers: The number of processes.
        batch_size: The most passages that the model, or a worker's, reads at once; None takes the model's own number.
        window: The most characters of a passage that are read at once; see `Extractor`.
        file_format: "jsonl", "json", "text", "csv" (any table of text), "html" or "parquet"; None looks at the files.
        encoding: The encoding of the files that have no byte order mark.
        whole_files: Whether a text file or web page is one passage, and not each of its lines.
        text_key: The key of the text in JSON records, and its column in tables.
        max_size: How many megabytes each archive or packed file may unpack to.
        min_confidence: The least confidence of an entity that is kept; see `Extractor`.
        precision: The precision that each type must have reached on the early-stopping set.
        keep_unproven: Whether a type is kept that had too few entities there to show it; see `Extractor`.
        expected: Whether each record also gets `expected`, how many entities of each type the model expects in it, and
            `model`, which model that is: what monitoring needs to see what the model misses.
        llm: The decision.json of `llm evaluate`: the types that it decided for come from an LLM. Each entity gets its
            `source`, and each record `llm`: whether it was sent, and the `error` where it was not answered; then the
            model's own entities stand there. Text goes to the server that llm.yml names.
        report: Called before the first batch and after each one; what it gets changes from call to call.

    Returns:
        The counts, and the lines that could not be read.

    Raises:
        UserError: The model or an input can't be read, the output can't be written, another run is writing it, or an
            argument does not fit.
    """
    _check_arguments(model, workers, text_key, expected, llm is not None)
    settings = {
        "min_confidence": min_confidence, "precision": precision, "keep_unproven": keep_unproven,
        "batch_size": batch_size, "window": window,
    }  # fmt: skip
    state = Extraction()
    found = find_texts(
        inputs, file_format=file_format, encoding=encoding, text_key=text_key, max_size=max_size, advance=state.read
    )
    with found as texts:
        if isinstance(output, str | Path):
            _check_output(Path(output), texts.files)
        extractor = Extractor(model, **settings)  # type: ignore[arg-type]
        state.left_out = [f"{name}: {why}" for name, why in texts.left_out]
        state.unreachable, state.unproven = extractor.thresholds.unreachable, extractor.thresholds.unproven
        state.bytes_total = sum(file.size for file in texts.files)
        if expected:
            # A model that can't tell is refused before anything is read.
            extractor.expected(())
        options = [whole_files, text_key, sorted(extractor.thresholds.least.items()), extractor.window, expected]
        with ExitStack() as stack:
            if llm is not None:
                hybrid = HybridExtractor(extractor, llm, min_confidence=min_confidence, precision=precision)
                state.hybrid = stack.enter_context(hybrid)
                options += [Path(llm).read_bytes(), min_confidence, precision]
            saved = stack.enter_context(_open_output(output, extractor.nlp, texts.files, options))
            state.passages = state.resumed = saved.passages
            state.entities, state.refused = saved.entities, saved.refused
            _call(report, state)
            lines = islice(read_lines(texts.files, whole_files, text_key), saved.lines_done, None)
            batches = in_batches(lines, extractor.batch_size, lambda line: len(line.raw))
            try:
                each = _results(model, extractor, batches, workers, text_key, expected, settings, state.hybrid)
                for batch, result in each:
                    saved.write(
                        result.rows,
                        lines=len(batch),
                        passages=result.passages,
                        entities=result.entities,
                        refused=len(result.refusals),
                    )
                    state.add(result)
                    _call(report, state)
            except BrokenProcessPool:
                raise UserError(
                    "A worker process was killed, perhaps for lack of memory",
                    "Run the same command again with fewer `workers`, a smaller `batch_size` or a smaller `window`.",
                ) from None
            except BrokenPipeError:
                # The reader of the stream (head, say) has seen enough.
                pass
    return state


def _check_arguments(model: str | Path | Language, workers: int, text_key: str, expected: bool, asks_llm: bool) -> None:
    if workers < 1:
        raise UserError(f"`workers` is {workers}", "It must be 1 or more.")
    if workers > 1 and isinstance(model, Language):
        raise UserError("Several workers can't share one pipeline", "Give the model's folder or package name instead.")
    check_text_key(text_key)
    if asks_llm and workers > 1:
        raise UserError("`llm` and several `workers` do not go together", "It is the LLM that takes the time: use one.")
    if asks_llm and text_key == "llm":
        raise UserError("`text_key` is 'llm'", "With `llm`, records get that key: rename the text's key.")
    if expected and text_key in ("expected", "model"):
        raise UserError(f"`text_key` is {text_key!r}", "With `expected`, records get that key: rename the text's key.")


def _check_output(output: Path, files: Iterable[TextFile]) -> None:
    if output.suffix.lower() in _NOT_WRITTEN:
        raise UserError(
            f"The output {output} would not be what its name says: JSON lines or CSV is written",
            "Name it .jsonl or .csv.",
        )
    for file in files:
        read = file.source.archive or file.source.path
        if output.exists() and file.can_be_read_again and output.samefile(read):
            raise UserError(f"The output {output} is one of the inputs", "Name another file for `output`.")


@contextmanager
def _open_output(
    output: str | Path | BinaryIO, nlp: Language, sources: Sequence[TextFile], options: Sequence[object]
) -> Iterator[ResumableOutput | StreamOutput]:
    if not isinstance(output, str | Path):
        with StreamOutput(output) as stream:
            yield stream
        return
    run = identify_run(nlp, sources, *options)
    # What another run has left beside the output is only read when it is not at work on it any more.
    with at_work(output), ResumableOutput(Path(output), run) as saved:
        yield saved


def _results(
    model: str | Path | Language,
    extractor: Extractor,
    batches: Iterable[list[Line]],
    workers: int,
    text_key: str,
    expected: bool,
    settings: dict[str, Any],
    hybrid: HybridExtractor | None,
) -> Iterator[tuple[list[Line], Extracted]]:
    if workers > 1 and not isinstance(model, Language):
        return in_processes(partial(batch_extractor, model, text_key, expected, **settings), batches, workers)
    return ((batch, extract_batch(extractor, batch, text_key, expected, hybrid)) for batch in batches)


def _call(report: Callable[[Extraction], object] | None, state: Extraction) -> None:
    if report is not None:
        report(state)
