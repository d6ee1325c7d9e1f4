"""Loading a trained model, which one it is, and making a pipeline without what it does not need."""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import srsly
import srsly.msgpack
from spacy import util
from spacy.language import Language

from spacy_domain_ner.blas import fast_products
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import clear_leftovers

# Words that the vocabulary learns before a batch's words are forgotten again; enough to fill the tokenizer's cache.
KEPT_WORDS = 30_000
# The architectures of transformers: as spacy-transformers has it, and our own, which makes its own batches.
PADDED_BATCHES = "spacy-transformers.TransformerModel.v3"
PIECE_BATCHES = "spacy_domain_ner.PieceBatchedTransformer.v1"
ALL = 1_000_000
# The file in a packaged model that says what live text is compared with.
REFERENCE = "reference.json"


def load_model(model: str | Path) -> Language:
    """Load a trained model.

    Args:
        model: Its folder, the name of its package, or `blank:en` for a pipeline without components.

    Returns:
        The pipeline.

    Raises:
        UserError: Where it can't be loaded.
    """
    try:
        if not Path(model).exists():
            # A training that was killed while it replaced this model may have left it beside.
            clear_leftovers(model)
        with needed_factories(_factories_of(model)), known_codecs(), fast_products():
            return _with_few_padded(util.load_model(model, config=_piece_batches(model)))
    except Exception as error:  # each file of a model has a reader with errors of its own
        raise UserError(
            f"The model {str(model)!r} can't be loaded: {reason(error)}",
            "Name a trained model's folder (training/model-best) or an installed package (en_software_ner).",
        ) from error


def model_identity(nlp: Language) -> dict[str, str]:
    """Say which model a pipeline is.

    Args:
        nlp: The pipeline.

    Returns:
        `name`, the package's name with the language, such as en_software_ner; `version`; and `digest`, eight
        hexadecimal digits that tell two trainings with the same version apart, and stay when a model is packaged.
    """
    folder = nlp.path
    if folder is not None and Path(folder).is_dir():
        digest = model_digest(Path(folder))
    else:
        digest = hashlib.blake2b(nlp.to_bytes(), digest_size=4).hexdigest()
    return _identity(nlp.meta, digest)


def identity_in(folder: Path) -> dict[str, str]:
    """Say which model is in a folder, as `model_identity` does of a pipeline.

    Args:
        folder: The folder of the model's data.
    """
    return _identity(srsly.read_json(folder / "meta.json"), model_digest(folder))


def _identity(meta: Mapping[str, Any], digest: str) -> dict[str, str]:
    name = f"{meta.get('lang', '')}_{meta.get('name', '')}"
    return {"name": name, "version": str(meta.get("version", "")), "digest": digest}


def model_folder(model: str | Path) -> Path:
    """The folder of a model's data.

    Args:
        model: The folder, or the name of the model's package.

    Raises:
        UserError: There is none.
    """
    if Path(model).is_dir():
        return Path(model)
    name = str(model)
    if util.is_package(name):
        return data_folder(util.get_package_path(name))
    raise UserError(
        f"There is no model {name!r}",
        "Name a trained model's folder (training/model-best) or an installed package (en_software_ner).",
    )


def data_folder(package: Path) -> Path:
    """The folder of a model's data in that of its package."""
    meta = srsly.read_json(package / "meta.json")
    return package / f"{meta['lang']}_{meta['name']}-{meta['version']}"


def model_digest(folder: Path) -> str:
    """A hash of what makes a model find what it finds. It stays the same when the model is packaged.

    Args:
        folder: The model's folder.
    """
    if told := _told_digest(folder / "meta.json"):
        return told
    found = hashlib.blake2b(digest_size=4)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        place = file.relative_to(folder)
        # Packaging changes what describes the model, and takes paths out of a transformer's folder.
        described = len(place.parts) == 1 and place.name != "tokenizer"
        if described or place.parts[0] == "transformer" or "__pycache__" in place.parts:
            continue
        found.update(place.as_posix().encode("utf8", "surrogateescape"))
        with file.open("rb") as stream:
            while part := stream.read(1 << 20):
                found.update(part)
    return found.hexdigest()


