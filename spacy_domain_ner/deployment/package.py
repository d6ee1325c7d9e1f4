"""From a trained model to a wheel that installs anywhere, with a model card that says how good it is."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import srsly
from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package as spacy_package
from spacy.util import load_config
from thinc.api import Config

from spacy_domain_ner.components import travelling_modules
from spacy_domain_ner.deployment.model_card import ModelCard, line
from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing_path
from spacy_domain_ner.models import load_model
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.training.frameworks import hub_models

# This plugin, by the name that pip knows it by.
DISTRIBUTION = "spacy-domain-ner"


def package_model(
    model: Path,
    output_dir: Path,
    *,
    name: str,
    version: str,
    schema: EntitySchema,
    metrics: Mapping[str, Any],
    counts: Mapping[str, Any],
    about: Mapping[str, Any],
) -> Path:
    """Build a model's wheel.

    model: The trained model's folder.
    output_dir: Where `<lang>_<name>-<version>/` is made, in place of one that is there.
    name, version: Of the package; the model's language goes before the name.
    schema: The entity types, described in the model card.
    metrics: The scores, as in metrics.json.
    counts: The corpus, as in the check's report.
    about: title, description, author, email, url and license, for the package's metadata.
    RETURNS: The wheel. A token classifier that transformers has trained lies beside it as a Hugging Face model's
        folder, `huggingface/`, with a model card of its own.
    RAISES: UserError where the name or version is no good or the build fails.
    """
    check_name(name, version)
    if not (model / "meta.json").is_file():
        raise UserError(f"There is no trained model in {model}", "Train one first: weasel run train")
    meta = srsly.read_json(model / "meta.json")
    language_name = f"{meta['lang']}_{name}"
    # A line break in one of them would end the wheel's header there.
    meta |= {key: line(about[key]) for key in ("description", "author", "email", "url", "license") if about.get(key)}
    meta |= {"name": name, "version": version, "performance": _performance(metrics)}
    folder = f"{language_name}-{version}"
    with tempfile.TemporaryDirectory() as scratch, replacing_path(output_dir / folder) as target:
        staged = Path(scratch) / "model"
        copytree(model, staged)
        config = _without_paths(staged)
        modules = list(travelling_modules(config))
        needed = {requirement for _, requirements in modules for requirement in requirements}
        meta["requirements"] = sorted({*meta.get("requirements", []), *needed})
        meta["sources"] = meta.get("sources") or _base_models(config)
        card = ModelCard(language_name, meta, str(about.get("title") or language_name), schema, metrics, counts)
        srsly.write_json(staged / "meta.json", meta)
        (staged / "README.md").write_text(card.for_spacy(), encoding="utf8", newline="\n")
        spacy_package(
            staged,
            Path(scratch),
            code_paths=[file for file, _ in modules],
            name=name,
            version=version,
            create_sdist=False,
            require_parent=True,
        )
        built = Path(scratch) / folder
        _without_plugin(built)
        _build_wheel(built)
        copytree(built, target)
        for model_folder in hub_models(staged):
            copytree(model_folder, target / "huggingface")
            (target / "huggingface" / "README.md").write_text(card.for_huggingface(), encoding="utf8", newline="\n")
    return wheel_path(output_dir, language_name, version)


def wheel_path(output_dir: Path, language_name: str, version: str) -> Path:
    """Where a package's wheel lies. RAISES: UserError where there is none."""
    folder = output_dir / f"{language_name}-{version}" / "dist"
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise UserError(f"There is no wheel in {folder}", "Build it first: weasel run package")
    return wheels[0]


def check_name(name: str, version: str) -> None:
    """RAISES: UserError where a name or a version can't be a package's."""
    # In a wheel's name capitals become small and "__" becomes "_": it would no longer tell the package's.
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


def _without_paths(model: Path) -> Config:
    """Take the folders of the machine that trained it out of a model's files. RETURNS: The config."""
    config = load_config(model / "config.cfg", interpolate=False)
    config["paths"] = dict.fromkeys(config.get("paths", {}))
    named = {}
    for name, component in config["components"].items():
        base_model = component.get("model")
        if isinstance(base_model, dict) and Path(str(base_model.get("name") or "")).is_absolute():
            named[name] = base_model["name"] = Path(base_model["name"]).name
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


def _base_models(config: Config) -> list[dict[str, str]]:
    """The transformers that a pipeline was made from, as spaCy's packages name their sources."""
    models = [component.get("model") for component in config["components"].values()]
    return [{"name": model["name"]} for model in models if isinstance(model, dict) and model.get("name")]


def _without_plugin(built: Path) -> None:
    """Take this plugin out of a package's requirements: spaCy adds it where a component is registered by it, but the
    package carries that component's code."""
    for path in built.rglob("meta.json"):
        meta = srsly.read_json(path)
        kept = [line for line in meta["requirements"] if Requirement(line).name != DISTRIBUTION]
        srsly.write_json(path, {**meta, "requirements": kept})


def _build_wheel(folder: Path) -> None:
    # Without isolation nothing is downloaded: what the build needs is among this package's requirements.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-5:])
        raise UserError(f"The wheel could not be built:\n{last}", "pip install --upgrade build setuptools")
    # What the build leaves beside the wheel would be taken for the package.
    for left_over in [folder / "build", *folder.glob("*.egg-info")]:
        if left_over.exists():
            rmtree(left_over)


def _performance(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Scores under the keys that spaCy's own packages use."""
    micro = metrics["micro"]
    return {
        "ents_p": micro["precision"],
        "ents_r": micro["recall"],
        "ents_f": micro["f1"],
        "ents_per_type": {
            label: {"p": result["precision"], "r": result["recall"], "f": result["f1"], "support": result["support"]}
            for label, result in metrics["types"].items()
        },
    }
