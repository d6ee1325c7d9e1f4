"""The entities of Arrow record batches: what each engine calls, Spark in `mapInArrow` and Ray in `map_batches`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from spacy_domain_ner.blas import one_thread
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.spark.loading import load_extractor, what_must_be_the_same
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    import pyarrow

    from spacy_domain_ner.extraction.extractor import Confidences, Entity, Extractor

# What is added to the columns, as Spark writes a schema. With `expected`, two more.
SCHEMA = "entities array<struct<name: string, type: string, start: int, end: int, confidence: double>>, error string"
SCHEMA_OF_EXPECTED = "expected map<string, double>, model struct<name: string, version: string, digest: string>"
ADDED, ADDED_BY_EXPECTED = ("entities", "error"), ("expected", "model")
# Rows are handed on when their texts have this many bytes, however few they are.
_BYTES = 8_000_000
_LONGEST_ERROR = 500


class Read(NamedTuple):
    """What is known of a text after it was read.

    Attributes:
        entities: Its entities, as JSON has them; None of a missing text, and of one that can't be read.
        error: Why it can't be read.
        expected: How many entities of each type the model expects.
    """

    entities: list[dict[str, Any]] | None = None
    error: str | None = None
    expected: dict[str, float] | None = None


@dataclass(frozen=True)
class SparkMapper:
    """Adds `entities` and `error` to Arrow record batches. It is made by `spark_mapper`, and sent to executors.

    Attributes:
        model: The model's folder, the name of its package, or what `ship_model` gave.
        text: The column of the text.
        settings: What else `Extractor` takes, by name.
        expected: Whether `expected` and `model` are added, too.
        utf16: Whether offsets count UTF-16 units.
        same: What must be the same wherever the mapper works, by name: the versions, and the model.
    """

    model: str
    text: str
    settings: tuple[tuple[str, Any], ...]
    expected: bool
    utf16: bool
    same: tuple[tuple[str, str], ...]

    @property
    def added(self) -> tuple[str, ...]:
        """The names of the columns that are added."""
        return (*ADDED, *ADDED_BY_EXPECTED) if self.expected else ADDED

    @property
    def schema(self) -> str:
        """The columns that are added, as Spark writes a schema."""
        return f"{SCHEMA}, {SCHEMA_OF_EXPECTED}" if self.expected else SCHEMA

    @property
    def identity(self) -> dict[str, str]:
        """Which model this is: its `name`, `version` and `digest`."""
        return {key: value for key, value in self.same if key in ("name", "version", "digest")}

    def __call__(self, batches: Any) -> Any:
        """Find the entities.

        Args:
            batches: Record batches, as `mapInArrow` gives them; or a table, as Ray's `map_batches` does.

        Returns:
            An iterator of record batches with the same rows in the same order, each of a bounded size; or a table.

        Raises:
            UserError: The columns do not fit, the model can't be loaded, or it is another one than where the mapper was
                made. What is wrong with a text is told in its row.
        """
        if not hasattr(batches, "to_batches"):
            return self._map(batches)
        import pyarrow

        done = list(self._map(batches.to_batches()))
        return pyarrow.Table.from_batches(done or list(self._map([_empty(batches.schema)])))

    def load(self) -> "Extractor":
        """Load the model, once per process, and see that it and the versions are the same as where this was made.

        Raises:
            UserError: They are not.
        """
        return load_extractor(self.model, self.settings, self.same)

    def of_column(self, texts: "pyarrow.Array") -> list["pyarrow.Array"]:
        """Find the entities in a column of texts, in any of Arrow's forms of a string.

        Args:
            texts: The texts.

        Returns:
            The columns that are added.
        """
        import pyarrow

        if not len(texts):
            return self.columns([])
        most = self.load().batch_size
        table = pyarrow.RecordBatch.from_arrays([texts], [self.text])
        parts = [self.columns(values) for _, values in pieces(table, 0, most)]
        return [pyarrow.concat_arrays(column) for column in zip(*parts, strict=True)]

    def columns(self, values: Sequence[bytes | None]) -> list["pyarrow.Array"]:
        """Find the entities in texts.

        Args:
            values: The texts in UTF-8; None where there is none.

        Returns:
            The columns that are added.
        """
        import pyarrow

        # The rows of an empty partition need no model.
        read = read_texts(values, self.load(), self.expected, self.utf16) if values else []
        found: dict[str, list[Any]] = {
            "entities": [one.entities for one in read],
            "error": [one.error for one in read],
            "expected": [None if one.expected is None else list(one.expected.items()) for one in read],
            "model": [None if one.entities is None else self.identity for one in read],
        }
        types = _types()
        return [pyarrow.array(found[name], types[name]) for name in self.added]

    def _map(self, batches: Iterable["pyarrow.RecordBatch"]) -> Iterator["pyarrow.RecordBatch"]:
        for batch in batches:
            self._check(batch.schema)
            place = batch.schema.names.index(self.text)
            most = self.load().batch_size if batch.num_rows else 1
            for rows, values in pieces(batch, place, most):
                yield _with_columns(rows, self.added, self.columns(values))

    def _check(self, schema: "pyarrow.Schema") -> None:
        check_columns(schema.names, self.text, self.added)
        if not _is_text(kind := schema.field(self.text).type):
            raise UserError(f"The column {self.text!r} holds {kind}, not text", "Name a column of strings by `text`.")


def spark_mapper(
    model: str | Path,
    text: str = "text",
    *,
    min_confidence: "Confidences" = (),
    precision: float | None = None,
    keep_unproven: bool = True,
    batch_size: int | None = None,
    window: int | None = None,
    expected: bool = False,
    utf16: bool = False,
) -> SparkMapper:
    """Make the function that adds a model's entities to Arrow record batches.

    It runs wherever tables are Arrow's: `df.mapInArrow(mapper, schema)` of Spark, and
    `dataset.map_batches(mapper, batch_format="pyarrow")` of Ray Data. A process that runs it loads the model once.

    Args:
        model: A trained model's folder or the name of its package, which must be there where the function runs, too; or
            what `ship_model` gave.
        text: The column of the text.
        min_confidence: The least confidence of an entity that is kept; see `Extractor`.
        precision: The precision that each type must have reached on the early-stopping set; see `Extractor`.
        keep_unproven: Whether a type is kept that had too few entities there to show it; see `Extractor`.
        batch_size: The most passages that the model reads at once; None takes the model's own number.
        window: The most characters of a passage that are read at once; see `Extractor`.
        expected: Whether each row also gets `expected`, how many entities of each type the model expects in it, and
            `model`, which model that is: what monitoring needs to see what the model misses.
        utf16: Whether offsets count UTF-16 units, as the strings of Java, Scala and JavaScript do, and not code points,
            as Python and Spark's `substring` do.

    Returns:
        The function. Its attribute `schema` names the columns that it adds.

    Raises:
        UserError: The model can't be loaded, or an argument does not fit.
    """
    if not isinstance(model, str | Path):
        raise UserError(
            f"`model` is a {type(model).__name__}, and only a name or a path can be sent to other machines",
            "Give the model's folder or the name of its package.",
        )
    if not isinstance(text, str):
        raise UserError(f"`text` is a {type(text).__name__}, not the name of a column", "Give the name of the column.")
    settings = {
        "min_confidence": _as_texts(min_confidence), "precision": precision, "keep_unproven": keep_unproven,
        "batch_size": batch_size, "window": window,
    }  # fmt: skip
    # A path is one of this machine, and an executor works in another folder.
    place = str(Path(model).resolve()) if Path(model).is_dir() else str(model)
    mapper = SparkMapper(place, text, tuple(settings.items()), expected, utf16, what_must_be_the_same(place))
    extractor = mapper.load()
    if expected:
        # A model that can't tell is refused before anything is read.
        extractor.expected(())
    return mapper


def check_columns(names: Sequence[str], text: str, added: Sequence[str]) -> None:
    """Check that a table has one column for the text, and none of those that are added.

    Args:
        names: The table's columns.
        text: The column of the text.
        added: The columns that are added.

    Raises:
        UserError: It is otherwise.
    """
    if names.count(text) != 1:
        parent = text.partition(".")[0]
        inside = parent != text and parent in names
        many = f"has {names.count(text)} columns" if text in names else "has no column"
        raise UserError(
            f"The table {many} {text!r}. Its columns are: {', '.join(map(repr, names[:20]))}",
            f"What is inside {parent!r} is not a column: make one of it before (withColumn)."
            if inside
            else "Name the column of the text by `text`.",
        )
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"The table has {names.count(name)} columns {name!r}", "Rename or drop those not needed.")
        if name in added:
            raise UserError(
                f"The table has a column {name!r} already, and one of that name is added", "Rename or drop it before."
            )


def _as_texts(min_confidence: "Confidences") -> tuple[str, ...]:
    """Least confidences as on the command line: a mapper's settings are the key of a cache."""
    if isinstance(min_confidence, float | int | str):
        return (str(min_confidence),)
    if isinstance(min_confidence, Mapping):
        return tuple(f"{label}={value}" for label, value in min_confidence.items())
    return tuple(map(str, min_confidence))


