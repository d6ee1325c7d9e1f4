"""domain-ner convert"""

from pathlib import Path

import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.text import shorten


@verb("convert")
def convert_cli(
    inputs: list[Path] = typer.Argument(..., help="Annotation files (JSON lines)"),
    config: Path = typer.Option("training/config.cfg", help="Training config: its tokenizer is used"),
) -> None:
    """Convert annotations to the binary form that `spacy train` reads: each X.jsonl to X.spacy beside it."""
    import spacy_domain_ner as ner

    for converted in ner.convert(inputs, config):
        for passage, span, tokens in converted.missed:
            shown = " | ".join(shorten(token, 30) for token in tokens)
            msg.warn(
                f"{passage.place}: {passage.surface(span)!r} misses token boundaries or overlaps another span "
                f"(tokens: {shown})"
            )
        if converted.own_times > 1:
            msg.info(
                f"{converted.path}: training reads each of the {converted.own} passages that are your own "
                f"{converted.own_times} times per epoch"
            )
        lost = len(converted.missed)
        msg.good(f"{converted.path}: {converted.passages} passages, {lost} span(s) that training can't use")
