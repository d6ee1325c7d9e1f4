"""domain-ner configure and domain-ner presets"""

from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from spacy_domain_ner.base_models import Preset, configure, load_presets
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg


@verb("configure")
def configure_cli(
    base_model: str = typer.Argument(..., help="A preset, a hub name (owner/name), a folder, or a config in CONFIGS"),
    configs: Path = typer.Argument(Path("configs"), help="Folder of the configs"),
    output: Path = typer.Option(Path("training/config.cfg"), help="The config to write"),
    framework: str = typer.Option("spacy", help="What trains: spacy or huggingface"),
) -> None:
    """Look up the base model, download it where it is not here yet, and write the config that training uses."""
    preset = configure(base_model, configs, output, framework=framework)  # type: ignore[arg-type]
    msg.good(f"{output}: {_described(preset) if preset else base_model + '.cfg, your own config'}")


@verb("presets")
def presets_cli() -> None:
    """List the base models that have a name."""
    # To a file or a pipe: rows are not to be broken at the width of a terminal that is not there.
    console = Console(width=None if Console().is_terminal else 240)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("name", "for", "model", "weights", "download", "licence"):
        table.add_column(heading)
    for preset in load_presets():
        table.add_row(
            preset.name,
            preset.purpose,
            f"{preset.hub or 'trained from scratch'} ({preset.architecture}{'' if preset.cased else ', uncased'})",
            f"{preset.parameters:g} M",
            f"{preset.download} MB" if preset.download else "–",
            preset.licence,
        )
    console.print(table)
    print("\nAny other: a hub's owner/name, or the path of a folder that save_pretrained wrote.")


def _described(preset: Preset) -> str:
    return f"{preset.name}, {preset.purpose}; licence: {preset.licence}"
