"""The base models that have a name, and the training values that suit each."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

import srsly
from pydantic import BaseModel, ConfigDict

from spacy_domain_ner.errors import UserError

PRESETS = Path(__file__).with_name("presets.yml")
# The one preset that is not a transformer.
CNN = "cnn"
# The largest width of a small transformer: the values in a word piece's vector.
SMALL = 512
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


class Preset(BaseModel):
    """A base model by name.

    Attributes:
        name: What the user calls it.
        hub: The name at the hub or the folder, by which transformers finds it; None if there is nothing to download.
        purpose: What it is for, in one line.
        architecture: What kind of network it is.
        parameters: Millions of weights, with those of the word-piece embeddings; None if unknown.
        download: Megabytes to download; None if unknown.
        licence: The licence of the weights, as their publisher states it.
        cased: Whether the model sees capitals.
        words: Whether `cnn` can take its knowledge of words from it: its vocabulary is WordPiece.
        learn_rate: The learning rate of the pre-trained weights.
        batch_words: Words in a training step.
        tokenizer: Settings for `AutoTokenizer.from_pretrained`.
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
    words: bool = False
    learn_rate: float
    batch_words: int
    tokenizer: dict[str, Any]


@cache
def read_presets() -> tuple[Preset, ...]:
    """Read the presets: the base models that have a name, in the order of `domain-ner presets`."""
    content = srsly.read_yaml(PRESETS)
    return tuple(Preset(**{**content["defaults"], **preset}) for preset in content["presets"])


def find_preset(base_model: str) -> Preset:
    """Find the preset of that name, or make one for any other model of a hub or in a folder.

    Args:
        base_model: A preset's name, a hub name (owner/name) or a folder that `save_pretrained` wrote.

    Raises:
        UserError: If it is none of these.
    """
    presets = {preset.name: preset for preset in read_presets()}
    hubs = {preset.hub: preset for preset in read_presets() if preset.hub}
    if known := presets.get(base_model) or hubs.get(base_model):
        return known
    folder = Path(base_model)
    if base_model and folder.is_dir():
        # The full path: spaCy reads a training config from whatever folder it is started in.
        return _unnamed(base_model, hub=str(folder.resolve()), purpose=f"your folder {base_model}")
    # A hub name is not taken for a misspelling: acme/deberta is a model of its own.
    if not HUB_NAME.fullmatch(base_model):
        near = get_close_matches(base_model, presets, n=1)
        raise UserError(
            f"The base model {base_model!r} is neither a preset, nor a config in configs/, nor an existing folder, nor "
            "a hub name (owner/name)",
            f"Did you mean {near[0]}?"
            if near
            else f"Choose one of: {', '.join(presets)}. `domain-ner presets` describes them.",
        )
    return _unnamed(base_model, hub=base_model, purpose="a model of the hub")


def small_values() -> dict[str, Any]:
    """The training values of a small transformer that is not a preset."""
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
