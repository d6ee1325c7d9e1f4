"""HTTP to a Label Studio server: both kinds of token, and what to do about each failure."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NewConnectionError

from spacy_domain_ner.errors import UserError

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
# A personal token is exchanged for an access token that is valid for five minutes.
RENEW_AFTER_SECONDS = 240.0
# The status where no answer came in time: HTTP's own number for it.
TIMED_OUT = 408
_PERSONAL_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_TOKEN_HINT = (
    "Make a personal access token in Label Studio (Account & Settings) and give it as `token`; the command line also "
    "reads it from LABEL_STUDIO_TOKEN."
)
_ADDRESS_HINT = "Give the address at which Label Studio opens in the browser as `url`, such as http://localhost:8080"


class ServerError(UserError):
    """The server refused a request or did not answer.

    Attributes:
        status: The HTTP status; TIMED_OUT where no answer came in time, 0 where there was no connection.
    """

    def __init__(self, what: str, hint: str = "", status: int = 0) -> None:
        """Make an error.

        Args:
            what: What is wrong.
            hint: What to do about it.
            status: The HTTP status.
        """
        super().__init__(what, hint)
        self.status = status


class Connection:
    """Requests to one server, in the name of one user.

    Redirects are not followed, so that the token goes nowhere else. The first request goes without the token: a server
    that is not Label Studio never sees it.

    All methods raise a ServerError if the server can't be reached or refuses the request.
    """

    def __init__(self, url: str, token: str, answer_seconds: float = ANSWER_SECONDS) -> None:
        """Make a connection; nothing is sent yet.

        Args:
            url: The server's address, such as http://localhost:8080, or the address of one of its pages.
            token: A legacy token, or a personal access token, which is exchanged for a short-lived one as often as
                needed.
            answer_seconds: How long to wait for an answer.

        Raises:
            UserError: If `url` is not an address or `token` can't be a token.
        """
        self.url = _server_address(url)
        self._token = _plain_token(token)
        self._is_personal = _PERSONAL_TOKEN.fullmatch(self._token) is not None
        self._access_token = ""
        self._renewed_at = 0.0
        self._is_label_studio = False
        self._seconds = (CONNECT_SECONDS, answer_seconds)
        self._session = requests.Session()
        # If its session cookie came back, the server would treat the requests as a browser's.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

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
    def download(self, path: str, **parameters: object) -> Iterator[Iterator[bytes]]:
        """Send a GET request whose answer is too long for memory.

        Args:
            path: The path on the server.
            parameters: The query's parameters.

        Yields:
            The answer's bytes, piece by piece.
        """
        response = self._send("GET", path, parameters, stream=True)
        try:
            if "html" in response.headers.get("Content-Type", ""):
                raise self._not_label_studio("it answers with a web page")
            yield self._pieces(response)
        finally:
            response.close()

    def _pieces(self, response: requests.Response) -> Iterator[bytes]:
        try:
            yield from response.iter_content(1 << 16)
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _send(
        self, method: str, path: str, parameters: dict[str, object], data: bytes | None = None, stream: bool = False
    ) -> requests.Response:
        self._make_sure_of_label_studio()
        response = self._request(method, path, self._authorization(), parameters, data, stream)
        if response.status_code == 401 and self._is_personal and self._renewed_at != 0:
            # The access token expired early, or the server was restarted.
            self._renewed_at = 0
            response.close()
            response = self._request(method, path, self._authorization(), parameters, data, stream)
        self._refuse_failure(response)
        return response

    def _make_sure_of_label_studio(self) -> None:
        if self._is_label_studio:
            return
        response = self._request("GET", "/api/version", None)
        # Where only users may see the version, the token must be tried.
        if response.status_code not in (401, 403):
            if response.status_code in (400, 404, 405, 406, 410):
                raise self._not_label_studio(f"it answers {response.status_code} at /api/version")
            self._refuse_failure(response)
            version = self._json(response)
            if not isinstance(version, dict) or not any("label-studio" in key or key == "release" for key in version):
                raise self._not_label_studio("its /api/version says something else")
        self._is_label_studio = True

    def _authorization(self) -> str:
        if not self._is_personal:
            return f"Token {self._token}"
        if self._renewed_at == 0 or time.monotonic() - self._renewed_at > RENEW_AFTER_SECONDS:
            data = json.dumps({"refresh": self._token}).encode("utf8")
            response = self._request("POST", "/api/token/refresh/", None, data=data)
            self._refuse_failure(response)
            answer = self._json(response)
            access_token = answer.get("access") if isinstance(answer, dict) else None
            if not isinstance(access_token, str):
                raise self._not_label_studio("it gives no access token")
            self._access_token, self._renewed_at = access_token, time.monotonic()
        return f"Bearer {self._access_token}"

    def _request(
        self,
        method: str,
        path: str,
        authorization: str | None,
        parameters: dict[str, object] | None = None,
        data: bytes | None = None,
        stream: bool = False,
    ) -> requests.Response:
        try:
            return self._session.request(
                method,
                self.url + path,
                params=parameters,  # type: ignore[arg-type]
                data=data,
                headers={"Content-Type": "application/json", "Accept": "application/json"} if data else {},
                auth=_Authorization(authorization),
                timeout=self._seconds,
                allow_redirects=False,
                stream=stream,
            )
        except requests.RequestException as error:
            raise self._unreachable(error) from None

    def _json(self, response: requests.Response) -> Any:
        if response.status_code == 204 or not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            page = "a web page" if "html" in response.headers.get("Content-Type", "") else "something that is not JSON"
            raise self._not_label_studio(f"it answers with {page}") from None

    def _refuse_failure(self, response: requests.Response) -> None:
        if response.status_code >= 300:
            try:
                what, hint = self._failure(response)
            except requests.RequestException as error:
                raise self._unreachable(error) from None
            raise ServerError(what, hint, response.status_code)

    def _failure(self, response: requests.Response) -> tuple[str, str]:
        status = response.status_code
        said = self._message(response)
        if status < 400:
            target = response.headers.get("Location", "")
            return (
                f"{self.url} redirects to {self._without_tokens(target.partition('?')[0]) or 'nowhere'}",
                "If that is where Label Studio is, give that address as `url`. If it is a login page, ask for an "
                "address at which Label Studio's API can be reached without it.",
            )
        if status == 401:
            return f"Label Studio at {self.url} does not accept the token{said}", self._token_hint(said)
        if status == 403:
            return (
                f"The token's user may not do this at {self.url}{said}",
                "Ask the project's owner for the permission, or use the token of another user.",
            )
        if status == 404:
            return f"Label Studio at {self.url} did not find this{said}", "Check `url` and `project`."
        if status == 413:
            return (
                f"{self.url} refuses requests of this size (413)",
                "A proxy in front of Label Studio does so: raise its limit (nginx: client_max_body_size) to some "
                "megabytes.",
            )
        if status == 429:
            return f"{self.url} received too many requests (429){said}", "Wait a while, then do the same again."
        if status in (502, 503, 504):
            return (
                f"The proxy in front of Label Studio at {self.url} gets no answer from it ({status})",
                "Check whether Label Studio is up, or busy with something long. Then do the same again.",
            )
        if status >= 500:
            return f"Label Studio at {self.url} failed ({status}){said}", "Its own log says why."
        return f"Label Studio at {self.url} refuses this ({status}){said}", "Change what it names, or read its own log."

    def _token_hint(self, said: str) -> str:
        if "legacy token authentication has been disabled" in said:
            return (
                f"This is a legacy token, and the organization has turned those off. {_TOKEN_HINT} Or its owner turns "
                "them on again: Organization, API Tokens Settings."
            )
        if self._is_personal and self._renewed_at:
            return "Personal access tokens may be turned off: see Organization, API Tokens Settings."
        if "expired" in said or "blacklisted" in said:
            return f"The personal access token has expired or was revoked. {_TOKEN_HINT}"
        return _TOKEN_HINT

    def _message(self, response: requests.Response) -> str:
        """Return what the server says about a failure, after a colon; "" where that is a web page."""
        try:
            answer = response.json()
        except ValueError:
            return ""
        if not isinstance(answer, dict):
            answer = {"detail": answer}
        faults = answer.get("validation_errors") or answer.get("detail") or ""
        text = self._without_tokens(" ".join(_flat(faults).split()))
        return f": {text[:500]}" if text else ""

    def _without_tokens(self, text: str) -> str:
        for token in (self._token, self._access_token):
            text = text.replace(token, "[token]") if token else text
        return text

    def _unreachable(self, error: requests.RequestException) -> ServerError:
        if isinstance(error, requests.ConnectTimeout):
            return ServerError(f"{self.url} does not answer", _ADDRESS_HINT, TIMED_OUT)
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            return ServerError(
                f"Label Studio at {self.url} did not answer within {self._seconds[1]:g} seconds",
                "Check whether it is busy with something long. Then do the same again.",
                TIMED_OUT,
            )
        if isinstance(error, requests.exceptions.SSLError):
            return ServerError(
                f"No safe connection to {self.url}: {_cause(error)}",
                "If the certificate is your organization's own, name its file in the environment variable "
                "REQUESTS_CA_BUNDLE. If Label Studio has no certificate, its address begins with http:",
            )
        if isinstance(error, requests.exceptions.ProxyError):
            return ServerError(
                f"The proxy on the way to {self.url} can't be used: {_cause(error)}",
                "Check the environment variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
            )
        if isinstance(error, requests.exceptions.InvalidURL):
            return ServerError(f"{self.url} is not an address", _ADDRESS_HINT)
        if any(isinstance(layer, NewConnectionError) for layer in _layers(error)):
            return ServerError(
                f"Can't reach {self.url}: {_cause(error)}", f"Check whether Label Studio is up. {_ADDRESS_HINT}"
            )
        return ServerError(
            f"The connection to {self.url} broke off: {_cause(error)}",
            "Check whether Label Studio is up, and whether its address begins with http: or https:. "
            "Then do the same again.",
        )

    def _not_label_studio(self, why: str) -> ServerError:
        return ServerError(f"{self.url} does not look like a Label Studio server: {why}", _ADDRESS_HINT)


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
        raise UserError(f"{url.strip()!r} is not an address", _ADDRESS_HINT) from None
    if parts.username is not None or parts.password is not None:
        raise UserError("`url` has a user or a password in it", "Label Studio takes a `token` instead.")
    path = re.sub(r"/(projects|user|api|organization)(/.*)?$", "", parts.path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _plain_token(token: str) -> str:
    token = token.strip()
    if not token:
        raise UserError("The `token` is empty", _TOKEN_HINT)
    # The messages do not show the token.
    if not re.fullmatch(r"[!-~]+", token):
        raise UserError("The token has characters in it that no token has", f"Copy it again. {_TOKEN_HINT}")
    if token.startswith("eyJ") and token.count(".") != 2:
        raise UserError(
            "The token is only part of a personal access token",
            "Label Studio shows the whole token only once, when it is made: make a new one and copy all of it.",
        )
    return token


def _flat(value: object) -> str:
    """Return the words of an error that the server gives as a text, a list, or an object of lists."""
    if isinstance(value, dict):
        return "; ".join(
            _flat(item) if key == "non_field_errors" else f"{key}: {_flat(item)}" for key, item in value.items()
        )
    if isinstance(value, list):
        return " ".join(map(_flat, value))
    return str(value)


def _layers(error: BaseException) -> Iterator[BaseException]:
    """Give an error and each error that it came from, through those that requests and urllib3 put around it."""
    layer: BaseException | None = error
    while layer is not None:
        yield layer
        reason = getattr(layer, "reason", None)
        layer = reason if isinstance(reason, BaseException) else layer.__cause__ or layer.__context__


def _cause(error: BaseException) -> str:
    """Return the system's own words for what went wrong."""
    words = [
        layer.strerror
        for layer in _layers(error)
        if isinstance(layer, OSError) and not isinstance(layer, requests.RequestException) and layer.strerror
    ]
    return words[-1] if words else "the other side closed it"
