"""A server that runs, asked over sockets: what each route answers, also to those who mean harm."""

import html
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest
import spacy

from spacy_domain_ner import extract_entities

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TEXT = "checkout calls Redis"
STRANGE = [
    "🚀 Redis 👩\u200d👩\u200d👧 checkout", "cafe\u0301 Redis e\u0301", "a\r\nRedis\r\n\r\ncheckout",
    "検索は Redis です checkout", "\u202e\u05e9\u05dc\u05d5\u05dd Redis \u0639\u0631\u0628\u064a", "nul\0 Redis \0",
    "\ufeffRedis\u200b", "\x1b[31mRedis", "𝕽𝖊𝖉𝖎𝖘 Redis", "Redis\u2028checkout", "\t Redis \u00a0", "Redis" * 50,
]  # fmt: skip


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("log") / "sample.jsonl"


@pytest.fixture(scope="module")
def server(start_server, model, log):
    limits = ["--max-characters", 2000, "--max-passages", 300, "--max-body", 200_000, "--timeout", 2, "--queue", 300]
    return start_server(model, *limits, "--log", log, "--log-share", 1, "--cors", "https://example.org")


@pytest.fixture(scope="module")
def nlp(model):
    return spacy.load(model)


def test_one_text_is_answered_as_extract_does_with_the_model_that_read_it(server, nlp):
    answer = server.extract({"text": TEXT, "id": [1, None], "meta": {"a": "\u2028"}})
    assert answer["entities"] == extract_entities(nlp, TEXT)
    assert [entity["name"] for entity in answer["entities"]] == ["checkout", "Redis"]
    assert (answer["id"], answer["meta"], answer["offsets"]) == ([1, None], {"a": "\u2028"}, "code_points")
    assert (answer["model"]["name"], answer["model"]["version"]) == ("en_small_ner", "1.2.3")
    assert re.fullmatch("[0-9a-f]{8}", answer["model"]["digest"])


def test_strange_texts_have_the_entities_and_offsets_that_extract_finds(server, nlp):
    answer = server.extract({"passages": STRANGE})
    assert [each["entities"] for each in answer["passages"]] == [extract_entities(nlp, text) for text in STRANGE]
    assert sum(len(each["entities"]) for each in answer["passages"]) > 10


def test_utf16_offsets_lead_to_the_names_where_strings_count_such_units(server):
    answer = server.extract({"passages": STRANGE, "offsets": "utf16"})
    for text, passage in zip(STRANGE, answer["passages"], strict=True):
        units = text.encode("utf-16-le")
        for entity in passage["entities"]:
            assert units[2 * entity["start"] : 2 * entity["end"]].decode("utf-16-le") == entity["name"]


def test_a_passage_that_can_not_be_read_has_the_reason_in_its_place(server):
    passages = [
        TEXT, 7, {"id": "b", "text": ["x"]}, {"id": "c"}, None, "", " \n", {"text": "x" * 2001, "meta": [1]}, [TEXT],
        "\ud800 lone", {"text": TEXT, "id": "z"},
    ]  # fmt: skip
    answer = server.extract({"passages": passages})["passages"]
    assert [each.get("error") for each in answer] == [
        None, "a record must be a JSON object with a key 'text'", "'text' must be a string", "no 'text' in the record",
        "a record must be a JSON object with a key 'text'", "an empty text", "an empty text",
        "2001 characters, and a passage may have 2000", "a record must be a JSON object with a key 'text'",
        "half of a surrogate pair at offset 0: this is not Unicode text", None,
    ]  # fmt: skip
    assert [each.get("id") for each in answer] == [None, None, "b", "c", *[None] * 6, "z"]
    assert answer[7]["meta"] == [1]
    assert len(answer[0]["entities"]) == len(answer[-1]["entities"]) == 2


def test_thresholds_are_those_of_extract(server):
    [every] = server.extract({"passages": [TEXT]})["passages"]
    found = server.extract({"text": TEXT, "min_confidence": {"INFRA": 1, "": 0.0}})["entities"]
    assert [entity["type"] for entity in found] == ["SERVICE"]
    assert server.extract({"text": TEXT, "min_confidence": 0})["entities"] == every["entities"]
    assert len(server.extract({"text": TEXT, "precision": 0.9})["entities"]) == 2
    assert server.extract({"text": TEXT, "precision": 0.99, "keep_unproven": False})["entities"] == []


