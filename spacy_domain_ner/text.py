"""Text as messages show it, and what makes it Unicode text."""

import re
import unicodedata

# The letters of scripts without spaces between words (Thai and Lao, Burmese, Khmer, kana, Han), as they stand between
# the brackets of a regular expression.
UNSPACED_SCRIPTS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)

# Characters that show nothing, as they stand between the brackets of a regular expression: what Unicode calls
# "default ignorable" (soft hyphen, zero-width characters, marks of direction, variation selectors, tags), and the
# controls of annotations and hieroglyphs. The other format characters (Cf) are visible, such as the Arabic number sign.
INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Control characters (C0 and C1) but tab and line feed, separators of lines and paragraphs, halves of surrogate pairs.
_UNSEEN = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{INVISIBLE}]")


def visible(text: str) -> str:
    """Write the characters of a text that nobody sees, or that a terminal obeys, as escapes: `\\u200b`, `\\x1b`.

    Args:
        text: A text, a label, a file's name, or a whole message.

    Returns:
        The text with tabs and line feeds as they are, so that a message of several lines keeps them.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
# Joiners and variation selectors: after a sign that is combined with others, they belong to it.
_JOINING = re.compile("[\u200c\u200d\ufe00-\ufe0f\U000e0020-\U000e01ef]")


def without_invisible(text: str) -> str:
    """Leave out the characters that show nothing: two names are the same where this is equal."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Trim a part of a text of white space and of characters that show nothing.

    What a sign ends with stays: the joiner of a syllable (Malayalam, Sinhala), the variation selector of an emoji.

    Args:
        text: The text.
        start: Where the part begins, in code points.
        end: One past its end.

    Returns:
        The new start and end; both are the same where nothing is left.
    """
    while start < end and (text[start].isspace() or _INVISIBLE.match(text[start])):
        start += 1
    while start < end and (text[end - 1].isspace() or _INVISIBLE.match(text[end - 1])):
        if _JOINING.match(text[end - 1]) and unicodedata.category(text[end - 2])[0] in "MS":
            break
        end -= 1
    return start, end


def shorten(text: str, width: int = 80) -> str:
    """A text cut to `width` code points, for messages."""
    return text if len(text) <= width else text[: width - 1] + "…"


def lone_surrogate(text: str) -> int | None:
    """Where a text has half of a surrogate pair, which makes it no Unicode text."""
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        return error.start
    return None
