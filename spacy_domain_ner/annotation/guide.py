"""The guide for annotators, rendered from a schema as Markdown and as one self-contained HTML page."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from spacy_domain_ner.annotation.lint import SchemaFinding, lint_schema
from spacy_domain_ner.schema import EdgeCase, EntitySchema, EntityType, Example, text_color_on

# What stands before the first colon of a case is its heading, when it is short. It may hold a quoted word where a
# quotation follows it.
_LEAD = re.compile(r'([^:"“„«`]{2,45}):\s+(?=\S)|((?:[^:"]|"[^":]*"){2,45}):\s+(?=")')
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\W\d_a-z])")


@dataclass(frozen=True)
class Guide:
    """The same guide in two forms.

    markdown: For a repository's page.
    html: One page without any reference to something outside it.
    """

    markdown: str
    html: str


def render_guide(schema: EntitySchema, title: str = "Annotation guide") -> Guide:
    """Render the guide for annotators.

    schema: The entity types. What is missing in them is named in the guide, where it would stand.
    title: The guide's title, in plain text.
    RETURNS: The guide as Markdown and as HTML. The same schema gives the same guide.
    """
    contents = _Contents(schema, title)
    filters = {"html": (_html, _html_prose, _html_case), "markdown": (_markdown, _markdown_prose, _markdown_case)}
    rendered = {}
    for form, (plain, prose, case) in filters.items():
        environment = Environment(
            loader=PackageLoader("spacy_domain_ner.annotation"),
            autoescape=form == "html",
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.filters.update(
            plain=plain,
            cell=_markdown_cell,
            css=lambda name: re.sub(r"\.", r"\\.", name),
            code=_markdown_code,
            inline=_markdown_inline,
            advice=_html_advice if form == "html" else _markdown_advice,
            prose=lambda text, prose=prose: prose(_pieces(text, contents.running_text)),
            case=lambda text, case=case: case(*_lead_and_rest(text)),
        )
        name = {"html": "guide.html.jinja", "markdown": "guide.md.jinja"}[form]
        rendered[form] = environment.get_template(name).render(guide=contents)
    return Guide(markdown=re.sub(r"\n{3,}", "\n\n", rendered["markdown"]), html=rendered["html"])


@dataclass(frozen=True)
class _MarkedExample:
    """An example's sentence, cut at the mention."""

    before: str
    mention: str
    after: str


@dataclass(frozen=True)
class _Pair:
    """Two types that are confused, and the cases that decide between them, each with the type that has it."""

    first: str
    second: str
    cases: list[tuple[str, EdgeCase]]


class _Contents:
    """What both forms of the guide are filled with."""

    def __init__(self, schema: EntitySchema, title: str) -> None:
        self.schema = schema
        self.title = " ".join(title.split()) or "Annotation guide"
        self.types = schema.entity_types
        self.boundaries = [boundary for boundary in schema.boundaries if boundary.rule.strip()]
        self.colors = schema.colors
        self.text_colors = {label: text_color_on(color) for label, color in self.colors.items()}
        self.hotkeys = schema.hotkeys
        self.findings = lint_schema(schema)

    @cached_property
    def running_text(self) -> re.Pattern[str]:
        """What is set off within running text: spans between backticks, bold parts, labels."""
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
        """The pairs of types that some edge case borders, in the order of the file."""
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
        end = example.start + len(example.mention)
        return _MarkedExample(example.text[: example.start], example.mention, example.text[end:])

    def open_points(self, label: str | None) -> list[SchemaFinding]:
        """What the lint says of a type, or of the whole."""
        return [finding for finding in self.findings if finding.entity_type == label]


@dataclass(frozen=True)
class _Piece:
    """A part of running text.

    kind: "text", "bold", "label", "span" (what stood between backticks).
    label: A span's type, where the text says it in parentheses right behind it.
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


def _lead_and_rest(case: str) -> tuple[str, str]:
    """`Product or component: "..."` into its heading and what is quoted; the heading may be missing."""
    case = " ".join(case.split())
    lead = _LEAD.match(case)
    return (lead[1] or lead[2], case[lead.end() :]) if lead else ("", case)


def _html(text: str) -> Markup:
    return escape(text)


def _html_prose(pieces: Iterator[_Piece]) -> Markup:
    return Markup("").join(_html_piece(piece) for piece in pieces)


def _html_piece(piece: _Piece) -> Markup:
    if piece.kind == "bold":
        return Markup("<strong>{}</strong>").format(piece.text)
    if piece.kind == "label":
        return Markup('<span class="name type-{0}">{0}</span>').format(piece.text)
    if piece.kind == "span" and piece.label:
        return Markup('<mark class="type-{0}">{1}<span class="tag">{0}</span></mark>').format(piece.label, piece.text)
    return Markup("<mark>{}</mark>").format(piece.text) if piece.kind == "span" else escape(piece.text)


def _html_case(lead: str, rest: str) -> Markup:
    return Markup('<span class="lead">{}</span> {}').format(lead, rest) if lead else escape(rest)


def _html_advice(message: str) -> Markup:
    """A finding's message as a sentence; what stands between backticks is a key of the file."""
    parts = (message[:1].upper() + message[1:]).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


def _markdown_advice(message: str) -> str:
    return _markdown(message[:1].upper() + message[1:])


def _markdown(text: str) -> str:
    """Plain text on one line that Markdown leaves as it is."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
    # At the start of a line these would begin a list or underline a heading; an address would become a link.
    text = re.sub(
        r"^([-+=]|\d+(?=[.)]))", lambda start: f"\\{start[0]}" if start[0] in "-+=" else f"{start[0]}\\", text
    )
    return re.sub(r"(https?|ftp)://|www\.", lambda found: found[0].replace(":", "\\:").replace(".", "\\."), text)


def _markdown_code(text: str) -> str:
    """A code span; it may hold backticks itself."""
    text = re.sub(r"\s", " ", text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") or (text[:1] == text[-1:] == " " and text.strip()) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _markdown_cell(markdown: str) -> str:
    """For a cell of a table, where a pipe ends the cell even within code."""
    return re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", markdown)


def _markdown_prose(pieces: Iterator[_Piece]) -> str:
    return "".join(_markdown_piece(piece) for piece in pieces)


def _markdown_piece(piece: _Piece) -> str:
    if piece.kind == "span":
        return _markdown_code(piece.text) + (f" ({piece.label})" if piece.label else "")
    if piece.kind == "bold":
        return f"**{_markdown_inline(piece.text)}**"
    return piece.text if piece.kind == "label" else _markdown_inline(piece.text)


def _markdown_inline(text: str) -> str:
    """As _markdown, but white space at the edges is kept: text goes on there."""
    before, after = (" " if text[:1].isspace() else ""), (" " if text[-1:].isspace() and text.strip() else "")
    return before + _markdown(text) + after


def _markdown_case(lead: str, rest: str) -> str:
    return f"**{_markdown(lead)}:** {_markdown(rest)}" if lead else _markdown(rest)
