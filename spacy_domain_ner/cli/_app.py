"""The command line's frame: the app that every verb joins, and how an error reaches the user."""

import functools
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import typer
from wasabi import Printer

from spacy_domain_ner.errors import UserError

app = typer.Typer(
    name="domain-ner",
    help="Train, measure, package and run an entity recognizer for the names of your own domain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
# Lines are not folded: a path or a command in them is there to be copied.
msg = Printer(line_max=10_000)

Verb = TypeVar("Verb", bound=Callable[..., object])


def verb(name: str, **settings: dict) -> Callable[[Verb], Verb]:
    """Register a function as a verb of the app; a UserError in it is printed, with exit code 1 and no traceback."""

    def register(function: Verb) -> Verb:
        @functools.wraps(function)
        def guarded(*args: object, **kwargs: object) -> object:
            try:
                return function(*args, **kwargs)
            except UserError as error:
                fail(error.what, error.hint)
            except KeyboardInterrupt:
                # 128 + SIGINT, as a shell reports it.
                print("Interrupted. Run the same command again.", file=sys.stderr)
                sys.exit(130)

        app.command(name, **settings)(guarded)  # type: ignore[arg-type]
        return function

    return register


def fail(what: str, hint: str = "") -> NoReturn:
    """Print to standard error what is wrong and what to do; exit with 1."""
    # What the verb has printed comes first, also where both go to one file.
    sys.stdout.flush()
    print(Printer(no_print=True, line_max=10_000).fail(what), file=sys.stderr)
    if hint:
        print(hint, file=sys.stderr)
    sys.exit(1)


def percent(value: float | None) -> str:
    """A share as a table shows it."""
    return "–" if value is None else f"{100 * value:.1f}"
