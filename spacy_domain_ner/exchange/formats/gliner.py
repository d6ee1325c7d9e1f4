"""GLiNER's training data: `{"tokenized_text": [...], "ner": [[first, last, "label"], ...]}`.

The numbers count tokens from 0, and the last token belongs to the span. Labels are words as people write them, such as
"phone number".
"""

from collections.abc import Iterable, Iterator
from typing import Any

from spacy_domain_ner.corpus.jsonl import is_offset, shown
from spacy_domain_ner.exchange.formats.spacing import Spacing, join_tokens
from spacy_domain_ner.exchange.formats.version import Status, Version, name_of
from spacy_domain_ner.reading.records import RefusedError

_TOKENS = "tokenized_text"


def is_row(record: Any) -> bool:
    """Whether a JSON value is a row of GLiNER's training data, or holds such rows in lists."""
    return next(_rows(record), None) is not None


def find_spacing(records: Iterable[Any]) -> Spacing:
    """Find out how the tokens of a file were cut."""
    return Spacing(token for record in records for row in _rows(record) for token in _tokens(row))


def read_row(
    record: Any, text_key: str | None = None, spacing: Spacing | None = None
) -> Iterator[Version | RefusedError]:
    """Read a row, or an object with lists of rows.

    Args:
        record: The row.
        text_key: Not used: the text is made of the tokens.
        spacing: How the tokens of the file were cut; None where that is not known.

    Yields:
        The version of each row, or the reason why there is none.

    Raises:
        RefusedError: It is not a row.
    """
    if isinstance(record, dict) and _TOKENS in record:
        yield _version(record, spacing)
        return
    number = 0
    for number, row in enumerate(_rows(record), 1):
        try:
            version = _version(row, spacing)
            version.id = version.id or f"record {number}"
            yield version
        except RefusedError as error:
            yield RefusedError(error.reason, name_of(row.get("id")) or f"record {number}")
    if not number:
        raise RefusedError(f"a row must be an object with the list {_TOKENS!r}")


def _version(row: dict[str, Any], spacing: Spacing | None) -> Version:
    tokens, found = row[_TOKENS], row.get("ner")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise RefusedError(f"{_TOKENS!r} must be a list of strings, not {shown(tokens)}")
    if not isinstance(found, list | None):
        raise RefusedError(f"'ner' must be a list of [first, last, label], not {shown(found)}")
    text, places = join_tokens(tokens, spacing)
    version = Version(text, id=name_of(row.get("id")))
    if found is None:
        version.status = Status.UNANNOTATED
    for item in found or []:
        _add(version, item, tokens, places)
    if isinstance(relations := row.get("relations"), list) and relations:
        version.ignored["relation"] = len(relations)
    return version


def _add(version: Version, item: Any, tokens: list[str], places: list[tuple[int, int]]) -> None:
    if isinstance(item, dict):
        item = [item.get("start"), item.get("end"), item.get("label", item.get("type"))]
    if not isinstance(item, list) or len(item) < 3 or not (is_offset(item[0]) and is_offset(item[1])):
        version.refused.append(("", f"this is not [first, last, label]: {shown(item)}"))
        return
    first, last, label = int(item[0]), int(item[1]), item[2]
    if not 0 <= first <= last < len(tokens):
        version.refused.append(("", f"{label} {first} to {last} lies outside the {len(tokens)} tokens or is inverted"))
        return
    # A mention may have several labels: each is a span.
    for one in label if isinstance(label, list) and label else [label]:
        version.add_span(places[first][0], places[last][1], one)


def _rows(record: Any) -> Iterator[dict[str, Any]]:
    if isinstance(record, dict) and _TOKENS in record:
        yield record
    elif isinstance(record, dict):
        lists = (value for value in record.values() if isinstance(value, list))
        yield from (row for rows in lists for row in rows if isinstance(row, dict) and _TOKENS in row)


def _tokens(row: dict[str, Any]) -> list[str]:
    tokens = row[_TOKENS]
    return [token for token in tokens if isinstance(token, str)] if isinstance(tokens, list) else []
