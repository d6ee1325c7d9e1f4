"""What the documentation adds to MkDocs: MathML made at build time, the command line's pages, the public names.

MkDocs calls the functions by their names (https://www.mkdocs.org/dev-guide/plugins/#events).
"""

import html
import re
from typing import Any

import click
import typer
from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from typer.cli import get_docs_for_click

import spacy_domain_ner
from spacy_domain_ner.cli._app import app

# `$...$` and `$$...$$`, as pymdownx.arithmatex leaves them.
MATH = re.compile(r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.DOTALL)
NAME = re.compile(r"^\{\{ python (\w+) \}\}$", re.MULTILINE)
COMMAND_LINE = "{{ command line }}"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put generated text in place of `{{ command line }}` and `{{ python NAME }}`."""
    if named := set(NAME.findall(markdown)):
        if other := named ^ set(spacy_domain_ner.__all__) - {"__version__"}:
            raise PluginError(f"docs/reference/python.md and the public names differ: {', '.join(sorted(other))}")
        markdown = NAME.sub(lambda found: _directive(found[1]), markdown)
    return markdown.replace(COMMAND_LINE, command_line()) if COMMAND_LINE in markdown else markdown


def on_page_content(html: str, **_: Any) -> str:
    """Write formulas as MathML, which browsers show without a script."""
    return MATH.sub(_mathml, html)


def command_line() -> str:
    """The verbs and their options in Markdown, as typer itself writes them."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=click.Context(command, info_name="domain-ner"), name="domain-ner")
    text = text.replace("* `--help`: Show this message and exit.\n", "").replace("**Options**:\n\n\n", "")
    # The page has a title of its own, and its table of contents lists the verbs.
    return text[text.index("\n## ") :]


def _directive(name: str) -> str:
    """mkdocstrings' directive for a public name, by the module in which it is defined."""
    return f"::: {getattr(spacy_domain_ner, name).__module__}.{name}"


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found[1] == "[" else "inline"
    formula = convert(html.unescape(found[2].strip()), display=display)
    return f'<div class="formula">{formula}</div>' if display == "block" else formula
