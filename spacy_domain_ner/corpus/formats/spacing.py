"""Putting tokens together again as a text with natural spacing, every token's place known."""

import re
from collections.abc import Iterable, Sequence

_OPENING = frozenset("([{<¿¡«“‘`") | {"``", "-LRB-", "-LSB-", "-LCB-", "„"}
_CLOSING = frozenset(")]},;:.!?%»”’…>") | {"''", "-RRB-", "-RSB-", "-RCB-", "...", "..", "?!", "!!", "!?"}
# What English tokenizers cut from the end of a word.
_ENDINGS = re.compile(r"(?i)n['’]t|['’](s|re|ve|ll|d|m)|['’]")
_CURRENCY = frozenset("$£€¥")
_QUOTES = frozenset("\"'")
_INNER_HYPHEN = re.compile(r"\w-\w")


class Spacing:
    """How the tokens of one file were cut: whether a hyphen or a slash that stands alone was part of a word."""

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        """tokens: Some of the file's tokens. Where none has a hyphen inside, the tokenizer cut at hyphens."""
        alone = {"-": 0, "/": 0}
        inside = {"-": 0, "/": 0}
        for token in tokens:
            if token in alone:
                alone[token] += 1
            elif len(token) > 2:
                inside["-"] += bool(_INNER_HYPHEN.search(token))
                inside["/"] += "/" in token[1:-1] and "//" not in token
        self.glued = frozenset(mark for mark in alone if alone[mark] and not inside[mark])


def join_tokens(tokens: Sequence[str], spacing: Spacing | None = None) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens as they would be written.

    RETURNS: The text, and each token's start and end in it, in code points, `end` exclusive.
    """
    glued = (spacing or Spacing()).glued
    parts: list[str] = []
    offsets: list[tuple[int, int]] = []
    length = 0
    quoted: set[str] = set()
    opened = ""  # the quotation mark that has just been opened
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else ""
        if token.isalnum() and before.isalnum():
            # Two plain words, as most are.
            parts.append(" " + token)
            offsets.append((length + 1, length + 1 + len(token)))
            length += 1 + len(token)
            opened = ""
            continue
        after = tokens[index + 1] if index + 1 < len(tokens) else ""
        closes = token in _QUOTES and token in quoted
        space = index > 0 and not (
            before in _OPENING
            or opened == before != ""
            or closes
            or (before in _CURRENCY and token[:1].isalnum())
            or _sticks(token, before, after)
            or (token in glued and _is_word(before) and _is_word(after))
            or (before in glued and index > 1 and _is_word(tokens[index - 2]) and _is_word(token))
        )
        opened = ""
        if closes:
            quoted.discard(token)
        elif token in _QUOTES and not _sticks(token, before, after):
            quoted.add(token)
            opened = token
        if space:
            parts.append(" ")
            length += 1
        parts.append(token)
        offsets.append((length, length + len(token)))
        length += len(token)
    return "".join(parts), offsets


def align_tokens(tokens: Sequence[str], text: str, start: int = 0) -> list[tuple[int, int]] | None:
    """Each token's start and end in the text that it comes from, None where they are not all there in order.

    start: Where in the text to begin.
    """
    places = []
    for token in tokens:
        while start < len(text) and text[start].isspace():
            start += 1
        # The Penn Treebank writes quotation marks its own way.
        forms = (token, '"') if token in ("``", "''") else (token,)
        form = next((form for form in forms if text.startswith(form, start)), None)
        if not form:
            return None
        places.append((start, start + len(form)))
        start += len(form)
    return places


def _sticks(token: str, before: str, after: str) -> bool:
    """Whether nothing stands between a token and the one before it."""
    if token in _CLOSING:
        # A full stop or a bracket after a mark of another kind may begin something (.net, :-), but rarely does.
        return not (token in "<>" and not before.isalnum())
    if token in ("'", "’"):
        # The genitive of a plural; behind another letter it is a quotation mark.
        return before[-1:] in ("s", "S") and not after[:1].isdigit()
    return bool(_ENDINGS.fullmatch(token)) and before[-1:].isalpha()


def _is_word(token: str) -> bool:
    return bool(token) and (token[0].isalnum() and token[-1].isalnum())
