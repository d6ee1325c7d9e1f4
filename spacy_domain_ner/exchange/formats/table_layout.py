"""How a file of tokens and tags is laid out: its separator, the roles of its columns, its header, how tokens were cut.

It is found by the file's first lines, once for the whole file.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.bio import find_tagging
from spacy_domain_ner.exchange.formats.cells import BRACKETED_DOCUMENT, Separator, Table, find_separators
from spacy_domain_ner.exchange.formats.column_names import ROLES, read_given, role_of
from spacy_domain_ner.exchange.formats.columns import NO_TYPE, Roles, find_roles, read_pairs
from spacy_domain_ner.exchange.formats.spacing import Spacing
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.stream import lines
from spacy_domain_ner.text import shorten

# Lines that are looked at to find a file's layout.
SAMPLE = 20_000
DOCUMENT_START = "-DOCSTART-"
# How a document begins, in CoNLL-2003, CoNLL-U and CoNLL-2012.
DOCUMENT_STARTS = (DOCUMENT_START, "# newdoc", BRACKETED_DOCUMENT)
# The columns of CoNLL-2012, whose parse trees look like names in brackets.
_CONLL_2012 = "token=4,tag=11"
# Lines that are hardly one sentence.
_LONG = 200
# No more columns that are not read are listed by name.
_FEW = 5
# How CoNLL-U Plus names its columns.
_GLOBAL_COLUMNS = re.compile(r"#\s*global\.columns\s*=\s*(.+)")
# How Excel is told what separates the cells.
_EXCEL = re.compile(r"sep=.")
# The language that some files put before every token ("de:").
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*:")
# What the last column says of a token that no space follows.
NO_SPACE = re.compile(r"(^|\|)(SpaceAfter=No|NoSpaceAfter)(\||$)")


@dataclass(frozen=True)
class Layout:
    """How a file of tokens and tags is laid out.

    Attributes:
        separator: How lines are cut into cells.
        roles: What the columns are.
        spacing: How the tokens were cut.
        names: What the header calls the columns; empty where there is none.
        header: Whether the first line that is not a comment names the columns.
        spaced: Whether the last column says which tokens are not followed by a space.
        prefix: The language that stands before every token and is not part of it, "" where there is none.
        restarts: Whether a sentence begins where the numbers of tokens begin anew.
        piped: Whether a line is a sentence of `token|POS|tag` items.
        undivided: Whether nothing says where a sentence ends, in a table of many lines.
        documented: Whether the file says where a document begins.
    """

    separator: Separator
    roles: Roles
    spacing: Spacing
    names: tuple[str, ...] = ()
    header: bool = False
    spaced: bool = False
    prefix: str = ""
    restarts: bool = False
    piped: bool = False
    undivided: bool = False
    documented: bool = False

    def __str__(self) -> str:
        roles, width = self.roles, self.width
        scheme = roles.tagging.scheme
        if self.piped:
            return f"{scheme} tags in token|tag items"
        title = Table(width, [], list(self.names)).title
        key = f" after {roles.key}=" if roles.key else ""
        parts = [f"{scheme} tags in column {title(roles.tag)}{key} of {width}"]
        if roles.type is not None:
            parts = [f"{scheme.removesuffix(' without types')} tags in column {title(roles.tag)} of {width}"]
        counted = roles.number if self.restarts else None
        for what, column in (
            ("their types in", roles.type), ("tokens in", roles.token), ("sentences by", roles.sentence),
            ("sentences by the numbers in", counted), ("documents by", roles.document),
        ):  # fmt: skip
            parts += [f"{what} {title(column)}"] if column is not None else []
        read = {roles.tag, roles.type, roles.token, roles.sentence, counted, roles.document, *roles.others}
        left = [title(column) for column in range(width) if column not in read]
        if left:
            parts.append(f"not read: {', '.join(left) if len(left) <= _FEW else f'{len(left)} others'}")
        others = ", ".join(map(title, roles.others[:_FEW]))
        further = f"; other tags in {others} (the column can be chosen)" if others else ""
        undivided = "; nothing says where a sentence ends" if self.undivided else ""
        return f"{', '.join(parts)}, {self.separator}{further}{undivided}"

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.separator.width

    @cached_property
    def rare(self) -> bool:
        """Whether every line needs a closer look."""
        roles = self.roles
        return roles.number is not None or self.spaced or bool(roles.key) or bool(self.prefix)

    def rows(self, source: Source) -> Iterator[tuple[int, str, list[str]]]:
        """Cut the lines of a file as `Separator.rows` does; a header is an empty row, also within joined files."""
        header = list(self.names) if self.header else None
        for number, line, cells in self.separator.rows(table_lines(source)):
            if cells == header:
                yield number, "", []
            else:
                yield number, line, cells

    def read_tag(self, columns: list[str], column: int) -> str | None:
        """Read the tag in a column of a line. Returns None where the column holds none."""
        value, roles = columns[column], self.roles
        tagging = roles.tagging
        if roles.key:
            value = read_pairs(value).get(roles.key, tagging.outside)
        tag = tagging.read(value)
        if tag is None and tagging.style == "types" and len(columns) == self.width and columns[0][:1] != "#":
            # A type that first occurs after the sample.
            return value or None
        if roles.type is not None and tag not in (None, "O", "-"):
            kind = columns[roles.type] if roles.type < len(columns) else ""
            return f"{str(tag)[0]}-{kind}" if kind not in NO_TYPE else None
        return tag


def find_layout(
    source: Source, columns: str | None = None, types: Collection[str] = (), tag_names: Any = None
) -> Layout | None:
    """Find out how a file of tokens and tags is laid out.

    Args:
        source: The file.
        columns: What the columns are, as `read_given` takes it; None to find it.
        types: The entity types that are known: one that is named like a tag is read as a type.
        tag_names: The names of tags that are numbers, as `read_tag_names` gives them; None where the user names none.

    Returns:
        The layout, None where the file does not hold tokens and tags.

    Raises:
        UserError: A column that is given does not exist, or does not hold what it is given for.
    """
    sample = [line for _, line in islice(table_lines(source), SAMPLE)]
    rows = [line for line in sample if line.strip() and not line.startswith(DOCUMENT_START)]
    if not rows:
        return None
    if columns is None and (piped := _piped_layout(rows, types)) is not None:
        return piped
    problem: UserError | None = None
    for separator in find_separators(rows):
        try:
            told = _CONLL_2012 if columns is None and separator.least else columns
            layout = _column_layout(sample, separator, _Known(told, types, tag_names))
        except UserError as error:
            problem = problem or error
            continue
        if layout is not None:
            return layout
    if problem is not None:
        raise problem
    return None


def describe_table(source: Source) -> str:
    """Say which columns a table has in which no tokens and tags were found; "" where a file is not a table."""
    sample = [line for _, line in islice(table_lines(source), 1000)]
    rows = [line for line in sample if line.strip()]
    for separator in find_separators(rows):
        cut = [cells for _, _, cells in separator.rows(enumerate(rows))]
        if (
            separator.character == " "
            or len(cut) < 2
            or 10 * sum(len(row) == separator.width for row in cut) < 9 * len(cut)
        ):
            continue
        first = next(row for row in cut if len(row) == separator.width)
        shown = ", ".join(f"{number} {shorten(cell, 20)!r}" for number, cell in enumerate(first[:8], 1))
        return f"{separator.width} columns {separator} ({shown}{', ...' if len(first) > 8 else ''})"
    return ""


def _piped_layout(rows: list[str], types: Collection[str]) -> Layout | None:
    items = [item for row in rows[:200] for item in row.split()]
    if len(items) < 2 * len(rows[:200]) and len(rows) > 1:
        # One item per line: these are columns.
        return None
    width, _ = Counter(len(item.split("|")) for item in items).most_common(1)[0]
    # A bar may be a token itself.
    if width not in (2, 3) or sum(item.count("|") == width - 1 or "||" in item for item in items) < 0.9 * len(items):
        return None
    table = [piped_item(item, width) for row in rows for item in row.split()]
    tagging = find_tagging([item[-1] for item in table if len(item) == width], types)
    if tagging is None:
        return None
    roles = Roles(0, width - 1, tagging)
    return Layout(Separator(" ", width), roles, Spacing(item[0] for item in table), piped=True)


def piped_item(item: str, width: int) -> list[str]:
    """The parts of a `token|POS|tag` item, fewer where it is not one. The token may be a bar itself."""
    return [part or "|" for part in item.rsplit("|", width - 1)]


def table_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Read the lines of a table without the one that tells Excel the separator."""
    return ((number, line) for number, line in lines(source) if number > 1 or not _EXCEL.fullmatch(line))


