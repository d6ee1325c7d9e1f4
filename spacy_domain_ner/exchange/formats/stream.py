"""Reading files of any size piece by piece: lines, JSON lines, and JSON documents whose list is never held whole."""

import codecs
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import ijson

from spacy_domain_ner.corpus.jsonl import RefusedError, parse_json
from spacy_domain_ner.errors import UserError, reason

# A line is read up to here to tell what a file holds; a whole export on one line is longer, a passage never is.
LONGEST_LINE = 8_000_000
PEEKED_LINES = 40
_BLOCK = 1 << 16
# So many brackets more are opened than closed in one block only where nobody wrote for a reader.
_DEEPEST = 3000


def _no_progress(_: int) -> None:
    pass


@dataclass(frozen=True)
class Source:
    """A file to read.

    path: Where it lies.
    name: What messages call it: a file in an archive is shown with the archive's name.
    annotator: Who made it, where its name says so.
    encoding: The file's encoding.
    advance: Called with the number of bytes that were read, for a progress bar.
    """

    path: Path
    name: str
    annotator: str = ""
    encoding: str = "utf-8"
    advance: Callable[[int], None] = field(default=_no_progress, compare=False)

    def unreported(self) -> "Source":
        """The same file for a look at it that no progress bar counts."""
        return replace(self, advance=_no_progress)

    def open(self) -> BinaryIO:
        """The file as a stream of UTF-8 without byte order mark.

        RAISES: UserError where it can't be opened or is UTF-16 that nobody has spoken of.
        """
        try:
            stream: Any = _Counted(self.path, self.advance)
        except OSError as error:
            raise UserError(f"Can't read {self.name}: {error.strerror}", "Name an annotation file.") from None
        head = stream.peek(4)[:4]
        if head.startswith(codecs.BOM_UTF8):
            stream.read(3)
        elif head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and self.encoding == "utf-8":
            raise UserError(f"{self.name} is UTF-32 text", "Say so with --encoding utf-32, or save it as UTF-8.")
        elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and self.encoding == "utf-8":
            raise UserError(f"{self.name} is UTF-16 text", "Say so with --encoding utf-16, or save it as UTF-8.")
        if self.encoding != "utf-8":
            # Lines end as they did: offsets count every character.
            text = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
            return _Recoded(text, self)  # type: ignore[return-value]
        return stream


class _Counted(io.BufferedReader):
    """A file that reports how far it was read."""

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        class Raw(io.FileIO):
            def readinto(self, buffer: Any) -> int:
                count = super().readinto(buffer) or 0
                advance(count)
                return count

        super().__init__(Raw(path, "rb"), buffer_size=1 << 16)


class _Recoded:
    """A text file's lines and blocks as UTF-8 bytes."""

    def __init__(self, text: io.TextIOWrapper, source: Source) -> None:
        self._text, self._source = text, source

    def read(self, size: int = -1) -> bytes:
        return self._bytes(lambda: self._text.read(size))

    def readline(self, size: int = -1) -> bytes:
        return self._bytes(lambda: self._text.readline(size))

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def __enter__(self) -> "_Recoded":
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()

    def _bytes(self, read: Callable[[], str]) -> bytes:
        try:
            return read().encode("utf8")
        except UnicodeError as error:
            raise UserError(
                f"{self._source.name} is no {self._source.encoding} text: {reason(error)}", "Give another --encoding."
            ) from None


def lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers, without their ends.

    RAISES: UserError naming the line that is no UTF-8 text.
    """
    number = 0
    try:
        with source.open() as stream:
            # As bytes: only a line feed ends a line; U+2028 and the like may stand inside.
            for number, line in enumerate(_cut(stream), 1):
                yield number, line.decode("utf8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source.name}:{number}: this is no UTF-8 text ({error.reason})",
            "If it is Latin-1 or another encoding, say so: --encoding latin-1",
        ) from None
    except OSError as error:
        raise UserError(f"Can't read {source.name}: {error.strerror}", "Check the file and run it again.") from None


@dataclass(frozen=True)
class Peek:
    """What a file's beginning shows. layout: "empty", "lines" (a JSON value a line), "list", "objects" or "text"."""

    layout: str
    first_line: str


