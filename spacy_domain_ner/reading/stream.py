"""Reading files of any size piece by piece: lines, JSON lines, and JSON documents, never holding a whole list."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import ijson

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.records import TOO_DEEP, RefusedError, is_too_deep, parse_json
from spacy_domain_ner.reading.source import Source

# Bytes of a line that are read to find out what a file holds. A passage is never longer; a whole export on one line is.
LONGEST_LINE = 8_000_000
# Lines that are read for that.
PEEKED_LINES = 40
_BLOCK = 1 << 16
# Bytes of a JSON document that are read at once: of a long text, the parser reads all again with each block.
_JSON_BLOCK = 1 << 20
# Bytes without a quote, which a text has at both ends. No passage is so long; neither is a number.
_LONGEST_TEXT = 16_000_000
# More unclosed brackets than this in one block: hostile or broken input.
_DEEPEST = 3000


def lines(source: Source) -> Iterator[tuple[int, str]]:
    """Read the lines of a text file.

    Args:
        source: The file.

    Yields:
        The number of a line, counted from 1, and the line without its end.

    Raises:
        UserError: The file can't be read, or a line, which is named, is not UTF-8 text.
    """
    number = 0
    try:
        with source.open() as stream:
            for number, line in enumerate(cut_lines(stream), 1):
                yield number, line.decode("utf8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source.name}:{number}: this is not UTF-8 text ({error.reason})",
            "If it has another encoding, say so, for instance: `encoding=latin-1`",
        ) from None
    except OSError as error:
        raise UserError(
            f"Can't read {source.name}: {error.strerror}", "Check the file, and run the same command again."
        ) from None


@dataclass(frozen=True)
class Peek:
    """What a file's beginning shows.

    Attributes:
        layout: "empty", "lines" (one JSON value per line), "list", "objects" or "text".
        first_line: The first line that is not blank, cut off where it is long.
    """

    layout: str
    first_line: str


def peek(source: Source) -> Peek:
    """Look at a file's beginning to find out how it is laid out."""
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
        # Read one at a time: each may be long.
        following = (line for line in (stream.readline(LONGEST_LINE) for _ in range(PEEKED_LINES)) if line.strip())
        if value is not None:
            return Peek("lines" if any(_value(line) is not None for line in following) else "list", shown_line)
        # Only the first line may be broken. In a document that was printed with indents, the last line alone may be a
        # whole object.
        if first.strip() not in (b"[", b"{") and any(isinstance(_value(line), dict) for line in following):
            return Peek("lines", shown_line)
        if head == b"[" and first.strip()[1:2] not in (b"", b"{", b"[", b'"', b"]") and next(following, None) is None:
            return Peek("text", shown_line)
        return Peek("list" if head == b"[" else "objects", shown_line)


def json_values(source: Source, layout: str) -> Iterator[tuple[int, Any]]:
    """Read the JSON values of a file: one per line, the items of one list, or objects one after the other.

    Args:
        source: The file.
        layout: The layout that `peek` found.

    Yields:
        The number of the line (where values are not lines: of the value, counted from 1) and the value; a RefusedError
        in place of the value where a line is broken.

    Raises:
        UserError: The document is broken; the last value that was whole is named.
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
    settings = {"use_float": True, "multiple_values": layout == "objects", "buf_size": _JSON_BLOCK}
    with source.open() as stream:
        try:
            items = ijson.items(_Shallow(stream, source), "item" if layout == "list" else "", **settings)
            for number, value in enumerate(items, 1):
                yield number, RefusedError(TOO_DEEP) if is_too_deep(value) else value
        except UserError:
            raise
        except (ijson.JSONError, ValueError, OverflowError) as error:
            after = f" after its record {number}" if number else ""
            if isinstance(value, dict) and isinstance(value.get("id"), (int, str)):
                after += f" (id {value['id']})"
            # After its first line, the parser's message shows a piece of the file.
            why = next(iter(str(error).splitlines()), "").removeprefix("parse error: ").removeprefix("lexical error: ")
            cut = "premature EOF" in why or "ncomplete" in why
            what = "ends in the middle" if cut else f"is not valid JSON ({why.strip(' .')})"
            raise UserError(f"{source.name} {what}{after}", "Export it again: it is not whole.") from None
        except OSError as error:
            raise UserError(
                f"Can't read {source.name}: {error.strerror}", "Check the file, and run the same command again."
            ) from None


class _Shallow:
    """A JSON document's stream that stops where values are nested so deeply that reading them would take all memory."""

    def __init__(self, stream: BinaryIO, source: Source) -> None:
        self._stream, self._source = stream, source
        self._since_quote = 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self._check_depth(block)
        quote = block.rfind(b'"')
        while quote > 0 and block[quote - 1 : quote] == b"\\":
            quote = block.rfind(b'"', 0, quote)
        self._since_quote = len(block) - quote if quote >= 0 else self._since_quote + len(block)
        if self._since_quote > _LONGEST_TEXT:
            raise UserError(
                f"{self._source.name} has a text or a number of more than {_LONGEST_TEXT // 1_000_000} MB",
                "Divide it into passages of a few sentences, or export the annotations again.",
            )
        return block

    def _check_depth(self, block: bytes) -> None:
        for start in range(0, len(block), _BLOCK):
            part = block[start : start + _BLOCK]
            opened = part.count(b"[") + part.count(b"{")
            if opened > _DEEPEST and opened - part.count(b"]") - part.count(b"}") > _DEEPEST:
                raise UserError(
                    f"{self._source.name} is JSON that is nested too deeply",
                    "No labelling tool writes such files: export the annotations again.",
                )


def cut_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Give the lines of a stream, most of them with their ends.

    Only a line feed ends a line: U+2028 and the like may stand inside. Where the first lines end with a carriage return
    alone, so do all.
    """
    first = stream.readline(_BLOCK)
    if first.endswith(b"\n") or b"\r" not in first.rstrip(b"\r"):
        yield from _whole_lines(first, stream)
        return
    pieces = [first]
    while pieces:
        *whole, rest = b"".join(pieces).split(b"\r")
        yield from whole
        pieces = [rest]
        while block := stream.read(_BLOCK):
            pieces.append(block)
            if b"\r" in block:
                break
        else:
            yield from b"".join(pieces).split(b"\r")
            return


def _whole_lines(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    if first:
        yield first if first.endswith(b"\n") else first + stream.readline()
    yield from stream


def _value(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
