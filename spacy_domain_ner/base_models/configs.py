"""Training configs: reading one, and filling in what it leaves open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spacy import util
from thinc.api import Config

from spacy_domain_ner.errors import UserError, reason


def read_config(path: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a config; its variables stay as they are.

    Args:
        path: The config's file.
        overrides: Values in place of its own, by their dotted names.

    Raises:
        UserError: If the config can't be read or has no such value.
    """
    try:
        return util.load_config(path, overrides=dict(overrides or {}), interpolate=False)
    except Exception as error:  # configparser and confection each have errors of their own
        raise UserError(
            f"The config {path} can't be used: {reason(error)}", "Fix it, or name another config."
        ) from error


def fill_in(config: Config, values: Mapping[str, Any]) -> None:
    """Put values where a config has null or an empty section. What the user has set stays.

    Args:
        config: The config to fill in.
        values: The values by their dotted names. One whose section the config lacks is left out.
    """
    for name, value in values.items():
        *sections, key = name.split(".")
        section: Any = config
        for part in sections:
            section = section.get(part) if isinstance(section, dict) else None
        if isinstance(section, dict) and section.get(key, value) in (None, {}):
            section[key] = value


def filled(config: Config) -> Config:
    """Write out every default of spaCy, so that `spacy debug` and the other commands of spaCy take a config as it is.

    Args:
        config: A config, which stays as it is.

    Returns:
        The config with all its values, variables as they are. One from which no pipeline can be made is given back
        unchanged: training says what is wrong with it.
    """
    try:
        complete: Config = util.load_model_from_config(config.copy(), auto_fill=True, validate=False).config
    except Exception:  # whatever the parts that a config names may raise
        return config
    return complete
