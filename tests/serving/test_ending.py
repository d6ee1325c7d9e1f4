"""How a server ends, is replaced in parts, and loads another model, while clients ask."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import spacy

TEXT = "checkout calls Redis"
TOKEN = "s3cret"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Clients:
    """Clients that ask one passage after the other, each on its connection, until there is no server."""

    def __init__(self, server, count: int = 4) -> None:
        self._server = server
        self.answers: list[dict] = []
        self.lost: list[str] = []
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        until(lambda: len(self.answers) >= 10)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection = None
        while not self._ends.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=60)
                try:
                    connection.connect()
                except OSError:
                    return
            # What else the machine does gets on as well.
            time.sleep(0.02)
            try:
                connection.request("POST", "/extract", json.dumps({"text": TEXT}), BEARER)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == 200:
                    self.answers.append(json.loads(content))
                else:
                    self.lost.append(content.decode())
                if answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                connection = None


@pytest.fixture
def changing(model, tmp_path) -> Path:
    """A copy of the model, to be changed."""
    shutil.copytree(model, tmp_path / "model")
    return tmp_path / "model"


def replace(folder: Path, version: str) -> None:
    nlp = spacy.load(folder)
    nlp.meta["version"] = version
    nlp.to_disk(folder)


def readers(server) -> set[int]:
    """The processes that read, which threads of the server's process may have started."""
    listed = []
    for path in Path(f"/proc/{server.process.pid}/task").glob("*/children"):
        # A thread may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            listed.append(path.read_text(encoding="ascii"))
    return {int(pid) for pid in " ".join(listed).split()}


def until(holds, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_end_loses_no_request_and_a_new_model_answers_without_a_gap(start_server, changing):
    server = start_server(changing, token=TOKEN)
    assert server.ask("POST", "/extract", {"text": TEXT})[0] == 401
    assert server.ask("POST", "/model/reload", **{"Authorization": "Bearer wrong"})[0] == 401
    assert server.ask("GET", "/model", **{"Authorization": f"Basic {TOKEN}"})[0] == 401
    assert [server.ask("GET", path)[0] for path in ("/health", "/ready", "/", "/docs")] == [200] * 4
    with Clients(server) as clients:
        replace(changing, "2.0.0")
        status, answer = server.ask("POST", "/model/reload", **BEARER)
        assert (status, answer["before"]["version"], answer["model"]["version"]) == (200, "1.2.3", "2.0.0")
        # One that can't be loaded leaves the old one where it is.
        (changing / "ner/model").rename(changing / "ner/gone")
        status, answer = server.ask("POST", "/model/reload", **BEARER)
        assert status == 409
        assert "The old model stays" in answer["error"]
        (changing / "ner/gone").rename(changing / "ner/model")
        replace(changing, "3.0.0")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: clients.answers[-1]["model"]["version"] == "3.0.0")
        code, errors = server.end()
    assert code == 0
    assert clients.lost == []
    versions = [answer["model"]["version"] for answer in clients.answers]
    assert set(versions) == {"1.2.3", "2.0.0", "3.0.0"}
    assert all(len(answer["entities"]) == 2 for answer in clients.answers)
    assert TEXT not in errors
    assert "Traceback" not in errors


@pytest.mark.slow
def test_of_several_processes_one_that_is_killed_is_replaced_and_all_exchange_the_model(start_server, changing):
    server = start_server(changing, "--workers", 2, token=TOKEN)

    def metrics() -> str:
        return server.ask("GET", "/metrics", **BEARER)[1]

    assert "domain_ner_workers 2" in metrics()
    before = readers(server)
    assert len(before) == 2
    with Clients(server) as clients:
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(readers(server)) == 2 and readers(server) != before and "domain_ner_workers 2" in metrics())
        # What it held was read by the other one.
        assert clients.lost == []
        replace(changing, "2.0.0")
        assert server.ask("POST", "/model/reload", **BEARER)[1]["model"]["version"] == "2.0.0"
        assert {server.extract({"text": TEXT}, **BEARER)["model"]["version"] for _ in range(20)} == {"2.0.0"}
        assert 'version="2.0.0"' in metrics()
        code, _ = server.end()
    assert (code, clients.lost) == (0, [])
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before))


@pytest.mark.slow
def test_the_processes_that_read_end_with_the_one_that_answers_however_it_ends(start_server, model):
    server = start_server(model)
    [pid] = readers(server)
    # A service manager sends its signal to all of them.
    os.kill(pid, signal.SIGTERM)
    assert server.extract({"text": TEXT})["entities"]
    server.process.kill()
    server.process.wait()
    until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}/nothing"], "can't be loaded"),
        (["{model}", "--port", "{taken}"], "Can't listen on 127.0.0.1"),
        (["{model}", "--host", "no.such.host.invalid"], "Can't listen on no.such.host.invalid"),
        (["{model}", "--workers", "0"], "--workers is 0"),
        (["{model}", "--log", "/nowhere/log.jsonl"], "Can't write /nowhere/log.jsonl"),
        (["{model}", "--log-share", "2"], "--log-share is 2"),
        (["{model}", "--queue", "10"], "--max-passages"),
        (["{model}", "--schema", "nowhere.yml"], "There is no file nowhere.yml"),
        (["{model}", "--metrics", "nowhere.json"], "There is no file nowhere.json"),
    ],
)
def test_what_does_not_fit_is_said_before_the_server_listens(domain_ner, model, arguments, message):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"model": str(model), "taken": str(taken.getsockname()[1])}
        done = domain_ner("serve", *(argument.format(**values) for argument in arguments))
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.slow
def test_a_model_that_can_not_be_loaded_ends_several_processes_too(tmp_path, run):
    done: subprocess.CompletedProcess[str] = run(
        "domain-ner", "serve", tmp_path / "no", "--workers", "2", "--port", "0"
    )
    assert done.returncode == 1
    assert "can't be loaded" in done.stderr
    assert "Traceback" not in done.stderr
