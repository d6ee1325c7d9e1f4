"""Label Studio: which text of a task a region belongs to, and texts that a task only refers to.

A region names the object that it was made on (`to_name`), in a table only the control that made it. The export does not
say which key of the data an object shows. Usually it has the object's name. Where it has not, the texts that the
regions of the whole file give as theirs tell it: they stand at their offsets in one text and not in the others.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from spacy_domain_ner.corpus.jsonl import is_offset
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.finding import encoding_name
from spacy_domain_ner.reading.kinds import not_text
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source

# The values of the regions of one task, by the name of their object or control. "" where they name none.
Groups = Mapping[str, list[dict[str, Any]]]

_ADDRESS = re.compile(
    r"(https?|ftps?|file|s3a?|gs|gcs|az|abfss?|wasbs?|azure-blob|azure_spi|hdfs|redis)://\S+|/data/\S+"
    r"|(https?|file)://[^\n]+\.\w{1,5}|/data/(upload|local-files)/[^\n]+",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"([a-z]:)?(?![\s/]*$)[^\s:*?\"<>|]+\.(txt|text|md|html?|xml|json|csv|log|rtf|pdf|docx?)", re.IGNORECASE
)
# Label Studio puts this before the name of an uploaded file.
_UPLOAD_PREFIX = re.compile(r"[0-9a-f]{8}-")


class TextFolder:
    """Texts that tasks refer to, found in a folder by the names of their files.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, encoding: str = "utf8") -> None:
        """List the folder's files.

        Args:
            folder: The folder.
            encoding: The files' encoding.
        """
        self.folder = folder
        self._encoding = encoding_name(encoding)
        self._files: dict[str, list[Path]] = defaultdict(list)
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self._files[file.name].append(file)

    def read(self, address: str) -> str | None:
        """Read the text that an address refers to.

        Args:
            address: A URL, or the path of a local file.

        Returns:
            The text, None where the folder has no file of that name.

        Raises:
            RefusedError: Several files have the name, or the file can't be read.
        """
        parts = _path_of(address)
        name = parts[-1] if parts else ""
        files = self._files.get(name) or self._files.get(_UPLOAD_PREFIX.sub("", name, count=1)) or []
        if len(files) > 1:
            files = _most_alike(files, parts)
        if len(files) > 1:
            raise RefusedError(f"several files of {self.folder} are called {name}, and {address} fits all of them")
        if not files:
            return None
        try:
            # The ends of lines stay as they are: offsets count every character.
            with Source(files[0], f"the text {files[0]}", folder=self.folder, encoding=self._encoding).open() as stream:
                data = stream.read()
            strange = not_text(data[:4096], files[0])
            if strange and not strange.is_text:
                raise RefusedError(f"the text {files[0]} {strange}")
            return data.decode("utf8")
        except UserError as error:
            raise RefusedError(error.what) from None
        except (OSError, UnicodeError) as error:
            raise RefusedError(f"the text {files[0]} can't be read: {error}") from None


