"""What a verb prints: messages, tables, and how it fails."""

import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import wasabi

from spacy_domain_ner.text import visible


class Messages(wasabi.Printer):
    """wasabi's messages, but lines stay as they are: a path or a command in them is there to be copied.

    What nobody sees or a terminal would obey is shown as escapes, wherever it comes from: a text, a label, a file's
    name, a server. So whatever a verb prints goes through here.
    """

    def text(self, title: Any = "", text: Any = "", icon: str | None = None, **_: Any) -> str:
        """Print a message, or return it where the printer prints nothing."""
        message = f"{self.icons.get(icon, '')} {visible(str(title))}".strip()
        # https://no-color.org; wasabi itself knows only variables of its own.
        if self.show_color and not os.environ.get("NO_COLOR"):
            message = wasabi.color(message, fg=self.colors.get(icon))
        if text:
            message += f"\n{visible(str(text))}"
        if not self.no_print:
            print(message)
        return message

    def table(self, data: Iterable[Sequence[Any]], **settings: Any) -> None:
        """Print rows as a table; `header` and `footer` are rows, too."""
        rows = {name: _cells(settings[name]) for name in ("header", "footer") if settings.get(name) is not None}
        super().table([_cells(row) for row in data], **{**settings, **rows})

    def plain(self, text: object = "", file: TextIO | None = None) -> None:
        """Print a text without an icon, to standard output or to another stream."""
        print(visible(str(text)), file=file or sys.stdout)

    def data(self, text: str) -> None:
        """Print what another program may read as it is: only a terminal gets escapes."""
        print(visible(text) if sys.stdout.isatty() else text, end="")


msg = Messages()


def to_correct(annotations: Path) -> str:
    """The command that makes tasks of annotations, for people to look at them again."""
    tasks = annotations.with_suffix(".tasks.json")
    return shlex.join(["domain-ner", "export", "label-studio", str(annotations), "--output", str(tasks)])


def fail(what: str, hint: str = "") -> NoReturn:
    """Print to standard error what is wrong and what to do; exit with 1."""
    # What the verb has printed comes first, also where both go to one file.
    sys.stdout.flush()
    print(Messages(no_print=True).fail(what), file=sys.stderr)
    if hint:
        msg.plain(hint, sys.stderr)
    sys.exit(1)


def _cells(row: Sequence[Any]) -> list[Any]:
    return [visible(cell) if isinstance(cell, str) else cell for cell in row]
