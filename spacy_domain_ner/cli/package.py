"""domain-ner package"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import srsly
import typer

from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.deployment.package import package_model
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.schema import read_schema


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
) -> None:
    """Build a wheel of a trained model, with a model card that has its scores."""
    wheel = package_model(
        model,
        output_dir,
        name=name,
        version=version,
        schema=read_schema(schema),
        metrics=_read(metrics, "evaluate", ("micro", "types", "passages", "gates")),
        counts=_read(counts, "check", ("passages", "without_entities", "types")),
        about=_read_about(about),
    )
    msg.good("The package is ready", f"pip install {wheel}")


def _read(path: Path, step: str, keys: Iterable[str]) -> dict[str, Any]:
    hint = f"Run that step first: weasel run {step}"
    data = _read_object(path, hint)
    if missing := [key for key in keys if key not in data]:
        raise UserError(f"{path} lacks {', '.join(missing)}", hint)
    return data


def _read_about(path: Path) -> dict[str, Any]:
    hint = "It is a JSON object with title, description, author, email, url and license, each of them text."
    about = _read_object(path, hint)
    for key, value in about.items():
        if not isinstance(value, str):
            raise UserError(f"{key!r} in {path} must be text", hint)
    return about


def _read_object(path: Path, hint: str) -> dict[str, Any]:
    try:
        data = srsly.read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"Can't read {path}: {error}", hint) from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a JSON object", hint)
    return data
