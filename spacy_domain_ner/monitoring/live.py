"""Reading what a model at work has found: the output of `extract`, and the log of the server.

The rows are a stream, and memory does not grow with them. What does not belong together is an error: rows of two
models, or rows without a confidence. What is broken is left out and told.
"""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import scratch_folder
from spacy_domain_ner.reading.records import RefusedError, parse_json, parse_record
from spacy_domain_ner.reading.texts import STDIN, Line, TextFile, find_texts, read_lines

# So many entities without a confidence, and none with one, and the model gives none.
_FEW = 100
# So many broken lines, and not a good one before them, and the file is something else. A log that was cut to save room
# may begin in the middle of a line.
_FEW_BROKEN = 10
# So many refusals are kept; all are counted.
SHOWN = 100


class Found(NamedTuple):
    """An entity that the model has found.

    Attributes:
        start: Where it begins, in code points.
        end: Where it ends, exclusive.
        label: Its entity type.
        confidence: How sure the model is of it, 0 to 1; None where a rule of the pipeline has set it.
    """

    start: int
    end: int
    label: str
    confidence: float | None

    @property
    def sure(self) -> float:
        """The confidence; 1 for what a rule has set."""
        return 1.0 if self.confidence is None else self.confidence


@dataclass(frozen=True, slots=True)
class LiveRow:
    """A passage that a model has read at work.

    Attributes:
        text: The passage.
        found: The entities that the model has found in it.
        expected: How many entities of each type the model expects in it, found and missed ones; None where the row does
            not say it: `extract` writes it with `--expected`.
        model: The name, version and digest of the model, as in "en_software_ner 0.2.0 (1f0c9a3e)"; "" where the row
            does not say it.
        time: When it was read, in ISO form (UTC); "" where the row does not say it.
        probability: The probability with which the row came into the file: the server's log may be a sample.
        meta: What the source says of the passage.
        id: The passage's own id; None where it has none.
        is_helped: Whether an LLM has found some of the types in the model's place.
        place: Where the row is, as `file:line`.
    """

    text: str
    found: tuple[Found, ...]
    expected: Mapping[str, float] | None = None
    model: str = ""
    time: str = ""
    probability: float = 1.0
    meta: Mapping[str, Any] = field(default_factory=dict)
    id: Any = None
    is_helped: bool = False
    place: str = ""

    @property
    def source(self) -> str | None:
        """Where the passage comes from, as `meta.source` says; None where it does not."""
        source = self.meta.get("source")
        return None if source is None else str(source)

    @property
    def fingerprint(self) -> str:
        """What identifies the passage: see `fingerprint`."""
        return fingerprint(self.text)


def fingerprint(text: str) -> str:
    """Identify a passage: two are the same where this is equal.

    White space does not count, since labelling tools change it; everything else does.

    Args:
        text: The passage.

    Returns:
        24 hexadecimal digits.
    """
    return blake2b("".join(text.split()).encode("utf8", "surrogatepass"), digest_size=12).hexdigest()


