"""A problem that the check of a corpus has found."""

from dataclasses import dataclass

from spacy_domain_ner.text import shorten


@dataclass(frozen=True)
class Finding:
    """One problem in the corpus.

    Attributes:
        kind: A fixed name of the problem, for filters.
        error: Whether it must be fixed before training; else it is a warning.
        file: The file of the passage.
        line: The passage's line, counted from 1.
        message: What is wrong.
        text: The mention, or the passage where the problem has no mention.
    """

    kind: str
    error: bool
    file: str
    line: int
    message: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}: {shorten(self.text)!r}"
