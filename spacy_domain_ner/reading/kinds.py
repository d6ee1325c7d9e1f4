"""Files that hold something else than text, told by their first bytes and their names."""

import re
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Unrecognised:
    """What can be said about a file that is not in a known format.

    Attributes:
        what: The predicate of a sentence whose subject is the file.
        advice: What to do about it; "" where the file may be in a known format all the same.
        is_text: Whether it is text all the same, with marks in it.
    """

    what: str
    advice: str = ""
    is_text: bool = False

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}" if self.advice else self.what


_RTF = Unrecognised("is an RTF document", "save it as text first", is_text=True)
_UNPACK = "unpack it first"
_SAVE_AS_TEXT = "save it as text first"
# Bytes at the beginning. Those of marked-up text are compared without regard to case.
_SIGNATURES = (
    (b"%PDF", Unrecognised("is a PDF document", _SAVE_AS_TEXT)),
    (b"%!PS", Unrecognised("is a PostScript document", _SAVE_AS_TEXT)),
    (b"{\\rtf", _RTF),
    (b"\xd0\xcf\x11\xe0", Unrecognised("is an Office document", _SAVE_AS_TEXT)),
    (b"\x89PNG", Unrecognised("is an image")),
    (b"\xff\xd8\xff", Unrecognised("is an image")),
    (b"GIF8", Unrecognised("is an image")),
    (b"II*\0", Unrecognised("is an image")),
    (b"MM\0*", Unrecognised("is an image")),
    (b"\0\0\1\0", Unrecognised("is an image")),
    (b"RIFF", Unrecognised("is an image, a sound or a film")),
    (b"ID3", Unrecognised("is a sound")),
    (b"OggS", Unrecognised("is a sound or a film")),
    (b"fLaC", Unrecognised("is a sound")),
    (b"\x1f\x8b", Unrecognised("is compressed by gzip", _UNPACK)),
    (b"BZh", Unrecognised("is compressed by bzip2", _UNPACK)),
    (b"\xfd7zXZ", Unrecognised("is compressed by xz", _UNPACK)),
    (b"\x28\xb5\x2f\xfd", Unrecognised("is compressed by zstd", _UNPACK)),
    (b"\x04\x22\x4d\x18", Unrecognised("is compressed by lz4", _UNPACK)),
    (b"7z\xbc\xaf", Unrecognised("is a 7z archive", _UNPACK)),
    (b"Rar!", Unrecognised("is a RAR archive", _UNPACK)),
    (b"PK\x03\x04", Unrecognised("is a zip archive that is cut off or broken", "get it again")),
    (b"PK\x05\x06", Unrecognised("is a zip archive without a file", "get it again")),
    (b"SQLite format 3", Unrecognised("is an SQLite database")),
    (b"PAR1", Unrecognised("is a Parquet table")),
    (b"ARROW1", Unrecognised("is an Arrow table", "save it as CSV, JSON lines or Parquet")),
    (b"Obj\x01", Unrecognised("is an Avro table", "save it as CSV or JSON lines")),
    (b"\x89HDF", Unrecognised("is an HDF5 file")),
    (b"\x93NUMPY", Unrecognised("is a NumPy array")),
    (b"\x7fELF", Unrecognised("is a program")),
    (b"MZ\x90", Unrecognised("is a program")),
)
_WEB_PAGE = Unrecognised("is a web page, perhaps one that asks to log in", "export it again", is_text=True)
_XML = Unrecognised("is XML", "save its text as text, JSON lines or CSV", is_text=True)
_MARKUP = ((b"<!doctype html", _WEB_PAGE), (b"<html", _WEB_PAGE), (b"<?xml", _XML), (b"<svg", _XML))
_PICKLE = Unrecognised("is a Python pickle", "write its texts as JSON lines")
_BY_SUFFIX = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), _PICKLE),
    **dict.fromkeys((".xml", ".svg", ".tei", ".xmi"), _XML),
    ".rtf": _RTF,
}
# Protocol 2 and later say so; the first one is text that builds a list or a dictionary.
_PICKLE_HEAD = re.compile(rb"\x80[\x02-\x05]|\([ld]p\d*\n")
_DOCBIN_HEADS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# What no text has: not the white space, not the escapes of terminals, not what ends a record in some logs.
_CONTROLS = re.compile(rb"[\x00-\x06\x0e-\x1a\x7f]")


def signature(head: bytes) -> Unrecognised | None:
    """Tell what a file is that begins with the sign of another kind of file.

    Args:
        head: Its first bytes, some tens at least.

    Returns:
        What it is; None where it may be text.
    """
    head = head.lstrip()
    small = head[:20].lower()
    # A text may begin with the letters that some signs are.
    found = next(
        (k for sign, k in _SIGNATURES if head.startswith(sign) and (b"\0" in head or not sign.isalnum())), None
    )
    return found or next((kind for sign, kind in _MARKUP if small.startswith(sign)), None)


def is_docbin(head: bytes) -> bool:
    """Whether a file begins as spaCy's DocBin does, which zlib has packed.

    Args:
        head: Its first bytes, some tens at least.
    """
    if head[:2] != b"x^":
        return head[:2] in _DOCBIN_HEADS
    # A text may begin with these two.
    try:
        zlib.decompressobj().decompress(head)
    except zlib.error:
        return False
    return True


def not_text(head: bytes, path: Path) -> Unrecognised | None:
    """Tell what a file is that does not hold text.

    Args:
        head: Its first bytes, as many as can be had.
        path: Its name.

    Returns:
        What it is; None where it is text, in UTF-8 or another encoding that has no null bytes in text.
    """
    if known := signature(head) or _BY_SUFFIX.get(path.suffix.lower()):
        return known
    if is_docbin(head):
        return Unrecognised("is a spaCy DocBin, or else packed by zlib", "write its texts as JSON lines")
    if head[257:262] == b"ustar":
        return Unrecognised("is a tar archive", _UNPACK)
    if _PICKLE_HEAD.match(head):
        return _PICKLE
    if b"\0" in head:
        return _with_nulls(head)
    try:
        head.decode("utf8")
    except UnicodeDecodeError as error:
        cut_off = error.end == len(head) and len(head) > 3
        if not cut_off and _CONTROLS.search(head):
            return Unrecognised("is binary or damaged")
    return None


def _with_nulls(head: bytes) -> Unrecognised:
    # Where most bytes are letters of ASCII, the null bytes are no part of them.
    mostly_ascii = 3 * sum(0x20 <= byte < 0x7F for byte in head) > 2 * len(head)
    for names in () if mostly_ascii else (("utf-32-le", "utf-32-be"), ("utf-16-le", "utf-16-be")):
        width = 4 if "32" in names[0] else 2
        texts = {name: text for name in names if (text := _decoded(head[: len(head) // width * width], name))}
        if texts:
            # The right one of the two has the blanks.
            name = max(texts, key=lambda name: sum(map(texts[name].count, " \n\r\t")))
            return Unrecognised(
                f"seems to be {name[:6].upper()} text without a byte order mark", f"name it: `encoding={name}`"
            )
    return Unrecognised("has null bytes, so it is binary or damaged", "get it again, or save it as text")


def _decoded(head: bytes, encoding: str) -> str:
    """The text in an encoding, "" where nobody would take it for one."""
    text = head.decode(encoding, errors="replace").rstrip("\ufffd")
    strange = sum(not (character.isprintable() or character in "\t\n\r\f\v\x1b") for character in text)
    strange += text.count("\ufffd")
    return text if strange <= len(text) // 50 else ""
