"""domain-ner split"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    from spacy_domain_ner.corpus.split import Split


@verb("split")
def split_cli(
    annotations: Path = typer.Argument(..., help="Annotation file (JSON lines), or a folder of them"),
    output_dir: Path = typer.Argument(..., help="Folder for train.jsonl, dev.jsonl and eval.jsonl"),
    state: Path = typer.Option(None, help="File that keeps the split stable; the first split makes it"),
    eval_fraction: float = typer.Option(0.2, help="Share held out for evaluation"),
    dev_fraction: float = typer.Option(0.15, help="Share of the rest that decides when training stops"),
    silver: Path = typer.Option(
        None, help="Passages with first labels (see bootstrap), for the training set only; may be missing"
    ),
) -> None:
    """Divide annotations into training, dev and evaluation sets that stay as they are when data is added."""
    import spacy_domain_ner as ner
    from spacy_domain_ner.evaluation.scores import percent

    result = ner.split(annotations, output_dir, state, eval_fraction, dev_fraction, silver)
    for passage in result.duplicates:
        msg.warn(f"{passage.place}: left out, the same text is on another side: {shorten(passage.text)!r}")
    for passage in result.held_back:
        msg.warn(
            f"{passage.place}: left out, it is for training only, and its text or source is held out: "
            f"{shorten(passage.text)!r}"
        )
    if first := sum(passage.is_silver for passage in result.train):
        msg.info(f"{first} passages of the training set have first labels that nobody has reviewed")
    _tell_of_the_pack(result)
    if result.superseded:
        msg.info(f"{len(result.superseded)} with first labels are left out: they are annotated by now")
    passages = {side: len(members) for side, members in result.sides.items()}
    rows = [
        (name, *row.values(), percent(row["eval"] / max(1, sum(row.values())), 1))
        for name, row in [("passages", passages), *result.mentions().items()]
    ]
    msg.table(rows, header=("", *passages, "eval %"), divider=True, aligns=("l", "r", "r", "r", "r"))


def _tell_of_the_pack(result: "Split") -> None:
    """Say what becomes of the passages that came with a pack, where there are others."""
    from spacy_domain_ner.corpus.passage import OWN, STARTER
    from spacy_domain_ner.corpus.split import OWN_ENOUGH

    starters, own = (
        {side: sum(passage.origin == origin for passage in members) for side, members in result.sides.items()}
        for origin in (STARTER, OWN)
    )
    if not any(starters.values()) or not any(own.values()):
        return
    if result.starters_train:
        msg.info(
            f"The pack's {starters['train']} passages are for training only: {own['dev']} of your own decide when "
            f"training stops, and {own['eval']} are what the model is evaluated on"
        )
    else:
        dev, held_out = len(result.dev), len(result.eval)
        msg.info(
            f"{own['dev']} of the {dev} dev passages and {own['eval']} of the {held_out} evaluation passages are your "
            f"own. With {OWN_ENOUGH} of your own in both sets, the pack's are for training only"
        )
