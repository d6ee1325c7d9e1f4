"""A pack: a folder with what a new project starts from, and what its `pack.yml` says of it.

    pack.yml           what it is for, and the answers that it makes the default
    entity_types.yml   the types, with their definitions and decisions
    starter.jsonl      annotated passages; may be missing
    sentences.yml      sentences that a packaged model must get right; may be missing

The packs of the template are the folders in its `assets/`: nothing else lists them. A user's own folder is a pack, too.
The template's hooks import this from the clone: it needs nothing but Python and, for reading, the PyYAML that
cookiecutter brings.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy_domain_ner.errors import UserError, reason

FILE, TYPES = "pack.yml", "entity_types.yml"
# What may stand in pack.yml, and as what.
KEYS: dict[str, type] = {
    "title": str, "description": str, "base_model": str, "words": str, "rules": list, "presets": list,
    "measured_on": str, "entity_types": list,
}  # fmt: skip


@dataclass(frozen=True)
class Pack:
    """What pack.yml says.

    Attributes:
        title: The field, in a word or two.
        description: The text and the types that it is for, in a line.
        entity_types: The labels of entity_types.yml; where that has none, those to begin with.
        base_model: The default base model.
        words: What `cnn` knows about words by default, where the language is English.
        rules: Groups of tokenizer rules.
        presets: Base models of the field, which are downloads.
        measured_on: The text that the pack was measured on, and what came out.
        lines: The line of each key in pack.yml, counted from 1.
    """

    title: str
    description: str
    entity_types: list[str]
    base_model: str = "cnn"
    words: str = "minilm"
    rules: list[str] = field(default_factory=list)
    presets: list[str] = field(default_factory=list)
    measured_on: str = ""
    lines: dict[str, int] = field(default_factory=dict)


def pack_names(template: Path) -> list[str]:
    """List the template's packs: the default one first, the empty one last."""
    found = [path.parent.name for path in template.glob(f"assets/*/{FILE}") if (path.parent / TYPES).is_file()]
    return sorted(found, key=lambda name: (name == "blank", name != "software", name))


def pack_folder(template: Path, pack: str) -> Path:
    """The folder of a pack, given by its name or by the full path of a user's own."""
    return Path(pack) if os.path.isabs(pack) else template / "assets" / pack


def read_pack(folder: Path) -> Pack:
    """Read what a pack is.

    Raises:
        UserError: A file is missing, can't be read or has something in it that is not expected there.
    """
    path = folder / FILE
    if not path.is_file():
        raise UserError(
            f"{folder} has no {FILE}: it is not a pack",
            'It needs one, for instance with these lines:\n  title: "Billing"\n  description: "invoices and tickets: '
            'products, plans"\n  rules: []',
        )
    content, lines = _read_mapping(path)
    for key, value in content.items():
        place = f"{path}:{lines[key]}"
        if key not in KEYS:
            raise UserError(f"{place}: {key!r} is not known", f"{FILE} may have: {', '.join(KEYS)}.")
        is_text = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if not (is_text if KEYS[key] is list else isinstance(value, str)):
            kind = "a list of names" if KEYS[key] is list else "a text"
            raise UserError(
                f"{place}: {key} is not {kind}: {value!r}", "Put quotes around what YAML does not take for text."
            )
    for key in ("title", "description"):
        if not content.get(key, "").strip():
            raise UserError(f"{path} has no {key}", f"Add a line: {key}: ...")
    return Pack(**{"entity_types": pack_labels(folder), **_without_empty(content), "lines": lines})


def pack_labels(folder: Path) -> list[str]:
    """List the labels in a pack's entity_types.yml."""
    path = folder / TYPES
    if not path.is_file():
        raise UserError(
            f"{folder} has no {TYPES}",
            "Write the types into it; `domain-ner new NAME --pack blank --entity-types PRODUCT` makes one to fill in.",
        )
    content, _ = _read_mapping(path)
    types = content.get("entity_types") or []
    if not isinstance(types, list) or not all(isinstance(one, dict) and "name" in one for one in types):
        raise UserError(f"{path}: entity_types is not a list of types with a name", "Each begins with `- name: LABEL`.")
    return ["NO" if one["name"] is False else str(one["name"]) for one in types]


def _read_mapping(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """A YAML file's mapping, and the line of each of its keys."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        content, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Can't read {path}: {reason(error)}", "Save the file as UTF-8 text.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        what = getattr(error, "problem", None) or str(error)
        raise UserError(f"{place}: this is not valid YAML: {what}", "Fix the file at that line.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold a mapping", "It has lines of the form `key: value`.")
    return content, {key.value: key.start_mark.line + 1 for key, _ in node.value}


def _without_empty(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if value not in ("", None)}
