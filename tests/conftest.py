"""What the tests of several folders need: the template's config as it stands, commands as users run them, passages."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from helpers.outcome import Outcome

from spacy_domain_ner.corpus import Passage, Span

REPOSITORY = Path(__file__).parents[1]

# A busy machine is not a fault: no example has a deadline.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")

# No test asks a hub for anything. It is read when transformers is first imported.
os.environ["HF_HUB_OFFLINE"] = "1"
# Tests run side by side: threads of each would only wait for each other. Read when numpy and PyTorch are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
WITH_PYTORCH = os.environ.get("PYTHONPATH", "")


def pytest_configure(config: pytest.Config) -> None:
    """Hide PyTorch from processes that tests start: the CPU model needs none, and to import it takes very long."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        # The processes that this one starts run the tests.
        return
    hidden = str(REPOSITORY / "tests/helpers/without_pytorch")
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in (hidden, WITH_PYTORCH) if path)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: else one core would wait for them at the end."""
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)


@pytest.fixture(scope="module")
def pytorch() -> Iterator[None]:
    """Lets the processes that the tests of this module start find PyTorch."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", WITH_PYTORCH)
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny transformers by their kind: see tiny_transformers.py."""
    reason = "the transformers extra is not installed"
    for package in ("torch", "transformers", "spacy_transformers", "sentencepiece"):
        pytest.importorskip(package, reason=reason)
    import torch
    from helpers.tiny_transformers import build

    # Several threads are no faster for so little.
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("transformers")
    return cache(lambda kind: build(kind, folder / kind))


@pytest.fixture(scope="session")
def template_configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the template's configs, with English filled in."""
    folder = tmp_path_factory.mktemp("configs")
    for path in (REPOSITORY / "{{cookiecutter.domain}}/configs").glob("*.cfg"):
        text = (
            path.read_text(encoding="utf8")
            .replace("{{ cookiecutter.language }}", "en")
            .replace("{{ cookiecutter.__rules_in_config }}", '["software"]')
        )
        (folder / path.name).write_text(text, encoding="utf8")
    return folder


@pytest.fixture(scope="session")
def trained(
    tiny: Callable[[str], Path], template_configs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], Path]:
    """Projects whose tiny transformer knows twenty passages by heart, by its kind and the framework."""
    from spacy_domain_ner.corpus import write_passages
    from spacy_domain_ner.corpus.spacy_docs import convert
    from spacy_domain_ner.training import Recipe, train
    from spacy_domain_ner.training.configure import configure

    # Random weights have nothing that a high rate would destroy.
    spacy_values = {"training.optimizer.learn_rate.initial_rate": 0.003, "training.batcher.size": 50}
    huggingface_values = {
        "huggingface.training.learning_rate": 0.01,
        "huggingface.training.lr_scheduler_type": "constant",
    }

    @cache
    def trained(kind: str, framework: str) -> Path:
        project = tmp_path_factory.mktemp(f"{kind}-{framework}")
        config = project / "training/config.cfg"
        configure(str(tiny(kind)), template_configs, config, framework=framework)
        for name in ("train", "dev"):
            write_passages(project / f"{name}.jsonl", twenty_passages())
            convert(project / f"{name}.jsonl", config)
        values = spacy_values if framework == "spacy" else huggingface_values
        sets = (project / "train.spacy", project / "dev.spacy")
        train(Recipe(config, *sets, max_epochs=12, patience_epochs=12, overrides=values), project / "training")
        return project

    return trained


@pytest.fixture
def cnn_config(tmp_path: Path) -> Path:
    """The template's CPU config with English filled in."""
    text = (REPOSITORY / "{{cookiecutter.domain}}/configs/cnn.cfg").read_text(encoding="utf8")
    path = tmp_path / "cnn.cfg"
    path.write_text(
        text.replace("{{ cookiecutter.language }}", "en").replace(
            "{{ cookiecutter.__rules_in_config }}", '["software"]'
        ),
        encoding="utf8",
    )
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
def domain_ner(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Runs `domain-ner ...` in this process. No error may come out of it but an exit."""
    from spacy_domain_ner.cli import main

    def domain_ner(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["domain-ner", *map(str, arguments)])
        with pytest.raises(SystemExit) as raised:
            main()
        captured = capsys.readouterr()
        return Outcome(raised.value.code or 0, captured.out, captured.err)

    return domain_ner


@pytest.fixture
def passages() -> list[Passage]:
    """Twenty short passages of ten sources with two types, which a small model can learn by heart."""
    return twenty_passages()


@pytest.fixture(scope="session")
def make_passages() -> Callable[[], list[Passage]]:
    """Makes those passages, for fixtures that several tests share."""
    return twenty_passages


def twenty_passages() -> list[Passage]:
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
