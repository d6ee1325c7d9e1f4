"""Writing files so that an interrupted run leaves the old file or the new, never a half."""

import errno
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import IO

from spacy_domain_ner.errors import UserError, reason

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

# In the folder beside what is replaced.
_NEW, _OLD = "new", "old"
# AT_FDCWD, and RENAME_EXCHANGE of Linux, which has the same value as RENAME_SWAP of macOS.
_HERE, _SWAP = -100, 2


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
    """Give a path to write a file or a folder to; it takes the place of `path` when the block ends without an error.

    It is in a folder of its own beside `path`, which is removed at the end with whatever else is in it. What killed
    runs have left there is removed first. A link stays a link to what is replaced, and a device (/dev/null) is written
    to, since it can't be replaced.

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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_leftovers(target)
        with _folder_beside(target) as beside:
            yield beside / _NEW
            _move(beside, target)
    except OSError as error:
        if not _is_about(error, target):
            raise
        # The error itself names the path beside.
        told = error.strerror or reason(error)
        raise UserError(f"Can't write {path}: {told}", "Name another place for the output.") from None


def clear_leftovers(path: str | Path) -> None:
    """Remove what killed runs have left beside a file or folder, and put it back where one of them had moved it away.

    A run holds a lock on its folder, which ends with its process. So what nobody holds is left over, and the work of a
    run that is still going is left alone; so is everything where a file system or Windows has no such locks.

    Args:
        path: What the runs would have replaced.
    """
    target = Path(os.path.realpath(path))
    names = _names_beside(target)
    # What can't be removed now may be removed by a later run.
    with suppress(OSError):
        for folder in target.parent.iterdir():
            if names.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
                with _lock(folder, wait=False) as locked:
                    if locked:
                        _clear(folder, target)


@contextmanager
def _folder_beside(target: Path) -> Iterator[Path]:
    """Make a folder beside the target, with a lock that says that it is in use; cleared at the end."""
    while True:
        folder = Path(mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        with _lock(folder, wait=True):
            # Another run may have taken it for left over before it was locked.
            if not folder.is_dir():
                continue
            try:
                yield folder
            finally:
                _clear(folder, target)
            return


@contextmanager
def _lock(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Lock a folder as long as the block or its process lasts; gives whether that could be done."""
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    descriptor = -1
    try:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except OSError:
            locked = False
        yield locked
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _is_about(error: OSError, target: Path) -> bool:
    """Whether an error comes from writing, and not from something else that was done meanwhile."""
    if error.filename is None:
        return error.errno in _NO_ROOM
    named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if name is not None]
    beside = _names_beside(target)
    return named[0] in target.parents or any(
        place.parent == target.parent and beside.fullmatch(place.name)
        for path in named
        for place in (path, *path.parents)
    )


def _names_beside(target: Path) -> re.Pattern[str]:
    """The names of the folders that `_folder_beside` makes."""
    return re.compile(rf"\.{re.escape(target.name)}\.[a-z0-9_]{{8}}\.tmp", re.DOTALL)


def _move(beside: Path, target: Path) -> None:
    new = beside / _NEW
    if not (new.is_dir() and target.is_dir()):
        new.replace(target)
    elif not _exchange(new, target):
        # If this stops between the two, _clear puts the old one back: now, or in the next run.
        target.rename(beside / _OLD)
        new.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; gives whether the system and the file system could do that."""
    import ctypes

    try:
        library = ctypes.CDLL(None)
        if sys.platform == "darwin":
            return bool(library.renamex_np(os.fsencode(one), os.fsencode(other), _SWAP) == 0)
        return bool(library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _SWAP) == 0)
    except (OSError, AttributeError, TypeError):
        return False


def _clear(beside: Path, target: Path) -> None:
    # What can't be removed now may be removed by a later run.
    with suppress(OSError):
        if (beside / _OLD).exists() and not target.exists():
            (beside / _OLD).rename(target)
        shutil.rmtree(beside)


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
            "Upgrade it: pip install --upgrade spacy-domain-ner",
        )
