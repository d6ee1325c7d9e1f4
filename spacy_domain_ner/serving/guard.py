"""What stands before the application: who may ask, how large and slow a body may be, and errors in words."""

import asyncio
import base64
import hmac
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from spacy_domain_ner.extraction.lines import to_json
from spacy_domain_ner.serving.metrics import Metrics
from spacy_domain_ner.serving.requests import RequestError
from spacy_domain_ner.serving.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]
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
JSON = [(b"content-type", b"application/json")]
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
            app: The application, which answers errors as `error_answer` does.
            settings: What the server was told.
            metrics: Where requests are counted.
            paths: The paths that there are; requests for others are counted together.
            direct: By method and path, what answers in place of the application: FastAPI takes as long for a request
                as all the rest.
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
        request = _Request(self, send)
        # Load balancers ask so whether the server lives. What runs the application leaves the body of the answer out.
        if scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        # Below another application that this one is mounted in.
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        held = 0
        try:
            self._check_token(path, scope)
            body = await self._read_body(path, scope, receive)
            held = len(body)
            self._held += held
            if (handler := self._direct.get((scope["method"], path))) is not None:
                await request.answer(200, JSON, await handler(body, receive))
            else:
                await self._app(scope, _replayed(body, receive), request.send)
        except GoneError:
            request.status = 499
        except Exception as error:  # of any part
            if not isinstance(error, RequestError):
                # The message may quote a text, so it is not shown.
                place = traceback.extract_tb(error.__traceback__)[-1]
                print(f"{type(error).__name__} at {place.filename}:{place.lineno}", file=sys.stderr)
            if not request.status:
                await request.answer(*error_answer(error))
        finally:
            self._held -= held
            route = path if path in self._paths else "other"
            self._metrics.count("domain_ner_requests_total", route=route, status=str(request.status))
            if route == "/extract":
                self._metrics.observe("domain_ner_request_seconds", time.monotonic() - request.started)

    def _check_token(self, path: str, scope: MutableMapping[str, Any]) -> None:
        token, by_password = self._settings.token, False
        if self._settings.label_studio:
            by_password = path in LABEL_STUDIO
            if path in LABEL_STUDIO_OPEN:
                return
        # A browser asks without the token what it may ask.
        if path in OPEN or scope["method"] == "OPTIONS" or has_token(scope["headers"], token, by_password):
            return
        if by_password:
            raise PasswordError("The password is missing or wrong", "The server's token is the password.")
        raise RequestError(401, "The token is missing or wrong", "Send the header Authorization: Bearer TOKEN.")

    async def _read_body(self, path: str, scope: MutableMapping[str, Any], receive: Receive) -> bytes:
        is_tasks = self._settings.label_studio and path == "/predict"
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


def has_token(headers: Iterable[Header], token: str, by_password: bool = False) -> bool:
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


class PasswordError(RequestError):
    """A request of Label Studio lacks the password; the arguments are those of a `RequestError`, but for the status."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(401, what, hint)


def error_answer(error: Exception) -> tuple[int, list[Header], bytes]:
    """What is answered where something has failed: the status, the headers, and the body."""
    if isinstance(error, HTTPException):
        what = {404: "There is no such path", 405: "This path takes another method"}.get(error.status_code)
        given = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
        body = to_json({"error": what or "The request failed", "hint": "The paths are listed at /docs."})
        return error.status_code, JSON + given, body
    if not isinstance(error, RequestError):
        error = RequestError(500, f"The server failed on this request ({type(error).__name__})")
    headers = []
    if error.status in (429, 503):
        headers.append((b"retry-after", str(max(1, round(error.retry_after))).encode()))
    if error.status == HTTPStatus.UNAUTHORIZED:
        is_password = isinstance(error, PasswordError)
        headers.append((b"www-authenticate", b'Basic realm="domain-ner"' if is_password else b"Bearer"))
    if error.status == HTTPStatus.REQUEST_TIMEOUT:
        headers.append((b"connection", b"close"))
    return error.status, JSON + headers, to_json({"error": error.what, **({"hint": error.hint} if error.hint else {})})


class _Request:
    """The way back to the client."""

    def __init__(self, guard: Guard, send: Send) -> None:
        self._guard = guard
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

    async def answer(self, status: int, headers: list[Header], body: bytes) -> None:
        body += b"\n"
        every = [*headers, (b"content-length", str(len(body)).encode())]
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
