"""What it counts to learn each type: no labels should go where the model is good enough.

Types that are far below the gate count alike. To count the weaker ones more, by what each lacks, was measured, and
gained nothing: what a model takes for a type that it hardly knows is mostly something else.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.confidence.prediction import UNCERTAINTY, recognizer_with
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.evaluation.gates import GATE
from spacy_domain_ner.evaluation.verdict import FEWEST

if TYPE_CHECKING:
    from spacy.language import Language

# A type that has surely reached the gate counts this much of one that is far below it.
LEAST_WEIGHT = 0.1
# A type counts fully where its F1 may be so far below the gate.
FAR_BELOW = 0.1


def type_weights(
    nlp: "Language", types: Iterable[str] = (), metrics: str | Path | None = None, gate: float = GATE
) -> dict[str, float]:
    """Say what it counts to learn each type of a model.

    Args:
        nlp: The model.
        types: The types to learn, which count 1; the others count 0. None are named: all count.
        metrics: The figures of the last evaluation. A type counts less the nearer its F1 is to the gate, by the lower
            end of its interval, and a little where that has reached it; fully with too few mentions for a verdict.
            None: all count 1.
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
    return {label: _weight(of_types.get(label, {}), gate) for label in labels}


def _weight(figures: Mapping[str, Any], gate: float) -> float:
    """What it counts to learn a type of which these are the figures."""
    try:
        known, low = figures["support"] >= FEWEST, float(figures["intervals"]["f1"][0])
    except (KeyError, TypeError, ValueError, IndexError):
        # Nothing is annotated or predicted, or the figures are not whole.
        return 1.0
    return round(min(1.0, max(LEAST_WEIGHT, (gate - low) / FAR_BELOW)), 3) if known else 1.0


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
