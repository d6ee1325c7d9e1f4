"""What stands in a server's answer: the model's words, what they have used, and the JSON in them."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from spacy_domain_ner.llm.ledger import Usage
from spacy_domain_ner.llm.settings import Price

# Where a server does not say: few texts have fewer bytes per token.
_BYTES_PER_TOKEN = 3
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# The thoughts of some models stand before their answer. Where the server has put their first mark into the prompt only
# the last one is there; where they were cut, the answer is missing.
_THOUGHTS = re.compile(r"\A(?:<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)|(?![\[{`]).*?</think(?:ing)?>)", re.DOTALL)
_BRACKET = re.compile(r"[\[{]")
# What has so many brackets that begin no JSON is not an answer; each costs a look at all that stands before it.
_MOST_BRACKETS = 1000
# No request has so many tokens.
_MOST_TOKENS = 1_000_000_000
_KINDS: dict[str, type | tuple[type, ...]] = {
    "array": list, "object": dict, "string": str, "boolean": bool, "integer": int, "number": (int, float),
}  # fmt: skip


def read_answer(data: Mapping[str, Any]) -> tuple[str, str]:
    """Find the model's words in an answer of the API.

    Args:
        data: The answer's JSON.

    Returns:
        The words, and what is wrong with them: "truncated: ..." or "refusal: ..."; "" where nothing is known to be.
    """
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    # Half of a surrogate pair can't be stored, and is in no text.
    content = _SURROGATE.sub("\ufffd", content) if isinstance(content, str) else ""
    refusal = message.get("refusal")
    finished = choice.get("finish_reason")
    if refusal or finished == "content_filter":
        said = _SURROGATE.sub("\ufffd", refusal) if isinstance(refusal, str) else "the server's filter"
        return content, f"refusal: the model declined: {said}"
    if finished == "length":
        return content, "truncated: the answer was cut at max_output_tokens"
    return content, ""


def read_usage(
    data: Mapping[str, Any], body: Mapping[str, Any], content: str, price: Price | None, seconds: float
) -> Usage:
    """Find what a request has used.

    Args:
        data: The answer's JSON. Where it has no usage, or none that can be, that is estimated from the texts.
        body: The request's JSON.
        content: The model's words.
        price: What tokens cost; None where nobody knows.
        seconds: How long it took.
    """
    said = data.get("usage")
    said = said if isinstance(said, dict) else {}
    tokens_in, tokens_out = _count(said.get("prompt_tokens")), _count(said.get("completion_tokens"))
    details = said.get("prompt_tokens_details")
    cached = (_count(details.get("cached_tokens")) if isinstance(details, dict) else 0) or 0
    is_estimated = tokens_in is None or tokens_out is None
    if tokens_in is None:
        tokens_in = likely_tokens(json.dumps(body, ensure_ascii=False))
    if tokens_out is None:
        tokens_out = likely_tokens(content)
    cost = None if price is None else price.cost(tokens_in, tokens_out, cached)
    return Usage(tokens_in, tokens_out, min(cached, tokens_in), is_estimated, cost, seconds)


def likely_tokens(text: str) -> int:
    """Estimate how many tokens a text has; rather too many.

    Args:
        text: The text.
    """
    return -(-len(text.encode("utf8", "replace")) // _BYTES_PER_TOKEN)


def find_object(content: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the JSON object in what a model has said, also within a fence or among other words.

    Args:
        content: The model's words.
        schema: The answer's JSON schema.

    Returns:
        The first object that has the schema's required keys, each with a value of the right kind; a list that stands
        alone and has the right items is taken for the only key's value. None where there is none.
    """
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = schema.get("required", ())
    for value, is_alone in _values(_THOUGHTS.sub("", content.lstrip())):
        if isinstance(value, list) and is_alone and len(required) == 1:
            items = properties.get(required[0], {}).get("items")
            value = {required[0]: value} if all(_fits(item, items) for item in value) else None
        if isinstance(value, dict) and all(key in value and _fits(value[key], properties.get(key)) for key in required):
            return value
    return None


def _values(content: str) -> Iterator[tuple[Any, bool]]:
    """The JSON values in a text from left to right, and whether each is outside of all brackets."""
    # Not strict: models write line ends into strings.
    decoder = json.JSONDecoder(strict=False)
    at, failed = 0, 0
    while failed < _MOST_BRACKETS and (found := _BRACKET.search(content, at)) is not None:
        try:
            value, at = decoder.raw_decode(content, found.start())
            yield value, not failed
        except ValueError:
            # What follows may be a part of this, as of an answer that was cut.
            at, failed = found.end(), failed + 1
        except RecursionError:
            return


def _fits(value: Any, schema: Any) -> bool:
    kinds = schema.get("type") if isinstance(schema, dict) else None
    if kinds is None:
        return True
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "null" and value is None:
            return True
        if kind in _KINDS and isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)):
            return True
    return False


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None
