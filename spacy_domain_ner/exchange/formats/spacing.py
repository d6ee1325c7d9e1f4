"""Joining tokens to a text with natural spacing, and finding tokens in a text."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from spacy_domain_ner.text import UNSPACED_SCRIPTS

_OPENING = frozenset("([{<¿¡`") | {"``", "-LRB-", "-LSB-", "-LCB-"}
_CLOSING = frozenset(")]},;:.!?%’…>،؛؟۔।॥") | {"''", "-RRB-", "-RSB-", "-RCB-", "...", "..", "?!", "!!", "!?"}
# What English tokenizers cut off the end of a word.
_ENDINGS = re.compile(r"(?i)n['’]t|['’](s|re|ve|ll|d|m)|['’]")
_CURRENCY = frozenset("$£€¥")
# Letters before a dollar sign that belong to it, as for Brazil's currency.
_DOLLARS = frozenset(("R", "US", "A", "AU", "C", "CA", "NZ", "HK"))
_QUOTES = frozenset("\"'")
# The marks that close what a mark opens. Some close in one language and open in another („so“, »so«, ”so”).
_CLOSED_BY = {"„": "“”", "‚": "‘’", "“": "”", "‘": "’", "«": "»", "»": "«", "”": "”"}
_STOPS = frozenset(".,;:!?)")
_INNER_HYPHEN = re.compile(r"[\w\u0300-\u036f\u0900-\u0dff]-\w")
_APOSTROPHES = frozenset("'’´")
_CUT_ENDINGS = frozenset(("s", "re", "ve", "ll", "d", "m", "t"))
# French and Italian words that lose their last vowel before a word that begins with a vowel.
_ELIDED = frozenset((
    "l", "d", "j", "n", "c", "s", "m", "t", "qu", "jusqu", "lorsqu", "puisqu", "quelqu", "aujourd", "dell", "nell",
    "dall", "sull", "all", "un", "quest",
))  # fmt: skip
# Those that are not English words.
_ELIDED_ALONE = _ELIDED - {"all", "un", "quest"}
# The scripts that are written without spaces, with the CJK full stops, brackets and wide letters.
_UNSPACED = re.compile(rf"[{UNSPACED_SCRIPTS}\u2e80-\u303f\uff00-\uffef]")
_HANGUL = re.compile(r"[\uac00-\ud7a3]")


class Spacing:
    """How the tokens of one file were cut.

    Attributes:
        glued: The marks (hyphen, slash) that the tokenizer cut off words, so that no space belongs around them.
        characters: Whether every character is a token, as in files of Chinese or Korean.
        exact: Whether the text has no spaces between words, so that a blank among the tokens is a blank of the text.
    """

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        """Find out from some tokens how all were cut.

        Args:
            tokens: Some of the file's tokens. The tokenizer cut at hyphens if none of them has a hyphen inside.
        """
        alone = {"-": 0, "/": 0}
        inside = {"-": 0, "/": 0}
        total = characters = longer = unspaced = 0
        for token in tokens:
            total += token != ""
            if not token.isascii() and (_UNSPACED.match(token) or _HANGUL.match(token)):
                characters += len(token) == 1
                longer += len(token) > 1
                unspaced += _UNSPACED.match(token) is not None
            if token in alone:
                alone[token] += 1
            elif len(token) > 2:
                inside["-"] += bool(_INNER_HYPHEN.search(token))
                inside["/"] += "/" in token[1:-1] and "//" not in token
        self.glued = frozenset(mark for mark in alone if alone[mark] and not inside[mark])
        self.characters = 2 * characters > total and 20 * longer <= characters
        self.exact = self.characters or 2 * unspaced > total


def join_tokens(tokens: Sequence[str], spacing: Spacing | None = None) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens as people would write them.

    Args:
        tokens: The tokens of a sentence.
        spacing: How the tokens of the file were cut; None where that is not known.

    Returns:
        The text, and each token's start and end in it, in code points, `end` exclusive.
    """
    spacing = spacing or Spacing()
    glued = spacing.glued
    solid = "".join(tokens)
    marks = {} if solid.isascii() else _quotation_marks(tokens)
    cut = set() if _APOSTROPHES.isdisjoint(solid) else _cut_words(tokens)
    unspaced = not solid.isascii() and _UNSPACED.search(solid) is not None
    plain = not (unspaced or spacing.characters)
    parts: list[str] = []
    offsets: list[tuple[int, int]] = []
    length = 0
    quoted: set[str] = set()
    opened = ""  # the quotation mark that has just been opened
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else ""
        if plain and token.isalnum() and before.isalnum() and index not in cut:
            # Two plain words, as in most cases.
            parts.append(" " + token)
            offsets.append((length + 1, length + 1 + len(token)))
            length += 1 + len(token)
            opened = ""
            continue
        after = tokens[index + 1] if index + 1 < len(tokens) else ""
        closes = token in _QUOTES and token in quoted and index not in cut
        space = index > 0 and not (
            before in _OPENING
            or index in cut
            or (token == "$" and before in _DOLLARS)
            or marks.get(index - 1) is True
            or marks.get(index) is False
            or opened == before != ""
            or closes
            or (before in _CURRENCY and token[:1].isalnum())
            or _sticks(token, before, after)
            or (token in glued and _is_word(before) and _is_word(after))
            or (before in glued and index > 1 and _is_word(tokens[index - 2]) and _is_word(token))
            or (unspaced and (_UNSPACED.match(token) or _UNSPACED.match(before[-1:])))
            or (spacing.characters and not (len(before) > 1 and len(token) > 1 and _is_word(before + token)))
        )
        opened = ""
        if closes:
            quoted.discard(token)
        elif token in _QUOTES and index not in cut and not _sticks(token, before, after):
            quoted.add(token)
            opened = token
        if space:
            parts.append(" ")
            length += 1
        parts.append(token)
        offsets.append((length, length + len(token)))
        length += len(token)
    return "".join(parts), offsets


