"""The text of web pages: without tags, entities unescaped, a line for each block."""

import codecs
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import BinaryIO

_BLOCKS = frozenset(
    """
    address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset figcaption
    figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe legend li main menu nav noscript ol
    optgroup option p pre search section select summary table tbody textarea tfoot thead title tr ul video
    """.split()  # noqa: SIM905
)
_CELLS = frozenset(("td", "th"))
_LEFT_OUT = frozenset(("script", "style"))
# A no-break space is not among them: it is part of the text.
_WHITE_SPACE = re.compile(r"[ \t\n\r\f]+")
_CHARSET = re.compile(
    rb"""<(?:meta\b[^>]*?\bcharset|\?xml\b[^>]*?\bencoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)


def page_lines(stream: BinaryIO) -> Iterator[tuple[int, str]]:
    """Read the text of a web page. Scripts, styles and comments are left out.

    Args:
        stream: The page, in UTF-8.

    Yields:
        The number of the line at which a block begins, counted from 1, and the block's text on one line.
    """
    parser = _Page()
    decoder = codecs.getincrementaldecoder("utf8")(errors="surrogateescape")
    while block := stream.read(1 << 16):
        parser.feed(decoder.decode(block))
        yield from parser.take()
    parser.feed(decoder.decode(b"", final=True))
    parser.close()
    parser.end_line()
    yield from parser.take()


def declared_encoding(head: bytes) -> str | None:
    """Find the encoding that a page says it has.

    Args:
        head: The page's first bytes.

    Returns:
        The encoding as Python calls it, None where the page says none that a page in ASCII letters can have.
    """
    found = _CHARSET.search(head[:4096])
    if found is None:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
        "".encode(name)
    except LookupError:
        return None
    if name.startswith(("utf-16", "utf-32")):
        return None
    # As browsers do: pages that say so are Windows pages.
    return "cp1252" if name in ("iso8859-1", "ascii") else name


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[tuple[int, str]] = []
        self._pieces: list[str] = []
        self._number = 0
        self._left_out = self._is_pre = False

    def take(self) -> list[tuple[int, str]]:
        """Give the lines that are whole."""
        lines, self._lines = self._lines, []
        return lines

    def end_line(self) -> None:
        """End the line that is being read."""
        text = _WHITE_SPACE.sub(" ", "".join(self._pieces)).strip(" ")
        if text:
            self._lines.append((self._number, text))
        self._pieces.clear()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._tag(tag)
        self._left_out = tag in _LEFT_OUT
        self._is_pre = self._is_pre or tag == "pre"

    def handle_endtag(self, tag: str) -> None:
        self._tag(tag)
        self._left_out = self._left_out and tag not in _LEFT_OUT
        self._is_pre = self._is_pre and tag != "pre"

    def handle_data(self, data: str) -> None:
        if self._left_out:
            return
        for number, line in enumerate(data.split("\n") if self._is_pre else [data]):
            if number:
                self.end_line()
            if not self._pieces and line.strip(" \t\n\r\f"):
                before = len(data) - len(data.lstrip(" \t\n\r\f")) if not self._is_pre else 0
                self._number = self.getpos()[0] + (number if self._is_pre else data.count("\n", 0, before))
            if self._pieces or line.strip(" \t\n\r\f"):
                self._pieces.append(line)

    def unknown_decl(self, data: str) -> None:
        if data.startswith("CDATA["):
            self.handle_data(data[len("CDATA[") :])

    def _tag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.end_line()
        elif tag in _CELLS and self._pieces:
            self._pieces.append(" ")
