"""Who is writing which file, and writing so that an interrupted run leaves the old file or the new, never a half."""

import errno
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import IO

from spacy_domain_ner.errors import UserError, reason

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# How the libraries that write models, databases and wheels say that the disk is full.
_NO_ROOM_IN_WORDS = re.compile(
    r"No space left on device|[Dd]isk quota exceeded|File too large|disk is full|PytorchStreamWriter failed writing"
)
_ANOTHER_PLACE = "Name another place for the output."
_MAKE_ROOM = "Make room, or name another place for the output, and run the same command again."
_GET_PERMISSION = "Get the permission to write there, or name another place for the output."
_HINTS = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: "Raise the limit on the size of a file (ulimit -f), and run the same command again.",
    errno.EIO: "Check the disk and the limit on the size of a file (ulimit -f), and run the same command again.",
    errno.EROFS: _GET_PERMISSION,
    errno.EACCES: _GET_PERMISSION,
    errno.EPERM: _GET_PERMISSION,
    errno.ENAMETOOLONG: "Give the output a shorter name.",
}

# In the folder beside what is replaced.
_NEW, _OLD = "new", "old"
# AT_FDCWD, and RENAME_EXCHANGE of Linux, which has the same value as RENAME_SWAP of macOS.
_HERE, _SWAP = -100, 2


class WriteError(UserError):
    """An output that can't be written."""


