"""Text as messages show it, and what makes it Unicode text."""


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
