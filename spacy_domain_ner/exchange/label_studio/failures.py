"""What to tell the user about each way in which a Label Studio server fails."""

import json
import re
from collections.abc import Iterator
from typing import Any

import requests
from urllib3.exceptions import NewConnectionError

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.reading.records import is_too_deep
from spacy_domain_ner.text import shorten, visible

# The status where no answer came in time: HTTP's own number for it.
TIMED_OUT = 408
ADDRESS_HINT = "Give the address at which Label Studio opens in the browser as `url`, such as http://localhost:8080"
TOKEN_HINT = (
    "Make a personal access token in Label Studio (Account & Settings) and give it as `token`; the command line also "
    "reads it from LABEL_STUDIO_TOKEN."
)
# How much of an answer messages show.
_SHOWN = 120


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


def shown(text: str) -> str:
    """Return the beginning of what a server says on one line, with escapes for all that a terminal would obey."""
    return shorten(visible(" ".join(text[:2000].split())), _SHOWN)


class Failures:
    """The errors of one server. No message shows a token.

    Attributes:
        url: The server's address.
        secrets: The tokens.
    """

    def __init__(self, url: str, token: str) -> None:
        """Make it.

        Args:
            url: The server's address.
            token: The token that the user gave.
        """
        self.url = url
        self.secrets = [token]

    def not_label_studio(self, why: str, content: bytes = b"") -> ServerError:
        """Make the error for a server that is not Label Studio.

        Args:
            why: How that shows.
            content: Its answer.
        """
        said = self._without_secrets(content[:2000].decode("utf8", errors="backslashreplace").strip())
        begins = f"; the answer begins {shown(said)}" if said else ""
        return ServerError(f"{self.url} does not look like a Label Studio server: {why}{begins}", ADDRESS_HINT)

    def unknown_form(self, why: str, answer: object) -> ServerError:
        """Make the error for an answer that does not have the form of Label Studio's.

        Args:
            why: What is wrong with it.
            answer: The answer's JSON.
        """
        said = shown(self._without_secrets(json.dumps(answer, ensure_ascii=False)))
        return ServerError(
            f"Label Studio at {self.url} answers in a form that is not known: {why}; the answer begins {said}",
            "Check whether `url` is the address of Label Studio, and which version it is: 1.23 is known to work.",
        )

    def no_answer(self, seconds: float) -> ServerError:
        """Make the error for an answer that did not come in time.

        Args:
            seconds: How long it was waited for.
        """
        return ServerError(
            f"Label Studio at {self.url} did not answer within {seconds:g} seconds",
            "Check whether it is busy with something long. Then do the same again.",
            TIMED_OUT,
        )

    def out_of_time(self, seconds: float) -> ServerError:
        """Make the error for a server that took too long in all.

        Args:
            seconds: How long it was waited for in all.
        """
        return ServerError(
            f"Label Studio at {self.url} was not done after {seconds:g} seconds in all",
            "Check whether it is busy with something long. Then do the same again, or let it take more seconds with "
            "`timeout`.",
        )

    def too_long(self, most: int) -> ServerError:
        """Make the error for an answer that does not end.

        Args:
            most: How many bytes an answer may have.
        """
        return ServerError(
            f"{self.url} answers with more than {most // 1_000_000:,} MB, and Label Studio does not",
            f"Check whether something else answers there. {ADDRESS_HINT}",
        )

    def refusal(self, response: requests.Response, content: bytes, renewed: bool) -> ServerError:
        """Make the error for a status that is not a success.

        Args:
            response: The answer.
            content: Its body.
            renewed: Whether a personal token was accepted before.
        """
        status = response.status_code
        what, hint = self._refusal(response, self._message(content), renewed)
        return ServerError(what, hint, status)

    def _refusal(self, response: requests.Response, said: str, renewed: bool) -> tuple[str, str]:
        status = response.status_code
        if status < 400:
            target = self._without_secrets(response.headers.get("Location", "").partition("?")[0])
            return (
                f"{self.url} redirects to {shown(target) or 'nowhere'}",
                "If that is where Label Studio is, give that address as `url`. If it is a login page, ask for an "
                "address at which Label Studio's API can be reached without it.",
            )
        if status == 401:
            return f"Label Studio at {self.url} does not accept the token{said}", _token_hint(said, renewed)
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
            after = response.headers.get("Retry-After", "")
            pause = f"{after} seconds" if re.fullmatch(r"[0-9]{1,6}", after) else "a while"
            return f"{self.url} received too many requests (429){said}", f"Wait {pause}, then do the same again."
        if status in (502, 503, 504):
            return (
                f"The proxy in front of Label Studio at {self.url} gets no answer from it ({status})",
                "Check whether Label Studio is up, or busy with something long. Then do the same again.",
            )
        if status >= 500:
            return f"Label Studio at {self.url} failed ({status}){said}", "Its own log says why."
        return f"Label Studio at {self.url} refuses this ({status}){said}", "Change what it names, or read its own log."

    def _message(self, content: bytes) -> str:
        """Return what the server says about a failure, after a colon; "" where that is a web page."""
        try:
            answer = parse(content)
        except ValueError:
            return ""
        if not isinstance(answer, dict):
            answer = {"detail": answer}
        faults = answer.get("validation_errors") or answer.get("detail") or ""
        text = self._without_secrets(" ".join(_flat(faults).split()))
        return f": {visible(text[:500])}" if text else ""

    def _without_secrets(self, text: str) -> str:
        for token in self.secrets:
            text = text.replace(token, "[token]")
        return text

    def broken(self, error: Exception, seconds: float) -> ServerError:
        """Make the error for a request that came to no answer.

        Args:
            error: What requests says.
            seconds: How long an answer is waited for.
        """
        if isinstance(error, requests.ConnectTimeout):
            return ServerError(f"{self.url} does not answer", ADDRESS_HINT, TIMED_OUT)
        if isinstance(error, requests.Timeout) or "timed out" in str(error):
            return self.no_answer(seconds)
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
            return ServerError(f"{self.url} is not an address", ADDRESS_HINT)
        if any(isinstance(layer, NewConnectionError) for layer in _layers(error)):
            return ServerError(
                f"Can't reach {self.url}: {_cause(error)}", f"Check whether Label Studio is up. {ADDRESS_HINT}"
            )
        if isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
            return ServerError(
                f"The connection to {self.url} broke off: {_cause(error)}",
                "Check whether Label Studio is up, and whether its address begins with http: or https:. "
                "Then do the same again.",
            )
        if isinstance(error, requests.exceptions.ContentDecodingError):
            return self.not_label_studio("it answers with compressed bytes that can't be unpacked")
        return self.not_label_studio(f"its answer can't be read ({shown(str(error))})")


def parse(content: bytes) -> Any:
    """Parse an answer's JSON.

    Args:
        content: The answer's bytes.

    Raises:
        ValueError: They are not JSON, or JSON that is nested too deeply.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # What can be parsed may still be nested too deeply for what is done with it.
    if is_too_deep(value):
        raise ValueError("it is nested too deeply")
    return value


def _token_hint(said: str, renewed: bool) -> str:
    if "legacy token authentication has been disabled" in said:
        return (
            f"This is a legacy token, and the organization has turned those off. {TOKEN_HINT} Or its owner turns "
            "them on again: Organization, API Tokens Settings."
        )
    if renewed:
        return "Personal access tokens may be turned off: see Organization, API Tokens Settings."
    if "expired" in said or "blacklisted" in said:
        return f"The personal access token has expired or was revoked. {TOKEN_HINT}"
    return TOKEN_HINT


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
