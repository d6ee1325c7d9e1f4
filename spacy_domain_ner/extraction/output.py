"""Writing the output of a long run so that a run that was killed can be resumed, with every passage there once."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import srsly
from spacy.language import Language

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.extraction.table import write_table
from spacy_domain_ner.files import clear_leftovers, replacing
from spacy_domain_ner.reading.tables import TABLE_SUFFIXES
from spacy_domain_ner.reading.texts import TextFile


class ResumableOutput:
    """A file that is written beside its place, batch by batch, and renamed when all is done, or made a table then.

    Beside OUTPUT stand OUTPUT.partial and OUTPUT.partial.json, which says how much of the partial file is complete and
    which run made it. A run of the same model over the same inputs continues from there; any other starts anew.

    Attributes:
        path: The output.
        lines_done: The lines of the input that an interrupted run of the same kind has finished.
        passages: The passages in the output.
        entities: The entities in the output.
        refused: The lines that could not be read.
    """

    def __init__(self, path: Path, run: str) -> None:
        """Find what an earlier run has left.

        Args:
            path: The output.
            run: What identifies the run, from `identify_run`.
        """
        self.path = path
        # A link stays a link: the file that it leads to is replaced.
        self._target = path.resolve()
        self._partial = self._target.with_name(self._target.name + ".partial")
        self._journal = self._target.with_name(self._target.name + ".partial.json")
        state = self._state(run)
        self._run = run
        self._bytes: int = state["bytes"]
        self.lines_done: int = state["lines"]
        self.passages: int = state["passages"]
        self.entities: int = state["entities"]
        self.refused: int = state["refused"]

    def __enter__(self) -> "ResumableOutput":
        if self._target.exists() and not self._target.is_file():
            # Renaming would put a file where a device is, or fail on a folder after all the work.
            raise UserError(f"{self.path} is not a file, and can't be replaced by one", "Name a file for `output`.")
        with self._user_error():
            self._target.parent.mkdir(parents=True, exist_ok=True)
            clear_leftovers(self._journal)
            if not self._bytes:
                # Another run's journal must not be taken for this one's.
                self._journal.unlink(missing_ok=True)
            self._stream = self._partial.open("r+b" if self._partial.exists() else "w+b")
            # What was written after the journal's last entry belongs to a batch that was not finished.
            self._stream.truncate(self._bytes)
            self._stream.seek(self._bytes)
        return self

    def write(self, rows: bytes, *, lines: int, passages: int, entities: int, refused: int) -> None:
        """Add the rows of one batch.

        Args:
            rows: The rows, encoded.
            lines: The lines of the input that they were made from.
            passages: The passages among those lines.
            entities: The entities found in them.
            refused: The lines that could not be read.

        Raises:
            UserError: The file can't be written.
        """
        with self._user_error():
            self._stream.write(rows)
            self._stream.flush()
        self._bytes += len(rows)
        self.lines_done += lines
        self.passages += passages
        self.entities += entities
        self.refused += refused
        with self._user_error(), replacing(self._journal, clear=False) as journal:
            state = {
                "run": self._run, "bytes": self._bytes, "lines": self.lines_done, "passages": self.passages,
                "entities": self.entities, "refused": self.refused,
            }  # fmt: skip
            journal.write(srsly.json_dumps(state))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After a failed write, closing fails too.
        with suppress(OSError):
            self._stream.close()
        if kind is None:
            with self._user_error():
                if self._target.suffix.lower() in TABLE_SUFFIXES:
                    write_table(self._partial, self._target)
                    self._partial.unlink()
                else:
                    self._partial.replace(self._target)
                self._journal.unlink(missing_ok=True)

    @contextmanager
    def _user_error(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            hint = "Make room or name another place for `output`, and run the same command again."
            raise UserError(f"Can't write {self.path}: {error.strerror}", hint) from None

    def _state(self, run: str) -> dict[str, Any]:
        anew = {"bytes": 0, "lines": 0, "passages": 0, "entities": 0, "refused": 0}
        try:
            state = srsly.read_json(self._journal)
            if state["run"] == run and self._partial.stat().st_size >= state["bytes"]:
                return {key: int(state[key]) for key in anew}
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return anew


class StreamOutput:
    """A stream in place of a file: what is written is out, so nothing can be resumed."""

    lines_done = passages = entities = refused = 0

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def __enter__(self) -> "StreamOutput":
        return self

    def write(self, rows: bytes, **_: int) -> None:
        """Write the rows of one batch."""
        self._stream.write(rows)
        self._stream.flush()

    def __exit__(self, *_: object) -> None:
        """The stream stays open: it is not ours."""


def identify_run(nlp: Language, inputs: Iterable[TextFile], *options: object) -> str:
    """Make a hash of what a run's output depends on: the model, the inputs' names, sizes and times, and the options.

    Standard input and named pipes can't be read again from their start, so a run over them never equals another.

    Args:
        nlp: The model.
        inputs: The files.
        options: What else changes the output; each must have a `repr` that tells its value.

    Returns:
        The hash, in hexadecimal digits.
    """
    parts: list[object] = [nlp.meta, nlp.config.to_str(), *options]
    if nlp.path is not None:
        parts.append([(str(file), file.stat().st_mtime_ns) for file in sorted(nlp.path.rglob("*")) if file.is_file()])
    for file in inputs:
        if file.can_be_read_again:
            source = file.source
            stat = (source.archive or source.path).stat()
            # The name as it was given: it is in the rows.
            parts.append((source.name, os.getcwd(), stat.st_size, stat.st_mtime_ns, file.layout, source.encoding))
        else:
            parts.append(os.urandom(16))
    return hashlib.blake2b(repr(parts).encode("utf8"), digest_size=16).hexdigest()
