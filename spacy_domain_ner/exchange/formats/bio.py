"""Tags of tokens as spans: IOB1, IOB2, BIOES, BILUO, BMES, and types without prefixes."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

# The label where tags say that there is an entity, but not its type.
UNTYPED = "ENTITY"
_TAG = re.compile(r"([BIOESLUMW])[-_](.+)")
_SUFFIXED = re.compile(r"(.+)[-_]([BIESLUMW])")
_BARE = frozenset("BIESLUMW")
# The share of tags that must fit: in some lines a tag may be wrong or missing.
_MOST = 0.9
# More types than this are not types, but words.
_MOST_TYPES = 200
# Types without prefixes are told from words by the share of tokens that have none.
LEAST_OUTSIDE = 0.3
# Tags in brackets, as in CoNLL-2012: `(ORG*`, `*`, `*)`, `(ORG)`.
_BRACKETS = re.compile(r"\(([^()*\s]*[^\W\d][^()*\s]*)(\*?\)|\*)|\*\)?")


class BadTagError(ValueError):
    """A value that is not a tag."""


@dataclass(frozen=True)
class Tagging:
    """How the tags of one file are written.

    Attributes:
        style: "prefixes" (B-PER), "suffixes" (PER-B), "bare" (B), "types" (PER), "brackets" (`(PER*`), or "outside"
            where there is no entity.
        scheme: The scheme's name, for the report.
        outside: The tag of a token that is not in an entity.
        lower: Whether prefixes are written in lower case.
        known: For the style "types", the types that were seen: other values are not tags.
        names: The tags' names in the order of their numbers, where tags are numbers; else empty.
    """

    style: str
    scheme: str
    outside: str = "O"
    lower: bool = False
    known: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    @property
    def prefixes(self) -> bool:
        """Whether the tags, as `read` gives them, have prefixes."""
        return self.style != "types"

    def read(self, value: str) -> str | None:
        """Read a tag as `decode_tags` takes it. Returns None where the value is not a tag."""
        if self.names:
            value = named_tag(value, self.names)
        if value == self.outside:
            return "O"
        if value in ("-", "_"):
            return "-"
        if self.style == "types":
            return value if value in self.known else None
        if self.style == "brackets":
            return value if _BRACKETS.fullmatch(value) else None
        return _canonical(value, self.style, self.lower)


def find_tagging(
    values: Sequence[str], types: Collection[str] = (), least_outside: float = LEAST_OUTSIDE
) -> Tagging | None:
    """Find out how a column's tags are written.

    Args:
        values: The column in many sentences, with "" after each sentence.
        types: The entity types that are known. A value that is one of them is a type, even if it looks like a tag with
            a prefix (`B-cell`) or like a prefix alone (`S`).
        least_outside: The share of tokens that must be in no entity, where types have no prefixes.

    Returns:
        How they are written, None where the column does not hold tags.
    """
    counts = Counter(value for value in values if value)
    if not counts:
        return None
    outside = next((value for value in ("O", "o", "OUT", "0") if counts[value]), "")
    others = {value: count for value, count in counts.items() if value not in (outside, "O", "-", "_")}
    total, other = counts.total(), sum(others.values())
    if not other and outside:
        return Tagging("outside", "no tags but O", outside) if counts[outside] >= 0.5 * total else None
    for style in ("prefixes", "suffixes", "bare"):
        for lower in (False, True):
            read = {value: tag for value in others if value not in types and (tag := _canonical(value, style, lower))}
            fitting = sum(others[value] for value in read)
            # A rare type may happen to look like a tag with a prefix ("E-mail").
            if 2 * fitting < other or fitting + total - other < _MOST * total:
                continue
            if not any(tag[0] in "BISUW" for tag in read.values()):
                continue
            if style == "bare" and not (outside and counts["b" if lower else "B"]):
                continue
            # In some files, a token that is not in an entity has the tag `-` or `_`.
            out = outside or max("-_", key=lambda value: counts[value])
            tagging = Tagging(style, "", out if counts[out] else "O", lower)
            name = scheme_of([tagging.read(value) or "O" for value in values])
            return Tagging(style, name + {"bare": " without types"}.get(style, ""), tagging.outside, lower)
    if other and sum(count for value, count in others.items() if _BRACKETS.fullmatch(value)) >= _MOST * other:
        named = least_outside < LEAST_OUTSIDE or any(value[0] == "(" for value in others)
        return Tagging("brackets", "bracketed", "*") if named else None
    # Types without prefixes: there are few, and many tokens have none.
    if others and others.keys() <= set(types):
        return Tagging("types", "IO", outside or "O", known=frozenset(others))
    if not outside and least_outside < LEAST_OUTSIDE:
        outside = next((value for value in ("_", "-", "NONE", "None", "none") if counts[value]), "")
        others.pop(outside, None)
    if outside and others and len(others) <= _MOST_TYPES and counts[outside] >= least_outside * total:
        return Tagging("types", "IO", outside, known=frozenset(others))
    return None


def named_tag(value: str, names: Sequence[str]) -> str:
    """Return the name of a tag that is a number.

    Args:
        value: The number.
        names: The names in the order of their numbers.

    Returns:
        The name; "-" for a negative number, of which nothing is known; what was given where it has no name.
    """
    if value[:1] == "-" and value[1:].isdecimal():
        return "-"
    number = int(value) if value.isdecimal() and len(value) < 5 else len(names)
    return names[number] if number < len(names) else value


def tags_of_brackets(values: Sequence[str]) -> list[str]:
    """Turn the bracketed tags of a sentence into tags with prefixes.

    Args:
        values: One per token: `(ORG*` begins, `*` continues or is outside, `*)` ends, `(ORG)` is a whole entity.
    """
    tags, label = [], ""
    for value in values:
        match = _BRACKETS.fullmatch(value)
        if match and match[1]:
            tags.append(f"B-{match[1]}")
            label = match[1]
        else:
            tags.append(f"I-{label}" if match and label else value if not match else "O")
        if value.endswith(")"):
            label = ""
    return tags


def parse_tag(tag: str) -> tuple[str, str]:
    """Cut a tag into prefix and label: ("B", "PER"), ("O", "") outside, ("", "PER") where the tag has no prefix."""
    if tag in ("O", "-", "_", ""):
        return "O", ""
    match = _TAG.fullmatch(tag)
    return (match[1], match[2]) if match and match[1] != "O" else ("", tag)


def decode_tags(tags: Sequence[str], prefixes: bool | None = None) -> tuple[list[tuple[int, int, str]], int]:
    """Find the spans that tags stand for.

    Args:
        tags: One per token; "O" outside, "-" where nothing is known.
        prefixes: Whether the tags have prefixes, None to find out from these tags.

    Returns:
        Each span's first and last token and label, and how many spans begin with an I that continues nothing.

    Raises:
        BadTagError: A tag has no prefix, and others have one.
    """
    parsed = [parse_tag(tag) for tag in tags]
    if prefixes is None:
        prefixes = any(prefix not in ("O", "") for prefix, _ in parsed)
    spans: list[tuple[int, int, str]] = []
    repaired = 0
    # The label of a span that may continue at the next token.
    open_label: str | None = None
    for index, (prefix, label) in enumerate(parsed):
        if prefix == "O":
            open_label = None
            continue
        if not prefix and prefixes:
            raise BadTagError(f"{tags[index]!r} is not a tag")
        if not prefixes:
            # Neighbours of one type are one span: such a file can't divide them.
            prefix, label = "I", tags[index]
        if open_label == label and prefix in "IELM":
            spans[-1] = (spans[-1][0], index, label)
        else:
            spans.append((index, index, label))
            repaired += prefixes and prefix in "IELM"
        open_label = None if prefix in "ELSUW" else label
    return spans, repaired


def scheme_of(tags: Sequence[str]) -> str:
    """Name the scheme of tags with prefixes: IOB2, IOB1, BIOES, BILUO or BMES.

    Args:
        tags: The tags of many sentences, with "O" after each sentence.

    Returns:
        The name.
    """
    prefixes = {prefix for prefix, _ in map(parse_tag, tags)} - {"O"}
    if prefixes & {"M", "W"}:
        return "BMES"
    if prefixes & {"L", "U"}:
        return "BILUO"
    if prefixes & {"E", "S"}:
        return "BIOES"
    before = ("O", "")
    starts_with_i = needless_b = 0
    for tag in map(parse_tag, tags):
        starts_with_i += tag[0] == "I" and before[1] != tag[1]
        needless_b += tag[0] == "B" and before[1] != tag[1]
        before = tag
    # In IOB1 a B stands only where two spans of one type touch.
    return "IOB1" if starts_with_i and not needless_b else "IOB2"


@lru_cache(maxsize=1024)
def _canonical(value: str, style: str, lower: bool) -> str | None:
    if style == "bare":
        prefix = value.upper() if lower else value
        return f"{prefix}-{UNTYPED}" if prefix in _BARE and (not lower or value != prefix) else None
    if style == "suffixes":
        match = _SUFFIXED.fullmatch(value[:-1] + value[-1:].upper() if lower else value)
        return f"{match[2]}-{match[1]}" if match else None
    match = _TAG.fullmatch(value[:1].upper() + value[1:] if lower else value)
    return f"{match[1]}-{match[2]}" if match and match[1] != "O" else None
