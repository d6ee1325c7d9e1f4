"""Writing files so that an interrupted run leaves the old file or the new one, never half of either."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from spacy_domain_ner.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` when the block ends without an error.

    path: The file to write; its folder is made where it is missing.
    YIELDS: A stream for UTF-8 text with `\\n` line ends.
    """
    with replacing_path(path) as beside, beside.open("w", encoding="utf8", newline="\n") as stream:
        yield stream


@contextmanager
def replacing_path(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to; renamed when the block ends without an error."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _move(beside, path)
    except (PermissionError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(f"Can't write {path}: {error}", "Name another place for the output.") from None
    finally:
        _remove(beside)


def _move(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir():
        # A folder can't replace another in one step: the old one stays beside until the new one is in place.
        old = target.with_name(f".{target.name}.{os.getpid()}.old")
        target.rename(old)
        source.rename(target)
        shutil.rmtree(old)
    else:
        source.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()
