"""Writing a long run's output so that a run that was killed goes on where it was, with every passage once."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import srsly
from spacy.language import Language

from spacy_domain_ner.deployment.inputs import STDIN, Input
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing


class ResumableOutput:
    """A file that is written beside its place, batch by batch, and renamed when all is done.

    Beside OUTPUT lie OUTPUT.partial and OUTPUT.partial.json, which says up to where the partial file holds and
    which run made it. A run of the same model over the same inputs goes on from there; any other starts anew.
    """

    def __init__(self, path: Path, run: str) -> None:
        """path: The output. run: What identifies the run, from `identify_run`."""
        self.path = path
        self._partial = path.with_name(path.name + ".partial")
        self._journal = path.with_name(path.name + ".partial.json")
        state = self._state(run)
        self._run = run
        self._bytes: int = state["bytes"]
        self.lines_done: int = state["lines"]
        self.passages: int = state["passages"]
        self.entities: int = state["entities"]
        self.refused: int = state["refused"]

    def __enter__(self) -> "ResumableOutput":
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self._partial.open("r+b" if self._partial.exists() else "w+b")
            # What was written after the journal's last entry is of a batch that was not finished.
            self._stream.truncate(self._bytes)
            self._stream.seek(self._bytes)
        except OSError as error:
            raise UserError(f"Can't write {self.path}: {error.strerror}", "Name another place for --output.") from None
        return self

    def write(self, rows: bytes, *, lines: int, passages: int, entities: int, refused: int) -> None:
        """Add one batch's rows, made from `lines` lines of the input."""
        self._stream.write(rows)
        self._stream.flush()
        self._bytes += len(rows)
        self.lines_done += lines
        self.passages += passages
        self.entities += entities
        self.refused += refused
        with replacing(self._journal) as journal:
            state = {
                "run": self._run, "bytes": self._bytes, "lines": self.lines_done, "passages": self.passages,
                "entities": self.entities, "refused": self.refused,
            }  # fmt: skip
            journal.write(srsly.json_dumps(state))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None:
            self._partial.replace(self.path)
            self._journal.unlink(missing_ok=True)

    def _state(self, run: str) -> dict[str, Any]:
        anew = {"bytes": 0, "lines": 0, "passages": 0, "entities": 0, "refused": 0}
        try:
            state = srsly.read_json(self._journal)
            if state["run"] == run and self._partial.stat().st_size >= state["bytes"]:
                return state
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return anew


def identify_run(nlp: Language, inputs: Iterable[Input], *options: object) -> str:
    """A hash of what a run's output depends on: the model, the inputs' names, sizes and times, the options.

    Standard input can't be read again from its start, so a run over it is never the same as another.
    """
    parts: list[object] = [nlp.meta, nlp.config.to_str(), *options]
    if nlp.path is not None:
        parts.append([(str(file), file.stat().st_mtime_ns) for file in sorted(nlp.path.rglob("*")) if file.is_file()])
    for source in inputs:
        if source.path == STDIN:
            parts.append(os.urandom(16))
        else:
            stat = Path(source.path).stat()
            parts.append((str(Path(source.path).resolve()), stat.st_size, stat.st_mtime_ns, source.is_json))
    return hashlib.blake2b(repr(parts).encode("utf8"), digest_size=16).hexdigest()
