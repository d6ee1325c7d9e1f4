"""The F1 that a type has to reach."""

from dataclasses import dataclass

from spacy_domain_ner.errors import UserError

# A type is ready for production from GATE, and needs another way below FALLBACK (a design decision, see the README).
GATE = 0.85
FALLBACK = 0.80


@dataclass(frozen=True)
class Gates:
    """The two lines that a type's F1 is judged by.

    Attributes:
        production: From this F1 a type is ready for production.
        fallback: Below this F1 a type needs another way, such as an LLM.

    Raises:
        UserError: A gate is not between 0 and 1, or the fallback line is above the production gate.
    """

    production: float = GATE
    fallback: float = FALLBACK

    def __post_init__(self) -> None:
        if not 0 <= self.fallback <= self.production <= 1:
            raise UserError(
                f"`gate` is {self.production} and `fallback` is {self.fallback}",
                "Give two F1 values between 0 and 1, `fallback` not above `gate`, for instance 0.85 and 0.8.",
            )
