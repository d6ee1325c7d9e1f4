"""The pages of a server. They load nothing from elsewhere, and a policy forbids them to."""

import base64
import hashlib
import json
import re
from functools import cache
from typing import Any

from fastapi import Response
from markupsafe import Markup, escape

from spacy_domain_ner.rendering import page_environment

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def main_page() -> Response:
    """The page on which a person tries the model: it asks the routes as any client does."""
    environment = page_environment(__package__)
    # The policy allows this script by its digest, and no other.
    script = environment.get_template("try.js.jinja").render()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf8")).digest()).decode("ascii")
    html = environment.get_template("try.html.jinja").render(script=Markup(script))
    return _page(html, f"script-src 'sha256-{digest}'", "connect-src 'self'")


def docs_page(openapi: dict[str, Any]) -> Response:
    """The routes in words.

    Args:
        openapi: Their description, as FastAPI makes it.
    """
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "text": told.get("description", told.get("summary", "")),
            "fields": _fields(told.get("requestBody", {})),
        }
        for path, methods in openapi["paths"].items()
        for method, told in methods.items()
    ]
    environment = page_environment(__package__)
    environment.filters["code"] = _with_code
    html = environment.get_template("docs.html.jinja").render(routes=routes, version=openapi["info"]["version"])
    return _page(html)


def label_studio_page(told: dict[str, Any]) -> Response:
    """How Label Studio's backend stands.

    Args:
        told: What there is to say.
    """
    environment = page_environment(__package__)
    environment.filters["tags"] = _with_tags
    return _page(environment.get_template("label_studio.html.jinja").render(told=told))


def _with_code(text: str) -> Markup:
    """A text of HTML, in which what stands in backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _with_tags(text: str) -> Markup:
    """A text of HTML, in which the tags that the text quotes are code."""
    return Markup(re.sub(r"&lt;.+?&gt;", r"<code>\g<0></code>", str(escape(text))))


def _fields(body: dict[str, Any]) -> list[dict[str, Any]]:
    schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    return [
        {
            "name": name,
            "type": _type(told),
            "default": json.dumps(told["default"]) if told.get("default") is not None else "",
            "text": told.get("description", ""),
        }
        for name, told in schema.get("properties", {}).items()
    ]


def _type(told: dict[str, Any]) -> str:
    if "enum" in told:
        return " or ".join(json.dumps(value) for value in told["enum"])
    kinds = [each.get("type", "any") for each in told.get("anyOf", [told])]
    return " or ".join(kind for kind in kinds if kind != "null")


def _page(html: str, *allowed: str) -> Response:
    policy = "; ".join([POLICY, *allowed])
    return Response(html, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})
