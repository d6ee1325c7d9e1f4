"""What the tests of several folders need: the template's config as it stands, commands as users run them, passages."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spacy_domain_ner.corpus import Passage, Span

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def cnn_config(tmp_path: Path) -> Path:
    """The template's CPU config with English filled in."""
    text = (REPOSITORY / "{{cookiecutter.domain}}/configs/cnn.cfg").read_text(encoding="utf8")
    path = tmp_path / "cnn.cfg"
    path.write_text(text.replace("{{ cookiecutter.language }}", "en"), encoding="utf8")
    return path


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in tmp_path; "python" stands for this Python, and commands beside it are found."""

    def run(*command: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        folder = Path(sys.executable).parent
        program = sys.executable if command[0] == "python" else str(folder / str(command[0]))
        return subprocess.run(
            [program, *map(str, command[1:])],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            encoding="utf8",
            env={**os.environ, "PYTHONIOENCODING": "utf8", "NO_COLOR": "1", **environment},
            check=False,
        )

    return run


@pytest.fixture
def passages() -> list[Passage]:
    """Twenty short passages of ten sources with two types, which a small model can learn by heart."""
    made = []
    for number in range(20):
        service, store = f"billing-api-{number % 5}", ("Redis", "Kafka")[number % 2]
        text = f"The {service} fails since {store} is slow."
        spans = [
            Span(text.index(form), text.index(form) + len(form), label)
            for form, label in ((service, "SERVICE"), (store, "INFRA"))
        ]
        made.append(Passage(f"{number}: {text}", [_moved(span, number) for span in spans], {"source": number // 2}))
    return made


def _moved(span: Span, number: int) -> Span:
    shift = len(f"{number}: ")
    return Span(span.start + shift, span.end + shift, span.label)


@pytest.fixture
def write_lines(tmp_path: Path) -> Callable[..., Path]:
    """Write records as JSON lines to a file in tmp_path."""

    def write_lines(*records: object, name: str = "annotations.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf8")
        return path

    return write_lines
