"""The guide for annotators, rendered from a schema as Markdown and as one self-contained HTML page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup, escape

from spacy_domain_ner.annotation.lint import SchemaFinding, lint_schema
from spacy_domain_ner.files import write_together
from spacy_domain_ner.rendering import (
    escape_line_start,
    escape_markdown,
    markdown_environment,
    page_environment,
    to_code,
)
from spacy_domain_ner.schema import EdgeCase, EntitySchema, EntityType, Example, read_schema, text_color_on

TITLE = "Annotation guide"
# A case's heading: what stands before its first colon, where that is short. It may hold a quoted word where a quotation
# follows it.
_HEADING = re.compile(r'([^:"“„«`]{2,45}):\s+(?=\S)|((?:[^:"]|"[^":]*"){2,45}):\s+(?=")')
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")


@dataclass(frozen=True)
class Guide:
    """The same guide in two forms.

    Attributes:
        markdown: For a repository's page.
        html: One page that refers to nothing outside it.
    """

    markdown: str
    html: str


def write_guide(
    schema: str | Path = "entity_types.yml", output: str | Path = "guide", title: str = TITLE
) -> list[SchemaFinding]:
    """Write the guide for annotators as `guide.html` and `guide.md`.

    Args:
        schema: The file of the entity types.
        output: The folder for both files, made where it is missing.
        title: The guide's title, as plain text.

    Returns:
        What the entity types still lack; the guide names it as well.

    Raises:
        UserError: The schema can't be read, or the guide can't be written.
    """
    entity_schema = read_schema(schema)
    guide = render_guide(entity_schema, title)
    write_together({Path(output) / "guide.html": [guide.html], Path(output) / "guide.md": [guide.markdown]})
    return lint_schema(entity_schema)


def render_guide(schema: EntitySchema, title: str = TITLE) -> Guide:
    """Render the guide for annotators.

    Args:
        schema: The entity types. The guide names what is missing in them, where it would stand.
        title: The guide's title, as plain text.

    Returns:
        The guide as Markdown and as HTML. The same schema gives the same guide.
    """
    contents = _Contents(schema, title)
    page, markdown = page_environment(__package__), markdown_environment(__package__)
    page.filters.update(
        css=lambda name: re.sub(r"\.", r"\\.", name),
        advice=_html_advice,
        prose=lambda text: Markup("").join(map(_html_piece, _pieces(text, contents.running_text))),
        case=lambda text: _html_case(*_heading_and_rest(text)),
    )
    markdown.filters.update(
        plain=_markdown,
        inline=_markdown_inline,
        advice=_markdown_advice,
        prose=lambda text: "".join(map(_markdown_piece, _pieces(text, contents.running_text))),
        case=lambda text: _markdown_case(*_heading_and_rest(text)),
    )
    return Guide(
        markdown=re.sub(r"\n{3,}", "\n\n", _filled(markdown, "guide.md.jinja", contents)),
        html=_filled(page, "guide.html.jinja", contents),
    )


def _filled(environment: Environment, template: str, contents: "_Contents") -> str:
    return environment.get_template(template).render(guide=contents)


@dataclass(frozen=True)
class _MarkedExample:
    """An example's sentence, cut at the mention."""

    before: str
    mention: str
    after: str


@dataclass(frozen=True)
class _Pair:
    """Two types that are confused.

    Attributes:
        first: The one that comes first in the file.
        second: The other.
        cases: The cases that decide between them, each after the type that it is filed under.
    """

    first: str
    second: str
    cases: list[tuple[str, EdgeCase]]


