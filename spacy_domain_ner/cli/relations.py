"""domain-ner relations"""

from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import fail, msg
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing

if TYPE_CHECKING:
    from spacy_domain_ner.relations.baseline import Baseline
    from spacy_domain_ner.relations.finding import RelationRun
    from spacy_domain_ner.relations.scores import RelationScores

SHOWN = 20
# What became of claims that were not kept, in words.
_REFUSED = {
    "form": "not a relation at all",
    "number": "of entities that do not exist, or of one with itself",
    "type": "of a type that relation_types.yml does not have",
    "ends": "between entity types that do not fit",
    "evidence": "with words as evidence that are not in the passage",
    "twice": "claimed twice",
    "unconfirmed": "not stated by their evidence, as the second look says",
}


@verb("relations")
def relations_cli(
    rows: list[str] = typer.Argument(
        ..., help="What `extract` has written, or annotated passages: files, folders, archives, -"
    ),
    output: Path = typer.Option(None, "--output", "-o", help="File to write: each row with its `relations`"),
    relation_types: Path = typer.Option(Path("relation_types.yml"), help="The relation types"),
    schema: Path = typer.Option(Path("entity_types.yml"), help="The entity types, which heads and tails must be"),
    baseline: bool = typer.Option(False, "--baseline", help="Take what is most frequent in training, without an LLM"),
    train: Path = typer.Option(Path("corpus/train.jsonl"), help="Annotated passages that --baseline learns from"),
    settings: Path = typer.Option(Path("llm.yml"), help="The LLM's server, model, limits and budget"),
    verify: bool = typer.Option(
        False, "--verify", help="Ask the LLM again of each relation whether its evidence states it"
    ),
    gold: Path = typer.Option(None, help="Annotated passages with relations, to score what was found"),
    metrics: Path = typer.Option(None, help="JSON file for the scores; needs --gold"),
    text_key: str = typer.Option("text", help="The key of the text in the rows"),
    strict: bool = typer.Option(False, "--strict", help="Exit with 1 if a line could not be read, or a row failed"),
) -> None:
    """Find the relations between the entities of passages: by an LLM, or by what is most frequent in training.

    With --gold it says how well they were found, and how often entities that only occur together are called related.
    A run that was interrupted can be repeated: what the LLM has answered is never asked again.
    """
    if output is None and gold is None:
        raise UserError("Neither `output` nor `gold` is given", "Say where the rows go, or what to compare them with.")
    if metrics is not None and gold is None:
        raise UserError("`metrics` is given without `gold`", "There is nothing to score without annotated relations.")
    types = ner.read_relation_types(relation_types, ner.read_schema(schema) if schema.is_file() else None)
    if baseline:
        run = ner.find_relations(
            rows, output, relation_types=types, verify=verify, train=train, gold=gold, text_key=text_key
        )
    else:
        from spacy_domain_ner.llm.client import Client

        with Client.open(settings) as client:
            msg.info(client.destination)
            before = client.spent
            run = ner.find_relations(
                rows, output, relation_types=types, client=client, verify=verify, gold=gold, text_key=text_key
            )
            spent = max(0.0, client.spent - before)
            price = "the price is not known" if client.price is None else f"{spent:.4f} US dollars"
        msg.info(f"{run.requests - run.stored} question(s) asked, {run.stored} answered before; {price}")
    if metrics is not None and run.scores is not None:
        with replacing(metrics) as stream:
            stream.write(dumps(run.scores.to_dict(), indent=2, ensure_ascii=False) + "\n")
    _print(run, output)
    if run.failed == run.rows:
        fail(f"Not one of {run.rows} row(s) has its relations.", "The reasons are listed above.")
    if strict and (run.failed or run.refused):
        fail(f"{run.failed} row(s) failed, {len(run.refused)} line(s) could not be read.", "They are listed above.")


def _print(run: "RelationRun", output: Path | None) -> None:
    for entries, what, total in ((run.refused, "not read", len(run.refused)), (run.errors, "failed", run.failed)):
        for entry in entries[:SHOWN]:
            msg.warn(f"{what}: {entry}")
        if total > SHOWN:
            msg.warn(f"... {total} {what} in all")
    for outcome, count in run.outcomes.items():
        if outcome != "kept" and count:
            msg.info(f"{count} claim(s) refused: {_REFUSED[outcome]}")
    if run.baseline is not None:
        _print_rules(run.baseline)
    if run.scores is not None:
        _print_scores(run.scores)
    relations = ", ".join(f"{name} {count}" for name, count in run.relations.most_common()) or "none"
    failed = f", {run.failed} failed" if run.failed else ""
    where = f" in {output}" if output is not None else ""
    msg.good(f"{run.rows} row(s){failed}{where}. Relations: {relations}")


def _print_rules(baseline: "Baseline") -> None:
    rows = [
        (str(rule), rule.most_words, f"{rule.right} of {rule.pairs}", f"{rule.f1:.2f}")
        for rule in baseline.rules.values()
    ]
    header = ("rule, in the order of the text", "most words between", "right in training", "F1 there")
    msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r"))
    if baseline.beyond:
        msg.info(
            f"{baseline.beyond} relation(s) of the training passages are not within a sentence: no rule finds them"
        )


def _print_scores(scores: "RelationScores") -> None:
    from spacy_domain_ner.evaluation.bootstrap import with_interval

    for note in scores.notes:
        msg.warn(note)
    rows = [
        (name, with_interval(one.precision), with_interval(one.recall), with_interval(one.f1), one.support)
        for name, one in [("all types", scores.micro), *scores.types.items()]
    ]
    header = (f"{scores.entities} entities", "precision", "recall", "F1", "relations")
    msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r", "r"))
    if scores.false_on_unrelated is not None:
        msg.info(
            f"Of {scores.unrelated_pairs} pairs of entities that only occur together, the share that was called "
            f"related is {with_interval(scores.false_on_unrelated)}"
        )
