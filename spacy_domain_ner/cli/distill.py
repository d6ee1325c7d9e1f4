"""domain-ner distill"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb, with_options
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import ENCODING, FILE_FORMAT, GPU_ID, MAX_EPOCHS, PATIENCE_EPOCHS, SEED, TEXT_KEY
from spacy_domain_ner.cli._progress import progress_bar

if TYPE_CHECKING:
    from spacy_domain_ner.distillation.distill import Distilled

SHOWN = 10
HELD_OUT = Path("corpus/eval.jsonl")


@verb("distill")
def distill_cli(
    passages: list[str] = typer.Argument(
        ..., help="Unlabelled text: one passage per line, JSON lines, HTML, CSV, Parquet, folders, zip archives, or -"
    ),
    output_dir: Path = typer.Option(
        Path("training"), "--output-dir", "-o", help="Folder for model-best, and for what is kept of the run"
    ),
    teacher: str = typer.Option(
        "minilm",
        help="The better model: a trained one (folder or package), or a base model, as configure takes it, which is "
        "trained first; minilm@huggingface names the framework",
    ),
    config: Path = typer.Option(Path("training/config.cfg"), help="Training config of the model that learns"),
    configs: Path = typer.Option(Path("configs"), help="Folder of the configs"),
    train: Path = typer.Option(Path("corpus/train.spacy"), help="Training set (.spacy, with the .jsonl beside it)"),
    dev: Path = typer.Option(
        Path("corpus/dev.spacy"), help="Dev set, to stop training in time (.spacy, with the .jsonl beside it)"
    ),
    held_out: list[Path] = typer.Option(
        [],
        help="Further set that the model is measured by (may be repeated): its passages are not labelled",
        show_default=f"{HELD_OUT} where it is",
    ),
    size: int = typer.Option(
        None,
        help="Most passages to label; of more, so many are drawn at random",
        show_default="4 for each passage of the training set",
    ),
    max_words: int = typer.Option(300, help="Most words of a passage"),
    max_epochs: int = MAX_EPOCHS,
    patience_epochs: int = PATIENCE_EPOCHS,
    seed: int = SEED,
    gpu_id: str = GPU_ID,
    file_format: str = typer.Option(None, "--format", help=FILE_FORMAT),
    encoding: str = typer.Option("utf-8", help=ENCODING),
    text_key: str = typer.Option("text", help=TEXT_KEY),
) -> None:
    """Train a small model on your annotation, and on what a better model thinks of text that nobody has labelled.

    It takes the place of model-best, unless it finds less on the dev set. After an interruption, give the same command
    again.
    """
    found = ner.distill(
        passages, output_dir, teacher=teacher,
        recipe=ner.Recipe(config, train, dev, max_epochs, patience_epochs, seed, gpu_id), configs=configs,
        held_out=held_out or [path for path in (HELD_OUT,) if path.is_file()], size=size, max_words=max_words,
        file_format=file_format, encoding=encoding, text_key=text_key, say=partial(print, flush=True),
        progress=progress_bar,
    )  # fmt: skip
    _print_left_out(found)
    rows = [
        (name, f"{f1:.3f}")
        for name, f1 in (("teacher", found.teacher_f1), ("alone", found.alone_f1), ("distilled", found.f1))
    ]
    msg.table(rows, header=("", f"F1 on {dev}"), divider=True, aligns=("l", "r"), max_col=200)
    learned = f"It has learned from {found.reviewed:,} labelled passages and {found.silver:,} that the teacher has read"
    if found.is_better:
        msg.good(f"The model is {found.model}. {learned}")
        msg.info("Now measure it on the evaluation set: weasel run evaluate")
    else:
        msg.warn(
            f"The model finds less than without the teacher, and stays in {found.model}: {output_dir / 'model-best'} "
            f"is what it was. {learned}"
        )


def _print_left_out(found: "Distilled") -> None:
    for refusal in found.refusals[:SHOWN]:
        msg.warn(f"Not read: {refusal}")
    if len(found.refusals) > SHOWN:
        msg.warn(f"... {len(found.refusals):,} lines and files were not read in all")
    for why, count in found.left_out.most_common():
        msg.plain(f"{count:,} of {found.read:,} passages left out: {with_options(why)}")
    if found.other_types:
        msg.warn(f"Types that only the teacher knows count as no entity: {', '.join(found.other_types)}")
