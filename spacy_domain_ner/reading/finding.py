"""Finding the files that paths stand for: the files of a folder, the members of an archive."""

import codecs
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import no_room
from spacy_domain_ner.reading.source import Source, unpacked_suffix, unpacks_to_too_much

# Files with these endings are text, one passage per line, wherever text files are read.
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".log")
# How many files an archive may have: some corpora have a file per document.
MOST_MEMBERS = 200_000
# What an archive has where it is a document: some of its members' names, and what it is.
_DOCUMENTS = {
    "[Content_Types].xml": "an Office document",
    "META-INF/manifest.xml": "an OpenDocument file",
    "META-INF/container.xml": "an electronic book",
    "META-INF/MANIFEST.MF": "a Java archive",
    "mimetype": "a document",
}


def encoding_name(encoding: str) -> str:
    """Give the one name of an encoding, whichever of its names the user knows: "utf-8" for "UTF8".

    Raises:
        UserError: The encoding is not known.
    """
    try:
        "".encode(encoding)
        return codecs.lookup(encoding).name
    except LookupError:
        raise UserError(f"`encoding` is {encoding!r}, which is not known", "Try utf-8, latin-1 or cp1252.") from None


def find_sources(
    named: Source, suffixes: Collection[str], files_in: Callable[[Path], list[Path]], scratch: Path
) -> tuple[list[Source], list[str]]:
    """List the files that a path stands for.

    Args:
        named: What the user named: a file, a folder or a zip archive.
        suffixes: The endings of the files that are wanted from an archive, in small letters.
        files_in: Lists the files that are wanted from a folder.
        scratch: A folder that is not there yet, which an archive is unpacked to.

    Returns:
        The files, and the names of the archive's members that are not wanted.

    Raises:
        UserError: There is nothing to read.
    """
    path = named.path
    if path.is_dir():
        return [replace(named, path=file, name=str(file), folder=path) for file in files_in(path)], []
    if not path.exists():
        raise UserError(f"There is no file or folder {path}", "Name files, folders or zip archives.")
    if not zipfile.is_zipfile(path):
        return [named], []
    left_out = _unpack(named, scratch, suffixes)
    return [
        replace(named, path=file, name=f"{named.name}/{file.relative_to(scratch)}", archive=path)
        for file in files_in(scratch)
    ], left_out


def is_hidden(name: Path) -> bool:
    """Whether a file, named from the folder or archive that it is in, is hidden, or what a Mac adds to archives."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.parts)


def _unpack(named: Source, folder: Path, suffixes: Collection[str]) -> list[str]:
    """Unpack the members that are wanted, and give the names of the others."""
    try:
        with zipfile.ZipFile(named.path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/") and not is_hidden(Path(name))]
            for member, document in _DOCUMENTS.items():
                if member in names:
                    raise UserError(f"{named.name} is {document}", "Save it as text first.")
            wanted = [name for name in names if unpacked_suffix(Path(name)) in suffixes]
            if not wanted:
                raise UserError(
                    f"The archive {named.name} has no file to read",
                    f"These endings are read: {' '.join(suffixes)}",
                )
            _check_members(named, archive, wanted)
            archive.extractall(folder, wanted)
    except UserError:
        raise
    # A ValueError: names and numbers that no archive has.
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError) as error:
        broken = UserError(f"The archive {named.name} can't be unpacked: {error}", "Get it again.")
        raise (no_room(error) or broken) from None
    return [name for name in names if name not in set(wanted)]


def _check_members(named: Source, archive: zipfile.ZipFile, wanted: list[str]) -> None:
    """Refuse an archive that would fill the disk, or in which a file would take another one's place."""
    if len(wanted) > MOST_MEMBERS:
        raise UserError(
            f"The archive {named.name} has {len(wanted):,} files, and {MOST_MEMBERS:,} are read at most",
            "Unpack it yourself, and name the folder.",
        )
    # zipfile reads no more of a member than the archive says.
    size = sum(archive.getinfo(name).file_size for name in wanted)
    if size > named.max_size * 1_000_000:
        raise unpacks_to_too_much(named, f"{size / 1_000_000:,.0f} MB")
    twice = [name for name, count in Counter(wanted).items() if count > 1]
    if twice:
        raise UserError(
            f"The archive {named.name} has several files that are called {twice[0]}",
            "One would take the other's place: unpack it yourself, and name the files.",
        )
