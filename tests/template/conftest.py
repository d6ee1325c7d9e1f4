"""Bakes: real runs of cookiecutter's command line."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def bake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Bake into tmp_path/out with the given answers; cookiecutter's own state is kept in tmp_path."""
    home = tmp_path / "home"
    home.mkdir()
    config = home / "config.yml"
    config.write_text(f'cookiecutters_dir: "{home}/c"\nreplay_dir: "{home}/replay"\n')
    monkeypatch.setenv("COOKIECUTTER_CONFIG", str(config))

    def run(*options: str, stdin: str = "", template: Path = REPOSITORY, **answers: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "cookiecutter", str(template), "--output-dir", str(tmp_path / "out"), *options]
        command += [f"{question}={answer}" for question, answer in answers.items()]
        return subprocess.run(command, input=stdin, capture_output=True, encoding="utf8", check=False, cwd=tmp_path)

    return run
