"""A group of rules for the text of one field, and what all fields have in common.

The module of a field (software.py, biomedical.py, legal.py, financial.py) has two tables: NAMES stay whole, and at
JOINTS a token ends inside a word. In the last three, each pattern stands beside examples, which the tests try.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Characters that show nothing, as far as they can stand within a name.
HIDDEN = "\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
# Hyphens; spaCy knows the first only.
HYPHEN = "[-\u2010\u2011]"
# Examples as one text, and the pattern that they are examples of.
Table = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Group:
    """The patterns of one field.

    Attributes:
        heads: Look-aheads at the first character of a chunk: nothing is removed there.
        tails: Patterns from the first character of a chunk to its end: nothing is removed at its end.
        names: The pattern of a name inside a chunk.
        joints: Patterns of what is a token of its own between two others.
        opening: What a head may begin with besides a character that is neither a letter nor a digit.
        suffixes: Patterns of what is removed at the end of a word.
        dropped: Patterns of whole special cases of spaCy that do not hold in the field.
    """

    heads: tuple[str, ...]
    tails: tuple[str, ...]
    names: str
    joints: tuple[str, ...]
    opening: str = ""
    suffixes: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


# Marks that never occur inside a name of these fields, which spaCy leaves within a word. A run of them is one token:
# spaCy skips an infix that directly follows another one.
_MARKS = (
    r"(?<=[\w}>\])*/…])(?:->|=>)|(?<=\w)[-=]{2,}>",
    r"(?<=\w)[`\"”’]{1,8}[-/](?=\w)",
    r"(?:[\"`()\[\]{}<>|;=\\“”«»—–→←⇒•·]|'(?=[:,;=)\]])|,(?=[^\d\s])|:(?=[\"`'\[({])){1,50}",
    # The hyphens that spaCy does not know.
    r"(?<=\w)[\u2010\u2011](?=[^\W\d_])",
)
# spaCy takes the full stop of a sentence for a part of SCN10A, 2B, hsdS, 10-K, A/S and G&A.
_SUFFIXES = (r"(?<=[a-z\d][A-Z])\.$", r"(?<=\d-[A-Z])\.$", r"(?<=\w[/&][A-Z])\.$")
# Emoticons such as `):` and `8)`: in these fields they are the end of a bracket.
_DROPPED = (r"(?!<space>).*[()\[\]<>].*", r"[:;=]\W*\w")


def make_group(
    names: Table,
    joints: Table,
    start: str,
    end: str,
    opening: str = "",
    closing: str = r"[)\].+′'’-]",
    suffixes: tuple[str, ...] = (),
    dropped: tuple[str, ...] = (),
) -> Group:
    """Make a field's group of its two tables.

    Args:
        names: What stays whole. Of two patterns that match at a place, the first one holds: longer names come first.
        joints: What is a token of its own inside a word.
        start: A look-behind that holds where a name can begin.
        end: A look-ahead that holds where a name can end.
        opening: As in `Group`.
    """
    name = _any(pattern for _, pattern in names)
    # By their examples: only of these would spaCy remove something.
    opened = _any(row for forms, row in names if re.search(rf"(?:^|\s)(?:[^\w\s]|{opening or '(?!)'})", forms))
    closed = _any(row for forms, row in names if re.search(rf"{closing}(?:\s|$)", forms))
    # A chunk may end with a name's own bracket or full stop although something else is joined to the name.
    last = rf"(?=[\s\S]{{0,200}}{closing}\Z)[\s\S]{{0,200}}?{start}{closed}\Z"
    return Group(
        heads=(rf"(?={start}{opened}{end})",),
        tails=(last,),
        names=f"{start}{name}{end}",
        joints=(*(pattern for _, pattern in joints), *_MARKS),
        opening=opening,
        suffixes=(*suffixes, *_SUFFIXES),
        dropped=(*dropped, *_DROPPED),
    )


def without_rules() -> Group:
    """The group of no field: only the marks that divide words in any text."""
    return Group(heads=(), tails=(), names="", joints=_MARKS, suffixes=_SUFFIXES, dropped=_DROPPED)


def _any(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns)})"
