"""Records of tokens and tags, as Hugging Face's data sets have them: `{"tokens": [...], "ner_tags": [...]}`.

The lists may have other names, and the tags may be numbers, whose names are given beside them. Records come one per
line, in a list, in one list per split, column by column, or as the datasets server gives them. A record that also has
its text, or says after which tokens a space stands, is read with exactly these spaces.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from spacy_domain_ner.corpus.jsonl import is_offset, shown
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.bio import BadTagError, Tagging, decode_tags, find_tagging
from spacy_domain_ner.exchange.formats.column_names import read_given
from spacy_domain_ner.exchange.formats.spacing import Spacing, align_tokens, join_spaced, join_tokens
from spacy_domain_ner.exchange.formats.tag_names import names_under
from spacy_domain_ner.exchange.formats.token_lists import (
    DOCUMENTS,
    NOT_ENTITIES,
    SPACES,
    is_name,
    is_scalars,
    rows_of,
    tag_keys,
    token_key,
)
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of
from spacy_domain_ner.reading.records import RefusedError

_TEXTS = ("text", "full_text", "sentence", "raw_text", "raw", "document", "content")
_IDS = ("id", "guid", "sentence_id", "sent_id", "idx")
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
    return any(token_key([row]) is not None and tag_keys([row], token_key([row])) for _, row in rows_of(record))


def find_layout(
    name: str,
    records: Iterable[Any],
    types: Collection[str] = (),
    tag_names: Any = None,
    columns: str | None = None,
) -> Layout:
    """Find out how the records of a file are laid out.

    Args:
        name: What messages call the file.
        records: Its records.
        types: The entity types that are known: one that is named like a tag is read as a type.
        tag_names: The names of the tags, as `read_tag_names` gives them; None where the user names none.
        columns: The keys of the tokens and the tags, as `import_annotations` takes it; None to find them.

    Returns:
        The layout.

    Raises:
        UserError: The tags are numbers without names, or no list holds tags.
    """
    sample, described, count = [], [], 0
    for record in records:
        described += [record] if isinstance(record, dict) and "features" in record else []
        for _, row in rows_of(record):
            sample.append(row)
            count += max((len(value) for value in row.values() if isinstance(value, list)), default=0)
        if count > _SAMPLE:
            break
    given = _given(sample, columns)
    tokens = given.get("token") or token_key(sample)
    keys = [given["tag"]] if "tag" in given else [] if tokens is None else tag_keys(sample, tokens)
    if tokens is None or not keys:
        raise UserError(f"{name} has no records of tokens and tags", "Give its own `file_format`, or none.")
    description = tag_names if tag_names is not None else [record["features"] for record in described]
    found: list[tuple[str, Tagging, tuple[str, ...]]] = []
    named = {key: tuple(names_under(description, key)) for key in keys if _is_numbered(sample, key)}
    for key in keys:
        names = named.get(key, ())
        readable = bool(names) or key not in named
        tagging = find_tagging(_values(sample, key, names), types) if readable else None
        if tagging is None and names:
            # In a sample where nothing is known of any token, the names themselves tell.
            tagging = find_tagging(names, types)
        if tagging is not None:
            found.append((key, tagging, names))
    if not found:
        raise _no_tags(name, sample, keys[0], named.get(keys[0]))
    # Where the user names tags, those that are numbers are meant.
    key, tagging, names = next((one for one in found if tag_names is not None and one[2]), found[0])
    others = tuple(other for other in keys if other != key and not NOT_ENTITIES.search(other))
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
    many = not (isinstance(record, dict) and layout.tokens in record and is_scalars(record[layout.tokens]))
    number = 0
    for number, (split, row) in enumerate(rows_of(record), 1):
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


def _given(sample: list[dict[str, Any]], columns: str | None) -> dict[str, str]:
    """The keys that the user gives, by their role."""
    if columns is None:
        return {}
    keys = list(dict.fromkeys(key for row in sample for key in row))
    given = {role: keys[place] for role, place in read_given(columns, keys, len(keys)).items()}
    if unused := [role for role in given if role not in ("token", "tag")]:
        raise UserError(
            f"`columns` gives the role {unused[0]}, which records of tokens and tags do not need", "Leave it out."
        )
    return given


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
    unknown = (place for tag, place in zip(named, places, strict=True) if tag == "-" and place is not None)
    version.leave_unknown(unknown, said="O" in named)
    return version


def _text_and_places(
    version: Version, row: dict[str, Any], tokens: list[str], text_key: str | None, layout: Layout
) -> tuple[str, list[tuple[int, int] | None]]:
    """The text of a record, and where each of its tokens stands in it; None for a token that is only white space."""
    keys = [key for key in ([text_key] if text_key else _TEXTS) if isinstance(row.get(key), str)]
    words = [index for index, token in enumerate(tokens) if token.strip()]
    solid = [tokens[index] for index in words]
    spaces = next((row[key] for key in SPACES if _is_spaces(row.get(key), len(tokens))), None)
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
            raise RefusedError(f"the tag {shown(number)} has no name: there are {len(layout.names)} names")
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
    left_out = {layout.tokens, layout.tags, "meta", *_TEXTS, *_IDS, *DOCUMENTS}
    meta = {key: value for key, value in row.items() if key not in left_out and isinstance(value, str | int | float)}
    meta |= row["meta"] if isinstance(row.get("meta"), dict) else {}
    source = next((row[key] for key in DOCUMENTS if is_name(row.get(key))), None)
    return meta if source is None else {**meta, "source": str(source)}


def _first(row: dict[str, Any], keys: Sequence[str]) -> str:
    return next((name for key in keys if (name := name_of(row.get(key)))), "")


def _is_spaces(value: Any, length: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == length
        and all(isinstance(item, bool) or item in (0, 1, "", " ") for item in value)
    )


def _is_numbered(rows: Sequence[dict[str, Any]], key: str) -> bool:
    tags = [tag for row in rows for tag in (row[key] if is_scalars(row.get(key)) else [])]
    return bool(tags) and all(_number(tag) is not None for tag in tags)


def _values(rows: Sequence[dict[str, Any]], key: str, names: tuple[str, ...]) -> list[str]:
    """The tags of many rows, with "" after each row."""
    values: list[str] = []
    for row in rows:
        for tag in row[key] if is_scalars(row.get(key)) else []:
            number = _number(tag) if names else None
            if number is not None:
                tag = names[number] if 0 <= number < len(names) else "-"
            values.append(tag if isinstance(tag, str) else "-")
        values.append("")
    return values
