"""A small model with confidence, and `domain-ner serve` as a process of its own that is asked over sockets."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from helpers.memorized import memorized

from spacy_domain_ner.components.biluo_ner import FACTORY
from spacy_domain_ner.confidence import calibrate
from spacy_domain_ner.corpus import Passage, Span

for needed in ("uvicorn", "httptools", "uvloop"):
    pytest.importorskip(needed, reason="the serve extra is not installed")

TEXT = "checkout calls Redis"
FOUND = [("checkout", "SERVICE"), ("Redis", "INFRA")]
TOKEN = "s3cret"


@dataclass
class Server:
    """A server that runs.

    Attributes:
        process: Its process, or that of the parent.
        port: Where it listens.
        errors: The lines that it has written to standard error until it was ready.
    """

    process: "subprocess.Popen[str]"
    port: int
    _last: threading.local = field(default_factory=threading.local, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the last answer that this thread has got."""
        return self._last.headers

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Send a request on a connection of its own; gives the status and the answer, read as JSON where it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            connection.request(method, path, data, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            content = answer.read().decode("utf8")
            is_json = answer.getheader("content-type", "").startswith("application/json")
            # Each thread that asks has the headers of its own answer.
            self._last.headers = dict(answer.getheaders())
            return answer.status, json.loads(content) if is_json and content else content
        finally:
            connection.close()

    def extract(self, body: Any, **headers: str) -> Any:
        """The answer to a request for entities."""
        status, answer = self.ask("POST", "/extract", body, **headers)
        assert status == 200, answer
        return answer

    def end(self) -> tuple[int, str]:
        """Tell it to end; gives the exit code and what it has written since it was ready."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that knows two names by heart."""
    passages = [Passage(TEXT, [Span(0, 8, "SERVICE"), Span(15, 20, "INFRA")]), Passage("nothing is here")]
    nlp = memorized(FACTORY, passages)
    calibrate(nlp, passages * 20)
    nlp.meta.update(name="small_ner", version="1.2.3", entity_types={"INFRA": "A store or queue."})
    path = tmp_path_factory.mktemp("served") / "model"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="session")
def start_server() -> Iterator[Callable[..., Server]]:
    """Start `domain-ner serve` on a free port, and wait until it answers."""
    started = []

    def start_server(*arguments: object, token: str = "") -> Server:
        command = [str(Path(sys.executable).parent / "domain-ner"), "serve", *map(str, arguments), "--port", "0"]
        environment = {**os.environ, "NO_COLOR": "1", "DOMAIN_NER_TOKEN": token}
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        line = process.stderr.readline()
        assert "answers at http://127.0.0.1:" in line, line + process.stderr.read()
        return Server(process, int(line.split("127.0.0.1:")[1].split(",")[0]))

    yield start_server
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(60)
        process.stderr.close()
