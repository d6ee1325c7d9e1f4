"""The commands of the tutorial, taken from the page itself and run as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial"
PAGE = (TUTORIAL / "index.md").read_text(encoding="utf8")
DOWNLOADS = re.findall(r'<a href="([^"]+)" download>', PAGE)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which the commands were run, one after the other in one shell, and what they printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in DOWNLOADS:
        shutil.copy(TUTORIAL / name, folder)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # `weasel run install` is to leave this environment as it is.
        "PIP_TARGET": str(folder / "site"),
        "PYTHONPATH": os.pathsep.join([str(folder / "site"), os.environ["PYTHONPATH"]]),
        "PYTHONIOENCODING": "utf8",
        "ANSI_COLORS_DISABLED": "1",
    }
    script = "\n".join(["set -euo pipefail", *blocks("bash")])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, encoding="utf8", check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "lifts", done.stdout


@pytest.mark.slow
def test_every_command_runs_and_the_wheel_is_there(walked: tuple[Path, str]) -> None:
    project, _ = walked
    assert list(project.glob("packages/en_lifts_ner-0.1.0/dist/*.whl"))


@pytest.mark.slow
def test_what_the_page_shows_word_for_word_is_printed(walked: tuple[Path, str]) -> None:
    _, printed = walked
    shown = [line for block in blocks("text") for line in block.splitlines()]
    assert shown
    assert [line for line in shown if line not in printed] == []


@pytest.mark.slow
def test_consistent_labels_are_better_than_inconsistent_ones(walked: tuple[Path, str]) -> None:
    project, printed = walked
    assert re.search(r"Against the run before: \+\d.*, more than chance", printed)
    types = json.loads((project / "metrics/metrics.json").read_text(encoding="utf8"))["types"]
    assert min(scores["f1"] for scores in types.values()) > 0.85


@pytest.mark.slow
def test_the_model_finds_every_type_in_the_tickets(walked: tuple[Path, str]) -> None:
    project, _ = walked
    records = [json.loads(line) for line in (project / "entities.jsonl").read_text(encoding="utf8").splitlines()]
    assert len(records) == len((TUTORIAL / "tickets.txt").read_text(encoding="utf8").splitlines())
    assert {entity["type"] for record in records for entity in record["entities"]} == {"LIFT", "PART", "FAULT_CODE"}
