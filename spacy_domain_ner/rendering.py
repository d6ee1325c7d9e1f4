"""What pages and Markdown share: the templates' environments, escaping, tables, and the scale of charts."""

import math
import re
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_environment(package: str) -> Environment:
    """Make the environment of HTML pages: all text is escaped, and a missing name is an error.

    Args:
        package: The package whose folder `templates` has the pages' templates.

    Returns:
        The environment.
    """
    environment = _environment(package, autoescape=True)
    # Short, and in the order in which the data is made.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


def markdown_environment(package: str) -> Environment:
    """Make the environment of Markdown files, in which a missing name is an error.

    Nothing is escaped by itself. A template passes plain text through one of the filters: `plain` (`escape_markdown`),
    `code` (`to_code`), and `cell` after either of them within a table.

    Args:
        package: The package whose folder `templates` has the templates.

    Returns:
        The environment.
    """
    environment = _environment(package, autoescape=False)
    environment.filters.update(plain=escape_markdown, code=to_code, cell=to_cell)
    return environment


def _environment(package: str, *, autoescape: bool) -> Environment:
    return Environment(
        loader=PackageLoader(package),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def escape_markdown(text: str) -> str:
    """Write plain text so that Markdown shows it as it is, on one line.

    Args:
        text: The text; white space is folded.

    Returns:
        Markdown without links, mark-up or mentions of people. At the start of a line, `escape_line_start` keeps it from
        beginning a list.
    """
    text = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"(https?|ftp)://|www\.", lambda found: found[0].replace(":", "\\:").replace(".", "\\."), text)
    # Where pull requests are read, a name after an at sign calls somebody, and a backslash does not prevent it.
    return re.sub(r"(?<!\w)@(?=\w)", "@<!-- -->", text)


def escape_line_start(markdown: str) -> str:
    """Keep a line of escaped text from beginning a list or underlining a heading.

    Args:
        markdown: What `escape_markdown` made.

    Returns:
        The same, with a backslash where the line would begin with a mark.
    """
    first = re.match(r"[-+=]|\d+(?=[.)])", markdown)
    if not first:
        return markdown
    mark, rest = first[0], markdown[first.end() :]
    return f"{mark}\\{rest}" if mark.isdigit() else f"\\{mark}{rest}"


def to_code(text: str) -> str:
    """Write plain text as Markdown's code, in which nothing has a meaning, on one line.

    Args:
        text: The text; white space is folded.

    Returns:
        A code span.
    """
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    # Markdown takes one space off each end; without it, a backtick in the text would lengthen the fence.
    padding = " " if text[:1] in ("`", "") or text[-1:] == "`" else ""
    return f"{fence}{padding}{text}{padding}{fence}"


def to_cell(markdown: str) -> str:
    """Make Markdown fit for a cell of a table, where a pipe ends the cell even within code.

    Args:
        markdown: The Markdown, on one line.

    Returns:
        The same with all pipes escaped.
    """
    return re.sub(r"(?<!\\)((?:\\\\)*)\|", r"\1\\|", markdown)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table: its first column to the left, the others to the right.

    Args:
        headings: The columns' headings, as plain text.
        rows: The cells of each row, as plain text.

    Returns:
        The lines of the table.
    """
    aligned = "|".join(["---"] + ["---:"] * (len(headings) - 1))
    return [
        "| " + " | ".join(map(escape_markdown, headings)) + " |",
        f"|{aligned}|",
        *("| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows),
    ]


class Scale:
    """A chart's axis of F1: it ends at 1, begins at a whole tenth, and has room for the gates.

    Attributes:
        lowest: The score at which the axis begins.
        ticks: Each tenth, with its place in per cent of the axis.
    """

    def __init__(self, values: Iterable[float]) -> None:
        """Lay out the axis.

        Args:
            values: The scores that it must have room for; it has room for 0.7 in any case.
        """
        self.lowest = min(0.7, math.floor(10 * min(values, default=1.0)) / 10)
        ticks = [round(self.lowest + step / 10, 1) for step in range(round(10 * (1 - self.lowest)) + 1)]
        self.ticks = [(value, self.across(value)) for value in ticks]

    def across(self, value: float) -> float:
        """Where a score is, in per cent of the axis."""
        return round(100 * (value - self.lowest) / (1 - self.lowest), 2)
