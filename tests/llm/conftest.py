"""A project whose model finds one type and misses the other, and what an LLM is needed for."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import spacy
from helpers.ruled import ruled
from spacy.language import Language

from spacy_domain_ner.corpus import Passage, Span, write_passages


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails is sent again soon: nobody's server is spared here."""
    monkeypatch.setattr("spacy_domain_ner.llm.transport._FIRST_PAUSE", 0.02)


SCHEMA = """
entity_types:
  - name: INFRA
    definition: What others rest on.
  - name: TEAM
    definition: People who work together.
"""


@dataclass
class Project:
    """The folder of a project, with a model that finds every INFRA and not one TEAM."""

    folder: Path
    model: Language
    dev: list[Passage]
    eval: list[Passage]

    @property
    def held_out(self) -> list[Passage]:
        """What is measured on."""
        return [*self.dev, *self.eval]

    def configure(self, url: str, **settings: object) -> Path:
        """Write an llm.yml for a server."""
        path = self.folder / "llm.yml"
        lines = [f"base_url: {url}", "model: scripted", *(f"{key}: {value}" for key, value in settings.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf8")
        return path

    def sets(self) -> dict[str, Path]:
        """The files, as `compare_with_llm` takes them."""
        names = {"schema": "entity_types.yml", "output": "llm/decision.json"}
        names |= {name: f"{name}.jsonl" for name in ("train", "dev", "eval")}
        return {name: self.folder / file for name, file in names.items()}


def passages(name: str, count: int) -> list[Passage]:
    """Passages with a team and a store; every fourth has neither."""
    made = []
    for number in range(count):
        if number % 4 == 3:
            made.append(Passage(f"Nothing to report on day {number} of {name} 🚀"))
            continue
        text = f"🚀 The {name} {number} crew restarted Redis on day {number} of {name}"
        team = text.index(name)
        end = text.index(" restarted")
        store = text.index("Redis")
        made.append(Passage(text, [Span(team, end, "TEAM"), Span(store, store + 5, "INFRA")]))
    return made


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model."""
    path = tmp_path_factory.mktemp("model") / "model-best"
    ruled().to_disk(path)
    return path


@pytest.fixture
def project(tmp_path: Path, model: Path) -> Project:
    """A project of its own for each test."""
    (tmp_path / "model").symlink_to(model)
    made = Project(tmp_path, spacy.load(model), passages("dev", 60), passages("eval", 80))
    write_passages(tmp_path / "train.jsonl", passages("train", 20))
    write_passages(tmp_path / "dev.jsonl", made.dev)
    write_passages(tmp_path / "eval.jsonl", made.eval)
    (tmp_path / "entity_types.yml").write_text(SCHEMA, encoding="utf8")
    return made


@pytest.fixture
def files(tmp_path: Path) -> Callable[[], str]:
    """Everything that stands in files under tmp_path."""

    def read() -> str:
        found = (path for path in tmp_path.rglob("*") if path.is_file() and os.access(path, os.R_OK))
        return b"".join(path.read_bytes() for path in found).decode("latin-1")

    return read
