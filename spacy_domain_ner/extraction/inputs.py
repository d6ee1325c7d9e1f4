"""Reading passages from JSON lines, text files, folders and standard input, as a stream of raw lines."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from spacy_domain_ner.corpus.jsonl import SUFFIXES as JSONL_SUFFIXES
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import TEXT_SUFFIXES

STDIN = "-"
# The byte order mark that some editors put before a UTF-8 text.
UTF8_MARK = b"\xef\xbb\xbf"
# A batch ends at this many bytes, however few lines it has, so that memory stays bounded: a CNN takes near 1 MB of it
# for every 1,000 characters that it reads at once.
BATCH_BYTES = 250_000


class Line(NamedTuple):
    """One passage as it was read. number: counted from 1, 0 where the passage is a whole file."""

    file: str
    number: int
    raw: bytes
    is_json: bool

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}" if self.number else self.file


@dataclass(frozen=True)
class Input:
    """A file to read, or standard input."""

    path: str
    is_json: bool | None

    @property
    def size(self) -> int:
        """In bytes; 0 where it is not known."""
        return Path(self.path).stat().st_size if self.can_be_read_again else 0

    @property
    def can_be_read_again(self) -> bool:
        """Whether it gives the same another time, as a file does and standard input or a named pipe does not."""
        return self.path != STDIN and Path(self.path).is_file()


def find_inputs(paths: Iterable[str], form: str | None = None) -> list[Input]:
    """The files that paths stand for.

    paths: Files, folders (searched for text and JSON lines files) and "-" for standard input.
    form: "jsonl" or "text" to force what the files hold, None to tell by their names (standard input and named
        pipes: by their first line).
    RAISES: UserError where a path is missing or holds nothing to read.
    """
    forced = None if form is None else form == "jsonl"
    inputs: list[Input] = []
    for name in paths:
        path = Path(name)
        if name == STDIN:
            inputs.append(Input(STDIN, forced))
        elif path.is_dir():
            files = [file for file in sorted(path.rglob("*")) if file.is_file()]
            known = [file for file in files if file.suffix.lower() in JSONL_SUFFIXES + TEXT_SUFFIXES]
            if not known:
                endings = " ".join(JSONL_SUFFIXES + TEXT_SUFFIXES)
                raise UserError(f"The folder {name} has no file to read", f"Files that end in {endings} are read.")
            inputs += [_input(file, forced) for file in known]
        elif path.exists():
            if path.suffix.lower() == ".json" and forced is None:
                raise UserError(
                    f"{name} is a .json file, and passages are read one a line",
                    "If it has a JSON record on every line, add --format jsonl.",
                )
            inputs.append(_input(path, forced))
        else:
            raise UserError(f"There is no file or folder {name}", "Name files, folders, or - for standard input.")
    return inputs


def read_lines(inputs: Iterable[Input], whole_files: bool = False) -> Iterator[Line]:
    """Every line that holds something, in order. With `whole_files`, a text file is one passage.

    RAISES: UserError where a file can't be read.
    """
    for source in inputs:
        if source.path == STDIN:
            yield from _lines(sys.stdin.buffer, "<stdin>", source.is_json, whole_files)
            continue
        try:
            with open(source.path, "rb") as stream:
                yield from _lines(stream, source.path, source.is_json, whole_files)
        except OSError as error:
            raise UserError(f"Can't read {source.path}: {error.strerror}") from None


def in_batches(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """Lines in lists of at most `size`."""
    batch: list[Line] = []
    total = 0
    for line in lines:
        batch.append(line)
        total += len(line.raw)
        if len(batch) >= size or total >= BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _input(path: Path, forced: bool | None) -> Input:
    if forced is None and path.is_file():
        return Input(str(path), path.suffix.lower() in JSONL_SUFFIXES)
    return Input(str(path), forced)


def _lines(stream: BinaryIO, name: str, is_json: bool | None, whole_files: bool) -> Iterator[Line]:
    lines: Iterable[bytes] = stream
    if is_json is None:
        # Empty lines before the first that holds something are kept: they count in the lines' numbers.
        seen = []
        for line in stream:
            seen.append(line)
            if first := line.removeprefix(UTF8_MARK).strip():
                is_json = first.startswith(b"{")
                break
        lines = chain(seen, stream)
    if whole_files and not is_json:
        text = b"".join(lines).removeprefix(UTF8_MARK)
        if text.strip():
            yield Line(name, 0, text, False)
        return
    for number, raw in enumerate(lines, 1):
        if number == 1:
            raw = raw.removeprefix(UTF8_MARK)
        if raw.strip():
            yield Line(name, number, raw.rstrip(b"\r\n"), bool(is_json))
