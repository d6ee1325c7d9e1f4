"""A real Label Studio on 127.0.0.1, and a proxy before it that can do what a real server won't do on demand."""

import fcntl
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

SHARED = Path(__file__).parents[4] / "shared/label_studio"
REQUIREMENTS = SHARED / "requirements-1.23.2.txt"
DATABASE = SHARED / "migrated-1.23.2.sqlite3.gz"
START_SECONDS = 180


@dataclass
class User:
    """A user of the server: the number, the legacy token, and the personal access token."""

    id: int
    legacy: str
    personal: str


@dataclass
class LabelStudio:
    """A running server with two users of one organisation."""

    url: str
    owner: User
    second: User = field(init=False)

    def request(self, method: str, path: str, body: object = None, user: User | None = None) -> Any:
        """A request with a legacy token, the owner's unless another user is given; its answer's JSON comes back."""
        headers = {"Authorization": f"Token {(user or self.owner).legacy}"}
        response = requests.request(method, self.url + path, json=body, headers=headers, timeout=60)
        assert response.ok, (response.status_code, response.text[:500])
        return response.json() if response.content else None

    def sign_up(self, email: str) -> User:
        """A further user, as people come to a server: by the invitation's link and its form."""
        link = self.url + self.request("GET", "/api/invite")["invite_url"]
        browser = requests.Session()
        form = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get(link, timeout=60).text)
        assert form is not None
        answers = {"csrfmiddlewaretoken": form[1], "email": email, "password": os.urandom(8).hex()}
        browser.post(link, data=answers, headers={"Referer": self.url}, timeout=60).raise_for_status()
        return self.user(browser.get(f"{self.url}/api/current-user/token", timeout=60).json()["token"])

    def user(self, legacy: str) -> User:
        """The user of a legacy token, with a personal one that is new."""
        user = User(0, legacy, "")
        user.id = self.request("GET", "/api/current-user/whoami", user=user)["id"]
        user.personal = self.request("POST", "/api/token/", {}, user)["token"]
        return user

    def turn_tokens(self, *, legacy: bool, personal: bool) -> None:
        """What kinds of token the organisation has; one of them must be on, or nobody gets in again."""
        body = {"legacy_api_tokens_enabled": legacy, "api_tokens_enabled": personal}
        refreshed = requests.post(
            f"{self.url}/api/token/refresh/", json={"refresh": self.owner.personal}, timeout=60
        ).json()
        for authorization in (f"Token {self.owner.legacy}", f"Bearer {refreshed['access']}"):
            headers = {"Authorization": authorization}
            if requests.post(f"{self.url}/api/jwt/settings", json=body, headers=headers, timeout=60).ok:
                return
        raise AssertionError("neither kind of token is on")


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """The server, started once for all tests. Its environment is made on the first run and kept in the user's cache."""
    if not SHARED.is_dir():
        pytest.skip("no Label Studio to test with: its requirements and database are not there")
    environment = _environment()
    folder = tmp_path_factory.mktemp("label-studio")
    with gzip.open(DATABASE) as packed, (folder / "label_studio.sqlite3").open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    legacy = hashlib.sha1(os.urandom(16)).hexdigest()
    with closing(sqlite3.connect(folder / "label_studio.sqlite3")) as database, database:
        # The organisation's owner is in there already, with a token that everybody knows.
        ((owner,),) = database.execute("SELECT email FROM htx_user").fetchall()
        database.execute("UPDATE authtoken_token SET key = ?", (legacy,))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "HOME": str(folder),
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_USERNAME": owner,
        "LABEL_STUDIO_PASSWORD": legacy[:20],
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_ML_BLOCK_LOCAL_IP": "false",
        "LABEL_STUDIO_SSRF_PROTECTION_ENABLED": "false",
        "SECRET_KEY": legacy,
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    command = [str(environment / "bin/label-studio"), "start", "--no-browser", "--internal-host", "127.0.0.1"]
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "-p", str(port), "--log-level", "WARNING"],
            cwd=folder,
            env={**os.environ, **settings},
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_up(url, process, log)
        server = LabelStudio(url, User(0, legacy, ""))
        server.owner = server.user(legacy)
        server.second = server.sign_up("second@example.com")
        yield server
        if process.poll() is not None:
            pytest.fail(f"Label Studio ended during the tests:\n{_end_of(log)}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment() -> Path:
    """A virtual environment with Label Studio in it."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spacy-domain-ner"
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    environment = caches / f"label-studio-1.23.2-{digest}"
    done = caches / f"{environment.name}.done"
    caches.mkdir(parents=True, exist_ok=True)
    with (caches / f"{environment.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (done.exists() and environment.is_dir()):
            shutil.rmtree(environment, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", environment], check=True)
            python = environment / "bin/python"
            subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
            install = [environment / "bin/uv", "pip", "install", "--quiet", "--python", python, "-r", REQUIREMENTS]
            subprocess.run(install, check=True)
            done.touch()
    return environment


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if requests.get(f"{url}/health", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    state = "ended" if process.poll() is not None else f"was not up after {START_SECONDS} seconds"
    pytest.fail(f"Label Studio {state}:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf8", errors="replace")[-4000:]


@dataclass
class Asked:
    """A request that came to the proxy."""

    method: str
    path: str
    authorization: str | None
    size: int


@dataclass
class Proxy:
    """Passes requests on to the real server, but for those to which `instead` has an answer.

    instead: Gets the request, and returns a status, headers and body to answer with, "cut" to close the connection,
        "cut in the middle" to close it in the real answer, "wait" to give no answer, "too late" to pass it on and
        answer 504, None to pass it on.
    """

    url: str
    asked: list[Asked] = field(default_factory=list)
    instead: Callable[[Asked], Any] = lambda asked: None

    def count(self, path: str) -> int:
        return sum(path in asked.path for asked in self.asked)


@pytest.fixture
def start_proxy() -> Iterator[Callable[..., Proxy]]:
    """Start a proxy before the server at an address; without one, it answers for itself alone."""
    running: list[tuple[ThreadingHTTPServer, threading.Event]] = []

    def start_proxy(before: str = "") -> Proxy:
        ended = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, self.headers.get("Authorization"), len(body))
                proxy.asked.append(asked)
                answer = proxy.instead(asked)
                if answer == "wait":
                    ended.wait()
                if answer in ("cut", "wait"):
                    self.close_connection = True
                    return
                if isinstance(answer, tuple):
                    status, headers, content = answer
                else:
                    passed = {key: value for key, value in self.headers.items() if key != "Host"}
                    got = requests.request(
                        self.command, before + self.path, data=body, headers=passed, timeout=60, allow_redirects=False
                    )
                    status, content = got.status_code, got.content
                    headers = {"Content-Type": got.headers.get("Content-Type", "")}
                if answer == "too late":
                    status = 504
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if answer == "cut in the middle" else content)

            do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append((server, ended))
        return proxy

    yield start_proxy
    for server, ended in running:
        ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def json_answer() -> Callable[..., tuple[int, dict[str, str], bytes]]:
    """An answer for a proxy to give."""

    def json_answer(status: int, content: object) -> tuple[int, dict[str, str], bytes]:
        return status, {"Content-Type": "application/json"}, json.dumps(content).encode()

    return json_answer
