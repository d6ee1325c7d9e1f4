"""Whatever a server answers, a push or a pull ends in time: it works, or one error says what came and what to do."""

import gzip
import json
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio import connection, server
from spacy_domain_ner.exchange.label_studio.transfer import pull_annotations, push_tasks
from spacy_domain_ner.schema import EntitySchema, EntityType

TOKEN = "f" * 40
INTERFACE = {"label": {"type": "Labels", "to_name": ["text"], "inputs": [{"type": "Text", "value": "text"}]}}
PROJECT = {
    "id": 1, "title": "billing", "task_number": 1, "num_tasks_with_annotations": 1,
    "parsed_label_config": {"label": {**INTERFACE["label"], "labels": ["SERVICE"]}},
}  # fmt: skip
SPAN = {"start": 0, "end": 5, "text": "Redis", "labels": ["SERVICE"]}
TASK = {
    "id": 1, "data": {"text": "Redis is slow"}, "annotations": [
        {"id": 1, "result": [{"id": "r", "from_name": "label", "to_name": "text", "type": "labels", "value": SPAN}]}
    ],
}  # fmt: skip
# What a Label Studio answers that has one project with one annotated task.
RIGHT: dict[str, Any] = {
    "/api/version": {"release": "1.23.2"},
    "/api/current-user/whoami": {"id": 1, "active_organization": 1},
    "/api/projects/": {"results": [{"id": 1, "title": "billing"}], "next": None},
    "/api/projects/1/": PROJECT,
    "/api/tasks/": {"tasks": [], "total": 0},
    "/api/projects/1/import": {"task_count": 1},
    "/api/projects/1/export": [TASK],
    "/api/projects/1/exports/": {"id": 5, "status": "completed"},
    "/api/projects/1/exports/5": {"id": 5, "status": "completed"},
    "/api/projects/1/exports/5/download": [TASK],
    "/api/projects/1/imports/7/": {"status": "completed", "task_count": 1},
}


class Answering(BaseHTTPRequestHandler):
    """Gives the server's answer for a path: JSON, or the bytes on the line, or what a function does."""

    server: "Strange"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.asked.append((self.command, self.path, self.headers.get("Authorization")))
        answer = self.server.answers[path]
        if isinstance(answer, list) and answer and isinstance(answer[0], bytes):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer(self.wfile)
        else:
            self.wfile.write(answer if isinstance(answer, bytes) else sent(json.dumps(answer).encode()))
        self.close_connection = True

    do_POST = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


