"""Records of tokens and tags, as Hugging Face's data sets have them: `{"tokens": [...], "ner_tags": [...]}`.

The lists may have other names, and the tags may be numbers, whose names are given beside them. Records come one per
line, in a list, in one list per split, column by column, or as the datasets server gives them. A record that also has
its text, or says after which tokens a space stands, is read with exactly these spaces.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.corpus.jsonl import is_offset, shown
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.bio import BadTagError, Tagging, decode_tags, find_tagging
from spacy_domain_ner.exchange.formats.spacing import Spacing, align_tokens, join_spaced, join_tokens
from spacy_domain_ner.exchange.formats.tag_names import names_under
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of
from spacy_domain_ner.reading.records import RefusedError

# In the order in which they are looked for.
_TOKENS = (
    "tokens",
    "words",
    "token",
    "word",
    "forms",
    "text",
    "sentence",
    "sentence_tokens",
    "tokenized_text",
    "input",
)
_TAGS = (
    "ner_tags",
    "ner",
    "ner_tag",
    "ner_labels",
    "tags",
    "labels",
    "label",
    "tag",
    "entities",
    "entity",
    "iob",
    "bio",
)
_SPACES = ("spaces", "space_after", "trailing_whitespace", "whitespace", "ws")
_TEXTS = ("text", "full_text", "sentence", "raw_text", "raw", "document", "content")
_IDS = ("id", "guid", "sentence_id", "sent_id", "idx")
_DOCUMENTS = ("source", "doc_id", "document_id", "docid", "doc", "document", "doc_key")
_SPLITS = ("train", "training", "validation", "valid", "val", "dev", "eval", "test", "testing")
# Keys of other tags, by a part of their names.
_NOT_ENTITIES = re.compile(r"(?i)chunk|pos|lemma|dep|head|morph|lang|feats")
_PREFIXED = re.compile(r"O|[BIESLUMW][-_].+")
# Objects are nested in objects no further than this: a document of splits of rows.
_DEEPEST = 4
# Tokens that are looked at to find the layout.
_SAMPLE = 20_000


@dataclass(frozen=True)
class Layout:
    """How the records of a file are laid out.

    Attributes:
        tokens: The key of the tokens.
        tags: The key of the tags.
        tagging: How the tags are written.
        spacing: How the tokens were cut.
        names: The tags' names in the order of their numbers, empty where the file itself has names.
        others: The keys of further lists of tags, which are not read.
    """

    tokens: str
    tags: str
    tagging: Tagging
    spacing: Spacing
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        others = f"; other tags under {', '.join(map(repr, self.others))}" if self.others else ""
        return f"{self.tagging.scheme} tags under {self.tags!r}{others}"


def is_record(record: Any) -> bool:
    """Whether a JSON value is a record of tokens and tags, or holds such records."""
    return any(_token_key([row]) is not None and _tag_keys([row], _token_key([row])) for _, row in _rows(record))


def find_layout(name: str, records: Iterable[Any], types: Collection[str] = (), tag_names: Any = None) -> Layout:
    """Find out how the records of a file are laid out.

    Args:
        name: What messages call the file.
        records: Its records.
        types: The entity types that are known: one that is named like a tag is read as a type.
        tag_names: The names of the tags, as `read_tag_names` gives them; None where the user names none.

    Returns:
        The layout.

    Raises:
        UserError: The tags are numbers without names, or no list holds tags.
    """
    sample, described, count = [], [], 0
    for record in records:
        described += [record] if isinstance(record, dict) and "features" in record else []
        for _, row in _rows(record):
            sample.append(row)
            count += max((len(value) for value in row.values() if isinstance(value, list)), default=0)
        if count > _SAMPLE:
            break
    tokens = _token_key(sample)
    keys = [] if tokens is None else _tag_keys(sample, tokens)
    if tokens is None or not keys:
        raise UserError(f"{name} has no records of tokens and tags", "Give its own `file_format`, or none.")
    description = tag_names if tag_names is not None else [record["features"] for record in described]
    found: list[tuple[str, Tagging, tuple[str, ...]]] = []
    named = {key: tuple(names_under(description, key)) for key in keys if _is_numbered(sample, key)}
    for key in keys:
        names = named.get(key, ())
        readable = bool(names) or key not in named
        tagging = find_tagging(_values(sample, key, names), types) if readable else None
        if tagging is not None:
            found.append((key, tagging, names))
    if not found:
        raise _no_tags(name, sample, keys[0], named.get(keys[0]))
    # Where the user names tags, those that are numbers are meant.
    key, tagging, names = next((one for one in found if tag_names is not None and one[2]), found[0])
    others = tuple(other for other in keys if other != key and not _NOT_ENTITIES.search(other))
    spacing = Spacing(str(token) for row in sample for token in row.get(tokens) or [])
    return Layout(tokens, key, tagging, spacing, names, others)


def read_record(record: Any, text_key: str | None, layout: Layout) -> Iterator[Version | RefusedError]:
    """Read a record, or an object that holds many.

    Args:
        record: The record.
        text_key: The key of the text beside the tokens, None to find it.
        layout: How the file's records are laid out.

    Yields:
        The version of each record, or the reason why there is none.

    Raises:
        RefusedError: It is not a record.
    """
    many = not (isinstance(record, dict) and layout.tokens in record and _is_scalars(record[layout.tokens]))
    number = 0
    for number, (split, row) in enumerate(_rows(record), 1):
        where = _first(row, _IDS) or (f"record {number}" if many else "")
        try:
            version = _read_row(row, text_key, layout)
        except RefusedError as error:
            if not many:
                raise
            yield RefusedError(error.reason, where)
            continue
        version.id = where
        if split:
            version.meta.setdefault("split", split)
        yield version
    if not number:
        raise RefusedError(f"a record must be an object with the lists {layout.tokens!r} and {layout.tags!r}")


def _no_tags(name: str, sample: list[dict[str, Any]], key: str, names: tuple[str, ...] | None) -> UserError:
    """The error where no list has tags that can be read; `names` is None where the tags are not numbers."""
    if names == ():
        numbers = [number for row in sample for tag in row.get(key) or [] if (number := _number(tag)) is not None]
        return UserError(
            f"{name} has numbers as tags under {key!r} (0 to {max(numbers)}), and does not say what they mean",
            "Name the tags in the order of their numbers: `tag_names=O,B-NAME,I-NAME`. Or give a file that has the "
            "names: a data set's dataset_info.json or README.md, or a model's config.json.",
        )
    values = names or list(dict.fromkeys(filter(None, _values(sample, key, ()))))
    what = f"the names {', '.join(values[:6])} for the numbers" if names else f"{', '.join(values[:6])}"
    return UserError(
        f"{name} has {what} under {key!r}, which are not tags such as O, B-NAME and I-NAME",
        "Name the tags in the order of their numbers with `tag_names`." if names else "Export the tags of entities.",
    )


def _read_row(row: dict[str, Any], text_key: str | None, layout: Layout) -> Version:
    tokens, tags = row.get(layout.tokens), row.get(layout.tags)
    if not isinstance(tokens, list) or not all(isinstance(token, str | int) for token in tokens):
        raise RefusedError(f"{layout.tokens!r} must be a list of strings, not {shown(tokens)}")
    tokens = [str(token) for token in tokens]
    version = Version("", meta=_meta(row, layout))
    if tags is None:
        version.text, _ = _text_and_places(version, row, tokens, text_key, layout)
        version.status = Status.UNANNOTATED
        return version
    if not isinstance(tags, list) or len(tags) != len(tokens):
        found = f"{len(tags)} tags" if isinstance(tags, list) else shown(tags)
        raise RefusedError(f"{len(tokens)} tokens under {layout.tokens!r}, but {found} under {layout.tags!r}")
    named = [_tag(tag, layout) for tag in tags]
    version.text, places = _text_and_places(version, row, tokens, text_key, layout)
    there = [index for index, place in enumerate(places) if place is not None]
    try:
        spans, repaired = decode_tags([named[index] for index in there], layout.tagging.prefixes)
    except BadTagError as error:
        raise RefusedError(str(error)) from None
    for first, last, label in spans:
        start, end = places[there[first]], places[there[last]]
        version.add_span(start and start[0], end and end[1], label)
    if repaired and layout.tagging.scheme != "IOB1":
        version.notes.append(f"{repaired} span(s) begin with an I that continues nothing")
    if "-" in named:
        version.status = Status.UNANNOTATED if set(named) == {"-"} else Status.PARTIAL
    return version


def _text_and_places(
    version: Version, row: dict[str, Any], tokens: list[str], text_key: str | None, layout: Layout
) -> tuple[str, list[tuple[int, int] | None]]:
    """The text of a record, and where each of its tokens stands in it; None for a token that is only white space."""
    keys = [key for key in ([text_key] if text_key else _TEXTS) if isinstance(row.get(key), str)]
    words = [index for index, token in enumerate(tokens) if token.strip()]
    solid = [tokens[index] for index in words]
    spaces = next((row[key] for key in _SPACES if _is_spaces(row.get(key), len(tokens))), None)
    aligned = next((found for key in keys if (found := align_tokens(solid, row[key]))), None) if solid else None
    if aligned is not None:
        text = next(row[key] for key in keys if align_tokens(solid, row[key]))
        offsets = aligned
    elif spaces is not None:
        text, everywhere = join_spaced(tokens, [bool(space) and str(space) != "" for space in spaces])
        offsets = [everywhere[index] for index in words]
    elif layout.spacing.exact and len(words) < len(tokens):
        blank_after = [index + 1 < len(tokens) and not tokens[index + 1].strip() for index in words]
        text, offsets = join_spaced(solid, blank_after)
    else:
        text, offsets = join_tokens(solid, layout.spacing)
        if len(words) < len(tokens):
            version.notes.append(f"{len(tokens) - len(words)} token(s) without a character")
    if keys and aligned is None and solid:
        version.notes.append(f"the text under {keys[0]!r} does not have the tokens, so they were joined instead")
    places: list[tuple[int, int] | None] = [None] * len(tokens)
    for index, place in zip(words, offsets, strict=True):
        places[index] = place
    return text, places


def _tag(tag: Any, layout: Layout) -> str:
    """A tag as `decode_tags` takes it."""
    number = _number(tag)
    if layout.names and number is not None:
        # Training leaves out what has a negative number, -100 or -1: nothing is known of it.
        if number < 0:
            return "-"
        if number >= len(layout.names):
            raise RefusedError(f"the tag {number} has no name: there are {len(layout.names)} names")
        tag = layout.names[number]
    if not isinstance(tag, str):
        raise RefusedError(f"{shown(tag)} is not a tag")
    read = layout.tagging.read(tag)
    if read is None and layout.tagging.style == "types" and tag.strip():
        # A type that first occurs after the sample.
        return tag
    if read is None:
        raise RefusedError(f"{shown(tag)} is not a tag")
    return read


def _number(tag: Any) -> int | None:
    if is_offset(tag):
        return int(tag)
    return int(tag) if isinstance(tag, str) and re.fullmatch(r"-?\d{1,4}", tag) else None


def _meta(row: dict[str, Any], layout: Layout) -> dict[str, Any]:
    left_out = {layout.tokens, layout.tags, "meta", *_TEXTS, *_IDS, *_DOCUMENTS}
    meta = {key: value for key, value in row.items() if key not in left_out and isinstance(value, str | int | float)}
    meta |= row["meta"] if isinstance(row.get("meta"), dict) else {}
    source = next((row[key] for key in _DOCUMENTS if _is_name(row.get(key))), None)
    return meta if source is None else {**meta, "source": str(source)}


def _is_name(value: Any) -> bool:
    # A text may stand under such a key as well.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and 0 < len(value) <= 200 and "\n" not in value
    )


def _first(row: dict[str, Any], keys: Sequence[str]) -> str:
    return next((name for key in keys if (name := name_of(row.get(key)))), "")


def _is_spaces(value: Any, length: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == length
        and all(isinstance(item, bool) or item in (0, 1, "", " ") for item in value)
    )


def _is_scalars(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int | float) or item is None for item in value)


def _token_key(rows: Sequence[dict[str, Any]]) -> str | None:
    """The key of the tokens: a list of strings in every row that has it."""
    keys = [key for key in _TOKENS if any(_is_scalars(row.get(key)) for row in rows)]
    if not keys:
        # Tags that can be told by their prefixes tell the tokens beside them.
        tagged = {key for row in rows for key, value in row.items() if _is_prefixed(value)}
        counts: Counter[str] = Counter()
        for row in rows:
            lengths = {len(row[key]) for key in tagged if key in row}
            for key, value in row.items():
                if key not in tagged and _is_scalars(value) and len(value) in lengths and value:
                    counts[key] += len(set(map(str, value))) if isinstance(value[0], str) else 0
        keys = [key for key, count in counts.most_common(1) if count]
    return keys[0] if keys else None


def _tag_keys(rows: Sequence[dict[str, Any]], tokens: str | None) -> list[str]:
    """The keys under which there may be tags, the likeliest first."""
    found: Counter[str] = Counter()
    for row in rows:
        length = len(row.get(tokens or "") or [])
        for key, value in row.items():
            if key != tokens and key not in _SPACES and _is_scalars(value):
                # One broken record does not hide the tags of the others.
                found[key] += len(value) == length if key in _TAGS or "tag" in key or _is_prefixed(value) else 0
    known = [key for key in _TAGS if found[key]]
    return known + sorted(
        (key for key, count in found.items() if count and key not in known),
        key=lambda key: bool(_NOT_ENTITIES.search(key)),
    )


def _is_prefixed(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, str) and _PREFIXED.fullmatch(item) for item in value)
        and value != ["O"]
    )


def _is_numbered(rows: Sequence[dict[str, Any]], key: str) -> bool:
    tags = [tag for row in rows for tag in (row[key] if _is_scalars(row.get(key)) else [])]
    return bool(tags) and all(_number(tag) is not None for tag in tags)


def _values(rows: Sequence[dict[str, Any]], key: str, names: tuple[str, ...]) -> list[str]:
    """The tags of many rows, with "" after each row."""
    values: list[str] = []
    for row in rows:
        for tag in row[key] if _is_scalars(row.get(key)) else []:
            number = _number(tag) if names else None
            if number is not None:
                tag = names[number] if 0 <= number < len(names) else "-"
            values.append(tag if isinstance(tag, str) else "-")
        values.append("")
    return values


def _rows(value: Any, split: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of an object: itself, or those that it holds, each with the name of its split."""
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    if isinstance(value.get("row"), dict):
        # The datasets server numbers its rows.
        yield from _rows(value["row"], split, depth + 1)
        return
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        # pandas, with the names of the columns apart.
        columns = [str(column) for column in value["columns"]]
        for row in value["data"]:
            yield split, dict(zip(columns, row, strict=False)) if isinstance(row, list) else {}
        return
    row = _with_lists(value)
    if any(_is_scalars(row.get(key)) for key in _TOKENS) or _has_tags_beside_tokens(row):
        yield split, row
    elif (key := next((key for key in (*_TOKENS, *value) if _is_column(value.get(key))), None)) is not None:
        yield from ((split, one) for one in _columnar(value, key))
    else:
        source = next((value[key] for key in _DOCUMENTS if _is_name(value.get(key))), None)
        for key, held in value.items():
            # The names of tags stand in a list, too.
            items = held if isinstance(held, list) else [held]
            for one in items if key != "features" else []:
                for inner, row in _rows(one, key if key in _SPLITS else split, depth + 1):
                    yield inner, row if source is None else {"source": source, **row}


