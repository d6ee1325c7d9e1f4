"""Which server is asked, and within which limits: reading and validating `llm.yml`."""

import ipaddress
import json
import os
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import srsly
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from spacy_domain_ner.errors import UserError, problem_in_words, reason

# A variable's name as everybody writes it: a key that stands in its place by mistake looks different.
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,59}")
_ENDPOINT = "/chat/completions"


class _Strict(BaseModel):
    # hide_input: what stands in the file by mistake may be a key.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Price(_Strict):
    """What a million tokens cost, in US dollars.

    Attributes:
        input: A million tokens of the prompt.
        output: A million tokens of the answer.
        cached_input: A million tokens of the prompt that the server had in its own cache; None counts them as `input`.
    """

    input: float = Field(ge=0, allow_inf_nan=False)
    output: float = Field(ge=0, allow_inf_nan=False)
    cached_input: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    def cost(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """What a request costs, in US dollars.

        Args:
            tokens_in: The tokens of the prompt, the cached ones included.
            tokens_out: The tokens of the answer.
            tokens_cached: Those of the prompt that the server had in its cache.
        """
        cached = self.input if self.cached_input is None else self.cached_input
        tokens_cached = min(tokens_cached, tokens_in)
        return ((tokens_in - tokens_cached) * self.input + tokens_cached * cached + tokens_out * self.output) / 1e6


class LLMSettings(_Strict):
    """What `llm.yml` says.

    Attributes:
        base_url: The server's address, such as https://api.openai.com/v1: text goes there and nowhere else.
        model: The model's name at that server.
        key_env: The name of the environment variable that holds the key; None for a server that asks for none.
        allow_http: Whether text and key may go unencrypted to a host that is not this machine.
        proxy: The address of a proxy; None goes straight to the server, whatever the environment says.
        temperature: How freely the model chooses its words; None leaves it to the server.
        seed: The seed of that choice; None sends none.
        max_output_tokens: The longest answer. A longer one is cut, and a cut answer is an error.
        json_mode: How the server is made to answer with JSON: "schema" (it enforces a schema), "object" (it enforces
            JSON), "plain" (it is told to); "auto" begins with the schema, and steps down where the server refuses.
        extra: Further keys of each request's body, such as `reasoning_effort`.
        examples: How many training passages stand in the prompt as examples.
        guide: How much of the guide stands in the prompt: "full", or "short", without decided cases and examples.
        timeout: Seconds that a request may take in all.
        retries: How often a request is sent again that failed at the server or on the way.
        concurrency: The most requests at once.
        requests_per_minute: The most requests in any minute; None is without limit.
        tokens_per_minute: The most tokens in any minute, prompts and answers together; None is without limit.
        budget: The most US dollars that may be spent in all, as the ledger counts; None is without limit.
        price: What tokens cost; None looks the model up in the table of the package genai-prices. On this machine
            (a loopback address) they cost nothing where it is None.
    """

    base_url: str
    model: str = Field(min_length=1)
    key_env: str | None = None
    allow_http: bool = False
    proxy: str | None = None
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    seed: int | None = None
    max_output_tokens: int = Field(default=1000, ge=1, le=1_000_000)
    json_mode: Literal["auto", "schema", "object", "plain"] = "auto"
    extra: dict[str, Any] = Field(default_factory=dict)
    examples: int = Field(default=5, ge=0, le=20)
    guide: Literal["full", "short"] = "full"
    timeout: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    retries: int = Field(default=5, ge=0, le=100)
    concurrency: int = Field(default=8, ge=1, le=1000)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    budget: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    price: Price | None = None

    @field_validator("key_env")
    @classmethod
    def _is_a_variable(cls, name: str | None) -> str | None:
        if name is not None and not _VARIABLE.fullmatch(name):
            raise ValueError(
                "it is the name of an environment variable, such as OPENAI_API_KEY (capitals, digits and '_'); "
                "the key itself does not belong in a file"
            )
        return name

    @field_validator("extra")
    @classmethod
    def _leaves_the_rest_alone(cls, extra: dict[str, Any]) -> dict[str, Any]:
        ours = {"messages", "model", "stream", "n", "response_format", "max_tokens", "max_completion_tokens"}
        if taken := sorted(ours & extra.keys()):
            raise ValueError(f"{', '.join(taken)} can't be set there")
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            # YAML has dates and bytes, too.
            raise ValueError("it has a value that JSON does not have; put dates in quotes") from None
        return extra

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url.strip())
            host, _ = parts.hostname, parts.port
        except ValueError:
            host, parts = None, urlsplit("")
        # urlsplit drops line ends and tabs, wherever they stand.
        if re.search(r"[\s\x00-\x1f\x7f]", url.strip()):
            host = None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise ValueError("it is an address such as https://api.openai.com/v1 or http://localhost:11434/v1")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a user or a password does not belong in the address: name a variable with key_env")
        path = parts.path.rstrip("/").removesuffix(_ENDPOINT)
        return f"{parts.scheme}://{parts.netloc}{path}"

    @field_validator("proxy")
    @classmethod
    def _is_a_proxy(cls, url: str | None) -> str | None:
        try:
            parts = urlsplit(url or "")
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_one = False
        if url is not None and (not is_one or not re.fullmatch(r"[!-~]+", url)):
            raise ValueError("it is an address such as http://proxy.example.com:3128")
        return url

    @model_validator(mode="after")
    def _is_encrypted(self) -> "LLMSettings":
        if self.base_url.startswith("http:") and not self.is_local and not self.allow_http:
            raise ValueError(
                f"the address begins with http, so texts and the key would go to {self.host} unencrypted; "
                "write https, or set allow_http: true"
            )
        return self

    @property
    def host(self) -> str:
        """Where the text goes: the server's host, with its port where one is given."""
        return urlsplit(self.base_url).netloc

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, at a loopback address."""
        name = urlsplit(self.base_url).hostname or ""
        if name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    @property
    def destination(self) -> str:
        """One line for people: where text will go, and to which model."""
        return f"Text goes to {self.base_url} (model {self.model})"

    def read_key(self) -> str | None:
        """Take the key from the environment variable that is named.

        Returns:
            The key; None where no variable is named.

        Raises:
            UserError: The variable is not set, or what it holds can't be a key. The message does not have the value.
        """
        if self.key_env is None:
            return None
        key = os.environ.get(self.key_env, "").strip()
        if not key:
            raise UserError(
                f"The environment variable {self.key_env} is not set",
                f"Put the key for {self.host} there, or name another variable as key_env in the settings.",
            )
        if not re.fullmatch(r"[!-~]+", key):
            raise UserError(
                f"What the environment variable {self.key_env} holds can't be a key",
                "A key is one line of ASCII characters without blanks.",
            )
        return key


def read_settings(path: str | Path) -> LLMSettings:
    """Read and validate an `llm.yml`.

    Args:
        path: The YAML file.

    Returns:
        The settings.

    Raises:
        UserError: The file can't be read or is not valid: every problem is named with its line. No message has a
            value of the file, which could be a key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        data = srsly.yaml_loads(text)
    except OSError as error:
        raise UserError(
            f"Can't read {path}: {error.strerror}",
            "It says which LLM to ask: base_url, model and key_env; docs/how-to/llm.md has one.",
        ) from None
    except ValueError as error:
        line = re.search(r"line (\d+)", reason(error))
        raise UserError(f"{path} is not valid YAML" + (f": see line {line[1]}" if line else "")) from None
    if not isinstance(data, dict):
        raise UserError(f"{path} holds no settings", "It needs at least base_url and model.")
    try:
        return LLMSettings.model_validate(data)
    except ValidationError as error:
        keys = [*LLMSettings.model_fields, *Price.model_fields]
        problems = "\n".join(
            f"  {_place(problem['loc'], text)}{problem_in_words(problem, keys)}" for problem in error.errors()
        )
        raise UserError(
            f"{path} can't be used:\n{problems}", "The keys of the file are in docs/reference/formats.md."
        ) from None


def _place(location: tuple[int | str, ...], text: str) -> str:
    """A place in the file, such as `line 3, price.input: `; a missing key and a rule on several keys have no line."""
    if not location:
        return ""
    place = ".".join(str(step) for step in location)
    at = 0
    for step in location:
        found = re.compile(rf"""(?<![\w])["']?{re.escape(str(step))}["']?\s*:""").search(text, at)
        if found is None:
            return f"{place}: "
        at = found.end()
    return f"line {text.count(chr(10), 0, at) + 1}, {place}: "
