"""A file to read, whatever its encoding, compressed or not."""

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from spacy_domain_ner.errors import UserError, reason

UTF_8 = "utf-8"
# How many megabytes an archive or a packed file may unpack to.
MAX_SIZE = 4_000
BLOCK = 1 << 16
# By the first 6 bytes of what they have packed.
_PACKERS: tuple[tuple[re.Pattern[bytes], str, Callable[[Any], Any]], ...] = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip", gzip.open),
    (re.compile(rb"BZh[1-9]1A"), "bzip2", bz2.open),
    (re.compile(rb"\xfd7zXZ\x00"), "xz", lzma.open),
)
PACKED_SUFFIXES = (".gz", ".bz2", ".xz")
# A mark goes before whatever encoding was given. UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _no_progress(_: int) -> None:
    pass


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes:
        path: Where it lies.
        name: What messages call it: a file in an archive is shown with the archive's name.
        archive: The archive that it was found in, None where it was in none.
        folder: The folder that it was found in, None where it was named itself.
        annotator: Who made it, where its name says so; else "".
        encoding: The file's encoding, by the name that `codecs.lookup` gives it.
        advance: Called with the number of bytes that were read, for a progress bar.
        stream: Gives the bytes to read in place of the file's; None reads the file.
        max_size: How many megabytes it may unpack to, where it is an archive or packed.
    """

    path: Path
    name: str
    archive: Path | None = None
    folder: Path | None = None
    annotator: str = ""
    encoding: str = UTF_8
    advance: Callable[[int], None] = field(default=_no_progress, compare=False)
    stream: Callable[[], BinaryIO] | None = field(default=None, compare=False)
    max_size: int = MAX_SIZE

    @property
    def suffix(self) -> str:
        """The ending of its name in small letters, without that of what packed it: ".txt" for "Notes.TXT.gz"."""
        return unpacked_suffix(self.path)

    def unreported(self) -> "Source":
        """The same file, without the progress bar."""
        return replace(self, advance=_no_progress)

    def open(self) -> io.BufferedReader:
        """Open the file as a stream of UTF-8 without byte order mark, unpacked where gzip, bzip2 or xz has packed it.

        A byte order mark tells the encoding, whatever `encoding` says. Bytes that are to be UTF-8 are not checked.

        Raises:
            UserError: It can't be opened, or it is a link that leads out of the folder it was found in. The stream
                raises it where a packed file is damaged, or where the text has another encoding than `encoding`.
        """
        if self.folder is not None and not self.path.resolve().is_relative_to(self.folder.resolve()):
            # A folder may come from somebody else, and what it points to is not theirs.
            raise UserError(
                f"{self.name} is a link that leads out of the folder {self.folder}",
                "Name the file that it leads to, or copy it into the folder.",
            )
        try:
            raw = self.stream or (lambda: io.BufferedReader(_Counted(self.path, self.advance), BLOCK))
            head, stream = _peeked(raw())
            for sign, packer, unpack in _PACKERS:
                if sign.match(head):
                    head, stream = _peeked(io.BufferedReader(_Unpacked(unpack(stream), self, packer), BLOCK))
                    break
        except OSError as error:
            raise UserError(f"Can't read {self.name}: {error.strerror}", "Check its name and its rights.") from None
        mark, encoding = next(((m, e) for m, e in _MARKS if head.startswith(m)), (b"", self.encoding))
        if encoding == UTF_8:
            stream.read(len(mark))
        else:
            stream = io.BufferedReader(_Recoded(stream, encoding, self.name), BLOCK)
        return stream  # type: ignore[return-value]


def unpacked_suffix(path: Path) -> str:
    """The ending of a file's name in small letters, without that of what packed it: ".txt" for "Notes.TXT.gz"."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED_SUFFIXES else suffix


def unpacks_to_too_much(source: Source, size: str) -> UserError:
    """Make the error for an archive or a packed file that would fill the disk or the memory.

    Args:
        source: The file.
        size: What it unpacks to, in words.
    """
    return UserError(
        f"{source.name} unpacks to {size}, and {source.max_size:,} MB are read at most",
        "If that is right, unpack it yourself and name the files; `import` and `extract` "
        "can be allowed more megabytes with `max_size`.",
    )


def pushed_back(head: bytes, stream: BinaryIO) -> BinaryIO:
    """Make a stream that begins with bytes which were read already."""
    return io.BufferedReader(_PushedBack(head, stream), BLOCK)


def _peeked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The first bytes of a stream, and the stream with them."""
    head = stream.read(6)
    if stream.seekable():
        stream.seek(0)
        return head, stream
    return head, pushed_back(head, stream)


class _Readable(io.RawIOBase):
    """A stream of bytes that a subclass gives in blocks."""

    _left = b""

    def block(self) -> bytes:
        """Give the next bytes, none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._left or self.block()
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        self._left = data[size:]
        return size


class _Counted(io.FileIO):
    """A file that reports how many bytes were read."""

    def __init__(self, path: Path, advance: Callable[[int], None]) -> None:
        super().__init__(path, "rb")
        self._advance = advance

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        self._advance(count)
        return count


class _PushedBack(_Readable):
    def __init__(self, head: bytes, stream: Any) -> None:
        self._left = head
        self._stream = stream

    def block(self) -> bytes:
        # What is there, without waiting for more.
        return self._stream.read1(BLOCK)


class _Unpacked(_Readable):
    """What a packed stream holds."""

    def __init__(self, stream: Any, source: Source, packer: str) -> None:
        self._stream, self._source, self._packer = stream, source, packer
        self._size = 0

    def block(self) -> bytes:
        try:
            block: bytes = self._stream.read1(BLOCK)
        except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise UserError(
                f"{self._source.name} is compressed by {self._packer} and can't be unpacked: {reason(error)}",
                "It is cut off or damaged: get it again.",
            ) from None
        self._size += len(block)
        if self._size > self._source.max_size * 1_000_000:
            raise unpacks_to_too_much(self._source, "more than its limit")
        return block


class _Recoded(_Readable):
    """A text's lines and blocks as UTF-8 bytes. The ends of lines stay as they are: offsets count every character."""

    def __init__(self, stream: Any, encoding: str, name: str) -> None:
        self._stream, self._encoding, self._name = stream, encoding, name
        self._decoder = codecs.getincrementaldecoder(encoding)()

    def block(self) -> bytes:
        try:
            while data := self._stream.read1(BLOCK):
                if text := self._decoder.decode(data):
                    return text.encode("utf8")
            return self._decoder.decode(b"", final=True).encode("utf8")
        except UnicodeError as error:
            raise UserError(
                f"{self._name} is not {self._encoding} text: {reason(error)}", "Give its encoding with `encoding`."
            ) from None