def test_the_expected_number_of_entities_comes_along_where_it_is_asked(server):
    found = server.extract({"passages": [TEXT, 3, "nothing is here"], "expected": True})["passages"]
    assert [{label: round(count) for label, count in each.get("expected", {}).items()} for each in found] == [
        {"INFRA": 1, "SERVICE": 1}, {}, {"INFRA": 0, "SERVICE": 0}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"", 400, "not valid JSON"),
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "can't be read"),
        (b"[" * 100_000, 400, "nested too deeply"),
        (b'{"text": "x", "meta": ' + b"[" * 200 + b"]" * 200 + b"}", 400, "nested too deeply"),
        (b'{"text": "x", "id": ' + b"9" * 10_000 + b"}", 400, "thousands of digits"),
        ([], 422, "must be a JSON object"),
        ("text", 422, "must be a JSON object"),
        ({}, 422, "either `text` or `passages`"),
        ({"text": "a", "passages": []}, 422, "either `text` or `passages`"),
        ({"text": 3}, 422, "'text' must be a string"),
        ({"text": "\ud83d"}, 422, "half of a surrogate pair"),
        ({"text": ""}, 422, "an empty text"),
        ({"texts": ["a"]}, 422, "did you mean 'text'?"),
        ({"passages": {"text": "a"}}, 422, "`passages` must be a list"),
        ({"passages": ["a"] * 10_000}, 413, "10000 passages, and may have 300"),
        ({"text": "a", "min_confidence": 2}, 422, "`min_confidence` is '2"),
        ({"text": "a", "min_confidence": "high"}, 422, "`min_confidence`"),
        ({"text": "a", "min_confidence": {"TEAM": 0.5}}, 422, "no type 'TEAM'"),
        ({"text": "a", "min_confidence": float("nan")}, 422, "`min_confidence`"),
        ({"text": "a", "meta": [float("nan")]}, 422, "`id` or `meta` of passage 1 holds NaN"),
        (b'{"passages": ["a", {"text": "b", "id": 1e999}]}', 422, "`id` or `meta` of passage 2 holds NaN"),
        ({"text": "a", "precision": 90}, 422, "`precision` is 90"),
        ({"text": "a", "offsets": "utf-8"}, 422, "`offsets`"),
        ({"text": "x" * 300_000}, 413, "larger than 200000 bytes"),
    ],
    ids=str,
)  # fmt: skip
def test_a_request_that_can_not_be_read_is_told_what_is_wrong(server, body, status, what):
    given, answer = server.ask("POST", "/extract", body)
    assert (given, what in answer["error"]) == (status, True), answer
    assert "\n" not in answer["error"]
    assert set(answer) <= {"error", "hint"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/extract", 405), ("GET", "/nothing", 404), ("POST", "/extract/", 404), ("GET", "//extract", 404),
        ("GET", "/../../etc/passwd", 404), ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404), ("PUT", "/model", 405),
        ("POST", "/model/reload", 403), ("TRACE", "/", 405), ("DELETE", "/model", 405), ("GET", "/try.js.jinja", 404),
    ],
)  # fmt: skip
def test_other_paths_and_methods_are_refused_in_words(server, method, path, status):
    given, answer = server.ask(method, path)
    assert given == status
    assert answer["error"]


def test_what_can_be_fetched_can_be_asked_for_without_its_content(server):
    for path in ("/", "/health", "/ready", "/model", "/docs"):
        assert server.ask("HEAD", path) == (200, "")
        assert int(server.headers["content-length"]) > 0
    assert raw(server, b"HEAD /health HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")
    assert server.ask("HEAD", "/extract")[0] == 405


