"""The template and the packs in what is installed by pip: a wheel, built from the sdist as an index's users get it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.projects import without_requirement

REPOSITORY = Path(__file__).parents[2]
PARTS = (
    "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "spacy_domain_ner",
    "cookiecutter.json", "hooks", "assets", "{{cookiecutter.domain}}",
)  # fmt: skip


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as pip installs it from its wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    # A copy, so that nothing is built in the repository itself.
    for part in PARTS:
        copy = shutil.copytree if (REPOSITORY / part).is_dir() else shutil.copyfile
        (folder / "clone").mkdir(exist_ok=True)
        copy(REPOSITORY / part, folder / "clone" / part)
    run("-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "clone")
    (wheel,) = (folder / "dist").glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder / "installed", wheel)
    shutil.rmtree(folder / "clone")
    return folder / "installed"


@pytest.mark.slow
def test_a_wheel_makes_the_same_project_as_the_clone(installed, tmp_path):
    code = "from spacy_domain_ner.cli import main; import spacy_domain_ner; print(spacy_domain_ner.__file__); main()"
    environment = {**os.environ, "COOKIECUTTER_CONFIG": str(tmp_path / "none.yml")}
    (tmp_path / "none.yml").write_text("default_context: {}\n")
    for name, path in (("wheel", installed), ("clone", REPOSITORY)):
        options = ["--author", "Zoë", "--output-dir", str(tmp_path / name)]
        done = run("-c", code, "new", "billing", *options, env={**environment, "PYTHONPATH": str(path)}, cwd=tmp_path)
        assert done.startswith(str(path))
    made, expected = (
        {path.relative_to(folder): without_requirement(path) for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "wheel", tmp_path / "clone")
    )
    assert made == expected
    assert len(made) > 10


def run(*arguments: object, **settings: object) -> str:
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, encoding="utf8", **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
