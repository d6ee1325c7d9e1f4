"""A small model, an input that takes a while, and `domain-ner` as a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from helpers.memorized import memorized
from helpers.ruled import ruled
from spacy.language import Language

from spacy_domain_ner.corpus import Passage


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model with rules."""
    path = tmp_path_factory.mktemp("model") / "model-best"
    ruled().to_disk(path)
    return path


@pytest.fixture(scope="session")
def nlp(model: Path) -> Language:
    return spacy.load(model)


@pytest.fixture(scope="session")
def knowing(make_passages: Callable[[], list[Passage]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model of this plugin, which knows twenty passages by heart."""
    path = tmp_path_factory.mktemp("knowing") / "model-best"
    memorized("spacy_domain_ner_biluo_v1", make_passages()).to_disk(path)
    return path


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough passages that a run over them can be interrupted, two of them broken."""
    path = tmp_path_factory.mktemp("many") / "passages.jsonl"
    rows = [
        json.dumps({"id": number, "text": f"svc{number} waits for Redis word{number}."}) for number in range(30_000)
    ]
    rows[3] = "{broken"
    rows[20_000] = '{"no": "text"}'
    path.write_text("\n".join(rows) + "\n", encoding="utf8")
    return path


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start `domain-ner` in tmp_path as a shell does: with a session of its own, and so that Ctrl-C can end it."""
    started = []

    def start(*arguments: object, **settings: object) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).parent / "domain-ner"), *map(str, arguments)]
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},  # type: ignore[call-overload]
        )
        started.append(process)
        return process

    yield start  # type: ignore[misc]
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def command(start: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., tuple[int, bytes, str]]:
    """Run `domain-ner` to its end; gives the exit code, standard output and standard error."""

    def command(*arguments: object, stdin: bytes = b"", **settings: object) -> tuple[int, bytes, str]:
        process = start(*arguments, stdin=subprocess.PIPE, **settings)
        output, errors = process.communicate(stdin)
        return process.returncode, output, errors.decode("utf8")

    return command