def raw(server, data: bytes, wait: float = 10.0) -> bytes:
    """Send bytes as they are, and read until the server closes the connection or a whole answer is there."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        connection.sendall(data)
        found = b""
        try:
            while part := connection.recv(65536):
                found += part
        except TimeoutError:
            pass
        return found


HEAD = b"POST /extract HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: 1000000000\r\n\r\n", 413),
        (HEAD + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: x\r\n\r\n{}", 400),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415),
        (HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n", 400),
        (HEAD + b"".join(b"X-%d: a\r\n" % number for number in range(10_000)) + b"\r\n", 400),
        (b"not HTTP at all\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (CHUNKED + 30 * (b"2710\r\n" + b"[" * 10_000 + b"\r\n") + b"0\r\n\r\n", 413),
        (HEAD + b"Content-Length: 100\r\n\r\n{", 408),
        (b"POST /extract HTTP/1.1\r\nHost:", 408),
    ],
    ids=lambda value: repr(value)[:60],
)  # fmt: skip
def test_what_is_no_proper_request_is_refused_and_the_server_lives(server, data, status):
    answer = raw(server, data)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer[:300]
    assert server.ask("GET", "/health")[0] == 200


def test_clients_that_have_gone_are_left_out_and_a_full_queue_says_when_to_come_again(server):
    body = json.dumps({"passages": ["checkout calls Redis and waits. " * 60] * 95}).encode()
    statuses = []

    def ask() -> None:
        statuses.append((server.ask("POST", "/extract", body)[0], server.headers.get("retry-after")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    # Meanwhile the server answers others.
    start = time.perf_counter()
    assert server.ask("GET", "/health")[0] == 200
    assert time.perf_counter() - start < 5
    for thread in threads:
        thread.join()
    assert (429, None) not in statuses
    assert {status for status, _ in statuses} <= {200, 429, 503}
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    connection.close()
    assert server.extract({"text": TEXT})["entities"]


def test_what_is_known_of_the_model_is_there(server):
    _, answer = server.ask("GET", "/model")
    assert answer["types"].keys() == {"INFRA", "SERVICE"}
    assert answer["types"]["INFRA"]["definition"] == "A store or queue."
    assert answer["types"]["INFRA"]["thresholds"]["0.9"] > 0
    assert server.ask("GET", "/ready") == (
        200,
        {"status": "ready", "model": {key: answer[key] for key in ("name", "version", "digest")}},
    )
    assert server.ask("GET", "/health")[0] == 200


def test_metrics_are_prometheus_text_that_adds_up(server):
    def numbers() -> dict[str, float]:
        _, text = server.ask("GET", "/metrics")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    before = numbers()
    server.extract({"passages": [TEXT, 3, TEXT]})
    after = numbers()
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["domain_ner_passages_total"] == grown['domain_ner_entities_total{type="INFRA"}'] == 2
    assert grown["domain_ner_passages_refused_total"] == 1
    assert grown['domain_ner_requests_total{route="/extract",status="200"}'] == 1
    assert grown['domain_ner_confidence_bucket{type="INFRA",le="+Inf"}'] == 2
    assert grown['domain_ner_confidence_count{type="INFRA"}'] == 2
    assert 0 < grown["domain_ner_request_seconds_sum"] < 60
    assert after["domain_ner_resident_bytes"] > 10_000_000


def test_the_sample_has_passages_entities_the_model_and_the_probability(server, log, nlp):
    found = server.extract({"text": "a Redis \u2028 of mine", "id": 5, "meta": {"source": "x"}, "min_confidence": 1})
    rows = [json.loads(line) for line in log.read_text(encoding="utf8").split("\n")[:-1]]
    row = rows[-1]
    assert (row["id"], row["text"], row["meta"], row["model"]) == (
        5,
        "a Redis \u2028 of mine",
        {"source": "x"},
        found["model"],
    )
    # All that the model has found, whatever was asked for.
    assert row["entities"] == extract_entities(nlp, row["text"])
    assert row["inclusion_probability"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["time"])
    assert log.stat().st_mode & 0o077 == 0


def test_only_pages_of_named_origins_may_ask(server):
    server.ask("GET", "/ready", Origin="https://example.org")
    assert server.headers["access-control-allow-origin"] == "https://example.org"
    server.ask("POST", "/extract", b"{", Origin="https://example.org")
    assert server.headers["access-control-allow-origin"] == "https://example.org"
    server.ask("GET", "/ready", Origin="https://elsewhere.org")
    assert "access-control-allow-origin" not in server.headers


def test_the_pages_load_nothing_from_elsewhere(server):
    for path in ("/", "/docs"):
        status, page = server.ask("GET", path)
        assert status == 200
        assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)
        assert "default-src 'none'" in server.headers["content-security-policy"]
    assert "min_confidence" in page
    assert server.ask("GET", "/openapi.json")[1]["paths"].keys() >= {"/extract", "/model", "/metrics"}


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_the_page_shows_entities_and_runs_nothing_of_a_text(server, nlp, tmp_path):
    text = (
        "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> 🚀 Redis & checkout"
    )
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
        f"--user-data-dir={tmp_path}", "--dump-dom", f"http://127.0.0.1:{server.port}/#text={quote(text)}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, encoding="utf8", timeout=120, check=False)
    assert "<title>en_small_ner</title>" in done.stdout
    marks = re.findall(r"<mark[^>]*>(.*?)<small>(.*?)</small></mark>", done.stdout, re.DOTALL)
    assert [(html.unescape(name), label) for name, label in marks] == [
        (entity["name"], f"{entity['type']} {entity['confidence']:.2f}") for entity in extract_entities(nlp, text)
    ]
    assert ("Redis", "INFRA") in [(name, label.split()[0]) for name, label in marks]
    [shown] = re.findall(r'<p id="found">(.*?)</p>', done.stdout, re.DOTALL)
    assert "&lt;" in shown
    assert "<img" not in shown
