"""Finding the records of tokens and tags in JSON values, and in these the lists of tokens and of tags.

Records stand alone, in a list, in one list per split, column by column, or as pandas or the datasets server write them.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

# In the order in which they are looked for.
_TOKENS = (
    "tokens", "words", "token", "word", "forms", "text", "sentence", "sentence_tokens", "tokenized_text", "input",
)  # fmt: skip
_TAGS = (
    "ner_tags", "ner", "ner_tag", "ner_labels", "tags", "labels", "label", "tag", "entities", "entity", "iob", "bio",
)  # fmt: skip
# Other names that say the same.
_LIKE_TOKENS = re.compile(r"(?i)(?<!key)word|token")
_LIKE_TAGS = re.compile(r"(?i)tag|label|entit|iob|bio|(?<![a-z])ner(?![a-z])")
SPACES = ("spaces", "space_after", "trailing_whitespace", "whitespace", "ws")
DOCUMENTS = ("source", "doc_id", "document_id", "docid", "doc", "document", "doc_key")
_SPLITS = ("train", "training", "validation", "valid", "val", "dev", "eval", "test", "testing")
# Keys of other tags, by a part of their names.
NOT_ENTITIES = re.compile(r"(?i)chunk|pos|lemma|dep|head|morph|lang|feats")
_PREFIXED = re.compile(r"O|[BIESLUMW][-_].+")
# Objects are nested in objects no further than this: a document of splits of rows.
_DEEPEST = 4


def rows_of(value: Any, split: str = "", depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the records in a JSON value.

    Args:
        value: The value: a record, or an object that holds many.
        split: The name of the split that the value belongs to, "" for none.
        depth: How deeply the value is nested.

    Yields:
        The name of a record's split, and the record.
    """
    if not isinstance(value, dict) or depth > _DEEPEST:
        return
    if isinstance(value.get("row"), dict):
        # The datasets server numbers its rows.
        yield from rows_of(value["row"], split, depth + 1)
        return
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        # pandas, with the names of the columns apart.
        columns = [str(column) for column in value["columns"]]
        for row in value["data"]:
            yield split, dict(zip(columns, row, strict=False)) if isinstance(row, list) else {}
        return
    row = _with_lists(value)
    if any(_is_words(key, held) for key, held in row.items()) or _has_tags_beside_tokens(row):
        yield split, row
    elif (key := next((key for key in (*_TOKENS, *value) if _is_column(value.get(key))), None)) is not None:
        yield from ((split, one) for one in _columnar(value, key))
    else:
        source = next((value[key] for key in DOCUMENTS if is_name(value.get(key))), None)
        for key, held in value.items():
            # The names of tags stand in a list, too.
            items = held if isinstance(held, list) else [held]
            for one in items if key != "features" else []:
                for inner, row in rows_of(one, key if key in _SPLITS else split, depth + 1):
                    yield inner, row if source is None else {"source": source, **row}


def token_key(rows: Sequence[dict[str, Any]]) -> str | None:
    """The key of the tokens: a list of strings, under a usual name or beside tags with prefixes; None for none."""
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if _is_words(key, value))
    usual = [key for key in _TOKENS if key in keys] + [key for key in keys if key not in _TOKENS]
    if usual:
        return usual[0]
    tagged = {key for row in rows for key, value in row.items() if is_prefixed(value)}
    counts: Counter[str] = Counter()
    for row in rows:
        lengths = {len(row[key]) for key in tagged if key in row}
        for key, value in row.items():
            if key not in tagged and is_scalars(value) and len(value) in lengths and value:
                counts[key] += len(set(map(str, value))) if isinstance(value[0], str) else 0
    return next((key for key, count in counts.most_common(1) if count), None)


def tag_keys(rows: Sequence[dict[str, Any]], tokens: str | None) -> list[str]:
    """The keys under which there may be tags, the likeliest first."""
    found: Counter[str] = Counter()
    for row in rows:
        length = len(row.get(tokens or "") or [])
        for key, value in row.items():
            if key != tokens and key not in SPACES and is_scalars(value):
                # One broken record does not hide the tags of the others.
                found[key] += len(value) == length if _LIKE_TAGS.search(key) or is_prefixed(value) else 0
    known = [key for key in _TAGS if found[key]]
    others = (key for key, count in found.items() if count and key not in known)
    return known + sorted(others, key=lambda key: bool(NOT_ENTITIES.search(key)))


def is_scalars(value: Any) -> bool:
    """Whether a JSON value is a list of strings, numbers and nulls."""
    return isinstance(value, list) and all(isinstance(item, str | int | float) or item is None for item in value)


def is_prefixed(value: Any) -> bool:
    """Whether a JSON value is a list of tags that their prefixes tell."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, str) and _PREFIXED.fullmatch(item) for item in value)
        and value != ["O"]
    )


def is_name(value: Any) -> bool:
    """Whether a JSON value may be the name or the number of a document."""
    # A text may stand under such a key as well.
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and 0 < len(value) <= 200 and "\n" not in value
    )


def _is_words(key: str, value: Any) -> bool:
    """Whether what stands under a key are tokens, by their key."""
    named = key in _TOKENS or (_LIKE_TOKENS.search(key) and not _LIKE_TAGS.search(key))
    return bool(named) and is_scalars(value) and (not value or any(isinstance(item, str) for item in value))


def _has_tags_beside_tokens(row: dict[str, Any]) -> bool:
    lengths = Counter(len(value) for value in row.values() if is_scalars(value))
    return any(is_prefixed(value) and lengths[len(value)] > 1 for value in row.values())


def _with_lists(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose tokens and tags may be strings, divided by blanks."""
    for key in _TAGS:
        tags = row[key].split() if isinstance(row.get(key), str) else []
        if not is_prefixed(tags):
            continue
        for other in _TOKENS:
            tokens = row[other].split() if isinstance(row.get(other), str) else []
            if len(tokens) == len(tags):
                return {**row, other: tokens, key: tags}
    return row


def _is_column(value: Any) -> bool:
    cells = list(value.values()) if isinstance(value, dict) else value
    return (
        isinstance(cells, list) and bool(cells) and all(isinstance(cell, list) and is_scalars(cell) for cell in cells)
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
