"""What a server can be told."""

from dataclasses import dataclass
from pathlib import Path

from spacy_domain_ner.errors import UserError


@dataclass(frozen=True)
class Settings:
    """What a server can be told.

    Attributes:
        max_batch: The most passages that the model reads at once.
        max_wait_ms: How long a passage waits for others to share its batch, in milliseconds, while the model is free.
        queue: The most passages that may wait; more are refused with 429 until some are done.
        max_characters: The most characters of a passage, in code points; a longer one is refused in its place.
        max_passages: The most passages of a request.
        max_body: The most bytes of a request's body.
        timeout: How many seconds a body may take to arrive, and an answer to be found.
        token: What a request must bring as `Authorization: Bearer TOKEN`; "" asks for nothing.
        cors: The origins whose web pages may ask, such as https://example.org, or "*" for all; by default none.
        log: A file that a random sample of the passages is written to, with their entities; None writes nothing.
        log_share: The share of the passages that is written there, above 0 up to 1.
        log_days: How many days what is written there is kept: each day then has a file of its own, such as
            sample-2026-11-29.jsonl for sample.jsonl, and older ones are removed. None keeps all in one file.
        schema: The entity types, whose definitions `/model` gives; None takes those of the model's package.
        metrics: The scores, as `evaluate` wrote them, which `/model` gives; None takes those of the model's package.
        label_studio: Whether to be an ML backend of Label Studio, too. The token is the password that Label Studio is
            given for it.
        train_in: With `label_studio`: the project's folder in which to train when Label Studio asks for it. None does
            not train.
        llm: The decision.json of `llm evaluate`: `/extract` lets an LLM find the types that it decided for. None asks
            nobody.
    """

    max_batch: int = 64
    max_wait_ms: float = 2.0
    queue: int = 2_000
    max_characters: int = 100_000
    max_passages: int = 1_000
    max_body: int = 8_000_000
    timeout: float = 30.0
    token: str = ""
    cors: tuple[str, ...] = ()
    log: Path | None = None
    log_share: float = 0.05
    log_days: int | None = None
    schema: Path | None = None
    metrics: Path | None = None
    label_studio: bool = False
    train_in: Path | None = None
    llm: Path | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: One of them does not fit.
        """
        for name in ("max_batch", "queue", "max_characters", "max_passages", "max_body"):
            if (value := getattr(self, name)) < 1:
                raise UserError(f"`{name}` is {value}", "It must be 1 or more.")
        if self.queue < self.max_passages:
            raise UserError(
                f"`queue` is {self.queue}, and one request may have {self.max_passages} passages (`max_passages`)",
                "Let the queue hold at least one request.",
            )
        if not 0 <= self.max_wait_ms <= 1_000:
            raise UserError(f"`max_wait_ms` is {self.max_wait_ms}", "Give milliseconds from 0 to 1000.")
        if not 0 < self.timeout < float("inf"):
            raise UserError(f"`timeout` is {self.timeout}", "Give a number of seconds above 0.")
        if not 0 < self.log_share <= 1:
            raise UserError(f"`log_share` is {self.log_share}", "Give a share above 0, up to 1.")
        if self.log_days is not None and self.log_days < 1:
            raise UserError(f"`log_days` is {self.log_days}", "Give a number of days, 1 or more.")
        if self.log_days is not None and self.log is None:
            raise UserError("`log_days` is for a log only", "Give `log`, too.")
        if self.train_in is not None and not self.label_studio:
            raise UserError("`train_in` is for a backend of Label Studio only", "Give `label_studio`, too.")
        # Any page in a browser on this machine can send what begins a training.
        if self.train_in is not None and not self.token:
            raise UserError("`train_in` needs a token", "Set one, and give it to Label Studio as the password.")
        if not self.token.isascii() or any(character.isspace() for character in self.token):
            raise UserError("The token has white space or characters beyond ASCII", "A header can't hold them.")
