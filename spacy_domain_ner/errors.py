"""The one error that a user is meant to read."""


class UserError(ValueError):
    """Something that the user can fix: bad input, a missing file, a value that does not fit.

    The command line prints it without a traceback and exits with 1. A parameter that a message names in backticks is
    shown there as the verb's option: `min_confidence` as --min-confidence, `rename=OLD=NEW` as --rename OLD=NEW.

    Attributes:
        what: What is wrong and where (file, line, id).
        hint: What to do about it.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}\n{hint}" if hint else what)
        self.what = what
        self.hint = hint


def reason(error: Exception) -> str:
    """Give the message of another library's exception on one line, for the text of a UserError."""
    text = " ".join(str(error).split())
    # A KeyError says no more than the key, and some say nothing.
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text
