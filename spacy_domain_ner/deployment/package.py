"""From a trained model to a wheel that installs anywhere, with a model card that says how good it is."""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import srsly
from packaging.version import InvalidVersion, Version
from spacy.cli.package import package as spacy_package

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.files import replacing_path
from spacy_domain_ner.schema import EntitySchema


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
    RETURNS: The wheel.
    RAISES: UserError where the name or version is no good or the build fails.
    """
    check_name(name, version)
    if not (model / "meta.json").is_file():
        raise UserError(f"There is no trained model in {model}", "Train one first: weasel run train")
    meta = srsly.read_json(model / "meta.json")
    language_name = f"{meta['lang']}_{name}"
    # A line break in one of them would end the wheel's header there.
    meta |= {key: _line(about[key]) for key in ("description", "author", "email", "url", "license") if about.get(key)}
    meta |= {"name": name, "version": version, "performance": _performance(metrics)}
    card = _model_card(language_name, meta, str(about.get("title") or language_name), schema, metrics, counts)
    folder = f"{language_name}-{version}"
    with tempfile.TemporaryDirectory() as scratch, replacing_path(output_dir / folder) as target:
        staged = Path(scratch) / "model"
        copytree(model, staged)
        srsly.write_json(staged / "meta.json", meta)
        (staged / "README.md").write_text(card, encoding="utf8", newline="\n")
        spacy_package(staged, Path(scratch), name=name, version=version, create_sdist=False, require_parent=True)
        built = Path(scratch) / folder
        _build_wheel(built)
        copytree(built, target)
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


def _model_card(
    language_name: str,
    meta: Mapping[str, Any],
    title: str,
    schema: EntitySchema,
    metrics: Mapping[str, Any],
    counts: Mapping[str, Any],
) -> str:
    definitions = {entity_type.name: entity_type.definition for entity_type in schema.entity_types}
    types = [f"| {label} | {_cell(definitions.get(label) or 'not described yet')} |" for label in metrics["types"]]
    scores = [
        f"| {label} | {_percent(result['precision'])} | {_percent(result['recall'])} | {_percent(result['f1'])} "
        f"| {result['support']} | {result['verdict']} |"
        for label, result in metrics["types"].items()
    ]
    micro = metrics["micro"]
    scores.append(
        f"| **all** | {_percent(micro['precision'])} | {_percent(micro['recall'])} | {_percent(micro['f1'])} "
        f"| {micro['support']} | |"
    )
    data = [
        f"| {label} | {count['mentions']} | {count['forms']} | {count['verdict']} |"
        for label, count in counts["types"].items()
    ]
    lines = [
        f"# {_line(title)}",
        "",
        _line(meta.get("description") or f"A spaCy pipeline that finds {', '.join(metrics['types'])}."),
        "",
        "```bash",
        f"pip install {language_name}-{meta['version']}-py3-none-any.whl",
        "```",
        "",
        "```python",
        "import spacy",
        "",
        f'nlp = spacy.load("{language_name}")',
        'doc = nlp("Any text of the domain")',
        "print([(ent.text, ent.label_) for ent in doc.ents])",
        "```",
        "",
        f"Version {meta['version']}, spaCy {meta['spacy_version']}, "
        f"licence: {_line(meta.get('license') or 'not given')}, author: {_line(meta.get('author') or 'not given')}.",
        "",
        "## Entity types",
        "",
        "| type | what it covers |",
        "|---|---|",
        *types,
        "",
        "## How good it is",
        "",
        f"Measured on {metrics['passages']} held-out passages that training never saw, exact spans by character "
        f"offsets. Ready for production from F1 {_percent(metrics['gates']['production'])}; below "
        f"{_percent(metrics['gates']['fallback'])} another way is needed.",
        "",
        "| type | precision | recall | F1 | mentions | verdict |",
        "|---|---|---|---|---|---|",
        *scores,
        "",
        "## What it was made from",
        "",
        f"{counts['passages']} annotated passages, {counts['without_entities']} of them without any entity.",
        "",
        "| type | mentions | distinct forms | amount |",
        "|---|---|---|---|",
        *data,
        "",
    ]
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _line(text).replace("|", "\\|")
