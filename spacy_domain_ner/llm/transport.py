"""One request over HTTP, and an end to everything that a server can do."""

import asyncio
import base64
import json
import logging
import random
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.llm.form import FORMAT_REFUSED
from spacy_domain_ner.llm.settings import LLMSettings
from spacy_domain_ner.text import shorten

# The longest answer that is taken, in bytes: so many, and so many for each token that was asked for.
LONGEST_ANSWER, _PER_TOKEN = 1_000_000, 50
# Without a word from the server: seconds before the first of the retries; each pause is twice the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 20.0
# A shorter key, such as "none" or "x", is not a secret but a word that servers of one's own want to have.
_SHORTEST_SECRET = 5
_RETRIED = {408, 409, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529}
# What goes over the wire. The library would add what it finds in other variables of the environment, and the system.
# The last one it reads itself when the answer has come.
_HEADERS = {
    "host", "authorization", "content-type", "content-length", "accept", "accept-encoding", "connection",
    "x-stainless-raw-response",
}  # fmt: skip

# "setup": nothing can be asked, as with a wrong key; "form": the server does not take a request of this form;
# "server": it fails, or can't be reached; "request": it refuses this request.
FailureKind = Literal["setup", "form", "server", "request"]


class RequestError(Exception):
    """A request that was not answered.

    Attributes:
        kind: Whose fault it is.
        what: What happened, without the key.
        may_be_charged: Whether the server may have worked at it and charge it.
        is_charged: Whether the answer had begun, so that it is charged.
        is_retried: Whether sending it again may help.
        wait: Seconds that the server asks to wait; None where it does not say.
    """

    def __init__(
        self,
        kind: FailureKind,
        what: str,
        *,
        may_be_charged: bool = False,
        is_charged: bool = False,
        is_retried: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(what)
        self.kind, self.what, self.wait = kind, what, wait
        self.may_be_charged, self.is_charged, self.is_retried = may_be_charged or is_charged, is_charged, is_retried


class Transport:
    """Requests to one server. It belongs to one event loop."""

    def __init__(self, settings: LLMSettings, key: str | None) -> None:
        """Prepare; nothing is sent yet.

        Args:
            settings: The settings.
            key: The key; None for a server that asks for none.

        Raises:
            UserError: The extra is not installed.
        """
        try:
            import httpx2
            from openai import AsyncOpenAI
        except ImportError:
            raise UserError(
                "The package openai is not installed", 'Install it: pip install "spacy-domain-ner[llm]"'
            ) from None
        # At the level DEBUG these write what goes over the wire, which may have the key in it.
        for name in ("openai", "httpx2", "httpcore2"):
            if logging.getLogger(name).getEffectiveLevel() < logging.WARNING:
                logging.getLogger(name).setLevel(logging.WARNING)
        self._settings = settings
        self._secret = _forms_of(key) if key and len(key) >= _SHORTEST_SECRET else None
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=settings.concurrency)
        self._http = httpx2.AsyncClient(
            # Neither proxies nor passwords out of the environment, and the key goes nowhere else.
            trust_env=False,
            follow_redirects=False,
            proxy=settings.proxy,
            timeout=settings.timeout,
            limits=limits,
            event_hooks={"request": [_only_what_is_needed]},
        )
        self._openai = AsyncOpenAI(
            base_url=settings.base_url,
            api_key=key or "none",
            admin_api_key="",
            organization="",
            project="",
            webhook_secret="",
            max_retries=0,
            http_client=self._http,
            # A server without a key is sent none.
            default_headers={} if key else {"Authorization": ""},
        )

    async def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):
            await self._openai.close()

    def redacted(self, text: str) -> str:
        """A text without the key, whatever its form.

        Args:
            text: Something that the server, or a library, has said.
        """
        return text if self._secret is None else self._secret.sub("[key]", text)

    def _quoted(self, said: str) -> str:
        # First the key: half of it would not be found.
        return " ".join(shorten(self.redacted(said), 300).split())

    async def send(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request for a chat completion.

        Args:
            body: The request's JSON.

        Returns:
            The answer's JSON.

        Raises:
            RequestError: There is none.
        """
        import httpx2
        import openai

        pieces: list[bytes] = []
        try:
            content = await asyncio.wait_for(self._content(body, pieces), self._settings.timeout)
        except (asyncio.TimeoutError, openai.APITimeoutError):
            what = f"no whole answer within {self._settings.timeout:g} seconds"
            raise RequestError("server", what, may_be_charged=True, **_after(pieces)) from None
        except openai.APIStatusError as error:
            raise await self._refusal(error) from None
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ if isinstance(error, openai.APIConnectionError) and error.__cause__ else error
            what = f"can't talk to {self._settings.host}: {self._quoted(_told(cause))}"
            # Before there is a connection nothing can be charged.
            charged = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.UnsupportedProtocol)
            raise RequestError("server", what, may_be_charged=charged, **_after(pieces)) from None
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            what = f"the answer is not JSON: {self._quoted(content.decode('utf8', 'replace'))}"
            raise RequestError("server", what, is_charged=True)
        if answer.get("error") and not answer.get("choices"):
            # Some servers say 200 before they have asked the one that does the work.
            what = f"{self._settings.host} answers with an error: {self._quoted(_said(content))}"
            raise RequestError("server", what, may_be_charged="usage" in answer, is_retried=True)
        return answer

    async def _content(self, body: Mapping[str, Any], pieces: list[bytes]) -> bytes:
        create: Any = self._openai.chat.completions.with_streaming_response.create
        length, most = 0, LONGEST_ANSWER + _PER_TOKEN * self._settings.max_output_tokens
        async with create(model=body["model"], messages=body["messages"], extra_body=_rest(body)) as response:
            # The server answers, be it that nothing of it can be read.
            pieces.append(b"")
            async for piece in response.iter_bytes():
                pieces.append(piece)
                length += len(piece)
                if length > most:
                    what = f"the answer is longer than {most:,} bytes"
                    raise RequestError("server", what, is_charged=True)
        return b"".join(pieces)

    async def _refusal(self, error: Any) -> RequestError:
        """What an HTTP status other than 2xx means."""
        status: int = error.status_code
        body = b""
        with suppress(Exception):
            body = await asyncio.wait_for(error.response.aread(), 10)
        said = self._quoted(_said(body))
        what = f"{self._settings.host} answers HTTP {status}" + (f": {said}" if said else "")
        if status >= 500 and FORMAT_REFUSED.search(said):
            return RequestError("form", what)
        if status == 429 and "insufficient_quota" in body.decode("utf8", "replace"):
            return RequestError("setup", what)
        if status in _RETRIED or (status >= 500 and status not in (501, 505)):
            return RequestError("server", what, is_retried=True, wait=_pause_asked(error.response.headers))
        if status in (401, 402, 403, 404, 405) or 300 <= status < 400:
            return RequestError("setup", what)
        return RequestError("form" if status in (400, 415, 422, 501) else "request", what)


def pause_before(retry: int, failure: RequestError) -> float:
    """How long to wait before a request is sent again.

    Args:
        retry: Which retry it is, from 1.
        failure: What happened.

    Returns:
        Seconds: what the server asks for, or else twice as many as before, give or take, so that many requests that
        failed together don't come back together.
    """
    if failure.wait is not None:
        return failure.wait
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (retry - 1)) * random.uniform(0.75, 1.25)


def _after(pieces: list[bytes]) -> dict[str, bool]:
    """When an answer has begun it is charged, and to ask again would be to pay twice."""
    return {"is_charged": bool(pieces), "is_retried": not pieces}


def _pause_asked(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds or as an HTTP date, or retry-after-ms."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            # Neither nan nor inf.
            if 0 <= seconds < 1e9:
                return seconds
    with suppress(ValueError, TypeError, OverflowError):
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        if until.tzinfo is None:
            until = until.replace(tzinfo=timezone.utc)
        return max(0.0, (until - datetime.now(timezone.utc)).total_seconds())
    return None


def _said(body: bytes) -> str:
    """The message in an error's body, in the forms that servers give it."""
    text = body.decode("utf8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "" if "<html" in text.lower() else text
    for key in ("error", "message", "detail"):
        while isinstance(data, dict) and key in data:
            data = data[key]
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)


def _told(error: BaseException) -> str:
    return reason(error) if isinstance(error, Exception) else type(error).__name__


def _rest(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key not in ("model", "messages")}


def _forms_of(key: str) -> re.Pattern[str]:
    """The forms in which a server, a proxy or a library may repeat a key."""
    # Each character as it is, behind a backslash or several, or escaped as in JSON, in Python or in an address.
    # Without a limit, time grows with the square of the backslashes that a server sends.
    plain = "".join(rf"(?:\\{{0,8}}{re.escape(one)}|\\{{1,8}}(?:u00|x){ord(one):02x}|%{ord(one):02x})" for one in key)
    return re.compile(f"{plain}|{re.escape(base64.b64encode(key.encode()).decode())}", re.IGNORECASE)


async def _only_what_is_needed(request: Any) -> None:
    for name in list(request.headers):
        if name.lower() not in _HEADERS or not request.headers[name]:
            del request.headers[name]
    request.headers["User-Agent"] = "spacy-domain-ner"
