"""The one error that a user is meant to read."""


class UserError(ValueError):
    """Something that the user can mend: bad input, a missing file, an option that does not fit.

    The command line prints it without a traceback and exits with 1.

    what: What is wrong and where (file, line, id).
    hint: What to do about it.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}\n{hint}" if hint else what)
        self.what = what
        self.hint = hint


def reason(error: Exception) -> str:
    """An exception of another library on one line, for a UserError's text."""
    text = " ".join(str(error).split())
    # A KeyError says no more than the key, and some say nothing.
    return f"{type(error).__name__}: {text}" if isinstance(error, KeyError) or not text else text
