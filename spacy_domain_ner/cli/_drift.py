"""domain-ner monitor drift, domain-ner monitor status, domain-ner monitor successor"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._monitor import LIVE, MODEL_VERSION, TEXT_KEY, monitor
from spacy_domain_ner.cli._options import EVAL, GATE
from spacy_domain_ner.cli._progress import progress_bar

if TYPE_CHECKING:
    from spacy_domain_ner.monitoring.drift import Drift

# The most words and names that are printed.
SHOWN = 10

# The exit code where something is to be done.
ACTION = 3
_MODEL = typer.Option(..., "--model", "-m", help="The model that has read it: a folder or an installed package")


@verb("drift", monitor)
def drift_cli(
    live: list[str] = LIVE,
    model: str = _MODEL,
    reference: Path = typer.Option(
        None, help="What `evaluate` wrote by --reference", show_default="the one in the model's package"
    ),
    output: Path = typer.Option(
        None,
        "--output",
        "-o",
        help="Write the result to this JSON file, or to a new one in this folder, which `monitor status` reads",
    ),
    days: int = typer.Option(None, help="Take the rows of the last so many days only, by the time in the server's log"),
    redact: bool = typer.Option(False, "--redact", help="Keep and show no words, names and passages: numbers only"),
    text_key: str = TEXT_KEY,
    model_version: str = MODEL_VERSION,
    no_fail: bool = typer.Option(False, "--no-fail", help="Exit with 0 on an alarm, too: `monitor status` will tell"),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON"),
) -> None:
    """Compare a window of live text with what the model was evaluated on. Exit code 3: an alarm.

    Thresholds come from windows of the same size drawn from the evaluation set, for all statistics together. A
    statistic that is far out raises the alarm, and so does one that is unusual in this window and the one before.
    """
    import spacy_domain_ner as ner

    with progress_bar("Reading the live rows") as progress:
        drift = ner.measure_drift(
            live, model, reference=reference, output=output, redact=redact, days=days, text_key=text_key,
            model_version=model_version, progress=progress,
        )  # fmt: skip
    if as_json:
        msg.data(json.dumps(drift.to_dict(redact), indent=2, ensure_ascii=False) + "\n")
    else:
        _print_drift(drift, redact)
    if drift.state == "alarm" and not no_fail:
        sys.exit(ACTION)


def _print_drift(drift: "Drift", redact: bool) -> None:
    from spacy_domain_ner.monitoring.words import in_unit, in_words

    for note in drift.notes:
        msg.warn(note)
    shown = [one for one in drift.statistics if one.state != "usual"] or drift.statistics
    if drift.statistics:
        rows = [
            (
                one.statistic.title, in_unit(one.statistic.unit, one.value), in_unit(one.statistic.unit, one.reference),
                f"{in_unit(one.statistic.unit, one.low)} to {in_unit(one.statistic.unit, one.high)}", one.state,
            )
            for one in shown
        ]  # fmt: skip
        header = ("", "now", "evaluation", "usual", "")
        msg.table(rows, header=header, divider=True, aligns=("l", "r", "r", "r", "l"))
        if len(shown) < len(drift.statistics):
            msg.plain(f"The other {len(drift.statistics) - len(shown)} statistics are usual.")
    if not redact:
        _print_changes(drift)
    said = in_words(drift)
    (msg.fail if drift.state == "alarm" else msg.good if drift.state == "usual" else msg.warn)(said)


def _print_changes(drift: "Drift") -> None:
    for title, grown in (("Words that are new or more frequent", drift.words_grown), ("New names", drift.names_new)):
        if grown:
            msg.plain(f"\n{title}:")
            for one in grown[:SHOWN]:
                kind = f" ({one.type})" if one.type else ""
                msg.plain(f"  {one.text}{kind}, {one.passages} passage(s): {one.example}")
    for name, examples in drift.examples.items():
        if examples:
            title = next(one.statistic.title for one in drift.statistics if one.statistic.name == name)
            msg.plain(f"\nPassages that show it ({title}):")
            for example in examples:
                msg.plain(f"  {example}")
    msg.plain()


@verb("status", monitor)
def status_cli(
    folder: Path = typer.Argument(..., help="Folder of the results of `monitor drift` and `monitor estimate`"),
    model: str = typer.Option(None, "--model", "-m", help="The model, to work out how many passages to review"),
    reference: Path = typer.Option(
        None, help="What `evaluate` wrote by --reference", show_default="the one in the model's package"
    ),
    schema: Path = typer.Option("entity_types.yml", help="The entity types, to see whether definitions have changed"),
    gate: float = GATE,
    review_days: int = typer.Option(90, help="Days without an estimate, after which a sample is due"),
    keep_days: int = typer.Option(
        None, help="Remove results that are older than so many days; their figures stay in history.jsonl"
    ),
    redact: bool = typer.Option(False, "--redact", help="Show no words, names and passages on the page"),
) -> None:
    """Say in one sentence what to do about a model at work. Exit code 3: something is to be done.

    Retrain, let people review a sample, relabel, or nothing. Writes history.jsonl, status.json and status.html, a page
    with control charts, into the folder.
    """
    import spacy_domain_ner as ner

    status = ner.monitor_status(
        folder, model=model, reference=reference, schema=schema, gate=gate, review_days=review_days,
        keep_days=keep_days, redact=redact,
    )  # fmt: skip
    for note in status.notes:
        msg.warn(note)
    if status.removed:
        msg.info(f"{len(status.removed)} result(s) older than {keep_days} days are removed")
    (msg.warn if status.calls_for_action else msg.good)(status.decision.said)
    for reason in status.decision.reasons:
        msg.plain(reason)
    for number, step in enumerate(status.decision.next_steps, 1):
        msg.plain(f"  {number}. {step}")
    msg.info(f"The charts are in {folder / 'status.html'}")
    if status.calls_for_action:
        sys.exit(ACTION)


@verb("successor", monitor)
def successor_cli(
    new: str = typer.Argument(..., help="The new model: a folder or an installed package"),
    present: str = typer.Argument(..., help="The present one: a folder, a package's folder, or an installed package"),
    eval: Path = EVAL,
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    adopt: Path = typer.Option(None, help="Folder into which the new model is moved unless it is worse"),
) -> None:
    """Compare a new model with the present one on the same held-out passages.

    Exit code 3: the new one is worse by more than chance, so the present one must stay.
    """
    import spacy_domain_ner as ner
    from spacy_domain_ner.evaluation.successor import move_model

    if not Path(present).exists() and Path(present).parent != Path():
        msg.info(f"There is no {present} yet: nothing to compare with.")
    else:
        successor = ner.compare_successor(new, present, eval, schema)
        if successor.is_worse:
            kept = "" if adopt is None else f" The new one is in {new}."
            msg.fail(f"{successor} {present} stays.{kept}")
            sys.exit(ACTION)
        msg.good(str(successor))
    if adopt is not None:
        move_model(new, adopt)
        msg.good(f"The new model is now in {adopt}")
