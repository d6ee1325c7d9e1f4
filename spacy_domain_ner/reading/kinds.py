"""Files that hold something else than text, told by their first bytes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Unrecognised:
    """What can be said about a file whose format is not known.

    Attributes:
        what: The predicate of a sentence whose subject is the file.
        advice: What to do about it; "" where the file may be in a known format all the same.
    """

    what: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.advice}" if self.advice else self.what


_SIGNATURES = (
    (b"%PDF", Unrecognised("is a PDF document")),
    (b"\x89PNG", Unrecognised("is an image")),
    (b"\xff\xd8\xff", Unrecognised("is an image")),
    (b"GIF8", Unrecognised("is an image")),
    (b"\x1f\x8b", Unrecognised("is compressed by gzip", "unpack it first")),
    (b"BZh", Unrecognised("is compressed by bzip2", "unpack it first")),
    (b"\xfd7zXZ", Unrecognised("is compressed by xz", "unpack it first")),
    (b"7z\xbc\xaf", Unrecognised("is a 7z archive", "unpack it first")),
    (b"Rar!", Unrecognised("is a RAR archive", "unpack it first")),
    (b"PK\x03\x04", Unrecognised("is a zip archive that is cut off or broken", "export it again")),
    (b"\xd0\xcf\x11\xe0", Unrecognised("is an Office document")),
    (b"SQLite format 3", Unrecognised("is an SQLite database")),
    (b"{\\rtf", Unrecognised("is an RTF document")),
    (b"<!doctype html", Unrecognised("is a web page, perhaps one that asks to log in", "export it again")),
    (b"<html", Unrecognised("is a web page, perhaps one that asks to log in", "export it again")),
    (b"<?xml", Unrecognised("is XML")),
)


def signature(head: bytes) -> Unrecognised | None:
    """Tell what a file is that begins with the sign of another kind of file.

    Args:
        head: Its first bytes, some tens at least.

    Returns:
        What it is; None where it may be text.
    """
    head = head.lstrip()
    # The letters of a tag may be in either case, those of a signature may not.
    found = (kind for sign, kind in _SIGNATURES if head.startswith(sign) or head[:20].lower().startswith(sign))
    return next(found, None)
