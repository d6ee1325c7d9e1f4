"""domain-ner evaluate"""

from collections import Counter
from pathlib import Path
from typing import Any

import srsly
import typer

from spacy_domain_ner.cli._app import fail, msg, percent, verb
from spacy_domain_ner.corpus import load_model, read_valid_passages
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.evaluation import predict_spans, score, to_metrics
from spacy_domain_ner.evaluation.scores import FALLBACK, GATE
from spacy_domain_ner.files import replacing
from spacy_domain_ner.schema import read_schema


@verb("evaluate")
def evaluate_cli(
    model: str = typer.Argument(..., help="Trained model: a folder or an installed package"),
    passages: Path = typer.Argument(..., help="Evaluation set (JSON lines)"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    train: Path = typer.Option(None, help="Training set (JSON lines), for the advice"),
    output: Path = typer.Option(None, help="Write the scores to this JSON file"),
    gate: float = typer.Option(GATE, help="F1 per type from which a type is ready for production"),
    fallback: float = typer.Option(FALLBACK, help="F1 per type below which it needs another way"),
    fail_under: float = typer.Option(0.0, help="Exit with 1 if a type's F1 is below this (0 to 1)"),
) -> None:
    """Score a model on held-out passages: precision, recall and F1 per type, what they mean, what to do next."""
    if not 0 <= fail_under <= 1:
        raise UserError(f"--fail-under is {fail_under}", "Give an F1 between 0 and 1, for instance 0.8.")
    metrics = evaluate(model, passages, schema, train, gate, fallback)
    if output is not None:
        with replacing(output) as stream:
            stream.write(srsly.json_dumps(metrics, indent=2) + "\n")
    _print(metrics)
    below = [label for label, result in metrics["types"].items() if result["support"] and result["f1"] < fail_under]
    if below:
        fail(f"F1 is below {fail_under} for {', '.join(below)}.", "See the advice above, or lower fail_under.")


def evaluate(
    model: str,
    passages: Path,
    schema: Path,
    train: Path | None = None,
    gate: float = GATE,
    fallback: float = FALLBACK,
) -> dict[str, Any]:
    """Score a model on an annotation file.

    train: The training set, to tell a type that needs examples from one that needs another way.
    RETURNS: What metrics.json holds.
    RAISES: UserError where a file or the model can't be read, or there is nothing to score.
    """
    if not 0 <= fallback <= gate <= 1:
        raise UserError(
            f"The gates are {gate} for production and {fallback} for the fallback", "0 <= fallback <= gate <= 1."
        )
    labels = read_schema(schema).labels
    annotated = read_valid_passages(passages)
    if not annotated:
        raise UserError(f"{passages} has no passages", "Run the split again: weasel run split")
    trained_on = None
    if train is not None:
        trained_on = dict(Counter(span.label for passage in read_valid_passages(train) for span in passage.spans))
    nlp = load_model(model)
    evaluation = score(annotated, predict_spans(nlp, annotated), labels)
    return to_metrics(evaluation, trained_on=trained_on, gate=gate, fallback=fallback)


def _print(metrics: dict[str, Any]) -> None:
    micro = metrics["micro"]
    rows = [
        (label, percent(result["precision"]), percent(result["recall"]), percent(result["f1"]), result["support"],
         result["verdict"])
        for label, result in metrics["types"].items()
    ]  # fmt: skip
    total = ("all", percent(micro["precision"]), percent(micro["recall"]), percent(micro["f1"]), micro["support"], "")
    msg.info(f"{metrics['passages']} held-out passages, exact spans by character offsets")
    header = ("type", "P", "R", "F1", "mentions", "verdict")
    msg.table(rows, header=header, footer=total, divider=True, aligns=("l", "r", "r", "r", "r", "l"))
    for label, result in metrics["types"].items():
        show = msg.good if result["verdict"] == "ready" else msg.warn
        show(f"{label}: {result['advice']}")
