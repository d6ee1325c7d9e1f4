"""What a verb prints: messages, tables, and how it fails."""

import os
import sys
from typing import Any, NoReturn

import wasabi


class Messages(wasabi.Printer):
    """wasabi's messages, but lines stay as they are: a path or a command in them is there to be copied."""

    def text(self, title: Any = "", text: Any = "", icon: str | None = None, **_: Any) -> str:
        """Print a message, or return it where the printer prints nothing."""
        message = f"{self.icons.get(icon, '')} {title}".strip()
        # https://no-color.org; wasabi itself knows only variables of its own.
        if self.show_color and not os.environ.get("NO_COLOR"):
            message = wasabi.color(message, fg=self.colors.get(icon))
        if text:
            message += f"\n{text}"
        if not self.no_print:
            print(message)
        return message


msg = Messages()


def fail(what: str, hint: str = "") -> NoReturn:
    """Print to standard error what is wrong and what to do; exit with 1."""
    # What the verb has printed comes first, also where both go to one file.
    sys.stdout.flush()
    print(Messages(no_print=True).fail(what), file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
    sys.exit(1)
