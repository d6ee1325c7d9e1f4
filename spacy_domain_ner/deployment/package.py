"""From a trained model to a wheel that installs anywhere, with a model card that says how good it is."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from shutil import copytree
from typing import Any

import srsly
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package as spacy_package
from spacy.util import load_config
from thinc.api import Config

from spacy_domain_ner import components
from spacy_domain_ner.base_models.word_tables import SHIPPED, about_words
from spacy_domain_ner.components import travelling_modules
from spacy_domain_ner.components.word_pieces import ARCHITECTURE as WORD_PIECES
from spacy_domain_ner.components.word_pieces import DEFAULT
from spacy_domain_ner.corpus import read_valid_passages
from spacy_domain_ner.deployment.model_card import ModelCard, one_line
from spacy_domain_ner.deployment.onnx_pipeline import ONNX, ONNX_INT8, TORCH, check_runtime, to_int8, to_onnx
from spacy_domain_ner.deployment.wheel import build_wheel, find_wheel
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.files import at_work, clear_leftovers, replacing_path
from spacy_domain_ner.models import REFERENCE, load_model, model_digest
from spacy_domain_ner.schema import read_schema
from spacy_domain_ner.training.frameworks import hub_models
from spacy_domain_ner.training.recipe import read_set

# Where the setup.py that spaCy writes names what a package registers.
ENTRY_POINTS = "entry_points={"


def package_model(
    model: str | Path,
    output_dir: str | Path,
    *,
    name: str,
    version: str = "0.1.0",
    schema: str | Path = "entity_types.yml",
    metrics: str | Path = "metrics/metrics.json",
    counts: str | Path = "metrics/check.json",
    about: str | Path = "configs/about.json",
    reference: str | Path | None = "metrics/reference.json",
    runtime: str = TORCH,
    eval: str | Path = "corpus/eval.jsonl",
    dev: str | Path = "corpus/dev.jsonl",
    say: Callable[[str], None] = print,
) -> Path:
    """Build a model's wheel, with a model card.

    Args:
        model: The trained model's folder.
        output_dir: Where `<lang>_<name>-<version>/` is made; one that is there is replaced.
        name: The package's name, without the language, which goes before it.
        version: The package's version.
        schema: The entity types, whose definitions are in the model card.
        metrics: The scores, as `evaluate` wrote them.
        counts: The corpus, as `check` wrote it.
        about: A JSON object with title, description, author, email, url and license, for the package's metadata.
        reference: What live text is compared with, as `evaluate` wrote it, for the package to carry. A file that does
            not exist is left out; None carries none.
        runtime: What runs a transformer: `torch`, or `onnx` for onnxruntime, with which the package needs neither
            PyTorch nor transformers. `onnx-int8` is onnxruntime with products in 8 bits, where they lose at most 0.005
            micro F1; in 32 bits, where they lose more.
        eval: The evaluation set. With the runtime `onnx`, the package must find in it what the trained model finds; the
            F1 of 8 bits is that on it.
        dev: The early-stopping set, by which the confidence of a model in 8 bits is calibrated anew.
        say: Told in a line whether the package is in 8 bits, and both F1.

    Returns:
        The wheel. A token classifier that transformers has trained lies beside it as a Hugging Face model's folder,
        `huggingface/`, with a model card of its own.

    Raises:
        UserError: The name or the version does not fit, a file can't be read, the model can't be packaged for the
            runtime, the build fails, or another run is building this package.
    """
    check_name(name, version)
    model, output_dir = Path(model), Path(output_dir)
    trained = _read_meta(model)
    told = _read_about(about)
    types = read_schema(Path(schema))
    scores = _read_step(metrics, "evaluate", ("micro", "types", "passages", "gates"))
    counted = _read_step(counts, "check", ("passages", "without_entities", "types"))
    compared = _read_reference(reference, model)
    check_runtime(runtime, model)
    passages = list(read_valid_passages(Path(eval))) if runtime != TORCH else []
    dev_passages = read_set(Path(dev)) if runtime == ONNX_INT8 else []
    language_name = f"{trained['lang']}_{name}"
    folder = f"{language_name}-{version}"
    with at_work(output_dir / folder), replacing_path(output_dir / folder, folder=True) as target:
        # Beside it, so that what a killed run has left is removed with it.
        scratch = target.with_name("build")
        scratch.mkdir()
        staged = scratch / "model"
        copytree(model, staged)
        tables = _word_tables(staged)
        config = _without_paths(staged)
        sources = trained.get("sources") or [*_base_models(config), *map(_source, tables)]
        run_by: dict[str, Any] = {}
        if runtime != TORCH:
            to_onnx(staged, passages)
            # Which training it is, since its files are not those of the training any more.
            run_by = {"runtime": ONNX, "digest": model_digest(model)}
            if runtime == ONNX_INT8:
                outcome = to_int8(staged, passages, dev_passages)
                run_by |= {"int8": asdict(outcome), "runtime": ONNX_INT8 if outcome.taken else ONNX}
                say(str(outcome))
            config = _read_config(staged / "config.cfg")
        code = list(travelling_modules(config))
        meta = {
            **trained,
            **_described(told),
            "name": name,
            "version": version,
            "performance": _performance(scores),
            # For whoever asks the model at work what its types are.
            "entity_types": {each.name: each.definition for each in types.entity_types},
            "requirements": sorted({*trained.get("requirements", []), *(need for _, needs in code for need in needs)}),
            "sources": sources,
            **run_by,
        }
        card = ModelCard(language_name, meta, told.get("title") or language_name, types, scores, counted)
        srsly.write_json(staged / "meta.json", meta)
        _write(staged / "README.md", card.for_spacy())
        if compared is not None:
            _write(staged / REFERENCE, compared)
        if tables:
            _write(staged / "LICENSES_SOURCES", "\n".join(map(_notice, tables)))
        spacy_package(
            staged,
            scratch,
            code_paths=[file for file, _ in code],
            name=name,
            version=version,
            create_sdist=False,
            require_parent=True,
        )
        built = scratch / folder
        _without_providers(built)
        _register(built, language_name, [file.stem for file, _ in code])
        build_wheel(built)
        built.rename(target)
        for model_folder in hub_models(model):
            copytree(model_folder, target / "huggingface")
            _write(target / "huggingface" / "README.md", card.for_huggingface())
    return find_wheel(output_dir / folder)


def check_name(name: str, version: str) -> None:
    """Check that a name and a version can be a package's.

    Raises:
        UserError: One of them can't.
    """
    # In a wheel's name capitals become small and "__" becomes "_": it would no longer be the package's name.
    plain = name.isidentifier() and name.isascii() and name == name.lower().strip("_")
    if not plain or "__" in name:
        raise UserError(
            f"{name!r} can't be a package's name",
            "Use small letters, digits and single underscores, for instance billing_ner.",
        )
    try:
        # A version that is not in its normal form gives the wheel another name than the folder.
        if str(Version(version)) == version:
            return
        hint = f"Write it as {Version(version)}."
    except InvalidVersion:
        hint = "Use one like 0.1.0."
    raise UserError(f"{version!r} can't be a package's version", hint)


def _read_step(path: str | Path, step: str, keys: Iterable[str]) -> dict[str, Any]:
    """Read what an earlier step of the project has written."""
    hint = f"Make it first: weasel run {step}"
    data = _read_object(path, hint)
    if missing := [key for key in keys if key not in data]:
        raise UserError(f"{path} lacks {', '.join(missing)}", hint)
    return data


def _read_reference(path: str | Path | None, model: Path) -> str | None:
    """Read what live text is compared with; None where there is none."""
    if path is None or not Path(path).is_file():
        return None
    hint = "Evaluate this model: weasel run evaluate, or `domain-ner evaluate` with --reference"
    record = _read_object(path, hint)
    of = record.get("model")
    if record.get("kind") != "reference" or not isinstance(of, dict):
        raise UserError(f"{path} is not a reference that `evaluate` has written", hint)
    if of.get("digest") != model_digest(model):
        raise UserError(f"{path} is of another model: this one was trained anew or changed since", hint)
    return Path(path).read_text(encoding="utf8")


def _read_about(path: str | Path) -> dict[str, str]:
    hint = "It is a JSON object with title, description, author, email, url and license, each of them text."
    about = _read_object(path, hint)
    for key, value in about.items():
        if not isinstance(value, str):
            raise UserError(f"{key!r} in {path} must be text", hint)
    return about


def _read_object(path: str | Path, hint: str) -> dict[str, Any]:
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}", hint)
    try:
        data = srsly.read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"Can't read {path}: {error}", hint) from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a JSON object", hint)
    return data


def _read_meta(model: Path) -> dict[str, Any]:
    if not model.exists():
        # A training that was killed while it replaced this model may have left it beside.
        clear_leftovers(model)
    if not (model / "meta.json").is_file():
        raise UserError(f"There is no trained model in {model}", "Train one first: weasel run train")
    meta = _read_object(model / "meta.json", "Train the model again: weasel run train")
    # Folders are named by it.
    if not (isinstance(lang := meta.get("lang"), str) and lang.isidentifier()):
        raise UserError(
            f"{model / 'meta.json'} gives {lang!r} as the model's language", "It must be a code like en or grc."
        )
    return meta


def _described(about: Mapping[str, str]) -> dict[str, str]:
    """What goes into the wheel's header, where a line break would end it."""
    return {key: one_line(about[key]) for key in ("description", "author", "email", "url", "license") if about.get(key)}


