"""domain-ner split"""

from collections import Counter
from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg, percent
from spacy_domain_ner.corpus import Split, read_valid_passages, split_passages, write_passages
from spacy_domain_ner.corpus.split import SIDES, read_salt, write_salt
from spacy_domain_ner.text import shorten


@verb("split")
def split_cli(
    annotations: Path = typer.Argument(..., help="Annotation file (JSON lines), or a folder of them"),
    output_dir: Path = typer.Argument(..., help="Folder for train.jsonl, dev.jsonl and eval.jsonl"),
    state: Path = typer.Option(None, help="File that keeps the split stable; made by the first split"),
    eval_fraction: float = typer.Option(0.2, help="Share held out for evaluation"),
    dev_fraction: float = typer.Option(0.15, help="Share of the rest that decides when training stops"),
) -> None:
    """Divide annotations into training, early-stopping and evaluation sets that stay as they are when data is added."""
    result = split(annotations, output_dir, state, eval_fraction, dev_fraction)
    for passage in result.duplicates:
        msg.warn(f"{passage.place}: left out, the same text is on another side: {shorten(passage.text)!r}")
    counts = {side: Counter(s.label for p in result.sides[side] for s in p.spans) for side in SIDES}
    rows: list[tuple[object, ...]] = [("passages", *(len(result.sides[side]) for side in SIDES))]
    rows += [
        (label, *(counts[side][label] for side in SIDES))
        for label in sorted(counts["train"] | counts["dev"] | counts["eval"])
    ]
    shares = [(*row, percent(_number(row[3]) / max(1, sum(map(_number, row[1:]))))) for row in rows]
    msg.table(shares, header=("", *SIDES, "eval %"), divider=True, aligns=("l", "r", "r", "r", "r"))


def split(
    annotations: Path, output_dir: Path, state: Path | None, eval_fraction: float = 0.2, dev_fraction: float = 0.15
) -> Split:
    """Split an annotation file and write the three sets.

    state: A file that keeps the split's salt; read where it is there, else written.
    RAISES: UserError where the annotations can't be read or split.
    """
    salt = None if state is None else read_salt(state)
    result = split_passages(
        read_valid_passages(annotations), eval_fraction=eval_fraction, dev_fraction=dev_fraction, salt=salt
    )
    # First: sets without the salt that made them could not be made again.
    if state is not None and salt is None:
        write_salt(state, result.salt)
    for side, passages in result.sides.items():
        write_passages(output_dir / f"{side}.jsonl", passages)
    return result


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value