class _Contents:
    """What both forms of the guide are filled with."""

    def __init__(self, schema: EntitySchema, title: str) -> None:
        self.schema = schema
        self.title = " ".join(title.split()) or TITLE
        self.types = schema.entity_types
        self.boundaries = [boundary for boundary in schema.boundaries if boundary.rule.strip()]
        self.colors = schema.colors
        self.text_colors = {label: text_color_on(color) for label, color in self.colors.items()}
        self.hotkeys = schema.hotkeys
        self.findings = lint_schema(schema)

    @cached_property
    def running_text(self) -> re.Pattern[str]:
        """A pattern of what is set off within running text: spans between backticks, bold parts, labels."""
        labels = sorted(self.schema.labels, key=len, reverse=True)
        # Short labels and ordinary words would be found where no label is meant.
        telling = [label for label in labels if len(label) > 2 and label.isupper()]
        label, any_label = ("|".join(map(re.escape, names)) or "(?!)" for names in (telling, labels))
        return re.compile(
            rf"`(?P<span>[^`]+)`(?:\s?\((?P<type>{any_label})\))?|\*\*(?P<bold>.+?)\*\*"
            rf"|(?<![\w-])(?P<label>{label})(?![\w-])"
        )

    @cached_property
    def pairs(self) -> list[_Pair]:
        """The pairs of types between which some edge case decides, in the order of the file."""
        order = {label: place for place, label in enumerate(self.schema.labels)}
        found: dict[tuple[str, str], list[tuple[str, EdgeCase]]] = {}
        for entity_type in self.types:
            for case in entity_type.edge_cases:
                if case.borders_on not in (None, entity_type.name):
                    first, second = sorted((entity_type.name, str(case.borders_on)), key=order.__getitem__)
                    found.setdefault((first, second), []).append((entity_type.name, case))
        return [_Pair(*pair, found[pair]) for pair in sorted(found, key=lambda pair: [order[label] for label in pair])]

    def neighbours(self, label: str) -> list[str]:
        """The types that a type is confused with."""
        return [
            pair.second if pair.first == label else pair.first
            for pair in self.pairs
            if label in (pair.first, pair.second)
        ]

    def summary(self, entity_type: EntityType) -> str:
        """The definition's first sentence."""
        return _SENTENCE_END.split(" ".join(entity_type.definition.split()), maxsplit=1)[0]

    def marked(self, example: Example) -> _MarkedExample:
        """The example's sentence, cut at the mention."""
        end = example.start + len(example.mention)
        return _MarkedExample(example.text[: example.start], example.mention, example.text[end:])

    def open_points(self, label: str | None) -> list[SchemaFinding]:
        """What the lint says of a type; of the schema as a whole for None."""
        return [finding for finding in self.findings if finding.entity_type == label]


@dataclass(frozen=True)
class _Piece:
    """A part of running text.

    Attributes:
        kind: "text", "bold", "label" or "span" (what stood between backticks).
        text: The part's text.
        label: A span's type, where the text gives it in parentheses right after the span.
    """

    kind: str
    text: str
    label: str | None = None


def _pieces(text: str, pattern: re.Pattern[str]) -> Iterator[_Piece]:
    """Cut running text at its spans, bold parts and labels."""
    text = " ".join(text.split())
    place = 0
    for found in pattern.finditer(text):
        if found.start() > place:
            yield _Piece("text", text[place : found.start()])
        if found["span"] is not None:
            yield _Piece("span", found["span"], found["type"])
        else:
            yield _Piece("bold", found["bold"]) if found["bold"] else _Piece("label", found["label"])
        place = found.end()
    if place < len(text):
        yield _Piece("text", text[place:])


def _heading_and_rest(case: str) -> tuple[str, str]:
    """Cut `Product or component: "..."` into its heading, which may be missing, and what is quoted."""
    case = " ".join(case.split())
    heading = _HEADING.match(case)
    return (heading[1] or heading[2], case[heading.end() :]) if heading else ("", case)


def _html_piece(piece: _Piece) -> Markup:
    if piece.kind == "bold":
        return Markup("<strong>{}</strong>").format(piece.text)
    if piece.kind == "label":
        return Markup('<span class="name type-{0}">{0}</span>').format(piece.text)
    if piece.kind == "span" and piece.label:
        return Markup('<mark class="type-{0}">{1}<span class="tag">{0}</span></mark>').format(piece.label, piece.text)
    return Markup("<mark>{}</mark>").format(piece.text) if piece.kind == "span" else escape(piece.text)


def _html_case(heading: str, rest: str) -> Markup:
    return Markup('<span class="lead">{}</span> {}').format(heading, rest) if heading else escape(rest)


def _html_advice(message: str) -> Markup:
    """A finding's message as a sentence; what stands between backticks is a key of the file."""
    parts = (message[:1].upper() + message[1:]).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _markdown(text: str) -> str:
    """Plain text that may stand at the start of a line."""
    return escape_line_start(escape_markdown(text))


def _markdown_inline(text: str) -> str:
    """Plain text within a line: white space at its edges stays."""
    before, after = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() and text.strip() else "")
    return before + _markdown(text) + after


def _markdown_advice(message: str) -> str:
    return _markdown(message[:1].upper() + message[1:])


def _markdown_piece(piece: _Piece) -> str:
    if piece.kind == "span":
        return to_code(piece.text) + (f" ({piece.label})" if piece.label else "")
    if piece.kind == "bold":
        return f"**{_markdown_inline(piece.text)}**"
    return piece.text if piece.kind == "label" else _markdown_inline(piece.text)


def _markdown_case(heading: str, rest: str) -> str:
    return f"**{_markdown(heading)}:** {_markdown(rest)}" if heading else _markdown(rest)
