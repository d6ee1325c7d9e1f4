"""How a command ended."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """How a command ended, and what it said."""

    code: object
    out: str
    err: str
