"""The names of tags that are numbers: in a list, or in the files in which Hugging Face's libraries keep them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import srsly

from spacy_domain_ner.errors import UserError, reason

# The description at the beginning of a data set's README.md.
_FRONT_MATTER = re.compile(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)
# The keys of descriptions themselves, which name no list of a data set.
_KINDS = ("features", "feature", "sequence", "list", "class_label", "type")
_HINT = (
    "Give the names in the order of their numbers, as O,B-NAME,I-NAME, or a file that has them: a data set's "
    "dataset_info.json or README.md, a model's config.json, or one name per line."
)


def read_tag_names(tag_names: str | Path) -> Any:
    """Read what the user says about the names of tags.

    Args:
        tag_names: The names, divided by commas, or a file that has them.

    Returns:
        The list of names, or the description in which `names_under` finds them.

    Raises:
        UserError: There is no such file, it can't be read, or there is only one name.
    """
    path = Path(tag_names)
    try:
        is_file = path.is_file()
    except OSError:  # a list may be too long for a file's name
        is_file = False
    if not is_file:
        names = [name.strip() for name in str(tag_names).split(",")]
        if len(names) < 2 or not all(names):
            what = "has an empty name" if len(names) > 1 else "is neither a file nor several names"
            raise UserError(f"`tag_names` is {str(tag_names)!r}, which {what}", _HINT)
        if len(set(names)) < len(names):
            raise UserError(f"`tag_names` is {str(tag_names)!r}, which has a name twice", _HINT)
        return names
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() in (".json", ".md", ".yml", ".yaml"):
            return _description(path, text)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"`tag_names`: {path} can't be read: {reason(error)}", _HINT) from None
    return [name for name in (part.strip() for part in re.split(r"[\n,]", text)) if name]


def names_under(description: Any, key: str) -> list[str]:
    """Find the names of the tags under a key.

    Args:
        description: A list of names, or a description of a data set or a model in any of the forms that Hugging Face's
            libraries write.
        key: The key of the tags in the records. It decides where the description has names for several keys.

    Returns:
        The names in the order of their numbers, empty where there are none.

    Raises:
        UserError: There are names for several keys, and none for this one.
    """
    found = list(_found(description, ()))
    own = [names for path, names in found if key in path]
    others = [names for _, names in found]
    for candidates in (own, others):
        if candidates and all(names == candidates[0] for names in candidates):
            return candidates[0]
    if not found:
        return []
    own_keys = ([part for part in path if part not in _KINDS] for path, _ in found)
    keys = ", ".join(dict.fromkeys(path[-1] for path in own_keys if path))
    raise UserError(
        f"There are names for several kinds of tags ({keys}), and which are those of {key!r} is not told", _HINT
    )


def _description(path: Path, text: str) -> Any:
    if path.suffix.lower() == ".json":
        return json.loads(text)
    front = _FRONT_MATTER.match(text)
    return srsly.yaml_loads(front[1] if front else "" if path.suffix.lower() == ".md" else text)


def _found(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The lists of names in a description, each with the keys that lead to it."""
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value) and (not path or path[-1] == "names"):
            yield path[:-1], value
            return
        for item in value:
            name = item.get("name") if isinstance(item, dict) else None
            yield from _found(item, (*path, name) if isinstance(name, str) else path)
    elif isinstance(value, dict):
        if names := _numbered(value):
            yield path[:-1] if path and path[-1] in ("names", "id2label", "label2id") else path, names
            return
        for key, item in value.items():
            # Both say the same.
            if not (key == "label2id" and "id2label" in value):
                yield from _found(item, (*path, str(key)))


def _numbered(value: dict[Any, Any]) -> list[str]:
    """The names in {"0": "O", "1": "B-X"} or {"O": 0, "B-X": 1}, empty where it is something else."""
    pairs = []
    for key, item in value.items():
        if isinstance(item, str) and re.fullmatch(r"\d+", str(key)):
            pairs.append((int(key), item))
        elif isinstance(item, int) and not isinstance(item, bool) and isinstance(key, str):
            pairs.append((item, key))
        else:
            return []
    pairs.sort()
    return [name for _, name in pairs] if [number for number, _ in pairs] == list(range(len(pairs))) else []
