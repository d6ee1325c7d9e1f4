"""A server on 127.0.0.1 that speaks as an LLM's API does, and does whatever a test's script says.

def script(asked: Asked) -> Reply:
    return says({"entities": []}) if asked.attempt > 1 else fails(429, retry_after="1")

with LLMServer(script) as server:
    client = Client(server.settings(concurrency=4), tmp_path)
"""

import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from spacy_domain_ner.corpus import Passage
from spacy_domain_ner.llm.alignment import words_before
from spacy_domain_ner.llm.settings import LLMSettings


@dataclass
class Asked:
    """A request.

    Attributes:
        body: Its JSON.
        headers: Its headers, by their names in lower case.
        number: How many requests the server has got, with this one.
        attempt: How many of them had the same last message, with this one.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    attempt: int

    @property
    def user(self) -> str:
        """The last message: what is asked about."""
        return self.body["messages"][-1]["content"]

    @property
    def level(self) -> str:
        """How JSON is asked for: "json_schema", "json_object" or ""."""
        return self.body.get("response_format", {}).get("type", "")


@dataclass
class Reply:
    """What the server does.

    Attributes:
        status: The HTTP status.
        content: The body.
        headers: Further headers.
        wait: Seconds before it does anything.
        end: "" for a whole answer, "reset" for none but an end of the connection, "cut" for half of the body, "head"
            for none of it.
    """

    status: int = 200
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    end: str = ""


def says(
    content: Any,
    *,
    finish: str | None = "stop",
    usage: Any = (100, 20),
    refusal: str | None = None,
    wait: float = 0.0,
    **headers: str,
) -> Reply:
    """An answer of the model: its words, or a value that it says as JSON; `usage` None leaves the usage out."""
    words = content if isinstance(content, str) or content is None else json.dumps(content)
    message = {"role": "assistant", "content": words, "refusal": refusal}
    answer: dict[str, Any] = {
        "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
    }  # fmt: skip
    if isinstance(usage, tuple):
        usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    if usage is not None:
        answer["usage"] = usage
    return Reply(content=json.dumps(answer).encode(), wait=wait, headers=headers)


def fails(status: int, message: str = "no", *, retry_after: str | None = None, code: str = "") -> Reply:
    """An error, as the API says it."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status, json.dumps({"error": {"message": message, "code": code}}).encode(), headers)


class LLMServer:
    """The server; it runs within a `with` block.

    Attributes:
        url: Its base address.
        asked: The requests, in the order in which they came.
        paid: How often each last message got an answer of the model's, whole or not.
        most_at_once: The most requests that it had at once.
    """

    def __init__(self, script: Callable[[Asked], Reply]) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()
        self._at_once = 0
        self.asked: list[Asked] = []
        self.paid: Counter[str] = Counter()
        self.most_at_once = 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def settings(self, **values: Any) -> LLMSettings:
        """Settings for this server."""
        return LLMSettings(base_url=self.url, **{"model": "scripted", "timeout": 10, **values})

    def __enter__(self) -> "LLMServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reply(self, headers: dict[str, str], content: bytes) -> tuple[Asked, Reply]:
        """Write a request down, and ask the script."""
        body = json.loads(content)
        with self._lock:
            user = body["messages"][-1]["content"]
            self._attempts[user] += 1
            asked = Asked(body, headers, len(self.asked) + 1, self._attempts[user])
            self.asked.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        return asked, self._script(asked)

    def done(self, asked: Asked, reply: Reply) -> None:
        """Write down that a request has had its reply."""
        with self._lock:
            self._at_once -= 1
            if reply.status == 200 and reply.content and reply.end != "reset":
                self.paid[asked.user] += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, *_: object) -> None:
        """A client that has gone is not worth a word."""


def _handler(server: LLMServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Answer as the script says."""
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked, reply = server.reply(headers, content)
            try:
                if reply.wait:
                    time.sleep(reply.wait)
                if reply.end == "reset":
                    # Linger of 0 seconds: the connection ends with RST.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                if reply.end in ("cut", "head"):
                    self.wfile.write(reply.content[: len(reply.content) // 2 if reply.end == "cut" else 0])
                    self.close_connection = True
                    return
                self.wfile.write(reply.content)
            finally:
                server.done(asked, reply)

        def log_message(self, *_: object) -> None:
            """Nothing is logged."""

    return Handler


class Oracle:
    """A script that answers from gold annotation, with set error rates: it is the same for the same passage.

    A mention is left out with the probability `misses`; with the probability `wrong`, each mention gets a false one
    beside it: a word of the passage that is not annotated, of the same type. So recall is 1 - misses, and precision
    (1 - misses) / (1 - misses + wrong).
    """

    def __init__(
        self, passages: Iterable[Passage], misses: float = 0.0, wrong: float = 0.0, labels: Iterable[str] = ()
    ) -> None:
        self._passages = {passage.text: passage for passage in passages}
        self._misses, self._wrong, self._labels = misses, wrong, set(labels)

    def __call__(self, asked: Asked) -> Reply:
        """Answer for the passage that is asked about."""
        return says({"entities": self.entities(json.loads(asked.user)["passage"])})

    def entities(self, text: str) -> list[dict[str, str]]:
        """What is answered for a passage; nothing for one that is not known."""
        passage = self._passages.get(text)
        if passage is None:
            return []
        chance = random.Random(text)
        items = []
        free = [
            (word.start(), word[0])
            for word in re.finditer(r"\w+", text)
            if not any(span.start < word.end() and word.start() < span.end for span in passage.spans)
        ]
        for span in sorted(passage.spans):
            if self._labels and span.label not in self._labels:
                continue
            if chance.random() >= self._misses:
                items.append((span.start, span.label, passage.surface(span)))
            if chance.random() < self._wrong and free:
                start, word = free.pop(chance.randrange(len(free)))
                items.append((start, span.label, word))
        return [
            {"type": label, "quote": quote, "before": words_before(text, start)}
            for start, label, quote in sorted(items)
        ]
