"""Finding the files that paths stand for: the files of a folder, the members of an archive."""

import codecs
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import no_room, scratch_folder
from spacy_domain_ner.reading.source import UTF_8, Source

# Files with these endings are text, one passage per line, wherever text files are read.
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".log")


@contextmanager
def find_sources(
    paths: Iterable[str | Path],
    suffixes: Collection[str],
    files_in: Callable[[Path], list[Path]],
    encoding: str = UTF_8,
    advance: Callable[[int], None] | None = None,
) -> Iterator[list[Source]]:
    """List the files that paths stand for. Archives are unpacked for as long as the block lasts.

    Args:
        paths: Files, folders and zip archives.
        suffixes: The endings of the files that are wanted from an archive, in small letters.
        files_in: Lists the files that are wanted from a folder.
        encoding: The files' encoding.
        advance: Called with the number of bytes that were read, for a progress bar.

    Yields:
        The files.

    Raises:
        UserError: There is nothing to read, or the encoding is not known.
    """
    try:
        # One name for each encoding, whichever of its names the user knows: "utf-8" for "UTF8".
        options: dict[str, Any] = {"encoding": codecs.lookup(encoding).name}
        "".encode(encoding)
    except LookupError:
        raise UserError(f"`encoding` is {encoding!r}, which is not known", "Try utf-8, latin-1 or cp1252.") from None
    if advance is not None:
        options["advance"] = advance
    with scratch_folder() as scratch:
        found: list[Source] = []
        for path in map(Path, paths):
            if path.is_dir():
                found += [Source(file, str(file), **options) for file in files_in(path)]
            elif not path.exists():
                raise UserError(f"There is no file or folder {path}", "Name the export of your labelling tool.")
            elif zipfile.is_zipfile(path):
                folder = scratch / str(len(found))
                _unpack(path, folder, suffixes)
                for file in files_in(folder):
                    member = str(file.relative_to(folder))
                    found.append(Source(file, f"{path}/{member}", member=member, **options))
            else:
                found.append(Source(path, str(path), **options))
        yield found


def _unpack(path: Path, folder: Path, suffixes: Collection[str]) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if Path(name).suffix.lower() in suffixes]
            if not names:
                raise UserError(f"The archive {path} has no annotation file", "Name the export of your labelling tool.")
            archive.extractall(folder, names)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise (
            no_room(error) or UserError(f"The archive {path} can't be unpacked: {error}", "Export it again.")
        ) from None
