"""The base models that have a name, and the values that suit each."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import srsly
from pydantic import BaseModel, ConfigDict

from spacy_domain_ner.errors import UserError

PRESETS = Path(__file__).with_name("presets.yml")
# The one preset that is no transformer.
CNN = "cnn"
# The most values a word piece's vector has in a small transformer.
SMALL = 512
HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)


class Preset(BaseModel):
    """A base model by name. The attributes are described at the top of presets.yml.

    parameters: Millions of weights. download: Megabytes; 0 where there is nothing to download.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    hub: str | None = None
    purpose: str
    architecture: str
    parameters: float | None = None
    download: int | None = None
    licence: str
    cased: bool = True
    learn_rate: float
    batch_words: int
    tokenizer: dict[str, Any]


@cache
def load_presets() -> tuple[Preset, ...]:
    """The presets, in the order of presets.yml."""
    content = srsly.read_yaml(PRESETS)
    return tuple(Preset(**{**content["defaults"], **preset}) for preset in content["presets"])


def find_preset(base_model: str) -> Preset:
    """The preset of that name, or one made for any other model of a hub or in a folder.

    base_model: A preset's name, a hub name (owner/name) or a folder that `save_pretrained` wrote.
    RAISES: UserError where it is neither.
    """
    presets = {preset.name: preset for preset in load_presets()}
    hubs = {preset.hub: preset for preset in load_presets() if preset.hub}
    if known := presets.get(base_model) or hubs.get(base_model):
        return known
    folder = Path(base_model)
    if base_model and folder.is_dir():
        # spaCy reads a training config in whatever folder it is started from.
        return _unnamed(base_model, hub=str(folder.resolve()), purpose=f"your folder {base_model}")
    # A hub's name is nobody's misspelling: acme/deberta is a model of its own.
    if not HUB_NAME.fullmatch(base_model):
        near = get_close_matches(base_model, presets, n=1)
        raise UserError(
            f"The base model {base_model!r} is neither a preset, nor the name of a config in configs/, nor a folder "
            "that is there, nor a hub's owner/name",
            f"Did you mean {near[0]}?"
            if near
            else f"Choose one of: {', '.join(presets)}. `domain-ner presets` says more.",
        )
    return _unnamed(base_model, hub=base_model, purpose="a model of the hub")


def small_values() -> dict[str, Any]:
    """The training values of a small transformer that is no preset."""
    return dict(srsly.read_yaml(PRESETS)["small"])


def _unnamed(name: str, *, hub: str, purpose: str) -> Preset:
    defaults = srsly.read_yaml(PRESETS)["defaults"]
    return Preset(
        name=name,
        hub=hub,
        purpose=purpose,
        architecture="as its config.json says",
        licence="as its page says",
        **defaults,
    )
