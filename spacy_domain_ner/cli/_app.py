"""The command line's frame: the app that every verb joins, and how an error reaches the user."""

import functools
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import typer
import wasabi

from spacy_domain_ner.errors import UserError, reason

app = typer.Typer(
    name="domain-ner",
    help="Train, measure, package and run an entity recognizer for the names of your own domain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


class Messages(wasabi.Printer):
    """wasabi's messages, but lines stay as they are: a path or a command in them is there to be copied."""

    def text(self, title: Any = "", text: Any = "", icon: str | None = None, **_: Any) -> str:
        message = f"{self.icons.get(icon, '')} {title}".strip()
        if self.show_color:
            message = wasabi.color(message, fg=self.colors.get(icon))
        if text:
            message += f"\n{text}"
        if not self.no_print:
            print(message)
        return message


msg = Messages()

Verb = TypeVar("Verb", bound=Callable[..., object])


def verb(name: str, group: typer.Typer = app, **settings: dict) -> Callable[[Verb], Verb]:
    """Register a function as a verb of the app; a UserError in it is printed, with exit code 1 and no traceback.

    group: The app itself, or one that has joined it, whose verbs come behind its name.
    """

    def register(function: Verb) -> Verb:
        @functools.wraps(function)
        def guarded(*args: object, **kwargs: object) -> object:
            for stream in (sys.stdout, sys.stderr):
                # A terminal or a log that can't show a character of a passage gets its escape.
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors="backslashreplace")
            try:
                return function(*args, **kwargs)
            except UserError as error:
                fail(error.what, error.hint)
            except BrokenPipeError:
                # The reader of the output has gone (`| head`): Click ends quietly.
                raise
            except OSError as error:
                fail(reason(error), "Check that the path is right, may be read or written, and that the disk has room.")
            except KeyboardInterrupt:
                # 128 + SIGINT, as a shell reports it.
                print("Interrupted. Run the same command again.", file=sys.stderr)
                sys.exit(130)

        group.command(name, **settings)(guarded)  # type: ignore[arg-type]
        return function

    return register


def fail(what: str, hint: str = "") -> NoReturn:
    """Print to standard error what is wrong and what to do; exit with 1."""
    # What the verb has printed comes first, also where both go to one file.
    sys.stdout.flush()
    print(Messages(no_print=True).fail(what), file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
    sys.exit(1)


def percent(value: float | None) -> str:
    """A share as a table shows it."""
    return "–" if value is None else f"{100 * value:.1f}"