def read_texts(
    values: Sequence[bytes | None], extractor: "Extractor", expected: bool = False, utf16: bool = False
) -> list[Read]:
    """Find the entities in texts; one that can't be read spoils no other.

    Args:
        values: The texts in UTF-8; None where there is none.
        extractor: The model.
        expected: Whether to say how many entities the model expects.
        utf16: Whether offsets count UTF-16 units.
    """
    read = [_refused(value) for value in values]
    texts = [None if value is None or one.error else value.decode() for value, one in zip(values, read, strict=True)]
    places = [place for place, text in enumerate(texts) if text is not None]
    for place, found in zip(places, _found([texts[place] for place in places], extractor, expected), strict=True):
        if isinstance(found, str):
            read[place] = Read(error=found)
            continue
        entities, counts = found
        rows = [entity.to_dict() for entity in entities]
        if utf16:
            _count_utf16(rows, texts[place] or "")
        read[place] = Read(rows, None, counts)
    return read


def _refused(value: bytes | None) -> Read:
    """What `extract` says of a text that it refuses; nothing of one that it reads."""
    from spacy_domain_ner.reading.records import RefusedError, with_text

    try:
        if value is not None:
            with_text({"text": value.decode("utf8")})
    except UnicodeDecodeError as error:
        return Read(error=f"not UTF-8 text ({error.reason} at byte {error.start})")
    except RefusedError as error:
        return Read(error=error.reason)
    return Read()