def _performance(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Scores under the keys that spaCy's own packages use."""
    micro = metrics["micro"]
    # How certain they are: live figures are compared with them.
    intervals = {
        "micro": micro.get("intervals"),
        "types": {label: result.get("intervals") for label, result in metrics["types"].items()},
    }
    return {
        **({"ents_intervals": intervals} if micro.get("intervals") else {}),
        "ents_p": micro["precision"],
        "ents_r": micro["recall"],
        "ents_f": micro["f1"],
        "ents_per_type": {
            label: {"p": result["precision"], "r": result["recall"], "f": result["f1"], "support": result["support"]}
            for label, result in metrics["types"].items()
        },
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf8", newline="\n")


def _without_paths(model: Path) -> Config:
    """Take the folders of the machine that trained it out of a model's files.

    Returns:
        The config.
    """
    config = _read_config(model / "config.cfg")
    config["paths"] = dict.fromkeys(config.get("paths", {}))
    named = {}
    for name, component in config["components"].items():
        base_model = component.get("model")
        if isinstance(base_model, dict) and Path(str(base_model.get("name") or "")).is_absolute():
            named[name] = base_model["name"] = Path(base_model["name"]).name
    _without_table_files(config["components"])
    config.to_disk(model / "config.cfg")
    if named:
        nlp = load_model(model)
        for name, base_model in named.items():
            # A transformer's weights lie in a file that names the folder twice more.
            transformer = nlp.get_pipe(name)
            transformer.model.attrs["name"] = base_model
            transformer.model.transformer.config.name_or_path = base_model
            transformer.to_disk(model / name)
    return config


def _without_table_files(section: Any) -> None:
    """Name word tables, which are in the model, by their files' names: the files' places say nothing elsewhere."""
    if not isinstance(section, dict):
        return
    if section.get("@architectures") == WORD_PIECES and section.get("words"):
        section["words"] = Path(section["words"]).name
    for value in section.values():
        _without_table_files(value)


def _read_config(path: Path) -> Config:
    try:
        config = load_config(path, interpolate=False)
        if "components" in config:
            return config
        told = "it has no section [components]"
    except Exception as error:  # configparser and thinc each have errors of their own
        told = reason(error)
    raise UserError(f"The model's {path.name} can't be used: {told}", "Train the model again: weasel run train")


def _base_models(config: Config) -> list[dict[str, str]]:
    """The transformers that a pipeline was made from, as spaCy's packages name their sources."""
    models = [component.get("model") for component in config["components"].values()]
    return [{"name": model["name"]} for model in models if isinstance(model, dict) and model.get("name")]


def _word_tables(model: Path) -> list[dict[str, Any]]:
    """What is known of the word tables that a model has in it."""
    if WORD_PIECES not in (model / "config.cfg").read_text(encoding="utf8"):
        return []
    layers = (pipe.model.walk() for _, pipe in load_model(model).pipeline if hasattr(pipe, "model"))
    contents = dict.fromkeys(node.attrs["table"].content for nodes in layers for node in nodes if "table" in node.attrs)
    return [about_words(content) for content in contents]


def _source(table: Mapping[str, Any]) -> dict[str, str]:
    return {"name": table["source"], "license": table["licence"], "description": "its table of word pieces"}


def _notice(table: Mapping[str, Any]) -> str:
    """What the licence of a word table wants to be told wherever the table goes."""
    if table["name"] == DEFAULT:
        return "\n".join((SHIPPED / name).read_text(encoding="utf8") for name in ("NOTICE", "LICENSE"))
    return (
        f"What this model knows about words comes from {table['source']} (licence: {table['licence']}).\n"
        "What was changed: only its table of word-piece embeddings and its vocabulary were kept, without the\n"
        "pieces that its tokenizer can't come to; the values were centred, scaled, and rounded to four bits.\n"
    )


def _without_providers(built: Path) -> None:
    """Take this plugin, and other packages that carry copies of its components, out of a package's requirements.

    spaCy adds the one whose copy is registered, but the package carries that component's code.
    """
    providers = {canonicalize_name(name) for name, point in _entry_points() if point.name in components.MODULES}
    for path in built.rglob("meta.json"):
        meta = srsly.read_json(path)
        kept = [line for line in meta["requirements"] if canonicalize_name(Requirement(line).name) not in providers]
        srsly.write_json(path, {**meta, "requirements": kept})


def _register(built: Path, package: str, modules: Iterable[str]) -> None:
    """Name what a package's modules register in its setup.py.

    Then spaCy finds it before the package is imported, such as for a pipeline that was made from it and saved. The
    names are those under which this plugin registers the same functions.
    """
    places = {f"{components.__name__}.{module}": f"{package}.{module}" for module in modules}
    registered = defaultdict(set)
    for _, point in _entry_points():
        if point.module in places:
            registered[point.group].add(f"{point.name} = {places[point.module]}:{point.attr}")
    setup = (built / "setup.py").read_text(encoding="utf8")
    if ENTRY_POINTS not in setup:
        raise UserError(
            "This version of spaCy writes another setup.py: the package's components can't be registered in it",
            "Install a version of spaCy that this plugin requires: pip install --upgrade spacy-domain-ner",
        )
    groups = "".join(f"{group!r}: {sorted(points)!r}, " for group, points in sorted(registered.items()))
    _write(built / "setup.py", setup.replace(ENTRY_POINTS, ENTRY_POINTS + groups))


def _entry_points() -> Iterator[tuple[str, EntryPoint]]:
    """The entry points of all installed packages, each with the name of its package."""
    return ((package.metadata["Name"], point) for package in distributions() for point in package.entry_points)