@dataclass
class Live:
    """Live rows in files, which can be read several times.

    Attributes:
        names: The files, as they were given.
        model: The model that has read the rows; None before they are read, "" where they do not say it.
        rows: How many rows were read the last time.
        unsure: How many of the entities have no confidence, since a rule of the pipeline has set them.
        without_expected: How many of the rows do not say how many entities the model expects.
        helped: How many of the rows an LLM has helped with.
        of_other_models: How many rows of other models were left out, by model.
        refused: How many lines were left out.
        refusals: The first of them, each with its place and the reason; and the files of folders that are not read.
    """

    names: list[str] = field(default_factory=list)
    model: str | None = None
    rows: int = 0
    unsure: int = 0
    without_expected: int = 0
    helped: int = 0
    of_other_models: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    refusals: list[str] = field(default_factory=list)
    _files: list[TextFile] = field(default_factory=list, repr=False)
    _left_out: list[str] = field(default_factory=list, repr=False)
    _text_key: str = "text"
    _version: str | None = None
    _digest: str = ""
    _reading: "_Reading | None" = field(default=None, repr=False)

    def __iter__(self) -> Iterator[LiveRow]:
        """Read all rows, one at a time.

        Raises:
            UserError: A file is something else, the rows are of several models, or the model gives no confidence.
        """
        self.model, self.rows, self.unsure, self.without_expected, self.refused = None, 0, 0, 0, 0
        self.helped, self.of_other_models, self.refusals = 0, Counter(), list(self._left_out)
        first = ""
        entities = 0
        if self._reading:
            self._reading.begin(self._files)
        for file in self._files:
            for row in self._read(file):
                if self._is_of_another(row.model):
                    self.of_other_models[row.model] += 1
                    continue
                if self.model is None:
                    self.model, first = row.model, row.place
                elif row.model != self.model:
                    raise _two_models(self.model, first, row)
                self.rows += 1
                entities += len(row.found)
                self.unsure += sum(one.confidence is None for one in row.found)
                self.without_expected += row.expected is None
                self.helped += row.is_helped
                if self.unsure == entities and entities >= _FEW:
                    raise _no_confidence(row.place)
                yield row
        if entities and self.unsure == entities:
            raise _no_confidence(self.names[0])
        if not self.rows:
            raise self._nothing()

    def _is_of_another(self, model: str) -> bool:
        """Whether a row was read by another model than is wanted. What does not say its digest may be of any."""
        if self._version is not None:
            return self._version not in _versions_of(model)
        return bool(self._digest) and model.endswith(")") and self._digest not in _versions_of(model)

    def _read(self, file: TextFile) -> Iterator[LiveRow]:
        """Read a file's rows, and note the lines that can't be read."""
        broken: tuple[Line, str] | None = None
        good, bad = False, 0
        for line in read_lines([file], text_key=self._text_key):
            if broken:
                bad += 1
                if not good and bad == _FEW_BROKEN:
                    raise _foreign(*broken)
                self._refuse(f"{broken[0].place}: {broken[1]}")
                broken = None
            try:
                row = _row(line, self._text_key)
            except RefusedError as error:
                if not good and _is_whole(line):
                    raise _foreign(line, error.reason) from None
                broken = line, error.reason
                continue
            if not line.is_json:
                raise _foreign(line, "text, not JSON")
            good = True
            yield row
        if broken:
            if bad and not good:
                raise _foreign(*broken)
            # The server may be writing it.
            self._refuse(f"{broken[0].place}: the last line is half-written, and was left out ({broken[1]})")

    def _refuse(self, words: str) -> None:
        self.refused += 1
        if self.refused <= SHOWN:
            self.refusals.append(words)

    def _nothing(self) -> UserError:
        hints = [f"{count} row(s) are of {name or 'an unnamed model'}" for name, count in self.of_other_models.items()]
        hint = "\n".join(hints + self.refusals[:5]) or "Give what `domain-ner extract` or the server's log writes."
        wanted = f" of the model {self._version or self._digest}" if self._version or self.of_other_models else ""
        return UserError(f"There is no live row{wanted} in {', '.join(self.names)}", hint)


@contextmanager
def open_live(
    paths: Iterable[str | Path],
    *,
    text_key: str = "text",
    model_version: str | None = None,
    digest: str = "",
    progress: Callable[[float], None] | None = None,
) -> Iterator[Live]:
    """Find live rows. They can be read, also several times, as long as the block lasts.

    Args:
        paths: What `extract` has written (JSON lines, CSV, TSV) and what the server has logged: files, packed or not,
            folders and zip archives of them, and "-" for standard input.
        text_key: The key of the text, as it was given to `extract`.
        model_version: Leave out the rows of other models: a version, a digest, or both with the name, as rows have
            them. None takes all, and rows of two models are an error.
        digest: Without a `model_version`, leave out the rows that say to be of another model than the one with this
            digest.

    Yields:
        The rows.

    Raises:
        UserError: A path is missing or holds nothing that can be read.
    """
    places = [str(path) for path in paths]
    if not places:
        raise UserError("No file of live rows is named", "Give what `domain-ner extract` or the server's log writes.")
    with scratch_folder() as scratch:
        copies = {}
        for number, place in enumerate(places):
            path = Path(place)
            if place == STDIN or (path.exists() and not path.is_file() and not path.is_dir()):
                # It is read more than once.
                copies[place] = scratch / f"stream-{number}"
                with copies[place].open("wb") as copy, _stream(place) as stream:
                    shutil.copyfileobj(stream, copy)
        reading = _Reading(progress) if progress else None
        named_places = [copies.get(place, place) for place in places]
        with find_texts(named_places, text_key=text_key, advance=reading.advance if reading else None) as texts:
            named = {str(copy): "<stdin>" if place == STDIN else place for place, copy in copies.items()}
            files = [
                replace(file, source=replace(file.source, name=named.get(file.source.name, file.source.name)))
                for file in texts.files
            ]
            left_out = [f"{name}: {why}" for name, why in texts.left_out]
            yield Live(
                [named.get(place, place) for place in places],
                _files=files, _left_out=left_out, _text_key=text_key, _version=model_version,
                _digest=digest, _reading=reading,
            )  # fmt: skip


