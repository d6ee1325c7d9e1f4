"""HTTP to a Label Studio server: both kinds of token, and an end to everything that a server can do."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.label_studio.failures import ADDRESS_HINT, TOKEN_HINT, Failures, ServerError, parse

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
# What a push or a pull may wait for the server in all.
TIMEOUT_SECONDS = 3600.0
# A personal token is exchanged for an access token that is valid for five minutes.
RENEW_AFTER_SECONDS = 240.0
# The longest answer that is held in memory: the tasks of one page.
LONGEST_ANSWER = 100_000_000
# The longest export that is written to the disk.
LONGEST_EXPORT = 20_000_000_000
# How long to wait before a GET request that failed is sent again, where the server does not say.
PAUSES = (1.0, 2.0, 4.0)
_LONGEST_PAUSE = 600.0
_PIECE = 1 << 18
_PERSONAL_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)

Result = TypeVar("Result")


class _Answer(NamedTuple):
    """An answer: its head, and its body unless that is to be read piece by piece."""

    response: requests.Response
    content: bytes


class Connection:
    """Requests to one server, in the name of one user.

    Redirects are not followed, so that the token goes nowhere else. The first request goes without the token: a server
    that is not Label Studio never sees it. A GET request that fails by 429 or 5xx is sent again, up to three times.

    All methods raise a ServerError if the server can't be reached, refuses the request, or takes too long.

    Attributes:
        url: The server's address.
        failures: Makes the errors.
    """

    def __init__(
        self, url: str, token: str, answer_seconds: float = ANSWER_SECONDS, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        """Make a connection; nothing is sent yet.

        Args:
            url: The server's address, such as http://localhost:8080, or the address of one of its pages.
            token: A legacy token, or a personal access token, which is exchanged for a short-lived one as often as
                needed.
            answer_seconds: How long to wait for a whole answer, or for the next piece of an export.
            timeout: How many seconds to wait for the server in all.

        Raises:
            UserError: If `url` is not an address, `token` can't be a token, or `timeout` is not above 0.
        """
        self.url = _server_address(url)
        self._token = _plain_token(token)
        if not timeout > 0:
            raise UserError(f"`timeout` is {timeout:g}", "Give a number of seconds above 0.")
        self.failures = Failures(self.url, self._token)
        self._is_personal = _PERSONAL_TOKEN.fullmatch(self._token) is not None
        self._access_token = ""
        self._renewed_at = 0.0
        self._is_label_studio = False
        self._answer_seconds = answer_seconds
        self._timeout = self._left = timeout
        self._session = _new_session()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def get(self, path: str, **parameters: object) -> Any:
        """Send a GET request.

        Args:
            path: The path on the server.
            parameters: The query's parameters.

        Returns:
            The value of the server's JSON.
        """
        return self._json(self._send("GET", path, parameters))

    def post(self, path: str, body: object = None, **parameters: object) -> Any:
        """Send a POST request.

        Args:
            path: The path on the server.
            body: An object to send as JSON, or bytes that are JSON.
            parameters: The query's parameters.

        Returns:
            The value of the server's JSON.
        """
        data = body if isinstance(body, bytes) else json.dumps(body).encode("utf8")
        return self._json(self._send("POST", path, parameters, data))

    def delete(self, path: str) -> None:
        """Send a DELETE request.

        Args:
            path: The path on the server.
        """
        self._send("DELETE", path, {})

    @contextmanager
    def download(self, path: str, once: bool = False, **parameters: object) -> Iterator[Iterator[bytes]]:
        """Send a GET request whose answer is too long for memory.

        Args:
            path: The path on the server.
            once: Whether a failure of the server itself is final.
            parameters: The query's parameters.

        Yields:
            The answer's bytes, piece by piece.
        """
        response = self._send("GET", path, parameters, stream=True, once=once).response
        if "html" in response.headers.get("Content-Type", ""):
            _abandon(response)
            raise self.failures.not_label_studio("it answers with a web page")
        try:
            yield self._pieces(response)
        finally:
            _abandon(response)

    def pause(self, seconds: float) -> None:
        """Wait, for the server to get something done.

        Args:
            seconds: How long.
        """
        if seconds >= self._left:
            raise self.failures.out_of_time(self._timeout)
        time.sleep(seconds)
        self._left -= seconds

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        pieces = response.iter_content(_PIECE)
        size = 0
        while piece := self._wait_for(lambda: next(pieces, b"")):
            size += len(piece)
            if size > LONGEST_EXPORT:
                raise self.failures.too_long(LONGEST_EXPORT)
            yield piece

    def _send(
        self,
        method: str,
        path: str,
        parameters: dict[str, object],
        data: bytes | None = None,
        stream: bool = False,
        once: bool = False,
    ) -> _Answer:
        self._make_sure_of_label_studio()
        answer = self._request(method, path, self._authorization(), parameters, data, stream, once)
        if answer.response.status_code == 401 and self._is_personal and self._renewed_at != 0:
            # The access token expired early, or the server was restarted.
            self._renewed_at = 0
            answer = self._request(method, path, self._authorization(), parameters, data, stream, once)
        self._refuse_failure(answer)
        return answer

    def _make_sure_of_label_studio(self) -> None:
        if self._is_label_studio:
            return
        answer = self._request("GET", "/api/version", None)
        status = answer.response.status_code
        # Where only users may see the version, the token must be tried.
        if status not in (401, 403):
            if status in (400, 404, 405, 406, 410):
                raise self.failures.not_label_studio(f"it answers {status} at /api/version", answer.content)
            self._refuse_failure(answer)
            version = self._json(answer)
            if not isinstance(version, dict) or not any("label-studio" in key or key == "release" for key in version):
                raise self.failures.not_label_studio("its /api/version says something else", answer.content)
        self._is_label_studio = True

    def _authorization(self) -> str:
        if not self._is_personal:
            return f"Token {self._token}"
        if self._renewed_at == 0 or time.monotonic() - self._renewed_at > RENEW_AFTER_SECONDS:
            data = json.dumps({"refresh": self._token}).encode("utf8")
            answer = self._request("POST", "/api/token/refresh/", None, data=data)
            self._refuse_failure(answer)
            value = self._json(answer)
            access_token = value.get("access") if isinstance(value, dict) else None
            # What is not plain can't stand in a header.
            if not isinstance(access_token, str) or not re.fullmatch(r"[!-~]+", access_token):
                raise self.failures.not_label_studio("it gives no access token")
            self._access_token, self._renewed_at = access_token, time.monotonic()
            self.failures.secrets.append(access_token)
        return f"Bearer {self._access_token}"

    def _request(
        self,
        method: str,
        path: str,
        authorization: str | None,
        parameters: dict[str, object] | None = None,
        data: bytes | None = None,
        stream: bool = False,
        once: bool = False,
    ) -> _Answer:
        """Send a request; a GET request that fails by 429 or 5xx is sent again."""

        def exchange() -> _Answer:
            response = self._session.request(
                method,
                self.url + path,
                params=parameters,  # type: ignore[arg-type]
                data=data,
                headers={"Content-Type": "application/json", "Accept": "application/json"} if data else {},
                auth=_Authorization(authorization),
                timeout=(min(CONNECT_SECONDS, self._answer_seconds), self._answer_seconds),
                allow_redirects=False,
                stream=True,
            )
            whole = not stream or response.status_code >= 300
            return _Answer(response, self._content(response) if whole else b"")

        answer = self._wait_for(exchange)
        for usual in PAUSES:
            status = answer.response.status_code
            if method != "GET" or not (status == 429 or (status >= 500 and not once)):
                break
            seconds = _said_pause(answer.response) or usual
            if seconds > min(_LONGEST_PAUSE, self._left):
                break
            self.pause(seconds)
            answer = self._wait_for(exchange)
        return answer

    def _wait_for(self, function: Callable[[], Result]) -> Result:
        """Give what a function returns that waits for the server, within the time for an answer and the time in all."""
        if self._left <= 0:
            raise self.failures.out_of_time(self._timeout)
        started = time.monotonic()
        try:
            return _within(min(self._answer_seconds, self._left), function)
        except FutureTimeoutError:
            # The thread that still waits has the old one.
            self._session = _new_session()
            if self._left <= self._answer_seconds:
                raise self.failures.out_of_time(self._timeout) from None
            raise self.failures.no_answer(self._answer_seconds) from None
        except ServerError:
            raise
        # requests lets some errors of the libraries beneath it through, and reads a redirect's address in any case.
        except (requests.RequestException, HTTPError, HTTPException, ValueError, OSError) as error:
            raise self.failures.broken(error, self._answer_seconds) from None
        finally:
            self._left -= time.monotonic() - started

    def _content(self, response: requests.Response) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_content(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LONGEST_ANSWER:
                response.close()
                raise self.failures.too_long(LONGEST_ANSWER)
        return b"".join(pieces)

    def _json(self, answer: _Answer) -> Any:
        if answer.response.status_code == 204 or not answer.content:
            return None
        try:
            return parse(answer.content)
        except ValueError:
            html = "html" in answer.response.headers.get("Content-Type", "")
            what = "a web page" if html else "something that is not JSON"
            raise self.failures.not_label_studio(f"it answers with {what}", answer.content) from None

    def _refuse_failure(self, answer: _Answer) -> None:
        if answer.response.status_code >= 300:
            renewed = self._is_personal and bool(self._renewed_at)
            raise self.failures.refusal(answer.response, answer.content, renewed)


class _Authorization(requests.auth.AuthBase):
    """The authorization of a request. A .netrc file would replace it if it were given as a header."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._value is not None:
            request.headers["Authorization"] = self._value
        return request


