"""Looking up a transformer before any work: it is downloaded where it is missing, and checked."""

from pathlib import Path
from typing import Any

from spacy_domain_ner.base_models.presets import SMALL, Preset, read_presets, small_values
from spacy_domain_ner.errors import UserError, reason

INSTALL = "python -m pip install 'spacy-domain-ner[transformers]'"
# A tokenizer that does not know its longest input says 1e30.
UNLIMITED = 10**9


def fetch(preset: Preset) -> Preset:
    """Make sure that a transformer is on this machine, and that it can be used; download it if it is missing.

    No code that comes with a model is executed.

    Args:
        preset: A base model that has a `hub`.

    Returns:
        The preset, with what the model turned out to need: settings of its tokenizer, values for its width.

    Raises:
        UserError: If a package, the model, its tokenizer or its weights are missing.
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
        # Refused without asking: a question on the terminal would hold up a run that nobody watches.
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
    if preset.name not in {known.name for known in read_presets()} and width <= SMALL:
        found |= small_values()
    return preset.model_copy(update=found)


def _longest_input(model: Any, tokenizer: Any) -> int | None:
    """The most word pieces that a transformer reads at once; None if nothing limits it.

    A tokenizer without a tokenizer_config.json, such as BioBERT's or DeBERTa's, does not know it. It would give the
    transformer more pieces than it has positions, which is an error on the first passage of that length.
    """
    positions = getattr(model.config, "max_position_embeddings", None) or 0
    for name, module in model.named_modules():
        # RoBERTa and models like it start counting positions after that of padding.
        if name.endswith("position_embeddings") and (padding := getattr(module, "padding_idx", None)) is not None:
            positions -= padding + 1
    known = [length for length in (positions, tokenizer.model_max_length) if 0 < length < UNLIMITED]
    return min(known, default=None)


def _lowers_a_cased_model(tokenizer: Any) -> bool:
    """Whether a tokenizer lower-cases the text for a model that knows capitals.

    transformers does so with the folder of a BERT that has no tokenizer_config.json, such as BioBERT's.
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
        hint = "It comes with its own code, which is never executed here. Choose a model that transformers knows."
    elif Path(str(preset.hub)).is_dir():
        hint = "The folder must be one that save_pretrained wrote: config.json, the weights and the tokenizer's files."
    else:
        hint = (
            "Check the name and the connection. Without a connection, save the model elsewhere with save_pretrained, "
            "copy the folder to this machine, and give its path as the base model. HF_HOME says where downloaded "
            "models are kept."
        )
    return UserError(what, hint)
