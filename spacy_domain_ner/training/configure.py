"""From the choice of a base model to the config that training uses, with the model looked up before any work."""

from pathlib import Path

from thinc.api import Config

from spacy_domain_ner.base_models.configs import filled, read_config
from spacy_domain_ner.base_models.fetch import fetch
from spacy_domain_ner.base_models.presets import CNN, Preset, find_preset
from spacy_domain_ner.base_models.word_tables import NONE, fill_in_words
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training.frameworks import FRAMEWORKS, find_framework, framework_named
from spacy_domain_ner.training.recipe import SPACY


def configure(
    base_model: str,
    configs: str | Path = Path("configs"),
    output: str | Path = Path("training/config.cfg"),
    *,
    framework: str = "spacy",
    words: str | None = None,
) -> Preset | None:
    """Write the training config for a base model; a transformer is downloaded if it is not on this machine yet.

    Args:
        base_model: A preset's name, a hub name, a folder with a transformer, or the name of a config in `configs`.
        configs: The folder of the configs. Values that are null in `transformer.cfg` and `huggingface.cfg` are filled
            in from the preset; what is not null is the user's own and stays. `cnn.cfg` and others are taken as they
            are.
        output: The config to write. It is left alone if it would not change.
        framework: The training backend: `spacy` (with spacy-transformers for a transformer) or `huggingface`.
        words: What `cnn` knows about words before training: `minilm`, or the encoder whose word pieces it takes: a
            preset's name, a hub name, a folder, or a word table's file. `none` trains a network without them. A config
            of the user's own is filled in with it where it has a layer of word pieces whose `words` is null.

    Returns:
        The preset, with the word tables' licences; None for a config of the user's own.

    Raises:
        UserError: If the model, the config or a package is missing or can't be used.
    """
    chosen = framework_named(framework)
    configs, output = Path(configs), Path(output)
    if _is_own(base_model, configs):
        preset, config = None, read_config(configs / f"{base_model}.cfg")
    elif (preset := find_preset(base_model)).hub is None:
        config = read_config(configs / f"{base_model}.cfg")
        if find_framework(config) is not chosen:
            raise UserError(
                f"The base model {base_model} is not a transformer, and the framework {framework} does not train it",
                "Choose a transformer, for instance minilm, or the framework spacy.",
            )
    else:
        config = read_config(configs / chosen.config_file)
        preset = fetch(preset)
        chosen.fill(config, preset)
    if preset is None or preset.hub is None:
        preset = _with_words(config, preset, words, output.parent)
    # A config of another framework is not spaCy's: its defaults there would take overrides that nothing reads.
    complete = filled(config) if find_framework(config).reads == SPACY else config
    text = complete.to_str(interpolate=False)
    if not (output.is_file() and output.read_text(encoding="utf8") == text):
        with replacing(output) as stream:
            stream.write(text)
    return preset


def _with_words(config: Config, preset: Preset | None, words: str | None, folder: Path) -> Preset | None:
    """Fill a word table into the config.

    Returns:
        The preset, with what its tables are and what their licences are.
    """
    tables = fill_in_words(config, words, folder)
    if preset is None:
        return None
    if not tables:
        if words not in (None, NONE):
            raise UserError(
                f"`words` is {words}, but the config of {preset.name} has no layer of word pieces",
                "Bring the project up to date: domain-ner update. Or train without: `words=none`.",
            )
        return preset
    told = "; ".join(f"words: {table['source']}, {table['licence']}" for table in tables)
    return preset.model_copy(update={"licence": f"{preset.licence}; {told}"})


def _is_own(base_model: str, configs: Path) -> bool:
    """Whether a base model is a config of the user's own, and not one that presets take or fill in."""
    filled_in = {framework.config_file for framework in FRAMEWORKS.values()}
    name = f"{base_model}.cfg"
    return base_model != CNN and name not in filled_in and (configs / name).is_file()
