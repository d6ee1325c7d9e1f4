"""The cells of a table: what separates them, and whether they are quoted."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from spacy_domain_ner.exchange.formats.column_names import NAMES, plain_name, role_of
from spacy_domain_ner.text import shorten

# A table has no more columns than this.
MOST_COLUMNS = 100
# The share of lines that have as many cells as most have.
_REGULAR = 0.6
# The lines that a quoted cell may take.
_LONGEST_CELL = 100
# Cells without an end, after which none is looked for: these marks are letters.
_MOST_OPEN = 10
# The blanks between columns; a no-break space belongs to its token.
_BLANKS = re.compile(r"[ \t]+")
# How a document begins in a file of CoNLL-2012.
BRACKETED_DOCUMENT = "#begin document"
# Tags without types.
_BARE = frozenset("BIESLUMWO")
# The line under the header of a table in Markdown.
_MARKDOWN = re.compile(r"\s*\|(\s*:?-{3,}:?\s*\|)+\s*")
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "blanks"}


@dataclass(frozen=True)
class Separator:
    """How the lines of one table are cut into cells.

    Attributes:
        character: What stands between two cells; " " for any number of blanks and tabs.
        width: The number of cells.
        quoted: Whether quotation marks may stand around a cell, and are not part of it.
        least: Whether lines may have more cells than `width`, which are not read.
        padded: Whether the last cell may be missing.
    """

    character: str
    width: int
    quoted: bool = False
    least: bool = False
    padded: bool = False

    def __str__(self) -> str:
        return f"separated by {_NAMES[self.character]}"

    def rows(self, lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, list[str]]]:
        """Cut lines into rows of cells.

        Args:
            lines: The number of each line, and the line.

        Yields:
            The number of a row's first line, the line, and its cells. A line whose quotation marks make no sense is cut
            as if they were letters.
        """
        if not self.quoted:
            for number, line in lines:
                yield number, line, self.cut(line)
            return
        waiting: list[tuple[int, str]] = []
        still_open = 0
        source = iter(lines)
        while True:
            item = waiting.pop(0) if waiting else next(source, None)
            if item is None:
                return
            number, line = item
            if '"' not in line:
                yield number, line, self.cut(line)
                continue
            cells = parse_quoted(line, self.character)
            if cells is None:
                cells = self.cut(line)
                if len(cells) != self.width and still_open < _MOST_OPEN:
                    # A cell that holds the end of a line, as the token of a line break does.
                    more, waiting = self._longer(line, waiting, source)
                    still_open += more is None
                    cells = more or cells
            yield number, line, cells

    def cut(self, line: str) -> list[str]:
        """Cut one line, in which quotation marks are letters, into its cells."""
        cells = split(line, self.character)
        if len(cells) > self.width and self.least:
            return cells[: self.width]
        if len(cells) == self.width - 1 and self.padded:
            return [*cells, ""]
        if self.character == "\t" and len(cells) != self.width:
            # Some files were edited by hand, with blanks.
            other = _split_at_blanks(line)
            return other if len(other) == self.width else cells
        return cells

    def _longer(
        self, line: str, waiting: list[tuple[int, str]], source: Iterator[tuple[int, str]]
    ) -> tuple[list[str] | None, list[tuple[int, str]]]:
        """Cut a line whose last cell ends in a later line. Returns its cells, None where there is no such line, and the
        lines that were read ahead and are still to be cut."""
        ahead, text = list(waiting), line
        for taken in range(_LONGEST_CELL):
            if taken == len(ahead):
                following = next(source, None)
                if following is None:
                    break
                ahead.append(following)
            text += "\n" + ahead[taken][1]
            if '"' in ahead[taken][1]:
                cells = parse_quoted(text, self.character)
                if cells is not None and len(cells) == self.width:
                    return cells, ahead[taken + 1 :]
        return None, ahead


@dataclass
class Table:
    """The rows of a table's beginning, as its columns.

    Attributes:
        width: The number of columns.
        rows: The rows; an empty one where a sentence ends. Rows of another width are left out.
        names: What the header calls each column; empty without a header.
    """

    width: int
    rows: list[list[str]]
    names: list[str] = field(default_factory=list)

    @cached_property
    def full(self) -> list[list[str]]:
        """The rows that are not empty."""
        return [row for row in self.rows if row]

    def cells(self, column: int) -> list[str]:
        """A column without the ends of sentences."""
        return [row[column] for row in self.full]

    def named(self, role: str) -> list[int]:
        """The columns that have one of a role's names, the usual names first."""
        found = [place for place, name in enumerate(self.names) if role_of(name) == role]
        return sorted(found, key=lambda place: NAMES[role].index(plain_name(self.names[place])))

    def title(self, column: int) -> str:
        """What messages call a column."""
        name = f' "{shorten(self.names[column], 30)}"' if self.names and self.names[column] else ""
        return f"{column + 1}{name}"


