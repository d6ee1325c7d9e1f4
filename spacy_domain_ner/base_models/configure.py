"""From the choice of a base model to the config that training uses, with the model looked up before any work."""

from pathlib import Path
from typing import Any, Literal, get_args

from spacy import util
from thinc.api import Config

from spacy_domain_ner.base_models.presets import CNN, SMALL, Preset, find_preset, load_presets, small_values
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import replacing_path

Framework = Literal["spacy", "huggingface"]
INSTALL = "python -m pip install 'spacy-domain-ner[transformers]'"
BYTE_WINDOWS = "spacy_domain_ner.byte_windows.v1"
# The word pieces that a tokenizer puts before and behind a window.
SPECIAL = 2
# A tokenizer that does not know says 1e30.
UNLIMITED = 10**9


def configure(base_model: str, configs: Path, output: Path, *, framework: Framework = "spacy") -> Preset | None:
    """Write the training config for a base model; a transformer is downloaded where it is not yet on this machine.

    base_model: A preset's name, a hub name, a folder with a transformer, or the name of a config in `configs`.
    configs: The folder of the configs. Values that are null in `transformer.cfg` and `huggingface.cfg` are filled in
        from the preset; what is not null is the user's own and stays. `cnn.cfg` and others are taken as they are.
    output: The config to write. It is left alone where it would not change.
    framework: What trains: spaCy with spacy-transformers, or transformers itself.
    RETURNS: The preset; None where a config of the user's own was chosen.
    RAISES: UserError where the model, the config or a package is missing or can't be used.
    """
    if framework not in get_args(Framework):
        raise UserError(f"The framework {framework!r} is not known", f"Choose one of: {', '.join(get_args(Framework))}")
    own = configs / f"{base_model}.cfg"
    if base_model not in (CNN, "transformer", "huggingface") and own.is_file():
        preset, config = None, load_config(own)
    else:
        preset = find_preset(base_model)
        if preset.hub is None:
            if framework == "huggingface":
                raise UserError(
                    f"The base model {base_model} is no transformer, and the framework huggingface trains only those",
                    "Choose a transformer, for instance minilm, or the framework spacy.",
                )
            config = load_config(configs / f"{base_model}.cfg")
        else:
            config = load_config(configs / ("transformer.cfg" if framework == "spacy" else "huggingface.cfg"))
            preset = fetch(preset)
            fill(config, preset)
            if framework == "spacy":
                _check_windows(config, preset)
    text = config.to_str(interpolate=False)
    if not (output.is_file() and output.read_text(encoding="utf8") == text):
        with replacing_path(output) as beside:
            beside.write_text(text, encoding="utf8", newline="\n")
    return preset


def load_config(path: Path) -> Config:
    """Read a config. RAISES: UserError where it can't be read."""
    try:
        return util.load_config(path, interpolate=False)
    except Exception as error:  # configparser and confection each have errors of their own
        raise UserError(f"The config {path} can't be read: {reason(error)}", "Mend it, or choose another.") from error


def fill(config: Config, preset: Preset) -> None:
    """Put a preset's values where a config has null, or for the tokenizer an empty section."""
    places: dict[str, Any] = {
        "components.transformer.model.name": preset.hub,
        "components.transformer.model.tokenizer_config": preset.tokenizer,
        "training.optimizer.learn_rate.initial_rate": preset.learn_rate,
        "training.batcher.size": preset.batch_words,
        "huggingface.name": preset.hub,
        "huggingface.tokenizer": preset.tokenizer,
        "huggingface.training.learning_rate": preset.learn_rate,
    }
    for place, value in places.items():
        *sections, key = place.split(".")
        section: Any = config
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict) and section.get(key, value) in (None, {}):
            section[key] = value


