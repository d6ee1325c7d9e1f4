"""The form of a request: how the server is made to answer with JSON, and which parameters it takes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from spacy_domain_ner.llm.settings import LLMSettings

# How servers say that a prompt is too long for the model.
_TOO_LONG = re.compile(
    r"context.?(length|window|size)|maximum.{0,20}(context|length)|too (long|large|many tokens)", re.I
)
# How they say that they don't take `response_format`, or not this one.
FORMAT_REFUSED = re.compile(r"response.?format|json.?(schema|object|mode)|\bschema\b|grammar|guided", re.IGNORECASE)
_LEVELS: tuple[Literal["schema", "object", "plain"], ...] = ("schema", "object", "plain")


@dataclass(frozen=True)
class Form:
    """One form of request.

    Attributes:
        settings: The settings.
        level: How the server is made to answer with JSON.
        limit: The key of the longest answer: newer models of some servers take another one.
        left_out: Parameters that the server does not take.
    """

    settings: LLMSettings
    level: Literal["schema", "object", "plain"] = "schema"
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    left_out: frozenset[str] = frozenset()

    @classmethod
    def first(cls, settings: LLMSettings) -> "Form":
        """The form that is tried first.

        Args:
            settings: The settings.
        """
        return cls(settings, "schema" if settings.json_mode == "auto" else settings.json_mode)

    def body(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> dict[str, Any]:
        """Make a request's JSON.

        Args:
            messages: The conversation.
            schema: The answer's JSON schema.
        """
        body: dict[str, Any] = {"model": self.settings.model, "messages": list(messages), **self.settings.extra}
        body[self.limit] = self.settings.max_output_tokens
        for name in ("temperature", "seed"):
            value = getattr(self.settings, name)
            if value is not None and name not in self.left_out:
                body.setdefault(name, value)
        if self.level == "schema":
            wanted = {"name": "answer", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
            return body
        if self.level == "object":
            body["response_format"] = {"type": "json_object"}
        told = f"\n\nAnswer with one JSON object and nothing else. Its JSON schema:\n{json.dumps(schema)}"
        first, *others = messages
        body["messages"] = [{**first, "content": first["content"] + told}, *others]
        return body

    def after(self, refused: str) -> "Form | None":
        """Find the form to try after the server has refused this one.

        Args:
            refused: What the server has said.

        Returns:
            The next form; None where there is none, or the prompt is to blame.
        """
        if _TOO_LONG.search(refused):
            return None
        if "max_completion_tokens" in refused and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        for name in ("temperature", "seed"):
            if re.search(rf"\b{name}\b", refused) and name not in self.left_out:
                return replace(self, left_out=self.left_out | {name})
        number = _LEVELS.index(self.level) + 1
        if self.settings.json_mode != "auto" or number == len(_LEVELS):
            return None
        return replace(self, level=_LEVELS[number])
