"""Text as messages show it, and what makes it Unicode text."""

# The letters of scripts without spaces between words (Thai and Lao, Burmese, Khmer, kana, Han), as they stand between
# the brackets of a regular expression.
UNSPACED_SCRIPTS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)


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