def join_spaced(tokens: Sequence[str], spaced: Sequence[bool]) -> tuple[str, list[tuple[int, int]]]:
    """Join tokens where it is known after which of them a space stands.

    Args:
        tokens: The tokens of a sentence.
        spaced: For each token, whether a space follows it.

    Returns:
        The text, and each token's start and end in it, in code points, `end` exclusive.
    """
    text, offsets = "", []
    for token, space in zip(tokens, spaced, strict=True):
        offsets.append((len(text), len(text) + len(token)))
        text += token + " " * space
    return text, offsets


def align_tokens(tokens: Sequence[str], text: str, start: int = 0) -> list[tuple[int, int]] | None:
    """Find tokens in the text that they come from.

    Args:
        tokens: The tokens.
        text: The text.
        start: Where in the text to begin, in code points.

    Returns:
        Each token's start and end in code points, None where the text does not have all of them in this order.
    """
    places = []
    for token in tokens:
        while start < len(text) and text[start].isspace():
            start += 1
        # The Penn Treebank has its own quotation marks.
        forms = (token, '"') if token in ("``", "''") else (token,)
        form = next((form for form in forms if text.startswith(form, start)), None)
        if not form:
            return None
        places.append((start, start + len(form)))
        start += len(form)
    return places


def _sticks(token: str, before: str, after: str) -> bool:
    """Whether a token follows the one before it without a space."""
    if token in _CLOSING:
        # A full stop or a bracket after another mark may begin a word (.net, :-), but rarely does.
        return not (token in "<>" and not before.isalnum())
    if token in ("'", "’"):
        # After an s it is the genitive of a plural, after another letter a quotation mark.
        return before[-1:] in ("s", "S") and not after[:1].isdigit()
    return bool(_ENDINGS.fullmatch(token)) and before[-1:].isalpha()


def _quotation_marks(tokens: Sequence[str]) -> dict[int, bool]:
    """The places of the quotation marks that have a direction, and whether they open."""
    marks: dict[int, bool] = {}
    opened: list[str] = []
    places = [index for index, token in enumerate(tokens) if token in _CLOSED_BY]
    for number, index in enumerate(places):
        token = tokens[index]
        if opened and token in _CLOSED_BY[opened[-1]]:
            opened.pop()
            marks[index] = False
            continue
        if token in "»”":
            # With no opening mark before it, it closes what another sentence has opened, unless a pair of them follows.
            opens = number + 1 < len(places) and tokens[places[number + 1]] in _CLOSED_BY[token]
        elif token in "“«":
            opens = index + 1 < len(tokens) and tokens[index + 1] not in _STOPS
        else:
            opens = True
        marks[index] = opens
        if opens:
            opened.append(token)
    return marks


def _cut_words(tokens: Sequence[str]) -> set[int]:
    """The tokens that no space divides from the one before them: I ' ve, do n ' t, l ' eau, l' eau."""
    cut: set[int] = set()
    places = [index for index, token in enumerate(tokens) if token[-1:] in _APOSTROPHES]
    for index in places:
        token = tokens[index]
        before = tokens[index - 1] if index else ""
        if token in _APOSTROPHES:
            after = tokens[index + 1].lower() if index + 1 < len(tokens) else ""
            if not (before[-1:].isalnum() and after[:1].isalpha()):
                continue
            # A letter between two marks is quoted, and not an ending.
            ends = after in _CUT_ENDINGS and token not in tokens[index + 2 : index + 3]
            if ends or (before.lower() in _ELIDED_ALONE and token not in tokens[max(0, index - 2) : index]):
                cut.update((index, index + 1))
                if (before + after).lower() == "nt" and index > 1 and tokens[index - 2].isalpha():
                    cut.add(index - 1)
        elif token[:-1].lower() in _ELIDED and index + 1 < len(tokens) and tokens[index + 1][:1].isalpha():
            cut.add(index + 1)
    return cut


def _is_word(token: str) -> bool:
    # A word may end with a combining mark, which belongs to its last letter.
    return bool(token) and token[0].isalnum() and (token[-1].isalnum() or unicodedata.category(token[-1])[0] == "M")
