"""One record of a file: JSON that holds a text."""

import json
from typing import Any

from spacy_domain_ner.text import lone_surrogate

ANOTHER_ENCODING = "if the file has another encoding, name it with `encoding`"

TOO_DEEP = "JSON that is nested too deeply"
# How many brackets may stand around a value.
DEEPEST = 100


class RefusedError(Exception):
    """A record that can't be read.

    Attributes:
        reason: Why not.
        id: The record's own id, "" where it has none.
        text: The record's text, "" where it has none.
    """

    def __init__(self, reason: str, id: str = "", text: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.id = id
        self.text = text


def decoded(raw: bytes) -> str:
    """Decode a line.

    Raises:
        RefusedError: It is not UTF-8 text.
    """
    try:
        return raw.decode("utf8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"not UTF-8 text ({error.reason} at byte {error.start}): {ANOTHER_ENCODING}") from None


def parse_json(line: str | bytes) -> Any:
    """Read one JSON value.

    Raises:
        RefusedError: The line is not JSON.
    """
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise RefusedError(f"not valid JSON ({error.msg.removesuffix(' at')} at column {error.colno})") from None
    except UnicodeDecodeError as error:
        raise RefusedError(f"not UTF-8 text ({error.reason} at byte {error.start})") from None
    except RecursionError:
        raise RefusedError(TOO_DEEP) from None
    except ValueError:
        raise RefusedError("a number of thousands of digits") from None
    # Few lines have so many brackets at all.
    brackets = line.count("[") + line.count("{") if isinstance(line, str) else line.count(b"[") + line.count(b"{")
    if brackets > DEEPEST and is_too_deep(value):
        raise RefusedError(TOO_DEEP)
    return value


def is_too_deep(value: Any) -> bool:
    """Whether a JSON value is nested so deeply that what is done with it would reach Python's limit.

    Args:
        value: The value.
    """
    level = [value]
    for _ in range(DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list))
        level = [value for values in inner for value in values]
        if not level:
            return False
    return True


def parse_record(line: str | bytes, text_key: str = "text") -> dict[str, Any]:
    """Read one JSON line that holds a text.

    Args:
        line: The line.
        text_key: The key of the text.

    Returns:
        The record.

    Raises:
        RefusedError: The line is not a JSON object with a Unicode text that has more than white space.
    """
    return with_text(parse_json(line), text_key)


def with_text(record: Any, text_key: str = "text") -> dict[str, Any]:
    """Check that a JSON value is an object with a text, and return it.

    Raises:
        RefusedError: It is not, or the text has only white space, or is not Unicode text.
    """
    if not isinstance(record, dict):
        raise RefusedError(f"a record must be a JSON object with a key {text_key!r}")
    text = record.get(text_key)
    if text is None:
        raise RefusedError(f"no {text_key!r} in the record")
    if not isinstance(text, str):
        raise RefusedError(f"{text_key!r} must be a string")
    if not text.strip():
        raise RefusedError("an empty text")
    if (lone := lone_surrogate(text)) is not None:
        raise RefusedError(f"half of a surrogate pair at offset {lone}: this is not Unicode text")
    return record
