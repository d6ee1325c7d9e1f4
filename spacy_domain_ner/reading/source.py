"""A file to read, whatever its encoding."""

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from spacy_domain_ner.errors import UserError, reason

UTF_8 = "utf-8"


def _no_progress(_: int) -> None:
    pass


@dataclass(frozen=True)
class Source:
    """A file to read.

    Attributes:
        path: Where it lies.
        name: What messages call it: a file in an archive is shown with the archive's name.
        member: Its path in the archive that it comes from; "" where it comes from none.
        annotator: Who made it, where its name says so; else "".
        encoding: The file's encoding, by the name that `codecs.lookup` gives it.
        advance: Called with the number of bytes that were read, for a progress bar.
    """

    path: Path
    name: str
    member: str = ""
    annotator: str = ""
    encoding: str = UTF_8
    advance: Callable[[int], None] = field(default=_no_progress, compare=False)

    def unreported(self) -> "Source":
        """The same file, without the progress bar."""
        return replace(self, advance=_no_progress)

    def open(self) -> BinaryIO:
        """Open the file as a stream of UTF-8 without byte order mark.

        Raises:
            UserError: It can't be opened, or is UTF-16 or UTF-32 text and `encoding` does not say so.
        """
        try:
            stream: Any = _Counted(self.path, self.advance)
        except OSError as error:
            raise UserError(f"Can't read {self.name}: {error.strerror}", "Name an annotation file.") from None
        head = stream.peek(4)[:4]
        if head.startswith(codecs.BOM_UTF8):
            stream.read(3)
        elif head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and self.encoding == UTF_8:
            raise UserError(f"{self.name} is UTF-32 text", "Say so with `encoding=utf-32`, or save it as UTF-8.")
        elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and self.encoding == UTF_8:
            raise UserError(f"{self.name} is UTF-16 text", "Say so with `encoding=utf-16`, or save it as UTF-8.")
        if self.encoding != UTF_8:
            # The ends of lines stay as they are: offsets count every character.
            text = io.TextIOWrapper(stream, encoding=self.encoding, newline="")
            return _Recoded(text, self)  # type: ignore[return-value]
        return stream


class _Counted(io.BufferedReader):
    """A file that reports how many bytes were read."""

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
                f"{self._source.name} is not {self._source.encoding} text: {reason(error)}",
                "Give its encoding with `encoding`.",
            ) from None