def fetch(preset: Preset) -> Preset:
    """See that a transformer is on this machine, downloading it where it is not, and that it can be used.

    No code that comes with a model is executed.
    RETURNS: The preset, with what the model turned out to need: settings of its tokenizer, values for its width.
    RAISES: UserError where a package, the model, its tokenizer or its weights are missing.
    """
    try:
        import spacy_transformers  # noqa: F401
        from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedTokenizerFast
        from transformers.utils import logging
    except ImportError as error:
        raise UserError(f"The base model {preset.name} needs more packages: {reason(error)}", INSTALL) from error
    assert preset.hub
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        # Refused and not asked about: a question to the terminal would hold up a run that nobody watches.
        width = AutoConfig.from_pretrained(preset.hub, trust_remote_code=False).hidden_size
        tokenizer = AutoTokenizer.from_pretrained(preset.hub, trust_remote_code=False, **preset.tokenizer)
        model = AutoModel.from_pretrained(preset.hub, trust_remote_code=False)
    except Exception as error:  # the hub's client, the file system, safetensors and torch each have errors of their own
        raise _not_usable(preset, error) from error
    finally:
        logging.set_verbosity(verbosity)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"The base model {preset.name} has no fast tokenizer ({type(tokenizer).__name__}), so its word pieces "
            "can't be traced to the text",
            "Choose another model, or save its tokenizer in the fast form: a folder with a tokenizer.json.",
        )
    settings = {**preset.tokenizer, "model_max_length": _longest_input(model, tokenizer)}
    if _lowers_a_cased_model(tokenizer):
        settings["do_lower_case"] = False
    found: dict[str, Any] = {"tokenizer": {key: value for key, value in settings.items() if value is not None}}
    if preset.name not in {known.name for known in load_presets()} and width <= SMALL:
        found |= small_values()
    return preset.model_copy(update=found)


def _longest_input(model: Any, tokenizer: Any) -> int | None:
    """How many word pieces a transformer reads at once; None where nothing limits it.

    A tokenizer without a tokenizer_config.json does not know, as those of BioBERT and DeBERTa: it would give a
    transformer more than it has positions for, which is an error on the first passage of that length.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    for name, module in model.named_modules():
        # RoBERTa and its kind count positions from behind that of padding.
        if name.endswith("position_embeddings") and (padding := getattr(module, "padding_idx", None)) is not None:
            positions -= padding + 1
    known = [length for length in (positions, tokenizer.model_max_length) if 0 < length < UNLIMITED]
    return min(known, default=None)


def _check_windows(config: Config, preset: Preset) -> None:
    """RAISES: UserError where windows may be longer than what the transformer reads: their ends would be cut off."""
    windows = config["components"]["transformer"]["model"].get("get_spans", {})
    longest = preset.tokenizer.get("model_max_length", UNLIMITED)
    if windows.get("@span_getters") == BYTE_WINDOWS and windows.get("size", 0) + SPECIAL > longest:
        raise UserError(
            f"The base model {preset.name} reads {longest} word pieces at once; windows of {windows['size']} bytes may "
            "have more",
            f"Set size to {longest - SPECIAL} or less, and overlap to about a quarter of it, in "
            "[components.transformer.model.get_spans] of configs/transformer.cfg.",
        )


def _lowers_a_cased_model(tokenizer: Any) -> bool:
    """Whether a tokenizer lower-cases the text for a model that knows capitals.

    That is what transformers makes of a BERT's folder that has no tokenizer_config.json, as BioBERT's has none.
    """
    lowers = getattr(tokenizer, "do_lower_case", False)
    capitals = sum(
        piece != piece.lower() for piece in tokenizer.get_vocab() if piece not in tokenizer.all_special_tokens
    )
    return bool(lowers) and capitals > len(tokenizer) // 100


def _not_usable(preset: Preset, error: Exception) -> UserError:
    said = reason(error)
    place = "" if preset.hub == preset.name else f" ({preset.hub})"
    what = f"The base model {preset.name}{place} can't be used: {said[:300]}"
    if "trust_remote_code" in said:
        hint = "It brings code of its own, which is never executed here. Choose a model that transformers knows."
    elif Path(str(preset.hub)).is_dir():
        hint = "The folder must be one that save_pretrained wrote: config.json, the weights and the tokenizer's files."
    else:
        hint = (
            "Check the name and the connection. Without one, save the model elsewhere with save_pretrained, bring the "
            "folder here, and give its path as the base model; HF_HOME says where downloaded models lie."
        )
    return UserError(what, hint)