class _Reading:
    """Tells how far a reading of the files is."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress
        self._size, self._read = 0, 0

    def begin(self, files: Iterable[TextFile]) -> None:
        self._size, self._read = sum(file.size for file in files), 0

    def advance(self, count: int) -> None:
        self._read += count
        if self._size:
            self._progress(min(1.0, self._read / self._size))


def are_live_rows(path: str | Path, text_key: str = "text") -> bool:
    """Tell live rows from reviewed passages, by the first row.

    Args:
        path: A file, a folder or an archive.
        text_key: The key of the text in live rows.
    """
    try:
        with open_live([path], text_key=text_key) as live:
            return "monitor" not in next(iter(live)).meta
    except UserError as error:
        # Live rows all the same, which say themselves what is wrong with them.
        return "no confidence" in error.what


@contextmanager
def _stream(place: str) -> Iterator[Any]:
    if place == STDIN:
        yield sys.stdin.buffer
        return
    with Path(place).open("rb") as stream:
        yield stream


def _row(line: Line, text_key: str) -> LiveRow:
    """Read one row.

    Raises:
        RefusedError: It is not one.
    """
    if line.problem:
        raise RefusedError(line.problem)
    if not line.is_json:
        return LiveRow("", ())
    record = parse_record(line.raw, text_key)
    entities = _json(record, "entities")
    if not isinstance(entities, list):
        raise RefusedError("there are no `entities`, as `extract` and the server's log write them")
    text = record[text_key]
    meta = _json(record, "meta")
    return LiveRow(
        text=text,
        found=tuple(_found(entity, len(text)) for entity in entities),
        expected=_expected(_json(record, "expected")),
        model=model_name(_json(record, "model")),
        time=str(record.get("time") or ""),
        probability=_probability(record.get("inclusion_probability")),
        meta=meta if isinstance(meta, dict) else {},
        id=record.get("id"),
        is_helped=any(isinstance(entity, dict) and entity.get("source") == "llm" for entity in entities)
        or _was_sent(_json(record, "llm")),
        place=line.place,
    )


def _was_sent(llm: Any) -> bool:
    return isinstance(llm, dict) and llm.get("sent") is True


def _is_whole(line: Line) -> bool:
    """Whether a line is JSON to its end, whatever it says."""
    try:
        parse_json(line.raw)
    except RefusedError:
        return False
    return not line.problem


def _json(record: Mapping[str, Any], key: str) -> Any:
    """The value of a key; a table has it as JSON in a cell."""
    value = record.get(key)
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise RefusedError(f"{key!r} is not JSON") from None
    return value


def _found(entity: Any, length: int) -> Found:
    if not isinstance(entity, dict):
        raise RefusedError("an entity must be an object with `type`, `start` and `end`")
    start: Any = entity.get("start")
    end: Any = entity.get("end")
    label, confidence = entity.get("type"), entity.get("confidence")
    # `type`, since True is not a number here, and since there may be very many entities.
    if not (type(start) is int and type(end) is int and 0 <= start < end <= length):
        raise RefusedError(f"an entity does not lie in the text: {start!r} to {end!r}")
    if not isinstance(label, str) or not label:
        raise RefusedError("an entity has no `type`")
    if confidence is not None and not (type(confidence) in (float, int) and 0 <= confidence <= 1):
        raise RefusedError(f"a confidence is not between 0 and 1: {confidence!r}")
    return Found(start, end, label, confidence)


def _expected(value: Any) -> dict[str, float] | None:
    if value in (None, ""):
        return None
    if isinstance(value, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        # A map of a Parquet table.
        value = {str(label): count for label, count in value}
    if not isinstance(value, dict) or not all(_is_number(count) and 0 <= count < 1e9 for count in value.values()):
        raise RefusedError("`expected` must have a number for each entity type")
    return {str(label): float(count) for label, count in value.items()}


def _probability(value: Any) -> float:
    if value in (None, ""):
        return 1.0
    try:
        probability = float(value)
    except (TypeError, ValueError):
        probability = -1.0
    if isinstance(value, bool) or not 0 < probability <= 1:
        raise RefusedError(f"`inclusion_probability` must be above 0 and up to 1, not {value!r}")
    return probability


def model_name(model: Any) -> str:
    """Write a model's identity as one text.

    Args:
        model: What a row says of its model: an object with `name`, `version` and `digest`, a text, or nothing.
    """
    if isinstance(model, dict):
        name, version, digest = (str(model.get(key) or "") for key in ("name", "version", "digest"))
        return f"{name} {version}".strip() + (f" ({digest})" if digest else "")
    return "" if model is None else str(model)


def _versions_of(model: str) -> set[str]:
    """What a user may call a model that a row names."""
    named, _, digest = model.removesuffix(")").partition(" (")
    return {model, named, named.rpartition(" ")[2], digest, named.replace(" ", "-")}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _two_models(model: str, first: str, row: LiveRow) -> UserError:
    one, other = (name or "a model that is not named" for name in (model, row.model))
    return UserError(
        f"The live rows are of two models: {one} (first at {first}) and {other} (first at {row.place})",
        "Each model has figures of its own: give the files of one, or choose one by `model_version`.",
    )


def _no_confidence(place: str) -> UserError:
    return UserError(
        f"{place}: the entities have no confidence",
        "spaCy's own `ner` gives none. Train with this plugin's recognizer, as the configs of a new project do, and "
        "let that model read the passages.",
    )


def _foreign(line: Line, reason: str) -> UserError:
    return UserError(
        f"{line.place}: this is not a live row: {reason}",
        "Give what `domain-ner extract` (with --expected) or the server's log writes. Another key of the text is named "
        "by `text_key`.",
    )
