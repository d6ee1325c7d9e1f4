"""Text as messages show it, and what makes it Unicode text."""

import re

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