def _server_address(url: str) -> str:
    """Return the server's own address, given that of one of its pages."""
    try:
        parts = urlsplit(url.strip())
        # Reading the port and encoding the name raise a ValueError where they are not valid.
        name, _ = (parts.hostname or "").encode("idna"), parts.port
        valid = parts.scheme in ("http", "https") and bool(name) and not re.search(r"\s", parts.netloc)
    except ValueError:
        valid = False
    if not valid:
        raise UserError(f"{url.strip()!r} is not an address", ADDRESS_HINT) from None
    if parts.username is not None or parts.password is not None:
        raise UserError("`url` has a user or a password in it", "Label Studio takes a `token` instead.")
    path = re.sub(r"/(projects|user|api|organization)(/.*)?$", "", parts.path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _plain_token(token: str) -> str:
    token = token.strip()
    if not token:
        raise UserError("The `token` is empty", TOKEN_HINT)
    # The messages do not show the token.
    if not re.fullmatch(r"[!-~]+", token):
        raise UserError("The token has characters in it that no token has", f"Copy it again. {TOKEN_HINT}")
    if token.startswith("eyJ") and token.count(".") != 2:
        raise UserError(
            "The token is only part of a personal access token",
            "Label Studio shows the whole token only once, when it is made: make a new one and copy all of it.",
        )
    return token


def _new_session() -> requests.Session:
    session = requests.Session()
    # If its session cookie came back, the server would treat the requests as a browser's.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session


def _within(seconds: float, function: Callable[[], Result]) -> Result:
    """Give what a function returns, or raise a TimeoutError where it takes longer; it is left to itself then.

    A socket's own limit starts again with each byte, and bytes that drip in keep it waiting for ever.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(seconds)


def _abandon(response: requests.Response) -> None:
    """Close a response that another thread may still be reading: closing it alone would wait for that thread."""
    # There is nothing to close where all was read, and before 2.3, urllib3 has no way to do this.
    with suppress(AttributeError, ValueError, RuntimeError, OSError):
        response.raw.shutdown()
        response.close()


def _said_pause(response: requests.Response) -> float:
    """After how many seconds the server wants to be asked again; 0 where it does not say."""
    try:
        return float(Retry().parse_retry_after(response.headers["Retry-After"]))
    except (KeyError, ValueError, OverflowError, HTTPError):
        return 0.0
