"""What it counts to learn each type: labels should go where the verdict on the next model needs them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.confidence.prediction import UNCERTAINTY, recognizer_with
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.evaluation.gates import GATE

if TYPE_CHECKING:
    from spacy.language import Language

# A type that has reached its gate counts this much of one that has no F1 at all.
LEAST_WEIGHT = 0.1


def type_weights(
    nlp: "Language", types: Iterable[str] = (), metrics: str | Path | None = None, gate: float = GATE
) -> dict[str, float]:
    """Say what it counts to learn each type of a model.

    Args:
        nlp: The model.
        types: The types to learn, which count 1; the others count 0. None are named: all count.
        metrics: The figures of the last evaluation. A type counts by what its F1 lacks to the gate, and a little where
            it has reached it; the weakest one counts 1. None: all count 1.
        gate: The F1 to reach.

    Raises:
        UserError: The model does not have a type, or the figures can't be read.
    """
    labels, wanted = labels_of(nlp), [*types]
    if unknown := [label for label in wanted if label not in labels]:
        raise UserError(
            f"The model does not know the type {unknown[0]!r} in `types`", f"It knows: {', '.join(sorted(labels))}"
        )
    if wanted:
        return {label: float(label in wanted) for label in labels}
    if metrics is None:
        return dict.fromkeys(labels, 1.0)
    of_types = read_metrics(metrics)["types"]
    lacks = {label: max(0.0, gate - (of_types.get(label, {}).get("f1") or 0.0)) for label in labels}
    most = max(lacks.values(), default=0.0) or 1.0
    return {label: round(max(LEAST_WEIGHT, lack / most), 3) for label, lack in lacks.items()}


def labels_of(nlp: "Language") -> tuple[str, ...]:
    """The types that a model's recognizer finds."""
    labels: tuple[str, ...] = nlp.get_pipe(recognizer_with(nlp, UNCERTAINTY)).labels
    return labels


def read_metrics(path: str | Path) -> dict[str, Any]:
    """Read the figures of an evaluation.

    Raises:
        UserError: The file is missing or is something else.
    """
    try:
        figures = json.loads(Path(path).read_bytes())
        if all(isinstance(one, dict) for one in figures["types"].values()):
            return figures
    except OSError as error:
        raise UserError(f"Can't read `metrics` {path}: {reason(error)}", "`domain-ner evaluate` writes it.") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise UserError(f"{path} does not hold the figures of an evaluation", "`domain-ner evaluate` writes `metrics`.")