class Strange(socketserver.ThreadingTCPServer):
    """A server on 127.0.0.1 that is right but for the answers that a test replaces."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers = dict(RIGHT)
        self.asked: list[tuple[str, str, str | None]] = []

    def handle_error(self, *_: object) -> None:
        """The client hangs up on some answers."""


@pytest.fixture
def strange(monkeypatch) -> Iterator[Strange]:
    monkeypatch.setattr(connection, "PAUSES", (0.01, 0.01, 0.01))
    monkeypatch.setattr(server, "_POLL_SECONDS", 0.05)
    started = Strange()
    threading.Thread(target=started.serve_forever, args=(0.02,), daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture
def do(strange, tmp_path) -> Callable[[str], Any]:
    """A push or a pull."""
    passages = tmp_path / "passages.jsonl"
    passages.write_text('{"text": "Redis is slow"}\n')
    schema = EntitySchema(entity_types=[EntityType(name="SERVICE", definition="A service.")])

    def do(verb: str, token: str = TOKEN, timeout: float = 60, project: str = "billing") -> Any:
        if verb == "push":
            return push_tasks(passages, strange.url, token, project, schema, timeout=timeout)
        return pull_annotations(tmp_path / "out.jsonl", strange.url, token, project, schema=schema, timeout=timeout)

    return do


def sent(body: bytes, status: str = "200 OK", kind: str = "application/json", *headers: str, length: int = -1) -> bytes:
    """An answer as it is on the line."""
    head = [
        f"HTTP/1.1 {status}",
        "Connection: close",
        f"Content-Type: {kind}",
        f"Content-Length: {len(body) if length < 0 else length}",
    ]
    return "\r\n".join([*head, *headers, "", ""]).encode("latin-1") + body


def dripping(head: bytes, drop: bytes) -> Callable[[Any], None]:
    """An answer whose bytes come one by one, and never end."""

    def drip(stream: Any) -> None:
        stream.write(head)
        for _ in range(400):
            stream.write(drop)
            time.sleep(0.05)

    return drip


def endless(head: bytes, piece: bytes) -> Callable[[Any], None]:
    """An answer that comes as fast as it can, and never ends."""

    def send(stream: Any) -> None:
        stream.write(head)
        while True:
            stream.write(piece)

    return send


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
UNENDING = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
GZIP = "Content-Encoding: gzip"
PAGE = sent(b"<!doctype html><title>Sign in\x1b[31m</title>", kind="text/html")

# Each can come at any path, and is never what was asked for.
NEVER_RIGHT: dict[str, Any] = {
    "a web page": PAGE,
    "a web page that is called JSON": sent(b"<html>"),
    "null": None,
    "a number": 7,
    "a number of 10,000 digits": sent(b"9" * 10_000),
    "not a number": sent(b"NaN"),
    "a text": "yes",
    "an empty list": [],
    "a list of lists": [[[]]],
    "an empty object": {},
    "an object of other keys": {"\x1b]8;;http://evil\x07": "\u202e"},
    "JSON that is nested too deeply": sent(b"[" * 200_000),
    "objects that are nested too deeply": sent(b'{"a":' * 200_000),
    "JSON that is cut off": sent(b'{"id": 1, "tit'),
    "two values": sent(b"{} {}"),
    "invalid UTF-8": sent(b'{"id": "\xff\xfe"}'),
    "UTF-16": sent('{"id": 1}'.encode("utf-16-be")),
    "nothing": sent(b""),
    "204": sent(b"", "204 No Content"),
    "no answer": b"",
    "garbage in the place of HTTP": b"\x00\x01\x02 garbage\r\n\r\n",
    "an old protocol": b"HTTP/0.9\r\n\r\n{}",
    "a status of words": b"HTTP/1.1 OK fine\r\n\r\n{}",
    "a status of 999": sent(b"{}", "999 Strange"),
    "a status of 1": b"HTTP/1.1 1 Strange\r\n\r\n{}",
    "a head without end": endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a line without end": endless(b"HTTP/1.1 200 OK\r\nX: ", b"y" * 4096),
    "continue for ever": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a length that is too great": sent(b"{}", length=100),
    "a length that is too small": sent(b'{"id": 1}', length=3),
    "a length of words": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n[",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length below 0": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n[",
    "chunks that are cut off": CHUNKED + b"10\r\n[1, 2",
    "chunks whose size is garbage": CHUNKED + b"zz\r\n[]\r\n0\r\n\r\n",
    "gzip that is none": sent(b"[] is not gzip", "200 OK", "application/json", GZIP),
    "gzip that is cut off": sent(gzip.compress(b"[]" * 9999)[:30], "200 OK", "application/json", GZIP),
    "deflate that is broken": sent(b"x\x9c" + b"?" * 99, "200 OK", "a/b", "Content-Encoding: deflate"),
    "a redirect to a login": sent(b"", "302 Found", "text/html", "Location: /user/login/?next=/"),
    "a redirect to itself": sent(b"", "307 Temporary Redirect", "text/html", "Location: "),
    "a redirect to another host": sent(b"", "301 Moved", "text/html", "Location: http://127.0.0.2:1/\x1b[2J"),
    "a redirect to no address": sent(b"", "302 Found", "text/html", "Location: http://[::1"),
    "a redirect to bytes": sent(b"", "302 Found", "text/html", "Location: http://\xff\xfe:99999999/%zz"),
    "a redirect to a file": sent(b"", "302 Found", "text/html", "Location: file:///etc/passwd"),
    "nothing to choose from": sent(b"", "300 Multiple Choices"),
    **{
        str(status): sent(json.dumps({"detail": f"\x1b[31mno {TOKEN}"}).encode(), f"{status} No")
        for status in (304, 400, 401, 402, 403, 404, 405, 409, 410, 413, 418, 422, 429, 431, 451, 500, 501, 502, 503)
    },
    "an error whose words are nested": sent(b'{"detail": ' + b'{"a": [' * 300 + b"]}" * 300 + b"}", "400 No"),
    "an error in a web page": sent(b"<html>\x1b[2J", "500 No", "text/html"),
    "an error that is cut off": sent(b'{"detail": "x', "500 No", length=99),
    "drops of a head": dripping(b"", b"H"),
    "drops of a body": dripping(UNENDING, b" "),
    "drops of chunks": dripping(CHUNKED, b"1\r\n \r\n"),
    "drops of an error": dripping(b"HTTP/1.1 500 No\r\n\r\n", b" "),
}  # fmt: skip
# Where a push and a pull read an answer.
PLACES = [
    ("push", "/api/projects/1/import"), ("pull", "/api/version"), ("push", "/api/tasks/"), ("pull", "/api/projects/"),
    ("push", "/api/version"), ("pull", "/api/projects/1/"), ("push", "/api/projects/"),
]  # fmt: skip
# Those that keep a client waiting.
WAITING = ("drops", "for ever", "without end")


def refused(function: Callable[[], Any], *expected: str) -> UserError:
    """The error that a push or a pull ends with."""
    with pytest.raises(UserError) as raised:
        function()
    said = str(raised.value)
    assert raised.value.hint
    assert TOKEN not in said
    assert "\x1b" not in said
    assert "\u202e" not in said
    for words in expected:
        assert words in said
    return raised.value


def test_a_right_server_is_right(do, strange):
    assert do("push").created == 1
    assert do("pull").passages["added"] == 1
    assert {authorization for _, path, authorization in strange.asked if path != "/api/version"} == {f"Token {TOKEN}"}


@pytest.mark.parametrize(
    ("kind", "verb", "path"), [(kind, *PLACES[number % len(PLACES)]) for number, kind in enumerate(NEVER_RIGHT)]
)
def test_an_answer_that_is_never_right_is_one_error(do, strange, kind, verb, path):
    if kind in ("401", "403") and path == "/api/version":
        path = "/api/projects/"
    strange.answers[path] = NEVER_RIGHT[kind]
    timeout = 0.4 if any(words in kind for words in WAITING) else 60
    refused(lambda: do(verb, timeout=timeout), strange.url)


@pytest.mark.parametrize("kind", list(NEVER_RIGHT)[::2])
def test_an_export_that_is_never_right_is_one_error_and_imports_nothing(do, strange, kind, tmp_path):
    strange.answers["/api/projects/1/export"] = NEVER_RIGHT[kind]
    # Where the export fails, a snapshot is made.
    strange.answers["/api/projects/1/exports/"] = NEVER_RIGHT[kind]
    refused(lambda: do("pull", timeout=0.4 if any(words in kind for words in WAITING) else 60))
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("path", "answer", "said"),
    [
        ("/api/projects/", {"results": {}, "next": None}, "'results' is wrong"),
        ("/api/projects/", {"results": [1], "next": None}, "'results.0' is wrong"),
        ("/api/projects/", {"results": [{"title": "billing"}], "next": None}, "no 'results.0.id'"),
        ("/api/projects/", {"results": [{"id": "../users", "title": "billing"}], "next": None}, "'results.0.id'"),
        ("/api/projects/", {"results": [{"id": 1, "title": ["billing"]}], "next": None}, "'results.0.title'"),
        ("/api/projects/", {"results": []}, "no 'next'"),
        ("/api/projects/", [{"id": 1, "title": "billing"}], "not an object: list"),
        ("/api/projects/", {"results": [], "next": "http://evil.example/api/projects/?page=2"}, "nothing new"),
        ("/api/projects/", {"results": [{"id": 2, "title": "x"}], "next": "/api/projects/"}, "page 2"),
        ("/api/projects/1/", {**PROJECT, "id": None}, "'id' is wrong"),
        ("/api/projects/1/", {**PROJECT, "id": 1.5}, "'id' is wrong"),
        ("/api/projects/1/", {**PROJECT, "id": -1}, "'id' is wrong"),
        ("/api/projects/1/", {**PROJECT, "task_number": "many"}, "'task_number' is wrong"),
        ("/api/projects/1/", {**PROJECT, "parsed_label_config": []}, "'parsed_label_config' is wrong"),
        ("/api/projects/1/", {**PROJECT, "parsed_label_config": {"label": 1}}, "'parsed_label_config.label'"),
        (
            "/api/projects/1/",
            {**PROJECT, "parsed_label_config": {"label": {"type": "Labels", "to_name": 1}}},
            "'parsed_label_config.label.to_name'",
        ),
        ("/api/projects/1/", {**PROJECT, "parsed_label_config": None}, "no labelling interface yet"),
        ("/api/tasks/", {"tasks": None, "total": 0}, "'tasks' is wrong"),
        ("/api/tasks/", {"tasks": [{"id": 1, "data": "text"}], "total": 1}, "'tasks.0.data' is wrong"),
        ("/api/tasks/", {"tasks": [{"id": 1}], "total": 1}, "no 'tasks.0.data'"),
        ("/api/tasks/", {"tasks": [{"id": 1, "data": {}}], "total": 10**30}, "page 2"),
        ("/api/projects/1/import", {"task_count": None}, "'task_count' is wrong"),
        ("/api/projects/1/import", {"task_count": float("nan")}, "'task_count' is wrong"),
        ("/api/projects/1/import", {"import": {"id": 7}}, "'import' is wrong"),
        ("/api/projects/1/import", {"import": "7/../../../users"}, "'import' is wrong"),
    ],
)
def test_what_is_wrong_in_an_answer_is_named(do, strange, path, answer, said):
    strange.answers[path] = answer
    refused(lambda: do("push"), said)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/api/projects/", {"results": [{"id": "1", "title": "billing", "x": 1}], "next": "", "count": "1"}),
        ("/api/projects/", {"results": [{"id": 9, "title": None}, {"id": 1, "title": "billing"}], "next": None}),
        ("/api/projects/1/", {**PROJECT, "id": "1", "task_number": "1", "num_tasks_with_annotations": None}),
        ("/api/tasks/", {"tasks": [{"id": "4", "data": {"text": None, "meta": "\ud800"}}], "total": "1"}),
        ("/api/tasks/", {"tasks": [{"id": 4, "data": {"text": "\ud800", "meta": {"source": ["x"]}}}], "total": 1}),
        ("/api/projects/1/import", {"task_count": "1", "duration": 1}),
        ("/api/projects/1/import", {"import": "7"}),
    ],
)
def test_numbers_that_are_texts_and_parts_that_nobody_reads_do_no_harm(do, strange, path, answer):
    strange.answers[path] = answer
    assert do("push").created == 1


@pytest.mark.parametrize(
    ("path", "answer", "asked"),
    [
        ("/api/projects/1/import", {"import": 7}, "/imports/7/"),
        ("/api/projects/1/exports/", {"id": 5, "status": "in_progress"}, "/exports/5"),
    ],
)
def test_work_that_never_ends_is_waited_for_no_longer_than_the_timeout(do, strange, path, answer, asked):
    strange.answers |= {
        path: answer,
        "/api/projects/1/export": sent(b"", "504 No"),
        "/api/projects/1/exports/5": {"id": 5, "status": "in_progress"},
        "/api/projects/1/imports/7/": {"status": "created"},
    }
    verb = "push" if "import" in path else "pull"
    refused(lambda: do(verb, timeout=2), "was not done after 2 seconds in all", "timeout")
    assert sum(asked in path for _, path, _ in strange.asked) > 1


def test_a_status_that_says_nothing_ends_the_waiting(do, strange):
    strange.answers |= {
        "/api/projects/1/import": {"import": 7},
        "/api/projects/1/imports/7/": {"status": "\x1b[5mwho knows"},
    }
    refused(lambda: do("push"), "the status '\\x1b[5mwho knows'")


def test_an_answer_and_an_export_have_a_greatest_size(do, strange, monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "LONGEST_ANSWER", 3_000_000)
    strange.answers["/api/projects/"] = endless(UNENDING, b"[" * 65536)
    refused(lambda: do("pull"), "more than 3 MB")
    monkeypatch.setattr(connection, "LONGEST_EXPORT", 2_000_000)
    strange.answers = {**RIGHT, "/api/projects/1/export": endless(UNENDING, b"[" * 65536)}
    refused(lambda: do("pull"), "more than 2 MB")
    strange.answers["/api/projects/1/export"] = sent(gzip.compress(b"[" * 9_000_000), "200 OK", "a/b", GZIP)
    refused(lambda: do("pull"), "more than 2 MB")
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("failure", ["429 Too Many", "500 No", "502 No", "503 No", "504 No", "599 No"])
def test_a_get_that_failed_for_the_time_being_is_sent_again(do, strange, failure):
    right = sent(json.dumps(RIGHT["/api/projects/"]).encode())
    strange.answers["/api/projects/"] = [sent(b"", failure), sent(b"", failure), right]
    assert do("push").created == 1
    assert sum(path.startswith("/api/projects/?") for _, path, _ in strange.asked) == 3


def test_a_post_is_sent_once(do, strange):
    strange.answers["/api/projects/1/import"] = sent(b"", "503 No")
    refused(lambda: do("push"), "(503)")
    assert [path for method, path, _ in strange.asked if method == "POST"] == ["/api/projects/1/import"]


@pytest.mark.parametrize(("after", "times"), [("1", 2), ("86400", 1), ("soon", 4), ("-1", 4), ("9" * 400, 1)])
def test_the_server_says_when_to_ask_again(do, strange, monkeypatch, after, times):
    waited: list[float] = []
    monkeypatch.setattr(connection.Connection, "pause", lambda _, seconds: waited.append(seconds))
    right = sent(json.dumps(RIGHT["/api/projects/"]).encode())
    refusal = sent(b"", "429 Too Many", "text/html", f"Retry-After: {after}")
    strange.answers["/api/projects/"] = [refusal] * (times if times > 2 else 1) + [right]
    if times == 2:
        assert do("push").created == 1
        assert waited == [1.0]
    else:
        refused(lambda: do("push"), "too many requests (429)")
    assert sum(path.startswith("/api/projects/?") for _, path, _ in strange.asked) == times


def test_a_pull_that_is_out_of_time_keeps_the_old_export(do, strange, tmp_path):
    export = tmp_path / "out.label-studio.json"
    export.write_text("old")
    strange.answers["/api/projects/1/export"] = dripping(UNENDING, b"[")
    refused(lambda: do("pull", timeout=0.4), "not done after 0.4 seconds")
    assert export.read_text() == "old"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_is_none_is_refused(do, timeout):
    refused(lambda: do("push", timeout=timeout), f"`timeout` is {timeout:g}")
