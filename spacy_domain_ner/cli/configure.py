"""domain-ner configure and domain-ner presets"""

from pathlib import Path

import typer

import spacy_domain_ner as ner
from spacy_domain_ner.cli._app import verb
from spacy_domain_ner.cli._messages import msg
from spacy_domain_ner.cli._options import WORDS


@verb("configure")
def configure_cli(
    base_model: str = typer.Argument(..., help="A preset, a hub name (owner/name), a folder, or a config in CONFIGS"),
    configs: Path = typer.Argument(Path("configs"), help="Folder of the configs"),
    output: Path = typer.Option(Path("training/config.cfg"), help="The config to write"),
    framework: str = typer.Option("spacy", help="Training backend: spacy or huggingface"),
    words: str = WORDS,
) -> None:
    """Look up the base model, download it if it is not on this machine yet, and write the config that training uses."""
    preset = ner.configure(base_model, configs, output, framework=framework, words=words)
    described = (
        f"{preset.name}, {preset.purpose}; licence: {preset.licence}" if preset else f"your own {base_model}.cfg"
    )
    msg.good(f"{output}: {described}")
    from spacy_domain_ner.projects.outdated import missing_steps

    if (missing := missing_steps()) is not None:
        lacks = f": it lacks {', '.join(missing)}" if missing else ""
        msg.warn(
            f"This project comes from an earlier template{lacks}.",
            "Bring it up to date, your edits stay: domain-ner update",
        )


@verb("presets")
def presets_cli() -> None:
    """List the base models that have a name."""
    from rich.console import Console
    from rich.table import Table

    # A file or a pipe has no width at which rows would have to be broken.
    console = Console(width=None if Console().is_terminal else 240)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("name", "for", "model", "weights", "download", "licence"):
        table.add_column(heading)
    for preset in ner.read_presets():
        table.add_row(
            preset.name,
            preset.purpose,
            f"{preset.hub or 'trained from scratch'} ({preset.architecture}{'' if preset.cased else ', uncased'})",
            f"{preset.parameters:g} M",
            f"{preset.download} MB" if preset.download else "–",
            preset.licence,
        )
    console.print(table)
    names = ", ".join(preset.name for preset in ner.read_presets() if preset.words)
    msg.plain(f"\nWhat cnn knows about words before training (--words): {names}; or none.")
    msg.plain("Any other model: a hub name (owner/name), or the path of a folder that save_pretrained wrote.")
