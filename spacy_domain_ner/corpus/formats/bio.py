"""Tags of tokens as spans: IOB1, IOB2, BIOES, BILUO, BMES, and types without prefixes."""

import re
from collections.abc import Sequence

_TAG = re.compile(r"([BIOESLUMW])[-_](.+)")


class BadTagError(ValueError):
    """A tag that is none."""


def parse_tag(tag: str) -> tuple[str, str]:
    """A tag's prefix and label: ("B", "PER"), ("O", "") outside, ("", "PER") where the tag has no prefix."""
    if tag in ("O", "-", "_", ""):
        return "O", ""
    match = _TAG.fullmatch(tag)
    return (match[1], match[2]) if match and match[1] != "O" else ("", tag)


def decode_tags(tags: Sequence[str], prefixes: bool | None = None) -> tuple[list[tuple[int, int, str]], int]:
    """The spans that tags make.

    tags: One a token; "O" outside, "-" where nothing is known.
    prefixes: Whether the tags have prefixes, None to tell by these tags. A tag without one, where others have
        them, is an error.
    RETURNS: Each span's first and last token and label, and how many spans began with an I that follows nothing.
    RAISES: BadTagError.
    """
    parsed = [parse_tag(tag) for tag in tags]
    if prefixes is None:
        prefixes = any(prefix not in ("O", "") for prefix, _ in parsed)
    spans: list[tuple[int, int, str]] = []
    repaired = 0
    # The label of a span that may go on at the next token.
    open_label: str | None = None
    for index, (prefix, label) in enumerate(parsed):
        if prefix == "O":
            open_label = None
            continue
        if not prefix and prefixes:
            raise BadTagError(f"{tags[index]!r} is no tag")
        if not prefixes:
            # Neighbours of one type are one span: such a file can't say otherwise.
            prefix, label = "I", tags[index]
        goes_on = open_label == label and prefix in "IELM"
        if goes_on:
            spans[-1] = (spans[-1][0], index, label)
        else:
            spans.append((index, index, label))
            repaired += prefixes and prefix in "IELM"
        open_label = None if prefix in "ELSUW" else label
    return spans, repaired


def scheme_of(tags: Sequence[str]) -> str:
    """What the tags are called: IOB2, IOB1, BIOES, BILUO, BMES or IO.

    tags: The tags of many sentences, each sentence followed by "O".
    """
    prefixes = {prefix for prefix, _ in map(parse_tag, tags)} - {"O"}
    if not prefixes - {""}:
        return "IO" if prefixes else "no tags but O"
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