def peek(source: Source) -> Peek:
    """Look at a file's beginning to tell how it is laid out."""
    with source.open() as stream:
        first = b""
        for _ in range(100_000):
            first = stream.readline(LONGEST_LINE)
            if not first or first.strip():
                break
        head = first.lstrip()[:1]
        shown_line = first[:2000].decode("utf8", errors="replace").strip()
        if not head:
            return Peek("empty", "")
        if head not in b"[{":
            return Peek("text", shown_line)
        if len(first) == LONGEST_LINE and not first.endswith(b"\n"):
            return Peek("list" if head == b"[" else "objects", shown_line)
        value = _value(first)
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], str)):
            return Peek("lines", shown_line)
        # One at a time: each may be long.
        following = (line for line in (stream.readline(LONGEST_LINE) for _ in range(PEEKED_LINES)) if line.strip())
        if value is not None:
            return Peek("lines" if any(_value(line) is not None for line in following) else "list", shown_line)
        # The first line may be the one that is broken. In a printed document, only the last line is a whole object.
        if first.strip() not in (b"[", b"{") and any(isinstance(_value(line), dict) for line in following):
            return Peek("lines", shown_line)
        if head == b"[" and first.strip()[1:2] not in (b"", b"{", b"[", b'"', b"]") and next(following, None) is None:
            return Peek("text", shown_line)
        return Peek("list" if head == b"[" else "objects", shown_line)


def json_values(source: Source, layout: str) -> Iterator[tuple[int, Any]]:
    """The JSON values of a file: one a line, the items of one list, or objects one after the other.

    layout: What `peek` said.
    YIELDS: The number of the line (of the item, counted from 1, where values are not lines) and the value; a
        RefusedError in the value's place where a line is broken.
    RAISES: UserError where a document is broken, naming the last item that was whole.
    """
    if layout == "lines":
        for number, line in lines(source):
            if line.strip():
                try:
                    yield number, parse_json(line)
                except RefusedError as error:
                    yield number, error
        return
    number = 0
    value: Any = None
    settings = {"use_float": True, "multiple_values": layout == "objects"}
    with source.open() as stream:
        try:
            items = ijson.items(_Shallow(stream, source), "item" if layout == "list" else "", **settings)
            for number, value in enumerate(items, 1):
                yield number, value
        except UserError:
            raise
        except (ijson.JSONError, ValueError, OverflowError) as error:
            after = f" after its record {number}" if number else ""
            if isinstance(value, dict) and isinstance(value.get("id"), (int, str)):
                after += f" (id {value['id']})"
            # On its further lines the parser shows a piece of the file.
            why = next(iter(str(error).splitlines()), "").removeprefix("parse error: ").removeprefix("lexical error: ")
            cut = "premature EOF" in why or "ncomplete" in why
            what = "ends in the middle" if cut else f"is no valid JSON ({why.strip(' .')})"
            raise UserError(f"{source.name} {what}{after}", "Export it again; nothing was imported.") from None
        except OSError as error:
            raise UserError(f"Can't read {source.name}: {error.strerror}", "Check the file, run it again.") from None


class _Shallow:
    """A JSON document's stream that ends where values are nested so deeply that reading them would take all memory."""

    def __init__(self, stream: BinaryIO, source: Source) -> None:
        self._stream, self._source = stream, source

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        opened = block.count(b"[") + block.count(b"{")
        if opened > _DEEPEST and opened - block.count(b"]") - block.count(b"}") > _DEEPEST:
            raise UserError(f"{self._source.name} is JSON that is nested too deeply", "No labelling tool writes that.")
        return block


def _cut(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, which ends them with a carriage return alone where its first ones end so."""
    first = stream.readline(_BLOCK)
    if first.endswith(b"\n") or b"\r" not in first.rstrip(b"\r"):
        yield from _whole_lines(first, stream)
        return
    rest = first
    while block := stream.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\r")
        yield from whole
    yield from rest.split(b"\r")


def _whole_lines(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    if first:
        yield first if first.endswith(b"\n") else first + stream.readline()
    yield from stream


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
