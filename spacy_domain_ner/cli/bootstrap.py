"""domain-ner bootstrap"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli import _importing as importing
from spacy_domain_ner.cli._app import verb, with_options
from spacy_domain_ner.cli._llm import say_where
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import ENCODING, FILE_FORMAT, TEXT_KEY
from spacy_domain_ner.cli._progress import progress_bar

if TYPE_CHECKING:
    from spacy_domain_ner.bootstrapping.bootstrap import Bootstrapped

SHOWN = 10
REVIEWED = (Path("corpus/train.jsonl"), Path("corpus/dev.jsonl"))
HELD_OUT = (Path("corpus/dev.jsonl"), Path("corpus/eval.jsonl"))


@verb("bootstrap")
def bootstrap_cli(
    passages: list[str] = typer.Argument(
        ..., help="Unlabelled text: one passage per line, JSON lines, HTML, CSV, Parquet, folders, zip archives, or -"
    ),
    output: Path = typer.Option(Path("assets/silver.jsonl"), "--output", "-o", help="File to write (JSON lines)"),
    gazetteers: list[str] = typer.Option(
        [],
        help="Table of known names with the columns name and type (and case_sensitive, ambiguous), a folder of them, "
        "or TYPE=FILE (may be repeated)",
    ),
    patterns: list[str] = typer.Option([], help="Patterns as EntityRuler takes them, JSON lines (may be repeated)"),
    models: list[str] = typer.Option([], "--model", help="Another spaCy model, package or folder (may be repeated)"),
    map: list[str] = typer.Option([], help="LABEL=TYPE for a label of the models (may be repeated)"),
    llm: Path = typer.Option(None, help="Settings of an LLM that is asked, too (llm.yml). The texts go there"),
    reviewed: list[Path] = typer.Option(
        [],
        help="Reviewed passages, which tell how good the sources are (may be repeated)",
        show_default=f"{' and '.join(str(path) for path in REVIEWED)} where they are",
    ),
    held_out: list[Path] = typer.Option(
        [],
        help="Set that the model is measured by (may be repeated): its passages are not labelled",
        show_default=f"{' and '.join(str(path) for path in HELD_OUT)} where they are",
    ),
    schema: Path = importing.SCHEMA,
    report: Path = typer.Option(Path("metrics/bootstrap.json"), help="File for the report (JSON)"),
    config: Path = typer.Option(
        None, help="Training config, whose tokenizer is used", show_default="training/config.cfg where there is one"
    ),
    size: int = typer.Option(2000, help="Most passages to label; of more, so many are drawn at random"),
    sure: float = typer.Option(0.6, help="From this probability on, a span is an entity"),
    max_words: int = typer.Option(300, help="Most words of a passage"),
    file_format: str = typer.Option(None, "--format", help=FILE_FORMAT),
    encoding: str = typer.Option("utf-8", help=ENCODING),
    text_key: str = typer.Option("text", help=TEXT_KEY),
) -> None:
    """Label text before anybody has: from known names, patterns and other models, as far as they can be relied on.

    What is not sure is left unknown, and training learns nothing from it. The passages are for training only.
    """
    with progress_bar("Labelling") as progress:
        made = ner.bootstrap(
            passages, output, schema=importing.default_schema(schema) or Path("entity_types.yml"),
            gazetteers=gazetteers, patterns=patterns, models=models, map=map, llm=llm, begin=say_where,
            reviewed=reviewed or [path for path in REVIEWED if path.is_file()],
            held_out=held_out or [path for path in HELD_OUT if path.is_file()],
            report=report, config=config, size=size, sure=sure, max_words=max_words, file_format=file_format,
            encoding=encoding, text_key=text_key, progress=progress,
        )  # fmt: skip
    _print_sources(made)
    _print_left(made)
    for note in made.notes:
        msg.warn(note)
    inside, outside, unknown = made.tokens
    mentions = ", ".join(f"{label} {count}" for label, count in made.mentions.items())
    msg.info(f"Sure mentions: {mentions or 'none'}")
    msg.info(f"Tokens in names {inside:,}, outside of all names {outside:,}, unknown {unknown:,}")
    msg.good(f"{len(made.passages)} of {made.read:,} passages in {output}, for training only; the report is {report}")
    msg.info(
        f"Now train with them (domain-ner split ANNOTATIONS corpus --silver {output}, then convert and train), and let "
        "domain-ner compare cnn --without-silver say what they are worth."
    )


def _print_sources(made: "Bootstrapped") -> None:
    for lines, what in ((made.refusals, "not read"), (made.skipped, "not used")):
        for line in lines[:SHOWN]:
            msg.warn(f"{what}: {line}")
        if len(lines) > SHOWN:
            msg.warn(f"... {len(lines):,} {what} in all")
    for why, count in made.left_out.most_common():
        msg.plain(f"{count:,} left out: {with_options(why)}")
    for name, types in list(made.conflicts.items())[:SHOWN]:
        msg.warn(f"{name!r} is in a gazetteer as {' and as '.join(types)}: it is left unknown where nothing else tells")
    rows = [
        (source, type_, one.found, _share(one.precision), _share(one.recall), f"{one.right}/{one.right + one.wrong}")
        for (source, type_), one in made.records.items()
    ]
    header = ("source", "type", "found", "precision", "recall", "right of reviewed")
    msg.table(rows, header=header, divider=True, aligns=("l", "l", "r", "r", "r", "r"), max_col=60)
    for (first, second), (both, either) in made.agreement.items():
        if either:
            msg.plain(f"{first} and {second}: both have found {both} of {either} spans")


def _print_left(made: "Bootstrapped") -> None:
    if made.left:
        shown = ", ".join(f"{name} ({type_}) {count}" for (name, type_), count in made.left.most_common(SHOWN))
        msg.info(f"Found, but left unknown {made.left.total():,} times; most often: {shown}")
    if made.misaligned:
        msg.warn(f"{made.misaligned} sure spans do not begin and end with tokens, and are left unknown")
    if made.unmapped:
        labels = ", ".join(f"{label} {count}" for label, count in made.unmapped.most_common())
        msg.info(f"Found by the models under labels that have no type here (--map LABEL=TYPE takes them): {labels}")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