class Roles:
    """What the regions of a file tell about which key of the data each object shows.

    Attributes:
        are_objects: Whether regions name the object they are on, or only the control that made them. Two objects show
            two texts; two controls may be on one.
    """

    def __init__(self, are_objects: bool) -> None:
        self.are_objects = are_objects
        self._groups: dict[str, None] = {}
        # How many regions of a group have the text that they give at their offsets in the text of a key.
        self._placed: Counter[tuple[str, str]] = Counter()
        # How many regions of a group give a text.
        self._claims: Counter[str] = Counter()
        # The keys that have an address in some task.
        self._references: set[str] = set()

    def learn(self, groups: Groups, texts: Mapping[str, str]) -> None:
        """Take note of one task.

        Args:
            groups: Its regions.
            texts: Its strings.
        """
        self._references.update(key for key, text in texts.items() if looks_like_address(text))
        for group, values in groups.items():
            self._groups.setdefault(group)
            self._claims[group] += sum(bool(_claim(value).strip()) for value in values)
            for key, text in texts.items():
                self._placed[group, key] += sum(_stands(value, text) for value in values)

    def find_texts(self, groups: Groups, texts: Mapping[str, str], text_key: str | None = None) -> dict[str, list[str]]:
        """Find out which texts of a task are annotated, and which regions belong to each.

        Args:
            groups: The task's regions.
            texts: Its strings that are not blank.
            text_key: The key of the one text to take; None takes every text that people annotate.

        Returns:
            The groups of each text's regions, by the key of the text.

        Raises:
            RefusedError: The file does not tell to which text regions belong.
        """
        told = {group: self._told(group, groups.get(group, []), texts) for group in {**groups, **self._groups}}
        chosen = {group: key for group, key in told.items() if key is not None}
        unknown = [group for group in groups if group not in chosen]
        if text_key is not None:
            chosen |= dict.fromkeys(unknown, text_key)
            return {text_key: [group for group, key in chosen.items() if key == text_key]}
        chosen |= self._guess(unknown, groups, texts, chosen)
        found: dict[str, list[str]] = {key: [] for key in texts if key in chosen.values()}
        for group, key in chosen.items():
            found[key].append(group)
        return found or {_likeliest(texts, _prose(texts)): []}

    def is_elsewhere(self, group: str, data: Mapping[str, Any]) -> bool:
        """Whether regions are on an object whose data is not a text, such as the list of a dialogue's turns.

        Args:
            group: The name of their object.
            data: The task's data.
        """
        named = self.are_objects and group in data and not isinstance(data[group], str)
        return named and not any(self._placed[group, key] for key in data)

    def is_reference(self, key: str, text: str, values: list[dict[str, Any]]) -> bool:
        """Whether a string is the address of the text that was annotated.

        Args:
            key: The string's key.
            text: The string.
            values: The values of its regions. A passage may be nothing but an address: then their texts stand in it.
        """
        claims = [value for value in values if _claim(value)]
        if claims and all(_stands(value, text) for value in claims):
            return False
        if looks_like_address(text):
            return True
        outside = any(not _fits(value, text) for value in values)
        return looks_like_path(text) and (outside or bool(claims) or key in self._references)

    def _told(self, group: str, values: list[dict[str, Any]], texts: Mapping[str, str]) -> str | None:
        """Give the key whose text the regions of a group belong to, as far as the file tells it."""
        placed = {key: self._placed[group, key] for key in texts}
        best = max(placed.values(), default=0)
        claims = [claim for value in values if (claim := _claim(value))]
        occurring = {key: sum(claim in text for claim in claims) for key, text in texts.items()}
        # A few may stand at their offsets in another text by chance.
        most_stand = 2 * best >= self._claims[group]
        if self.are_objects and looks_like_address(texts.get(group, "")):
            # Where the text itself is not at hand, what stands in another one tells nothing.
            return group
        if self.are_objects and group in texts and not (most_stand and best > 2 * placed[group]):
            elsewhere = claims and not occurring[group] and max(occurring.values()) == len(claims)
            if not elsewhere or placed[group]:
                return group
        has_room = any(placed[key] == best and all(_fits(v, text) for v in values) for key, text in texts.items())
        if not (most_stand and has_room) and (address := _address(texts)):
            # The text that was annotated is not among the strings.
            return address
        likely = [key for key in texts if placed[key] == best] if best else list(texts)
        if len(likely) > 1 and any(occurring[key] for key in likely):
            most = max(occurring[key] for key in likely)
            likely = [key for key in likely if occurring[key] == most]
        elif not best:
            # Only the names are left to tell it.
            return _named_alike(group, likely)
        return likely[0] if len(likely) == 1 else _named_alike(group, likely)

    def _guess(
        self, unknown: list[str], groups: Groups, texts: Mapping[str, str], chosen: Mapping[str, str]
    ) -> dict[str, str]:
        """Give the texts of groups about which nothing is told: the only one that fits, for one group the likeliest.

        Raises:
            RefusedError: There are several groups and several texts.
        """
        found: dict[str, str] = {}
        while left := [group for group in unknown if group not in found]:
            taken = {*chosen.values(), *found.values()} if self.are_objects else set()
            fitting = {group: self._fitting(group, groups[group], texts, taken) for group in left}
            surest = min(left, key=lambda group: len(fitting[group]))
            if len(fitting[surest]) > 1 and len(unknown) > 1 and (self.are_objects or "text" not in fitting[surest]):
                raise RefusedError(
                    f"the spans of {', '.join(left)} may be on any of the texts {', '.join(fitting[surest])}: "
                    "name one with `text_key`"
                )
            found[surest] = _likeliest(texts, fitting[surest])
        return found

    def _fitting(
        self, group: str, values: list[dict[str, Any]], texts: Mapping[str, str], taken: set[str]
    ) -> list[str]:
        """Give the keys whose texts the regions of a group may be on."""
        if not group and taken:
            return [key for key in texts if key in taken]
        free = [key for key in texts if key not in taken] or list(texts)
        prose = _prose({key: texts[key] for key in free})
        inside = [key for key in prose if all(_fits(value, texts[key]) for value in values)]
        return inside or [key for key in free if key not in prose] or free


