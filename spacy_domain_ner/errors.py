"""The one error that a user is meant to read."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


class UserError(ValueError):
    """Something that the user can fix: bad input, a missing file, a value that does not fit.

    The command line prints it without a traceback and exits with 1. A parameter that a message names in backticks is
    shown there as the verb's option: `min_confidence` as --min-confidence, `rename=OLD=NEW` as --rename OLD=NEW.

    Attributes:
        what: What is wrong and where (file, line, id).
        hint: What to do about it.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}\n{hint}" if hint else what)
        self.what = what
        self.hint = hint


def reason(error: Exception) -> str:
    """Give the message of another library's exception on one line, for the text of a UserError."""
    text = " ".join(str(error).split())
    # A KeyError says no more than the key, and some say nothing.
    return f"{type(error).__name__}: {text}".rstrip(": ") if isinstance(error, KeyError) or not text else text


def problem_in_words(problem: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Describe one of pydantic's problems with a file.

    Args:
        problem: What a ValidationError says of it.
        keys: The keys that the file may have: for one that it may not have, the nearest is suggested.
    """
    if problem["type"] == "extra_forbidden" and problem["loc"]:
        key = str(problem["loc"][-1])
        meant = get_close_matches(key, list(keys), n=1)
        return f"the key {key!r} is not known" + (f"; did you mean {meant[0]!r}?" if meant else "")
    return str(problem["msg"]).removeprefix("Value error, ")
