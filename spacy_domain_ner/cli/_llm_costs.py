"""domain-ner llm cost, domain-ner llm break-even"""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._llm import SETTINGS, llm
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import TEXT_KEY

if TYPE_CHECKING:
    from spacy_domain_ner.llm.break_even import BreakEven
    from spacy_domain_ner.llm.costs import CostEstimate

SHOWN = 20


@verb("cost", llm)
def cost_cli(
    passages: list[str] = typer.Argument(..., help="The passages of the run: files, folders, archives, -"),
    settings: Path = SETTINGS,
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    train: Path = typer.Option(
        None,
        help="Training set (JSON lines), for examples in the prompts",
        show_default="corpus/train.jsonl where there is one",
    ),
    types: list[str] = typer.Option([], help="A type to ask for (may be repeated); if not given, all types"),
    sample: int = typer.Option(200, help="Of how many passages the tokens are counted"),
    text_key: str = typer.Option("text", help=TEXT_KEY),
    json: bool = typer.Option(False, "--json", help="Print JSON in place of a table"),
) -> None:
    """Say what it will cost to find the entities of passages with an LLM, and what was spent so far. Sends nothing."""
    own = Path("corpus/train.jsonl")
    found = ner.estimate_llm_cost(
        passages, settings, schema=schema, train=train or (own if own.is_file() else None), types=types, sample=sample,
        text_key=text_key,
    )  # fmt: skip
    if json:
        msg.data(dumps(found.to_dict(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print_cost(found)


@verb("break-even", llm)
def break_even_cli(
    wage: float = typer.Option(..., help="What an hour of labelling costs, in US dollars"),
    output: Path = typer.Option(None, "--output", "-o", help="Page to write (HTML), with the figures beside as JSON"),
    labels: int = typer.Option(
        None, help="How many passages are labelled", show_default="those of the annotation file"
    ),
    times: list[Path] = typer.Option(
        [], help="Export of Label Studio (JSON), which says how long people took (may be repeated)"
    ),
    seconds_per_label: float = typer.Option(None, help="How long labelling a passage takes, in place of --times"),
    people: int = typer.Option(1, help="How many people label each passage"),
    training: float = typer.Option(0.0, help="What training costs"),
    relabelled: float = typer.Option(0.0, help="Share of the documents at work that people label again, 0 to 1"),
    seconds_per_document: float = typer.Option(
        None, help="How long the model takes for a document", show_default="as llm evaluate has measured"
    ),
    machine: float = typer.Option(0.1, help="What an hour of the machine costs that the model runs on"),
    llm_dollars: float = typer.Option(
        None, help="What 1,000 documents cost with the LLM", show_default="as llm evaluate or the ledger say"
    ),
    llm_labels: int = typer.Option(0, help="How many passages are labelled to measure the LLM"),
    annotations: Path = typer.Option("assets/annotations.jsonl", help="Annotation file, whose passages are counted"),
    metrics: Path = typer.Option("metrics/metrics.json", help="Figures of `evaluate`, for the model's F1"),
    decision: Path = typer.Option("llm/decision.json", help="What `llm evaluate` has written"),
) -> None:
    """Say from how many documents on a fine-tuned model is cheaper than an LLM, with the F1 of each."""
    from spacy_domain_ner.llm.break_even import Costs

    found = ner.write_break_even(
        Costs(
            wage, labels, seconds_per_label, people, training, relabelled, seconds_per_document, machine, llm_dollars,
            llm_labels,
        ),
        output, times=times, annotations=annotations, metrics=metrics, decision=decision,
    )  # fmt: skip
    _print_break_even(found)
    if output is not None:
        msg.good(f"The page is {output}")


def _print_cost(found: "CostEstimate") -> None:
    for entry in found.refused[:SHOWN]:
        msg.warn(f"not read: {entry}")
    if len(found.refused) > SHOWN:
        msg.warn(f"... {len(found.refused)} not read in all")
    how = "counted with the model's vocabulary" if found.is_exact else "estimated from the bytes, rather too many"
    price = "not known" if found.price is None else f"{found.price.input:g} in, {found.price.output:g} out"
    rows = [
        ("passages", f"{found.passages:,}", f"{found.sampled:,} of them counted"),
        ("requests", f"{found.requests:,.0f}", ""),
        ("tokens of prompts", f"{found.tokens_in:,.0f}", how),
        ("tokens of answers", f"{found.tokens_out:,.0f}", f"by {found.answers_from}"),
        ("dollars per million tokens", price, found.price_from),
    ]
    for purpose, spent in found.spent.items():
        unpriced = f", {spent.unpriced:,} without a price" if spent.unpriced else ""
        rows.append((f"spent so far: {purpose}", f"{spent.dollars:,.4f}", f"{spent.requests:,} request(s){unpriced}"))
    msg.table(rows, aligns=("l", "r", "l"))
    msg.info(f"Nothing was sent. {found.destination}")
    if found.dollars is None:
        msg.warn("What the run costs is not known: add the price to the settings, price: {input: ..., output: ...}")
        return
    spread = f" (± {2 * found.spread:,.4f}, since a sample was counted)" if found.spread else ""
    msg.good(f"{found.model}: about {found.dollars:,.4f} US dollars{spread}; spent so far {found.dollars_spent:,.4f}")
    if found.passes_budget:
        msg.warn(f"The budget is {found.budget:,.2f} dollars: the run would stop before it is done.")


def _print_break_even(found: "BreakEven") -> None:
    from spacy_domain_ner.llm.break_even import VOLUMES, score_of
    from spacy_domain_ner.reports.break_even import dollars

    msg.table([(one.name, one.value, one.source) for one in found.assumptions], aligns=("l", "r", "l"))
    rows = [
        (way.name, score_of(way), dollars(way.fixed), dollars(1000 * way.per_document),
         *(dollars(way.cost(number)) for number in VOLUMES))
        for way in found.ways
    ]  # fmt: skip
    header = ("US dollars", "F1", "before the first", "per 1,000", *(f"{number:,} documents" for number in VOLUMES))
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1)))
    for note in found.notes:
        msg.warn(note)
    msg.good(found.verdict)
