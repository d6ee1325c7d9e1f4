"""The confusion matrix of the evaluation report."""

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlencode

from spacy_domain_ner.evaluation.analysis import Analysis


@dataclass(frozen=True)
class Filter:
    """The errors that a link leads to.

    Attributes:
        query: How the page's address names them.
        count: How many they are.
    """

    query: str
    count: int


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix.

    Attributes:
        count: How often the annotated type of its row was predicted as the type of its column.
        shade: From 0 to 1. For a right type it is the cell's share of the row. A wrong type is shaded against the
            wrong cell with the largest share.
        correct: Whether the type is right.
        errors: The errors among the count; None where there are none. A right type may have the wrong boundaries.
        words: What the cell counts, in words.
    """

    count: int
    shade: float
    correct: bool
    errors: Filter | None
    words: str


def confusion_matrix(analysis: Analysis) -> list[tuple[str, list[Cell]]]:
    """Lay out the confusion matrix.

    Args:
        analysis: The analysis of all types.

    Returns:
        The rows, each an annotated type with a cell per predicted type. The last row and column, "", stand for
        nothing annotated and nothing predicted.
    """
    counts = analysis.confusions
    wrong = Counter(error.types for error in analysis.errors)
    labels = [*analysis.types, ""]
    of_row, of_column = Counter[str](), Counter[str]()
    for (gold, predicted), count in counts.items():
        of_row[gold] += count
        of_column[predicted] += count

    def share(gold: str, predicted: str) -> float:
        """The share of the annotated mentions of the row. The last row has none: there it is that of the column."""
        count = counts[gold, predicted]
        return count / (of_row[gold] if gold else of_column[predicted]) if count else 0.0

    largest = max((share(*pair) for pair in counts if pair[0] != pair[1]), default=1.0)

    def cell(gold: str, predicted: str) -> Cell:
        errors = wrong[gold, predicted]
        return Cell(
            counts[gold, predicted],
            share(gold, predicted) / (1.0 if gold == predicted else largest),
            gold == predicted,
            Filter(urlencode({"annotated": gold, "predicted": predicted}), errors) if errors else None,
            f"annotated {gold or 'nothing'}, predicted {predicted or 'nothing'}",
        )

    return [(gold, [cell(gold, predicted) for predicted in labels]) for gold in labels]
