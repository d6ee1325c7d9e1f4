"""domain-ner convert"""

from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.corpus import load_tokenizing_pipeline, read_valid_passages, write_docs
from spacy_domain_ner.text import shorten


@verb("convert")
def convert_cli(
    inputs: list[Path] = typer.Argument(..., help="Annotation files (JSON lines)"),
    config: Path = typer.Option("training/config.cfg", help="Training config: its tokenizer is used"),
) -> None:
    """Convert annotations to the binary form that `spacy train` reads: each X.jsonl to X.spacy beside it."""
    for path in inputs:
        convert(path, config)


def convert(path: Path, config: Path) -> Path:
    """Convert one annotation file with the tokenizer of a training config.

    RETURNS: The `.spacy` file. RAISES: UserError where the file or the config can't be read.
    """
    passages = read_valid_passages(path)
    target = path.with_suffix(".spacy")
    missed = write_docs(load_tokenizing_pipeline(config), passages, target)
    for passage, span, tokens in missed:
        shown = " | ".join(shorten(token, 30) for token in tokens)
        msg.warn(
            f"{passage.place}: {passage.surface(span)!r} misses token boundaries or overlaps another span "
            f"(tokens: {shown})"
        )
    msg.good(f"{target}: {len(passages)} passages, {len(missed)} span(s) that training can't use")
    return target
