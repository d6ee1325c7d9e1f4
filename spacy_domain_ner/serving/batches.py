"""What a process or thread with a model does: it reads the passages that wait for it, as many as there are at once."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.serving.model import ServedModel
from spacy_domain_ner.serving.settings import Settings

# A batch ends after so many characters, however few passages it has: others wait while the model reads it.
BATCH_CHARACTERS = 25_000


class Asked(NamedTuple):
    """A passage that is to be read.

    Attributes:
        number: What it is called in the answer.
        text: The text.
        expects: Whether its expected numbers of entities are asked, too.
    """

    number: int
    text: str
    expects: bool


def answer_messages(
    served: ServedModel,
    settings: Settings,
    receive: Callable[[float | None], Any],
    send: Callable[[tuple[Any, ...]], object],
) -> None:
    """Answer messages until no more can come.

    What has come in messages ("read", passages) while a batch was read is the next batch, and is answered together:
    ("read", what was found by the passages' numbers, whether the model is worn). Any other message is a method of the
    model and its arguments; it is answered with ("asked", result, problem).

    Args:
        served: The model.
        settings: How much a batch may hold, and how long it may wait.
        receive: Gives the next message; None where there is none within so many seconds. Without a number it waits.
            It raises EOFError where none can come any more.
        send: Takes an answer.
    """
    waiting: deque[Asked] = deque()
    read = 0

    def take(what: str, *arguments: Any) -> None:
        if what == "read":
            waiting.extend(arguments[0])
            return
        try:
            send(("asked", getattr(served, what)(*arguments), None))
        except UserError as error:
            send(("asked", None, (error.what, error.hint)))
        except Exception as error:  # of any component
            send(("asked", None, (f"The model failed: {type(error).__name__}", "")))

    def gather(seconds: float, wanted: int) -> None:
        """Take what is there, and wait for more until so many are there."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic() if len(waiting) < wanted else 0
            if (message := receive(max(0.0, left))) is None:
                return
            take(*message)

    while True:
        gather(0, 0)
        if not waiting:
            take(*receive(None))
            # Where many were just answered, the next passages of some clients are under way.
            gather(settings.max_wait_ms / 1_000, read // 2)
        if batch := list(_batch(waiting, settings.max_batch)):
            read = len(batch)
            expecting = [place for place, passage in enumerate(batch) if passage.expects]
            found = served.read([passage.text for passage in batch], expecting)
            send(("read", list(zip((passage.number for passage in batch), found, strict=True)), served.is_worn))


def _batch(waiting: deque[Asked], most: int) -> Iterator[Asked]:
    characters = 0
    while waiting and most and characters < BATCH_CHARACTERS:
        most -= 1
        characters += len(waiting[0].text)
        yield waiting.popleft()
