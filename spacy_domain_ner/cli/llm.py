"""domain-ner llm evaluate; the other verbs of the group are in `_llm_costs.py`."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _llm_costs  # noqa: F401  registers its verbs
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._llm import SETTINGS, llm, say_where
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._progress import progress_bar

if TYPE_CHECKING:
    from spacy_domain_ner.llm.evaluation import LLMComparison, Side


@verb("evaluate", llm)
def evaluate_cli(
    model: str = typer.Argument("training/model-best", help="Trained model: a folder or an installed package"),
    settings: Path = SETTINGS,
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    train: Path = typer.Option("corpus/train.jsonl", help="Training set (JSON lines), for examples in the prompts"),
    dev: Path = typer.Option("corpus/dev.jsonl", help="Early-stopping set (JSON lines), on which the choice is made"),
    eval: Path = typer.Option("corpus/eval.jsonl", help="Evaluation set (JSON lines), which confirms it once"),
    output: Path = typer.Option("llm/decision.json", "--output", "-o", help="JSON file to write, for `extract --llm`"),
    types: list[str] = typer.Option([], help="A type to ask for (may be repeated); if not given, all types"),
    most: int = typer.Option(None, min=1, help="The most passages of each set that are asked"),
) -> None:
    """Measure an LLM beside the model per type, and decide which types it finds in the model's place.

    What was answered is kept: the same command costs nothing the second time, and a run that was interrupted resumes.
    """
    with progress_bar("asking") as advance:
        comparison = ner.compare_with_llm(
            model, settings, schema=schema, train=train, dev=dev, eval=eval, output=output, types=types, most=most,
            begin=say_where, advance=advance,
        )  # fmt: skip
    for note in comparison.notes:
        msg.warn(note)
    _print(comparison)
    msg.good(f"The decision is in {output}")


def _print(comparison: "LLMComparison") -> None:
    from spacy_domain_ner.llm.evaluation import ALL

    decision = comparison.decision
    for title, side in (
        ("Early-stopping set, on which the choice was made", comparison.dev),
        ("Evaluation set, once", comparison.eval),
    ):
        if side is None:
            msg.plain("\nNo type was decided for the LLM, so the evaluation set was not asked.")
            continue
        msg.plain(f"\n{title}: {side.passages} passages, F1 with 95 % intervals")
        sources = {label: decided.source for label, decided in decision.types.items()}
        _print_side(side, {**sources, ALL: ""})


def _print_side(side: "Side", sources: dict[str, str]) -> None:
    from spacy_domain_ner.evaluation.bootstrap import points, with_interval

    rows = [
        (
            label, with_interval(found.model), with_interval(found.llm), with_interval(found.hybrid),
            points(found.difference), f"{found.mentions:,}", sources[label],
        )
        for label, found in side.types.items()
    ]  # fmt: skip
    header = ("type", "model", "LLM", "hybrid", "hybrid against model, points", "mentions", "from")
    msg.table(rows, header=header, divider=True, aligns=("l", *"rrrrr", "l"))

    def money(share: float) -> str:
        return "–" if side.dollars is None else f"{share * side.dollars:.4f}"

    hybrid_seconds = side.model_seconds + side.sent * side.seconds
    costs = [
        ("model", "0", "0", f"{side.model_seconds:.4f}"),
        ("LLM", "100 %", money(1), f"{side.seconds:.4f}"),
        ("hybrid", f"{100 * side.sent:.0f} %", money(side.sent), f"{hybrid_seconds:.4f}"),
    ]
    columns = ("", "passages sent", "dollars per 1,000 passages", "seconds per passage")
    msg.table(costs, header=columns, divider=True, aligns=("l", "r", "r", "r"))
    lost, quotes = side.refused
    if lost:
        why = "they are not in the passage, overlap, or have a type that was not asked for"
        msg.plain(f"{lost} of {quotes} quotes of the LLM were not taken: {why}")
