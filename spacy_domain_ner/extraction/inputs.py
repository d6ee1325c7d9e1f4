"""Reading passages from JSON lines, text files, folders and standard input as a stream of raw lines."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NamedTuple

from spacy_domain_ner.corpus.jsonl import SUFFIXES as JSONL_SUFFIXES
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.finding import TEXT_SUFFIXES

STDIN = "-"
# The byte order mark that some editors put before a UTF-8 text.
UTF8_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One passage as it was read.

    Attributes:
        file: The file's name as it was given.
        number: The line's number, from 1; 0 where the passage is a whole file.
        raw: What stands there.
        is_json: Whether that is a JSON record, and not the text itself.
    """

    file: str
    number: int
    raw: bytes
    is_json: bool

    @property
    def place(self) -> str:
        """Where the passage is, for messages."""
        return f"{self.file}:{self.number}" if self.number else self.file


@dataclass(frozen=True)
class Input:
    """A file to read, or standard input.

    Attributes:
        path: The file's name as it was given, or "-".
        is_json: Whether it holds JSON lines; None where its first line tells.
    """

    path: str
    is_json: bool | None

    @property
    def size(self) -> int:
        """In bytes; 0 where it is not known."""
        return Path(self.path).stat().st_size if self.can_be_read_again else 0

    @property
    def can_be_read_again(self) -> bool:
        """Whether a second reading gives the same, as with a file and unlike standard input or a named pipe."""
        return self.path != STDIN and Path(self.path).is_file()


def find_inputs(paths: Iterable[str], file_format: str | None = None) -> list[Input]:
    """Find the files that paths stand for.

    Args:
        paths: Files, folders (searched for text and JSON lines files) and "-" for standard input.
        file_format: "jsonl" or "text", whatever the files' names say; None goes by the names, and by the first line
            of standard input and named pipes.

    Returns:
        The files, those of a folder in the order of their names.

    Raises:
        UserError: A path is missing or holds nothing that can be read.
    """
    is_json = None if file_format is None else file_format == "jsonl"
    inputs: list[Input] = []
    for name in paths:
        path = Path(name)
        if name == STDIN:
            inputs.append(Input(STDIN, is_json))
        elif path.is_dir():
            inputs += [_input(file, is_json) for file in _files_in(path)]
        elif path.exists():
            if path.suffix.lower() == ".json" and is_json is None:
                raise UserError(
                    f"{name} is a .json file, and files are read one passage per line",
                    "If every line of it is a JSON record, add `file_format=jsonl`.",
                )
            inputs.append(_input(path, is_json))
        else:
            raise UserError(f"There is no file or folder {name}", "Name files, folders, or - for standard input.")
    return inputs


def read_lines(inputs: Iterable[Input], whole_files: bool = False) -> Iterator[Line]:
    """Read every line that is not blank, in order.

    Args:
        inputs: The files.
        whole_files: Whether a text file is one passage.

    Yields:
        The lines, without their line ends.

    Raises:
        UserError: A file can't be read.
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


def _files_in(folder: Path) -> list[Path]:
    suffixes = JSONL_SUFFIXES + TEXT_SUFFIXES
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in suffixes and file.is_file()]
    if not files:
        raise UserError(f"The folder {folder} has no file to read", f"Files that end in {' '.join(suffixes)} are read.")
    return files


def _input(path: Path, is_json: bool | None) -> Input:
    if is_json is None and path.is_file():
        is_json = path.suffix.lower() in JSONL_SUFFIXES
    return Input(str(path), is_json)


def _lines(stream: BinaryIO, name: str, is_json: bool | None, whole_files: bool) -> Iterator[Line]:
    lines: Iterable[bytes] = stream
    if is_json is None:
        # Blank lines before the first other one are kept: they count in the lines' numbers.
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