def find_separators(lines: Sequence[str]) -> Iterator[Separator]:
    """Find out how the lines of a table may be cut into cells, the likeliest way first.

    Args:
        lines: The table's lines without the empty ones.

    Yields:
        Each way in which most lines have the same number of cells.
    """
    # Comments do not count, except where all lines begin with "#": then that is a token.
    rows = [line for line in lines if not line.startswith("#")] or list(lines)
    if any(map(_MARKDOWN.fullmatch, rows)):
        # This is a table of Markdown.
        return
    if any(line.startswith(BRACKETED_DOCUMENT) for line in lines):
        # CoNLL-2012: after the names come as many columns as a sentence has predicates.
        yield Separator("\t" if 2 * sum("\t" in line for line in rows) > len(rows) else " ", 11, least=True)
        return
    for character in "\t,;|":
        if 2 * sum(character in line for line in rows) > len(rows):
            found = _regular(rows, character)
            if found is not None:
                yield found
    found = _regular(rows, " ")
    if found is not None:
        yield found


def is_quoted(rows: Sequence[str], character: str) -> bool:
    """Find out whether quotation marks stand around cells: in all that need them, or in all of a column.

    Args:
        rows: The lines of a table.
        character: What separates the cells.
    """
    marked = [row for row in rows if '"' in row]
    if not marked:
        return character in ",;"
    width = Counter(len(parse_quoted(row, character) or split(row, character)) for row in rows).most_common(1)[0][0]
    stray = around = 0
    opened = False
    for row in marked:
        cells = parse_quoted(row, character)
        if cells is None:
            # A cell with the end of a line in it has a mark in either line.
            regular = len(split(row, character)) == width
            stray += regular and not opened
            around += regular and opened
            opened = not (regular or opened)
        elif len(cells) == width != len(split(row, character)):
            # The separator is within a cell.
            return True
        elif any(cell.startswith('"') and cell.endswith('"') and '""' in cell[1:-1] for cell in split(row, character)):
            around += 1
    if stray:
        return False
    if around:
        return True
    columns = zip(*(cells for row in rows if len(cells := split(row, character)) == width), strict=True)
    body = [[cell for cell in column[1:] if cell] for column in columns]
    return any(column and all(len(cell) > 1 and cell[0] == '"' == cell[-1] for cell in column) for column in body)


def split(line: str, character: str) -> list[str]:
    """Cut a line at every separator."""
    if character != " ":
        return [cell.strip(" ") for cell in line.split(character)]
    return line.split() if line.isascii() else _split_at_blanks(line)


def parse_quoted(text: str, character: str) -> list[str] | None:
    """Cut a row in which quotation marks may stand around a cell. Returns None where the marks make no sense."""
    try:
        stream = io.StringIO(text, newline="")
        rows = list(csv.reader(stream, delimiter=character, strict=True, skipinitialspace=True))
    except csv.Error:
        return None
    return [cell.strip(" ") for cell in rows[0]] if len(rows) == 1 else None


def _split_at_blanks(line: str) -> list[str]:
    return _BLANKS.split(line.strip(" \t"))


def _regular(rows: Sequence[str], character: str) -> Separator | None:
    quoted = character != " " and is_quoted(rows, character)
    separator = Separator(character, 0, quoted)
    if quoted:
        width = Counter(len(parse_quoted(row, character) or split(row, character)) for row in rows).most_common(1)[0][0]
        # With the width known, a cell of several lines can be read.
        separator = Separator(character, width, True)
        cut = [cells for _, _, cells in separator.rows(enumerate(rows))]
    else:
        cut = [split(row, character) for row in rows]
    widths = Counter(map(len, cut))
    if not widths:
        return None
    width, count = widths.most_common(1)[0]
    if character == " " and len(widths) == 2 and max(widths) == min(widths) + 1:
        most = max(widths)
        if most > 2 and all(cells[-1] == "O" if len(cells) < most else cells[-2] in _BARE for cells in cut):
            # What is not an entity has no type, which stands last.
            return Separator(character, most, padded=True)
    if 2 <= width <= MOST_COLUMNS and count >= _REGULAR * widths.total():
        return Separator(character, width, quoted)
    return None
