"""The command line's frame: how a verb is found, and how an error reaches the user.

A verb's module is imported when the verb is called, and the list of the verbs comes from the table below: `--help` and
a quick verb do not wait for the imports of others.
"""

import functools
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from importlib import import_module
from typing import Any, TypeVar

import typer
from typer.core import TyperGroup

from spacy_domain_ner.cli import interrupted
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import no_room
from spacy_domain_ner.version import __version__

# By step of the user's path: each verb with its module in this package, and its help in the list of the verbs.
VERBS = {
    "A project": {
        "new": ("new", "Make a new project: entity types, configs, a starter corpus, commands."),
        "update": ("update", "Bring a project up to the installed version; your edits stay."),
        "presets": ("configure", "List the base models that have a name."),
        "configure": ("configure", "Look up the base model, and write the training config."),
    },
    "Labels": {
        "guide": ("guide", "Render the guide for annotators, and say what the entity types lack."),
        "interface": ("interface", "Write the labelling interface for Label Studio, doccano or Prodigy."),
        "bootstrap": ("bootstrap", "Label text from known names, patterns and other models, as far as they are sure."),
        "select": ("select", "Choose the passages to label next, from which a model learns most."),
        "export": ("export", "Write passages as tasks to label, or annotations in the form of another tool."),
        "import": ("import_annotations", "Import annotations of labelling tools into the annotation file."),
        "label-studio": ("label_studio", "Exchange tasks and annotations with a Label Studio server."),
        "agreement": ("agreement", "Measure how far annotators agree, and list where they differ."),
    },
    "A model": {
        "check": ("check", "Check the annotations, and count the examples per type."),
        "split": ("split", "Divide the passages into training, dev and evaluation sets."),
        "convert": ("convert", "Convert passages to spaCy's binary form."),
        "train": ("train", "Train until F1 on the dev set no longer rises."),
        "evaluate": ("evaluate", "Score a model per type, and say what to do next."),
        "distill": ("distill", "Let a small model learn from a larger one, on text that nobody has labelled."),
        "compare": ("compare", "Train several base models and compare them."),
        "suspects": ("suspects", "Find annotations that are likely to be wrong."),
        "learning-curve": ("learning_curve", "Measure how F1 grows with the number of examples."),
    },
    "A model at work": {
        "package": ("package", "Build a wheel of a trained model, with a model card."),
        "try": ("try_package", "Install a wheel in a scratch folder, and check your sentences."),
        "extract": ("extract", "Find the entities in files, folders and streams."),
        "spark-extract": ("spark_extract", "Find the entities in more text than one machine reads, with Spark."),
        "relations": ("relations", "Find the relations between entities, and score what was found."),
        "serve": ("serve", "Find the entities in texts that come over HTTP."),
        "llm": ("llm", "Use a large language model where the model is weak."),
        "monitor": ("monitor", "See whether a model at work is still good."),
    },
}

# What the verbs' modules have registered.
_apps: dict[str, typer.Typer] = {}
# The verb that runs.
_running: ContextVar[typer.Typer] = ContextVar("_running")


class _Verbs(Mapping[str, Any]):
    """The verbs' commands by name; a verb's module is imported when its command is asked for."""

    def __getitem__(self, name: str) -> Any:
        modules = {verb: module for verbs in VERBS.values() for verb, (module, _) in verbs.items()}
        import_module(f"spacy_domain_ner.cli.{modules[name]}")
        command = typer.main.get_command(_apps[name])
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return (name for verbs in VERBS.values() for name in verbs)

    def __len__(self) -> int:
        return sum(map(len, VERBS.values()))


class VerbGroup(TyperGroup):
    """The group of all verbs."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Verbs()  # type: ignore[assignment]
        # rich takes longer to import than a quick verb takes to run; each verb's own help is rich.
        self.rich_markup_mode = None

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; Ctrl-C is one line, also while the verb's module is imported."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            interrupted()

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of the verbs, in the order of the user's path."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the verbs by step, from the table: no verb's module is imported."""
        width = max(map(len, self.commands))
        for step, verbs in VERBS.items():
            with formatter.section(step):
                formatter.write_dl([(name.ljust(width), text) for name, (_, text) in verbs.items()])


app = typer.Typer(cls=VerbGroup, name="domain-ner", no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"spacy-domain-ner {__version__}")
        raise typer.Exit


@app.callback()
def domain_ner(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Train, measure, package and run an entity recognizer for the names of your own domain."""


def verb_group(name: str, help: str) -> typer.Typer:
    """Make a verb that has verbs of its own.

    Args:
        name: Its name, as in the table.
        help: What its verbs do.
    """
    group = typer.Typer(help=help, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    # With a callback, a group of one verb stays a group.
    group.callback()(lambda: None)
    _apps[name] = group
    return group


Verb = TypeVar("Verb", bound=Callable[..., object])


def verb(name: str, group: typer.Typer | None = None, **settings: Any) -> Callable[[Verb], Verb]:
    """Register a function as a verb. A UserError in it is printed, with exit code 1 and no traceback.

    Args:
        name: The verb's name, as in the table.
        group: The verb whose own verb this is; None for a verb of the table.
        settings: As for `typer.Typer.command`.
    """

    def register(function: Verb) -> Verb:
        single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)

        @functools.wraps(function)
        def guarded(*args: object, **kwargs: object) -> object:
            for stream in (sys.stdout, sys.stderr):
                # A terminal or a log that can't show a character of a passage gets its escape.
                if hasattr(stream, "reconfigure"):
                    stream.reconfigure(errors="backslashreplace")
            _running.set(single)
            try:
                return function(*args, **kwargs)
            except UserError as error:
                from spacy_domain_ner.cli._messages import fail

                fail(with_options(error.what), with_options(error.hint))
            except BrokenPipeError:
                # The reader of the output has gone (`| head`): Click ends quietly.
                raise
            except OSError as error:
                from spacy_domain_ner.cli._messages import fail

                if told := no_room(error):
                    fail(told.what, told.hint)
                named = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else ""
                fail(named or reason(error), "Check that the path is right, and that it may be read or written.")
            except Exception as error:  # of a library that met a full disk, and any other as it is
                if (told := no_room(error)) is None:
                    raise
                from spacy_domain_ner.cli._messages import fail

                fail(told.what, told.hint)

        single.command(name, **settings)(guarded)
        if group is None:
            _apps[name] = single
        else:
            group.command(name, **settings)(guarded)
        return function

    return register


def with_options(message: str) -> str:
    """A message of the library with the options of the verb that runs, in place of the parameters in its backticks.

    `rename=OLD=NEW` becomes --rename OLD=NEW.
    """
    options = _options(typer.main.get_command(_running.get()))

    def option(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if name not in options:
            return found[0]
        return options[name] if value is None else f"{options[name]} {value}"

    return re.sub(r"`([a-z_]+)(?:=([^`]*))?`", option, message)


def _options(command: Any) -> dict[str, str]:
    """What the user types for each parameter of a verb: `--min-confidence` for `min_confidence`, MODEL for `model`."""
    return {
        parameter.name: max(parameter.opts, key=len)
        if parameter.param_type_name == "option"
        else parameter.name.upper()
        for parameter in command.params
    }