def _told_digest(meta: Path) -> str:
    """The digest that a package has kept, since its files are not those of the training any more; "" if none."""
    try:
        return str(srsly.read_json(meta).get("digest") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def memory_zone(nlp: Language) -> AbstractContextManager[object]:
    """What the vocabulary learns in a zone is freed at its end, so that memory does not grow.

    The tokenizer caches nothing in a zone, so the words that come first, the common ones, are learned for good. A
    caller may have opened a zone, and zones can't be nested.

    Args:
        nlp: The pipeline.
    """
    vocab = nlp.vocab
    return nullcontext() if vocab.in_memory_zone or len(vocab) <= KEPT_WORDS else nlp.memory_zone()


@contextmanager
def needed_factories(names: Collection[str] | None) -> Iterator[None]:
    """Let spaCy import the factories of these names only, of all that installed packages offer by entry points.

    To make any pipeline spaCy imports all of them, and that of spacy-transformers imports transformers: some seconds
    for a pipeline that has no transformer.

    Args:
        names: The factories that a pipeline's config names; None for all.
    """
    every = util.registry._entry_point_factories
    if names is not None:
        util.registry._entry_point_factories = _Some(every, names)
    try:
        yield
    finally:
        util.registry._entry_point_factories = every


@contextmanager
def known_codecs() -> Iterator[None]:
    """Let srsly look for its codecs once in the block.

    It searches the entry points of all installed packages for each value that it reads or writes: for each document of
    a .spacy file, and some fifty times for a model. That takes longer than the rest.
    """
    registries = srsly.msgpack.msgpack_encoders, srsly.msgpack.msgpack_decoders
    outside = [registry for registry in registries if "get_all" not in vars(registry)]
    for registry in outside:
        registry.get_all = partial(dict, registry.get_all())
    try:
        yield
    finally:
        for registry in outside:
            del registry.get_all


class _Some:
    """Some of the entry points of a registry."""

    def __init__(self, registry: Any, names: Collection[str]) -> None:
        self._registry, self._names = registry, names

    def get_all(self) -> dict[str, Any]:
        found = {name: self._registry.get_entry_point(name) for name in self._names}
        return {name: factory for name, factory in found.items() if factory is not None}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)


def _factories_of(model: str | Path) -> set[str] | None:
    """The factories that a model's config names; None where that can't be told before it is loaded."""
    if str(model).startswith("blank:"):
        return set()
    config = _config_of(model)
    return None if config is None else factories_in(config)


def _config_of(model: str | Path) -> Mapping[str, Any] | None:
    """A model's config; None where there is none before it is loaded."""
    folder = Path(model)
    if not folder.is_dir():
        if not util.is_package(str(model)):
            return None
        folder = util.get_package_path(str(model))
    configs = [folder / "config.cfg", *sorted(folder.glob("*/config.cfg"))]
    path = next((path for path in configs if path.is_file()), None)
    found: Mapping[str, Any] | None = util.load_config(path, interpolate=False) if path else None
    return found


def _piece_batches(model: str | Path) -> dict[str, str]:
    """The values of a model's config by which its transformer predicts in batches of word pieces.

    Those that were trained earlier name the architecture of spacy-transformers, whose weights are the same.
    """
    components = (_config_of(model) or {}).get("components", {})
    return {
        f"components.{name}.model.@architectures": PIECE_BATCHES
        for name, component in components.items()
        if isinstance(architecture := component.get("model"), Mapping)
        and architecture.get("@architectures") == PADDED_BATCHES
    }


def _with_few_padded(nlp: Language) -> Language:
    """Let a transformer that makes batches of its own have all docs at once: its folder has a size of before."""
    for name, pipe in nlp.pipeline:
        if nlp.get_pipe_config(name).get("model", {}).get("@architectures") == PIECE_BATCHES:
            pipe.cfg["max_batch_items"] = ALL
    return nlp


def factories_in(config: Mapping[str, Any]) -> set[str] | None:
    """The factories that a config names; None where components are taken from another model, which may need any."""
    components = config.get("components", {}).values()
    if any("source" in component for component in components):
        return None
    return {component["factory"] for component in components if "factory" in component}
