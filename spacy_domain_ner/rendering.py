"""What the reports share: the environment of their pages, escaping and tables in Markdown, the scale of charts."""

import math
import re
from collections.abc import Iterable, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined


def page_environment(package: str) -> Environment:
    """The environment of HTML pages: all text is escaped, and a missing name is an error.

    Args:
        package: The package whose folder `templates` has the pages' templates.
    """
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Short, and in the order in which the data is made.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return environment


class Scale:
    """A chart's axis of F1, from a whole tenth that leaves room for the gates up to 1, in per cent of its length."""

    def __init__(self, values: Iterable[float]) -> None:
        """values: What is to be on the scale; 0.7 always is."""
        self.lowest = min(0.7, math.floor(10 * min(values, default=1.0)) / 10)
        ticks = [round(self.lowest + step / 10, 1) for step in range(round(10 * (1 - self.lowest)) + 1)]
        self.ticks = [(value, self.across(value)) for value in ticks]

    def across(self, value: float) -> float:
        """Where a score is, in per cent of the axis."""
        return round(100 * (value - self.lowest) / (1 - self.lowest), 2)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; all cells are plain text."""
    aligned = "|".join(["---"] + ["---:"] * (len(headings) - 1))
    return [
        "| " + " | ".join(map(escape_markdown, headings)) + " |",
        f"|{aligned}|",
        *("| " + " | ".join(map(escape_markdown, row)) + " |" for row in rows),
    ]


def escape_markdown(text: str) -> str:
    """Plain text on one line that Markdown leaves as it is."""
    text = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
    text = re.sub(r"(https?|ftp)://|www\.", lambda found: found[0].replace(":", "\\:").replace(".", "\\."), text)
    # Where pull requests are read, a name behind an at sign calls somebody, and a backslash does not prevent it.
    return re.sub(r"(?<!\w)@(?=\w)", "@<!-- -->", text)


def to_code(text: str) -> str:
    """Plain text on one line, as Markdown's code: nothing in it means anything, links and names included."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    # One space at each end is taken off again; without it, a backtick in the text would lengthen the fence.
    padding = " " if text[:1] in ("`", "") or text[-1:] == "`" else ""
    return f"{fence}{padding}{text}{padding}{fence}"
