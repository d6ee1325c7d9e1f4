"""What stands before the routes: who may ask, how large a body may be and how long it may take, and errors in words."""

import asyncio
import base64
import hmac
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.serving.metrics import Metrics
from spacy_domain_ner.serving.requests import RequestError
from spacy_domain_ner.serving.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Takes a body and the way to learn that the client has gone; gives JSON.
Handler = Callable[[bytes, Receive], Awaitable[bytes]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# What anybody may ask: whether the server lives, and the pages, which hold nothing of the model.
OPEN = frozenset({"/", "/docs", "/openapi.json", "/health", "/ready"})
# What Label Studio asks with the token as a password, and what it tells without one.
LABEL_STUDIO = frozenset({"/setup", "/predict", "/versions", "/label-studio"})
LABEL_STUDIO_OPEN = frozenset({"/webhook"})
# The most bytes of a request for predictions of tasks: it may be about all tasks of a project.
TASKS_BODY = 128_000_000
# All bodies that are held at once; more are refused until some are done.
BODIES_HELD = 256_000_000
HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]


class Guard:
    """An ASGI application around another one.

    It asks for the token, reads the whole body within the limits before the application is called, counts requests,
    and answers errors as JSON: {"error": what is wrong, "hint": what to do}. It writes nothing of a request to a log.
    """

    def __init__(
        self,
        app: App,
        settings: Settings,
        metrics: Metrics,
        paths: frozenset[str],
        direct: Mapping[tuple[str, str], Handler],
        is_ending: Callable[[], bool],
    ) -> None:
        """Wrap an application.

        Args:
            app: The application.
            settings: What the server was told.
            metrics: Where requests are counted.
            paths: The paths that there are; requests for others are counted together.
            direct: By method and path, what answers in place of the application: FastAPI takes longer for a request
                than the model for a passage.
            is_ending: Tells whether the server is about to end: answers then ask clients to close their connections.
        """
        self._app = app
        self._settings = settings
        self._metrics = metrics
        self._paths = paths
        self._held = 0
        self._direct = direct
        self.is_ending = is_ending

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI defines it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(self, scope, send)
        held = 0
        try:
            self._check_token(scope)
            body = await self._read_body(scope, receive)
            held = len(body)
            self._held += held
            if (handler := self._direct.get((scope["method"], scope["path"]))) is not None:
                await request.answer(200, await handler(body, receive))
            else:
                await self._app(scope, _replayed(body, receive), request.send)
        except GoneError:
            request.status = 499
        except RequestError as error:
            await request.fail(error)
        except Exception as error:  # of any part: the message may quote a text, so it is not shown
            place = traceback.extract_tb(error.__traceback__)[-1]
            print(f"{type(error).__name__} at {place.filename}:{place.lineno}", file=sys.stderr)
            await request.fail(RequestError(500, f"The server failed on this request ({type(error).__name__})"))
        finally:
            self._held -= held
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._metrics.count("domain_ner_requests_total", route=path, status=str(request.status))
            if path == "/extract":
                self._metrics.observe("domain_ner_request_seconds", time.monotonic() - request.started)

    def takes_password(self, path: str) -> bool:
        """Whether a path takes the token as a password, too."""
        return self._settings.label_studio and path in LABEL_STUDIO | LABEL_STUDIO_OPEN

    def _check_token(self, scope: MutableMapping[str, Any]) -> None:
        token = self._settings.token
        path, by_password = scope["path"], False
        if self._settings.label_studio:
            by_password = path in LABEL_STUDIO
            if path in LABEL_STUDIO_OPEN:
                return
        # A browser asks without the token what it may ask.
        if path in OPEN or scope["method"] == "OPTIONS" or has_token(scope["headers"], token, by_password):
            return
        if by_password:
            raise RequestError(401, "The password is missing or wrong", "The server's token is the password.")
        raise RequestError(401, "The token is missing or wrong", "Send the header Authorization: Bearer TOKEN.")

    async def _read_body(self, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        is_tasks = self._settings.label_studio and scope["path"] == "/predict"
        limit = max(self._settings.max_body, TASKS_BODY) if is_tasks else self._settings.max_body
        headers = dict(scope["headers"])
        hint = "Send several requests, or use `domain-ner extract` for files."
        too_large = RequestError(413, f"The body is larger than {limit} bytes", hint)
        length = headers.get(b"content-length", b"")
        if length and (not length.isdigit() or int(length[:20]) > limit):
            raise too_large
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise RequestError(415, "The body is compressed", "Send it as it is, without Content-Encoding.")
        if scope["method"] in ("GET", "HEAD", "OPTIONS") and not length and b"transfer-encoding" not in headers:
            return b""
        if self._held + int(length or 0) > BODIES_HELD:
            raise RequestError(429, "The server holds as many bodies as it can", "Try again in a few seconds.")
        body = bytearray()
        with _Deadline(self._settings.timeout) as deadline:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise GoneError
                body += message.get("body", b"")
                if len(body) > limit:
                    raise too_large
                if not message.get("more_body"):
                    return bytes(body)
        assert deadline.is_over
        what = f"The body did not arrive within {self._settings.timeout:g} seconds"
        raise RequestError(408, what, "Send the request again.")


def has_token(headers: Iterable[tuple[bytes, bytes]], token: str, by_password: bool = False) -> bool:
    """Whether a request has the token, compared in constant time.

    Args:
        headers: The request's headers, as ASGI gives them.
        token: The token; "" lets everybody in.
        by_password: Whether it may be the password of Basic authentication, too, whoever the user is.
    """
    if not token:
        return True
    given = b"".join(value for name, value in headers if name == b"authorization")
    kind, _, value = given.partition(b" ")
    value, wanted = value.strip(), token.encode("ascii")
    if by_password and kind.lower() == b"basic":
        try:
            value = base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:
            return False
        return hmac.compare_digest(value, wanted)
    return hmac.compare_digest(value, wanted) and kind.lower() == b"bearer"


class _Deadline:
    """Ends a block of the current task after some seconds. asyncio's own time-outs make a task for each wait."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_over = False

    def __enter__(self) -> "_Deadline":
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._end)
        return self

    def _end(self) -> None:
        self.is_over = True
        if self._task is not None:
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        self._timer.cancel()
        return self.is_over and kind is asyncio.CancelledError


class GoneError(Exception):
    """The client has gone, and nobody waits for an answer."""


class _Request:
    """The way back to the client."""

    def __init__(self, guard: Guard, scope: MutableMapping[str, Any], send: Send) -> None:
        self._guard = guard
        self._path = scope["path"]
        self._send = send
        self.started = time.monotonic()
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *HEADERS]
            if self._guard.is_ending():
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def fail(self, error: RequestError) -> None:
        if self.status:
            return
        headers = []
        if error.status in (429, 503):
            headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
        if error.status == 401:
            by_password = self._guard.takes_password(self._path)
            headers.append((b"www-authenticate", b'Basic realm="domain-ner"' if by_password else b"Bearer"))
        if error.status == HTTPStatus.REQUEST_TIMEOUT:
            headers.append((b"connection", b"close"))
        body = to_json({"error": error.what, **({"hint": error.hint} if error.hint else {})})
        await self.answer(error.status, body, headers)

    async def answer(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        body += b"\n"
        every = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
        await self.send({"type": "http.response.start", "status": status, "headers": every})
        await self.send({"type": "http.response.body", "body": body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Give the application the body that was read, and after that what comes from the server."""
    parts = [body]

    async def replayed() -> Message:
        if parts:
            return {"type": "http.request", "body": parts.pop(), "more_body": False}
        return await receive()

    return replayed