def _has_tags_beside_tokens(row: dict[str, Any]) -> bool:
    lengths = Counter(len(value) for value in row.values() if _is_scalars(value))
    return any(_is_prefixed(value) and lengths[len(value)] > 1 for value in row.values())


def _with_lists(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose tokens and tags may be strings, divided by blanks."""
    for key in _TAGS:
        tags = row[key].split() if isinstance(row.get(key), str) else []
        if not _is_prefixed(tags):
            continue
        for other in _TOKENS:
            tokens = row[other].split() if isinstance(row.get(other), str) else []
            if len(tokens) == len(tags):
                return {**row, other: tokens, key: tags}
    return row


def _is_column(value: Any) -> bool:
    cells = list(value.values()) if isinstance(value, dict) else value
    return (
        isinstance(cells, list) and bool(cells) and all(isinstance(cell, list) and _is_scalars(cell) for cell in cells)
    )


def _columnar(value: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """The rows of columns that stand side by side: lists, or as pandas writes them objects by the rows' names."""
    names = list(value[key]) if isinstance(value[key], dict) else range(len(value[key]))
    for name in names:
        row = {}
        for column, cells in value.items():
            if isinstance(cells, dict):
                row[column] = cells.get(name)
            elif isinstance(cells, list) and isinstance(name, int) and name < len(cells):
                row[column] = cells[name]
        yield row
