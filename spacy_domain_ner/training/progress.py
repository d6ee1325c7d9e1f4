"""How far a training is: a line for each evaluation, and on a terminal a bar with the time that is left."""

import sys
from collections.abc import Callable
from time import monotonic
from typing import IO, Any

import spacy
from spacy.language import Language

LOGGER = "spacy_domain_ner.progress.v1"
# What spaCy calls: with what an evaluation gave, or None after any other step; and a function for the end.
Step = Callable[[dict[str, Any] | None], None]


@spacy.registry.loggers(LOGGER)
def create_progress(
    steps_per_epoch: int = 0,
) -> Callable[[Language, IO[str], IO[str]], tuple[Step, Callable[[], None]]]:
    """Make the logger for `[training.logger]`. Only training needs it: no model refers to it.

    Args:
        steps_per_epoch: The batches of an epoch, which `domain-ner train` counts. 0 where nobody has: then no time is
            given, and no bar.
    """

    def set_up(
        nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr
    ) -> tuple[Step, Callable[[], None]]:
        training = nlp.config["training"]
        lines = _Lines(steps_per_epoch, training["max_epochs"], training["patience"], training["max_steps"])
        update, write, stop = _bar(lines, stdout, stderr)

        def log_step(info: dict[str, Any] | None) -> None:
            lines.steps += 1
            if info is not None:
                write(lines.evaluated(info))
            update()

        return log_step, stop

    return set_up


class _Lines:
    """What is said of a training.

    Attributes:
        steps: The steps that are done.
        last: The number of steps after which training stops at the latest; 0 if that is not known.
    """

    def __init__(self, steps_per_epoch: int, max_epochs: int, patience: int, max_steps: int) -> None:
        self.steps = 0
        self.per_epoch, self.epochs, self.patience = steps_per_epoch, max_epochs, patience
        self.last = max_steps or max(0, max_epochs) * steps_per_epoch
        self.best, self.best_step = -1.0, 0
        self.started = monotonic()

    def evaluated(self, info: dict[str, Any]) -> str:
        """The line of an evaluation."""
        scores = info["other_scores"]
        if info["score"] > self.best:
            self.best, self.best_step = info["score"], self.steps
        parts = [self.epoch(info["epoch"])]
        named = [("F1", "ents_f"), ("precision", "ents_p"), ("recall", "ents_r")]
        parts += [f"{name} {scores[key]:.3f}" for name, key in named if scores.get(key) is not None]
        best = f"best {self.best:.3f}"
        if self.per_epoch and self.best_step < self.steps:
            best += f" in epoch {self.best_step / self.per_epoch:.1f}"
        return ", ".join([*parts, best, *self.left()])

    def epoch(self, begun: int) -> str:
        """How many epochs are done, of how many at most."""
        done = f"{self.steps / self.per_epoch:.1f}" if self.per_epoch else str(begun)
        return f"Epoch {done} of {self.epochs}" if self.epochs > 0 else f"Epoch {done}"

    def left(self) -> list[str]:
        """The time that is left at most, and until training stops if F1 does not rise; empty where nobody knows."""
        if not self.last or not self.steps:
            return []
        per_step = (monotonic() - self.started) / self.steps
        left = max(0, self.last - self.steps)
        stops = self.best_step + self.patience - self.steps
        told = [f"at most {_time(left * per_step)} left"]
        if self.patience and self.best_step < self.steps and 0 < stops < left:
            told[0] += f", {_time(stops * per_step)} if nothing gets better"
        return told


def _bar(
    lines: _Lines, stdout: IO[str], stderr: IO[str]
) -> tuple[Callable[[], None], Callable[[str], None], Callable[[], None]]:
    """A bar on a terminal: functions that move it, that print a line above it, and that end it."""

    def write(line: str) -> None:
        print(line, file=stdout, flush=True)

    if not (lines.last and stderr.isatty()):
        return lambda: None, write, lambda: None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}")
    # What is printed while the bar is there goes above it.
    progress = Progress(*columns, console=Console(file=stderr), transient=True, redirect_stdout=stdout.isatty())
    row = progress.add_task(lines.epoch(0), total=lines.last, left="")
    progress.start()

    def update() -> None:
        progress.update(row, completed=lines.steps, description=lines.epoch(0), left=", ".join(lines.left()))

    def write_above(line: str) -> None:
        print(line, file=sys.stdout if stdout.isatty() else stdout, flush=True)

    return update, write_above, progress.stop


def _time(seconds: float) -> str:
    """A time in minutes and seconds, with hours where there are any."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
