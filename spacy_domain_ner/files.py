"""Files: which ones are text, and writing so that an interrupted run leaves the old file or the new, never a half."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from spacy_domain_ner.errors import UserError, reason

# Files with these endings are text, one passage per line, wherever text files are read.
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".log")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` when the block ends without an error.

    Args:
        path: The file to write; its folder is made where it is missing.

    Yields:
        A stream for UTF-8 text with `\\n` line ends.

    Raises:
        UserError: `path` can't be written.
    """
    with replacing_path(path) as beside, beside.open("w", encoding="utf8", newline="\n") as stream:
        yield stream


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to; renamed when the block ends without an error.

    A link stays a link to what is replaced, and a device (/dev/null) is written to, since it can't be replaced.

    Args:
        path: The file or folder to write; the folder that it is in is made where it is missing.

    Yields:
        The path to write to.

    Raises:
        UserError: `path` can't be written.
    """
    if os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path)):
        yield Path(path)
        return
    target = Path(os.path.realpath(path))
    if not target.name:
        raise UserError(f"Can't write {path}: it is a folder", "Name another place for the output.")
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _move(beside, target)
    except OSError as error:
        if not _is_about(error, beside):
            raise
        raise UserError(f"Can't write {path}: {reason(error)}", "Name another place for the output.") from None
    finally:
        _remove(beside)


def _is_about(error: OSError, beside: Path) -> bool:
    """Whether an error comes from writing, and not from something else that was done meanwhile."""
    if error.filename is None:
        return error.errno in _NO_ROOM
    named = Path(os.fsdecode(error.filename))
    return named == beside or beside in named.parents or named in beside.parents


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        # A folder can't replace another in one step: the old one stays beside until the new one is in place.
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        try:
            source.rename(target)
        except BaseException:
            old.rename(target)
            raise
        shutil.rmtree(old)
    else:
        source.replace(target)


def _remove(path: Path) -> None:
    # What could not be made need not be removed.
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def refuse_newer_format(file: object, found: object, newest: int) -> None:
    """Refuse a file whose `format_version` is newer than this version of the package reads.

    Args:
        file: The file's name, for the message.
        found: What the file gives as its `format_version`, None where it gives nothing. Only a greater whole number is
            refused here: what else is wrong with it is for the file's own checks.
        newest: The newest version that can be read.

    Raises:
        UserError: The file's version is newer.
    """
    if isinstance(found, int) and found > newest:
        raise UserError(
            f"{file} has format_version {found}, and this version of spacy-domain-ner reads format_version {newest} "
            "at most",
            "Upgrade the package that reads it: pip install --upgrade spacy-domain-ner",
        )