def _column_layout(sample: list[str], separator: Separator, known: "_Known") -> Layout | None:
    rows = _table_rows(sample, separator)
    full = [row for row in rows if row]
    if not full:
        return None
    table = Table(separator.width, rows, _global_columns(sample, separator.width))
    headed = Table(separator.width, [[] if row == full[0] else row for row in rows], full[0])
    header = _header_roles(headed, table, separator, known) if not table.names else None
    if header is not None:
        table = headed
    elif sum(role_of(name) in ROLES for name in full[0]) > 1:
        # It is a header all the same, and not a token.
        return None
    roles = header or known.roles(table)
    if roles is None:
        return None
    body = table.rows
    tokens = [row[roles.token] for row in body if row]
    prefix = _prefix(tokens)
    spaced = (bool(roles.key) or roles.tag < separator.width - 1) and any(
        NO_SPACE.search(row[-1]) for row in body if row
    )
    gaps = any(before and not after for before, after in pairwise(body[:-1]))
    restarts = roles.number is not None and roles.sentence is None and not gaps
    divided = gaps or restarts or roles.sentence is not None or roles.document is not None
    return Layout(
        separator, roles, Spacing(token.removeprefix(prefix) for token in tokens), tuple(table.names),
        header=header is not None, spaced=spaced, prefix=prefix,
        restarts=restarts, undivided=len(body) > _LONG and not divided,
        documented=roles.document is not None or any(line.startswith(DOCUMENT_STARTS) for line in sample),
    )  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What the user says of a table, as `find_layout` takes it."""

    columns: str | None
    types: Collection[str]
    tag_names: Any

    def roles(self, table: Table) -> Roles | None:
        given = {} if self.columns is None else read_given(self.columns, table.names, table.width)
        return find_roles(table, given, self.types, self.tag_names)


def _table_rows(sample: list[str], separator: Separator) -> list[list[str]]:
    """The rows of a sample that have all cells, with an empty one where a sentence ends."""
    rows: list[list[str]] = []
    comments: list[list[str]] = []
    for _, line, cells in separator.rows(enumerate(sample)):
        if not line.strip() or not any(cells) or line.startswith(DOCUMENT_START):
            rows.append([])
        elif len(cells) == separator.width:
            (comments if line.startswith("#") else rows).append(cells)
    # Where all lines begin with "#", that is a token.
    return rows if any(rows) else comments


def _global_columns(sample: list[str], width: int) -> list[str]:
    """The names that CoNLL-U Plus gives its columns in a comment."""
    found = next((match for line in sample[:20] if (match := _GLOBAL_COLUMNS.match(line))), None)
    names = found[1].split() if found else []
    return names if len(names) == width else []


def _header_roles(headed: Table, plain: Table, separator: Separator, known: _Known) -> Roles | None:
    """The roles of the columns if the first row names them, None if it is not a header.

    Args:
        headed: The table with the first row as its header.
        plain: The table without a header.
        separator: How its lines are cut.
        known: What the user says.
    """
    names = headed.names
    if not headed.full:
        return None
    told = any(role_of(name) for name in names if name)
    told = told or (known.columns is not None and any(name and name in known.columns for name in names))
    if not told:
        # The names may be those of another language, unless the first row has a tag as the others have.
        roles = known.roles(plain)
        # A name may be taken for a type.
        has_tag = roles and roles.tagging.style != "types" and roles.tagging.read(names[roles.tag]) is not None
        if separator.character == " " or has_tag:
            return None
    roles = known.roles(headed)
    if roles is None:
        return None
    tag, style = names[roles.tag], roles.tagging.style
    # A file may begin with the word "Text" as a token: then that line has a tag.
    is_tag = "=" in tag if roles.key else roles.tagging.read(tag) is not None
    unsure = not told and style in ("types", "outside")
    return None if is_tag or unsure or (style == "types" and tag in known.types) else roles


def _prefix(tokens: Sequence[str]) -> str:
    """The language that stands before every token, "" where there is none."""
    tokens = [token for token in tokens if token]
    match = _LANGUAGE.match(tokens[0]) if len(tokens) > 3 else None
    return match[0] if match and all(token.startswith(match[0]) for token in tokens) else ""
