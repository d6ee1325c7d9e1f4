"""domain-ner select"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb, with_options
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import ENCODING, FILE_FORMAT, GATE, MODEL_BEST, NEXT, TEXT_KEY
from spacy_domain_ner.cli._progress import progress_bar
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    from spacy_domain_ner.annotation.selected import Selection

SHOWN = 10
LABELLED, METRICS = Path("assets/annotations.jsonl"), Path("metrics/metrics.json")
HELD_OUT = (Path("corpus/dev.jsonl"), Path("corpus/eval.jsonl"))


@verb("select")
def select_cli(
    pool: list[str] = typer.Argument(
        ...,
        help="Text with one passage per line, JSON lines, what `extract` has written, HTML, CSV, TSV, Parquet, "
        "folders, zip archives, or -",
    ),
    output: Path = typer.Option(NEXT, "--output", "-o", help="File to write (JSON lines)"),
    model: str = typer.Option(
        None,
        "--model",
        "-m",
        help="Trained model: a folder or an installed package; none to choose without one",
        show_default=f"{MODEL_BEST} where it is",
    ),
    size: int = typer.Option(100, help="How many passages to choose"),
    types: list[str] = typer.Option(
        [], help="Type to learn (may be repeated); if none is given, all types, those near the gate less"
    ),
    labelled: list[Path] = typer.Option(
        [], help="Annotation file whose passages are left out (may be repeated)", show_default=f"{LABELLED} where it is"
    ),
    held_out: list[Path] = typer.Option(
        [],
        help="Set that the model is measured by (may be repeated): its sources are drawn at random only",
        show_default=f"{' and '.join(map(str, HELD_OUT))} where they are",
    ),
    metrics: Path = typer.Option(None, help="Figures of the last evaluation", show_default=f"{METRICS} where it is"),
    gate: float = GATE,
    random_share: float = typer.Option(
        None,
        help="Share that is drawn at random and labelled blind, for the evaluation",
        show_default="0.1; 0.5 without a model",
    ),
    per_source: int = typer.Option(2, help="Most passages with the same meta.source"),
    max_words: int = typer.Option(300, help="Most words of a passage"),
    language: str = typer.Option(
        None, help="Language of the passages, such as en; others are left out", show_default="the model's"
    ),
    seed: int = typer.Option(0, help="Seed of what is random"),
    workers: int = typer.Option(1, "--workers", "-w", help="Number of processes that read the pool"),
    file_format: str = typer.Option(None, "--format", help=FILE_FORMAT),
    encoding: str = typer.Option("utf-8", help=ENCODING),
    text_key: str = typer.Option("text", help=TEXT_KEY),
) -> None:
    """Choose the passages to label next: those from which the model learns most, and some at random.

    The chosen ones are for training only; the random ones are labelled blind, and measure the next model.
    """
    named = str(MODEL_BEST) if model is None and MODEL_BEST.is_dir() else None if model == "none" else model
    with progress_bar("Reading the pool") as progress:
        found = ner.select_passages(
            pool, output, model=named, size=size, types=types,
            labelled=labelled or [path for path in (LABELLED,) if path.is_file() and path.stat().st_size],
            held_out=held_out or [path for path in HELD_OUT if path.is_file()],
            metrics=metrics or (METRICS if METRICS.is_file() else None),
            gate=gate, random_share=random_share, per_source=per_source, max_words=max_words, language=language,
            seed=seed, workers=workers, file_format=file_format, encoding=encoding, text_key=text_key,
            progress=progress,
        )  # fmt: skip
    for refusal in found.refusals[:SHOWN]:
        msg.warn(f"Not read: {refusal}")
    if found.refused > SHOWN:
        msg.warn(f"... {found.refused} lines and files were not read in all")
    for why, count in found.left_out.most_common():
        msg.plain(f"{count:,} left out: {why}")
    for note in found.notes:
        msg.warn(with_options(note).replace("`", ""))
    shown = [one for one in found.chosen if not one.is_random][:SHOWN]
    if shown:
        rows = [(shorten(one.reason, 72), shorten(" ".join(one.passage.text.split()), 70)) for one in shown]
        msg.table(rows, header=("why", "passage"), divider=True, max_col=72)
    _print_gains(found)
    at_random = sum(one.is_random for one in found.chosen)
    how = f"by {named}" if named else "without a model, to cover the pool's words"
    msg.good(
        f"{len(found.chosen)} of {found.read:,} passages in {output}, chosen {how}; {at_random} of them at random, to "
        "be labelled blind"
    )
    filled_in = f" --model {named}" if named else ""
    msg.info(f"Now make tasks of them: domain-ner export label-studio {output} --output tasks.json{filled_in}")


def _print_gains(found: "Selection") -> None:
    from spacy_domain_ner.annotation.stopping import advice

    if found.hours:
        mentions = ", ".join(f"{label} {count:.0f}" for label, count in found.mentions.items() if count >= 0.5)
        minutes = math.ceil(60 * found.hours)
        time = f"{found.hours:.1f} hours" if minutes > 60 else f"{minutes} minute{'s' if minutes > 1 else ''}"
        msg.plain(f"About {time} of labelling; mentions that the model expects: {mentions or 'none'}")
    for gain in found.gains:
        msg.plain(str(gain))
    if said := advice(found.gains, len(found.chosen)):
        msg.info(said)