@contextmanager
def replacing(path: Path, *, clear: bool = True) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` when the block ends without an error.

    Args:
        path: The file to write; its folder is made where it is missing.
        clear: As for `replacing_path`.

    Yields:
        A stream for UTF-8 text with `\n` line ends.

    Raises:
        WriteError: `path` can't be written.
    """
    with replacing_path(path, clear=clear) as beside, beside.open("w", encoding="utf8", newline="\n") as stream:
        yield stream


def write_together(
    contents: Mapping[Path, Iterable[str]], *, before_placing: Callable[[], object] = lambda: None
) -> None:
    """Write text files that belong together: they take their places when all of them are complete, or none does.

    Args:
        contents: The parts of each file's text.
        before_placing: Called when all are written, before the first takes its place.

    Raises:
        WriteError: One of them can't be written.
    """
    with ExitStack() as stack:
        for path, parts in contents.items():
            beside = stack.enter_context(replacing_path(path))
            with beside.open("w", encoding="utf8", newline="\n") as stream:
                stream.writelines(parts)
        before_placing()


@contextmanager
def replacing_path(path: Path, *, folder: bool = False, clear: bool = True) -> Iterator[Path]:
    """Give a path to write a file or a folder to; it takes the place of `path` when the block ends without an error.

    It is in a folder of its own beside `path`, which is removed at the end with whatever else is in it. What killed
    runs have left there is removed first. A link stays a link to what is replaced, and a device (/dev/null) is written
    to, since it can't be replaced.

    Args:
        path: The file or folder to write; the folder that it is in is made where it is missing.
        folder: Whether a folder is written.
        clear: Whether to remove what killed runs have left. It takes a list of the folder, which is slow where that has
            very many files: who writes one file again and again clears once.

    Yields:
        The path to write to.

    Raises:
        WriteError: `path` can't be written.
    """
    if _is_device(path):
        yield Path(path)
        return
    target = _target(path)
    _refuse_other_kind(path, target, folder)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if clear:
            clear_leftovers(target)
        with _folder_beside(target) as beside:
            yield beside / _NEW
            _move(beside, target)
    except WriteError:
        raise
    except Exception as error:
        told = _why_not_written(error, target)
        if told is None:
            raise
        raise _write_error(path, *told) from None


@contextmanager
def at_work(path: str | Path) -> Iterator[None]:
    """Keep other runs from the same output while the block lasts: what they would read or make anew is being made.

    A hidden file beside `path` holds a lock that ends with its process, however that ends; a later run removes the
    file. Windows, and file systems without such locks, keep nobody away.

    Args:
        path: The file or folder that the block reads and writes, or works at for long.

    Raises:
        UserError: Another run is at work on it; the message says which.
        WriteError: `path` can't be written.
    """
    if sys.platform == "win32" or _is_device(Path(path)):
        yield
        return
    target = _target(path)
    lock = target.with_name(f".{target.name}.lock.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _take(lock, path)
    except OSError as error:
        raise _write_error(path, error.errno or 0, error.strerror or reason(error)) from None
    try:
        yield
    finally:
        # While it is locked: after that it may be another run's.
        with suppress(OSError):
            lock.unlink()
        os.close(descriptor)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a folder in the system's folder for temporary files, which is removed at the end.

    What killed runs have left there is removed first.
    """
    target = Path(gettempdir()) / "domain-ner"
    clear_leftovers(target)
    with _folder_beside(target) as folder:
        yield folder


def no_room(error: BaseException) -> WriteError | None:
    """Say that there was no room, if an error comes from that: of a file that this module has not opened.

    Args:
        error: The error.

    Returns:
        What to tell the user; None where it comes from something else.
    """
    told = _why_not_written(error, None)
    if told is None:
        return None
    named = getattr(error, "filename", None) or "a file"
    return _write_error(str(named), *told)


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
        with os.scandir(target.parent) as entries:
            found = [entry for entry in entries if names.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
        for entry in found:
            with _lock(Path(entry.path), wait=False) as locked:
                if locked:
                    _clear(Path(entry.path), target)


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


def _take(lock: Path, path: str | Path) -> int:
    """Lock a file, which is made where it is missing, and write into it who has it; gives its descriptor.

    Raises:
        UserError: Another run has it.
    """
    import fcntl

    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = " ".join(os.read(descriptor, 1000).decode("utf8", "replace").split())
            os.close(descriptor)
            raise UserError(
                f"Another run is at work on {path}: {who or 'it has just begun'}",
                "Wait until it has ended, then run the same command again.",
            ) from None
        except OSError:
            # This file system has no locks.
            return descriptor
        # A run that has just ended may have removed the file that was opened here.
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.stat(lock, follow_symlinks=False)):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, _this_run().encode("utf8", "replace"))
                return descriptor
        os.close(descriptor)


def _this_run() -> str:
    # Without the options: there may be a password among them.
    words = takewhile(lambda word: not word.startswith("-"), sys.argv[1:])
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}, since {since}: {shlex.join(words)}"[:500]


def _is_device(path: Path) -> bool:
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def _target(path: str | Path) -> Path:
    """Where a path leads to, if something can be written there.

    Raises:
        WriteError: It can't.
    """
    target = Path(os.path.realpath(path))
    for place in (target, *target.parents):
        if place.is_symlink():
            raise WriteError(f"Can't write {path}: the link {place} leads to itself", f"Remove it. {_ANOTHER_PLACE}")
        if place.is_file() and place != target:
            raise WriteError(f"Can't write {path}: {place} is a file, not a folder", _ANOTHER_PLACE)
    return target


def _refuse_other_kind(path: Path, target: Path, folder: bool) -> None:
    if not target.name or (target.is_dir() and not folder):
        raise WriteError(f"Can't write {path}: it is a folder", "Name a file for the output.")
    if folder and target.is_file():
        raise WriteError(f"Can't make the folder {path}: it is a file", _ANOTHER_PLACE)


def _why_not_written(error: BaseException | None, target: Path | None) -> tuple[int, str] | None:
    """The number and the words of what went wrong, if an error comes from writing, or from one that does; else None.

    What a library raises about a value of a config may come from a full disk.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno and _is_about(error, target):
            # The error itself names the path beside.
            return error.errno, error.strerror or reason(error)
        if _NO_ROOM_IN_WORDS.search(str(error)):
            return errno.ENOSPC, os.strerror(errno.ENOSPC)
        if str(error) == "disk I/O error":
            # SQLite, of its temporary file.
            return errno.EIO, os.strerror(errno.EIO)
        error = error.__cause__ or error.__context__
    return None


def _write_error(path: str | Path, number: int, told: str) -> WriteError:
    if number in (errno.ENOSPC, errno.EDQUOT):
        told += _free(Path(os.path.realpath(path)).parent)
    return WriteError(f"Can't write {path}: {told}", _HINTS.get(number, _ANOTHER_PLACE))


def _free(folder: Path) -> str:
    """How much room there is in a folder, and in that for temporary files, which may be elsewhere."""
    free: dict[int, str] = {}
    for place in (folder, Path(gettempdir())):
        with suppress(OSError):
            free.setdefault(os.stat(place).st_dev, f"{shutil.disk_usage(place).free / 1e6:,.1f} MB free in {place}")
    return f" ({', '.join(free.values())})" if free else ""


def _is_about(error: OSError, target: Path | None) -> bool:
    """Whether an error comes from writing, and not from something else that was done meanwhile."""
    if error.filename is None or target is None:
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