def looks_like_address(text: str) -> bool:
    """Whether a string is the address of a file on a server, in a storage, or among the server's local files."""
    return bool(_ADDRESS.fullmatch(text.strip()))


def looks_like_path(text: str) -> bool:
    """Whether a string is the path of a document."""
    return bool(_PATH.fullmatch(text.strip()))


def _prose(texts: Mapping[str, str]) -> list[str]:
    """Give the keys that have no address."""
    return [key for key, text in texts.items() if not looks_like_address(text)]


def _address(texts: Mapping[str, str]) -> str | None:
    return next((key for key, text in texts.items() if looks_like_address(text)), None)


def _likeliest(texts: Mapping[str, str], keys: Iterable[str]) -> str:
    """Give the key `text`, else that of the longest string."""
    return max(list(keys) or list(texts), key=lambda key: (key == "text", len(texts[key])))


def _named_alike(group: str, keys: list[str]) -> str | None:
    """Give the key that occurs in the name of an object or control: `title` for `label_title`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", group).lower()
    alike = [key for key in keys if key and re.search(rf"(?<![a-z0-9]){re.escape(key.lower())}(?![a-z0-9])", words)]
    return max(alike, key=len) if alike and len(keys) > 1 else None


def _claim(value: Mapping[str, Any]) -> str:
    claim = value.get("text")
    return claim if isinstance(claim, str) else ""


def _offsets(value: Mapping[str, Any]) -> tuple[int, int] | None:
    places = value["globalOffsets"] if isinstance(value.get("globalOffsets"), dict) else value
    start, end = (_number(places.get(name)) for name in ("start", "end"))
    return None if start is None or end is None else (start, end)


def _number(value: Any) -> int | None:
    if is_offset(value):
        return int(value)
    # Some exports have the offsets as strings.
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 20 else None


def _stands(value: Mapping[str, Any], text: str) -> bool:
    """Whether the text that a region gives is at its offsets."""
    claim, offsets = _claim(value), _offsets(value)
    if not claim.strip() or offsets is None:
        return False
    start, end = offsets
    return 0 <= start < end and text[start:end].split() == claim.replace("\\n", " ").split()


def _fits(value: Mapping[str, Any], text: str) -> bool:
    offsets = _offsets(value)
    return offsets is None or offsets[1] <= len(text)


def _path_of(address: str) -> list[str]:
    """Give the parts of the path of a URL or a local file."""
    try:
        split = urlsplit(address.strip())
        # /data/local-files/?d=docs/a.txt
        path = parse_qs(split.query)["d"][0] if "local-files" in split.path and "d=" in split.query else ""
        path = path or unquote(split.path)
    except (ValueError, LookupError):
        path = address
    return [part for part in PurePosixPath(path.replace("\\", "/")).parts if part not in ("/", "..", ".")]


def _most_alike(files: list[Path], parts: list[str]) -> list[Path]:
    """Give the files that have most of the last parts of a path in common with it."""

    def alike(file: Path) -> int:
        pairs = zip(reversed(file.parts), reversed(parts), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    most = max(map(alike, files))
    return [file for file in files if alike(file) == most]
