"""domain-ner package"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import DEV, EVAL


@verb("package")
def package_cli(
    model: Path = typer.Argument(..., help="Trained model's folder"),
    output_dir: Path = typer.Argument(..., help="Folder for the package"),
    name: str = typer.Option(..., help="The package's name, without the language"),
    version: str = typer.Option("0.1.0", help="The package's version"),
    schema: Path = typer.Option("entity_types.yml", help="The entity types"),
    metrics: Path = typer.Option("metrics/metrics.json", help="The scores, as `evaluate` wrote them"),
    counts: Path = typer.Option("metrics/check.json", help="The corpus, as `check` wrote it"),
    about: Path = typer.Option("configs/about.json", help="Title, description, author, licence, url"),
    reference: Path = typer.Option(
        "metrics/reference.json", help="What `monitor drift` compares live text with, as `evaluate` wrote it, if it did"
    ),
    runtime: str = typer.Option(
        "torch",
        help="What runs a transformer: torch; onnx, with which the package needs neither PyTorch nor transformers; or "
        "onnx-int8, the same in 8 bits where that loses at most 0.005 F1",
    ),
    eval: Path = EVAL,
    dev: Path = DEV,
) -> None:
    """Build a wheel of a trained model, with a model card that has its scores."""
    wheel = ner.package_model(
        model, output_dir, name=name, version=version, schema=schema, metrics=metrics, counts=counts, about=about,
        reference=reference, runtime=runtime, eval=eval, dev=dev, say=msg.info,
    )  # fmt: skip
    msg.good("The package is ready", f"pip install {wheel}")
