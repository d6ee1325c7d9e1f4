"""What a request for entities may hold, and the answer to it."""

import json
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from spacy_domain_ner.errors import problem_in_words
from spacy_domain_ner.extraction.extractor import Thresholds
from spacy_domain_ner.reading.records import RefusedError, parse_json, with_text
from spacy_domain_ner.serving.engine import Answer
from spacy_domain_ner.serving.settings import Settings

_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")


class RequestError(Exception):
    """A request that can't be answered.

    Attributes:
        status: The HTTP status.
        what: What is wrong, on one line.
        hint: What to do about it.
        retry_after: With 429 and 503, after how many seconds the same request may be sent again.
    """

    def __init__(self, status: int, what: str, hint: str = "", retry_after: float = 1) -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.hint = hint
        self.retry_after = retry_after


# A passage is read by hand, so that one that is wrong does not stop the others.
_TEXT = WithJsonSchema({"type": "string", "examples": ["checkout-api times out whenever Redis evicts keys"]})
_ANY = WithJsonSchema({"description": "any JSON value"})
_PASSAGES = WithJsonSchema(
    {
        "type": "array",
        "items": {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "required": ["text"],
                    "properties": {"text": {"type": "string"}, "id": {}, "meta": {}},
                },
            ]
        },
    }
)


