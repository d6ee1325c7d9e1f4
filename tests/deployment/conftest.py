"""A model to package, and what is said about it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.ruled import ruled


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model with rules."""
    path = tmp_path_factory.mktemp("model") / "model-best"
    ruled().to_disk(path)
    return path


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Path]]:
    """Writes the files that a package is made from besides the model: each argument of `package_model` by its name."""

    def told(schema: str, **objects: dict[str, Any]) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("told")
        (folder / "entity_types.yml").write_text(schema, encoding="utf8")
        for name, value in objects.items():
            (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf8")
        return {"schema": folder / "entity_types.yml", **{name: folder / f"{name}.json" for name in objects}}

    return told
