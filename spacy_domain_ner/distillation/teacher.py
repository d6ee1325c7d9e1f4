"""The larger model: one that is there, or a base model that is trained on the same passages as the small one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import srsly
from spacy import util

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.experiments.comparison import read_choice
from spacy_domain_ner.experiments.runs import train_timed
from spacy_domain_ner.files import replacing
from spacy_domain_ner.training.configure import configure
from spacy_domain_ner.training.frameworks import find_framework
from spacy_domain_ner.training.recipe import Recipe, md5, read_set

# Beside a model: what it was trained on, and how.
INPUTS = "inputs.json"


def find_teacher(teacher: str, recipe: Recipe, folder: Path, configs: Path, say: Callable[[str], None]) -> str | Path:
    """Find a trained model, or train one.

    Args:
        teacher: A trained model, its folder or the name of its package; or a base model as `configure` takes it, with
            `@huggingface` after it for that framework.
        recipe: What the small model is trained on, and how: the teacher gets the same passages.
        folder: Where a teacher is trained.
        configs: The folder of the configs.
        say: Gets a line before a training.

    Returns:
        What loads it.

    Raises:
        UserError: There is no such model, or it can't be trained.
    """
    if (Path(teacher) / "meta.json").is_file() or util.is_package(teacher):
        return teacher
    choice = read_choice(teacher)
    if not (path := Path(choice.base_model)).exists() and path.parent != Path() and path.parent.is_dir():
        raise UserError(
            f"There is no model {teacher}", "Name a trained model's folder, or a base model such as minilm."
        )
    config = folder / "config.cfg"
    configure(choice.base_model, configs, config, framework=choice.framework, words=choice.words)
    return train_once(replace(recipe, config=config, overrides={}), folder, f"The teacher {teacher}", say)


def train_once(recipe: Recipe, folder: Path, name: str, say: Callable[[str], None]) -> Path:
    """Train a model, unless the folder has one that was trained on the same, in the same way.

    Args:
        recipe: What is trained on, and how.
        folder: Where the model is.
        name: What it is called for the reader.
        say: Gets a line.

    Returns:
        The folder of the best model.
    """
    sets = recipe.sets(find_framework(recipe.read_config()).reads)
    for path in sets:
        read_set(path)
    inputs = recipe.inputs(**{name: md5(path.read_bytes()) for name, path in zip(("train", "dev"), sets, strict=True)})
    record = folder / INPUTS
    if (folder / "model-best").is_dir() and _read(record) == inputs:
        say(f"{name} was trained before: {folder / 'model-best'}")
        return folder / "model-best"
    say(f"{name} is trained, into {folder}")
    record.unlink(missing_ok=True)
    train_timed(recipe, folder)
    with replacing(record) as stream:
        stream.write(srsly.json_dumps(inputs) + "\n")
    return folder / "model-best"


def _read(record: Path) -> object:
    try:
        return srsly.read_json(record)
    except (OSError, ValueError):
        return None