class ExtractRequest(BaseModel):
    """A request for the entities of one text, or of many passages."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Annotated[Any, _TEXT] = Field(None, description="One text.")
    passages: Annotated[Any, _PASSAGES] = Field(
        None, description="Many texts, in place of `text`: strings, or objects with `text` and, if you like, `id` and "
        "`meta`, which come back with the entities.",
    )  # fmt: skip
    id: Annotated[Any, _ANY] = Field(None, description="With `text`: comes back with the entities.")
    meta: Annotated[Any, _ANY] = Field(None, description="With `text`: comes back with the entities.")
    min_confidence: float | dict[str, float] | None = Field(
        None, description="The least confidence of an entity, 0 to 1: for all types, or by type.",
    )  # fmt: skip
    precision: float | None = Field(
        None, description="The precision that each type must have reached on the dev set, between 0 and 1.",
    )  # fmt: skip
    keep_unproven: bool = Field(
        True, description="With `precision`: whether types are kept of which the dev set had too few entities to tell.",
    )  # fmt: skip
    expected: bool = Field(
        False, description="Whether each passage also gets `expected`: how many entities of each type the model "
        "expects there, found and missed ones together.",
    )  # fmt: skip
    offsets: Literal["code_points", "utf16"] = Field(
        "code_points", description="What `start` and `end` count: code points (Python), or UTF-16 units (JavaScript, "
        "Java, C#).",
    )  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """A request that was read.

    Attributes:
        records: The passages, with `id` and `meta` where they have them; the reason in place of one that can't be read.
        request: What else was asked.
        is_single: Whether it is about one text.
    """

    records: list[dict[str, Any] | str]
    given: list[dict[str, Any]]
    request: ExtractRequest
    is_single: bool

    @property
    def texts(self) -> list[str]:
        """The texts that can be read."""
        return [record["text"] for record in self.records if isinstance(record, dict)]


def read_request(body: bytes, settings: Settings) -> Wanted:
    """Read a request for entities.

    Args:
        body: The request's body.
        settings: What the server was told.

    Returns:
        The passages. One that can't be read has the reason in its place; the others are not affected.

    Raises:
        RequestError: The request as a whole can't be read.
    """
    try:
        value = parse_json(body)
    except RefusedError as error:
        raise RequestError(
            400, f"The body can't be read: {error.reason}", 'Send JSON, such as {"text": "..."}.'
        ) from None
    if not isinstance(value, dict):
        raise RequestError(422, "The body must be a JSON object", 'Send {"text": "..."} or {"passages": [...]}.')
    try:
        request = ExtractRequest.model_validate(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        key = str(problem["loc"][0]) if problem["loc"] else "the body"
        words = problem_in_words(problem, ExtractRequest.model_fields)
        raise RequestError(422, words if "is not known" in words else f"`{key}`: {words}") from None
    if ("text" in value) == ("passages" in value):
        raise RequestError(422, "A request has either `text` or `passages`", 'Send {"text": "..."} for a single text.')
    given = _given(value, settings)
    for number, each in enumerate(given, 1):
        if isinstance(each, dict) and not _can_be_sent_back(each.get("id"), each.get("meta")):
            raise RequestError(
                422, f"`id` or `meta` of passage {number} holds NaN or an infinite number", "JSON has no such numbers."
            )
    records = [_record(each, settings) for each in given]
    if "text" in value and isinstance(records[0], str):
        raise RequestError(422, f"The text can't be read: {records[0]}")
    return Wanted(records, given, request, "text" in value)


def _given(value: dict[str, Any], settings: Settings) -> list[dict[str, Any]]:
    if "text" in value:
        return [{key: value[key] for key in ("id", "text", "meta") if key in value}]
    passages = value["passages"]
    if not isinstance(passages, list):
        raise RequestError(422, "`passages` must be a list", "Its items are strings, or objects with a `text`.")
    if len(passages) > settings.max_passages:
        raise RequestError(
            413, f"The request has {len(passages)} passages, and may have {settings.max_passages}",
            "Send several requests, or use `domain-ner extract` for files.",
        )  # fmt: skip
    return [{"text": each} if isinstance(each, str) else each for each in passages]


def _can_be_sent_back(*values: Any) -> bool:
    """Python reads numbers that JSON does not have, and others would not be able to read the answer."""
    if all(value is None or isinstance(value, str | int) for value in values):
        return True
    try:
        json.dumps(values, allow_nan=False)
    except ValueError:
        return False
    return True


def _record(given: Any, settings: Settings) -> dict[str, Any] | str:
    try:
        record = with_text(given)
    except RefusedError as error:
        return error.reason
    if len(record["text"]) > settings.max_characters:
        return f"{len(record['text'])} characters, and a passage may have {settings.max_characters}"
    return record


def write_answer(wanted: Wanted, answer: Answer, thresholds: Thresholds) -> dict[str, Any]:
    """Put an answer together.

    Args:
        wanted: The request.
        answer: What the model found in the texts that could be read.
        thresholds: How sure it must be of an entity.

    Returns:
        The answer, as JSON values.

    Raises:
        RequestError: The model failed on the only text.
    """
    nothing: list[dict[str, Any]] = [{}] * len(answer.found)
    results = zip(answer.found, answer.expected or nothing, answer.llm or nothing, strict=True)
    passages: list[dict[str, Any]] = []
    for given, record in zip(wanted.given, wanted.records, strict=True):
        result, expected, llm = next(results) if isinstance(record, dict) else (record, {}, {})
        kept: dict[str, Any] = {key: given[key] for key in ("id", "meta") if isinstance(given, dict) and key in given}
        if isinstance(result, str):
            passages.append({**kept, "error": result})
        else:
            entities = [entity.to_dict() for entity in result if thresholds.keeps(entity)]
            if wanted.request.offsets == "utf16":
                to_utf16(given["text"], entities)
            if expected and wanted.request.expected:
                kept["expected"] = {label: round(count, 4) for label, count in expected.items()}
            passages.append({**kept, "entities": entities, **({"llm": llm} if llm else {})})
    head = {"model": answer.model.identity, "offsets": wanted.request.offsets}
    if not wanted.is_single:
        return {**head, "passages": passages}
    if "error" in passages[0]:
        raise RequestError(500, f"The text can't be read: {passages[0]['error']}")
    return {**head, **passages[0]}


def to_utf16(text: str, entities: Iterable[dict[str, Any]]) -> None:
    """Turn the offsets of entities from code points into UTF-16 units, in place.

    Args:
        text: The text.
        entities: The entities, as `Entity.to_dict` gives them.
    """
    if text.isascii():
        return
    # Each of these characters is two units.
    longer = [match.start() for match in _BEYOND_16_BITS.finditer(text)]
    for entity in entities:
        for key in ("start", "end"):
            entity[key] += bisect_left(longer, entity[key])