def _found(
    texts: list[Any], extractor: "Extractor", expected: bool
) -> list[tuple[list["Entity"], dict[str, float] | None] | str]:
    """For each text its entities and what is expected; or why it can't be read."""
    try:
        with _one_thread():
            if not expected:
                return [(entities, None) for entities in extractor(texts)]
            return [
                (entities, {label: share for label, count in counts.items() if (share := round(count, 3))})
                for entities, counts in extractor.with_expected(texts)
            ]
    except Exception as error:  # whatever a component of the pipeline raises
        if len(texts) == 1:
            return [shorten(f"the model can't read it: {reason(error)}", _LONGEST_ERROR)]
    return [found for text in texts for found in _found([text], extractor, expected)]


def _one_thread() -> AbstractContextManager[object]:
    try:
        return one_thread()
    except ImportError:
        # An executor that has only spaCy: Spark has set the number there.
        return nullcontext()


def _count_utf16(rows: list[dict[str, Any]], text: str) -> None:
    """Turn offsets in code points into offsets in UTF-16 units."""
    if text.isascii() or max(text) <= "\uffff":
        return
    units = at = 0
    found = {0: 0}
    for place in sorted({row[key] for row in rows for key in ("start", "end")}):
        units += len(text[at:place].encode("utf-16-le")) // 2
        found[place] = units
        at = place
    for row in rows:
        row["start"], row["end"] = found[row["start"]], found[row["end"]]


def pieces(
    batch: "pyarrow.RecordBatch", place: int, most: int
) -> Iterator[tuple["pyarrow.RecordBatch", list[bytes | None]]]:
    """A batch in parts, and their texts: of bounded size, by rows and by the bytes of the texts."""
    if not batch.num_rows:
        yield batch, []
    start = 0
    while start < batch.num_rows:
        values = _to_bytes(batch.column(place).slice(start, most)).to_pylist()
        sizes = accumulate(len(value or b"") for value in values)
        number = min(len(values), 1 + sum(size < _BYTES for size in sizes))
        yield batch.slice(start, number), values[:number]
        start += number


def _to_bytes(texts: "pyarrow.Array") -> "pyarrow.Array":
    """A column of texts as bytes, which may be no UTF-8: Spark checks nothing."""
    import pyarrow

    if pyarrow.types.is_dictionary(texts.type):
        texts = texts.dictionary_decode()
    return texts.cast(pyarrow.large_binary())


def _is_text(kind: "pyarrow.DataType") -> bool:
    import pyarrow

    types = pyarrow.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    # A view is newer than the oldest pyarrow that is supported.
    is_view = getattr(types, "is_string_view", lambda _: False)
    return types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind) or is_view(kind)


def _types() -> dict[str, "pyarrow.DataType"]:
    import pyarrow

    text = pyarrow.string()
    entity = pyarrow.struct(
        [("name", text), ("type", text), ("start", pyarrow.int32()), ("end", pyarrow.int32()),
         ("confidence", pyarrow.float64())]
    )  # fmt: skip
    return {
        "entities": pyarrow.list_(entity),
        "error": text,
        "expected": pyarrow.map_(text, pyarrow.float64()),
        "model": pyarrow.struct([("name", text), ("version", text), ("digest", text)]),
    }


def _with_columns(
    batch: "pyarrow.RecordBatch", names: Sequence[str], columns: Sequence["pyarrow.Array"]
) -> "pyarrow.RecordBatch":
    import pyarrow

    added = [pyarrow.field(name, column.type) for name, column in zip(names, columns, strict=True)]
    schema = pyarrow.schema([*batch.schema, *added], batch.schema.metadata)
    return pyarrow.RecordBatch.from_arrays([*batch.columns, *columns], schema=schema)


def _empty(schema: "pyarrow.Schema") -> "pyarrow.RecordBatch":
    import pyarrow

    return pyarrow.RecordBatch.from_arrays([pyarrow.array([], each.type) for each in schema], schema=schema)
