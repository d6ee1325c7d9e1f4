"""Tokens and tags in lines: CoNLL and BIO files in the varieties that exist, and spaCy's `token|POS|tag` lines.

Files have 2 to 10 columns, separated by tabs or blanks. The token comes first, or after its number (as in CoNLL-U), or
after its tag; the tag is in whichever column holds tags. There may be `-DOCSTART-` lines, comments, and separator lines
of blanks and tabs. Each sentence becomes a passage.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.bio import BadTagError, Tagging, decode_tags, find_tagging, parse_tag
from spacy_domain_ner.exchange.formats.spacing import Spacing, align_tokens, join_tokens
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.stream import lines
from spacy_domain_ner.text import shorten

# Lines that are looked at to find a file's layout.
SAMPLE = 20_000
DOCUMENT_START = "-DOCSTART-"
# The passages of a source stay on one side of a split: with fewer documents than sides, no split is possible.
FEWEST_DOCUMENTS = 3
# Longer than any sentence: the file lacks the blank lines between sentences.
MOST_LINES = 200_000
# The phrases of the chunking in CoNLL-2000 and in the German CoNLL-2003, whose tags look like those of entities.
_CHUNKS = {
    "NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP",
    "NC", "VC", "PC", "AC", "ADVC", "ADJC",
}  # fmt: skip
# The blanks between columns; a no-break space belongs to its token.
_BLANKS = re.compile(r"[ \t]+")
_NUMBER = re.compile(r"\d+([-.]\d+)?")
_RANGE = re.compile(r"(\d+)-(\d+)")
_HEADER = re.compile(r"(?i)tokens?|words?|forms?|text|id|#|sentence.*")
# The language that some files put before every token ("de:").
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z]+)*:")
_NO_SPACE = re.compile(r"(^|\|)(SpaceAfter=No|NoSpaceAfter)(\||$)")


@dataclass(frozen=True)
class Layout:
    """How a file of tokens and tags is laid out; columns count from 0.

    Attributes:
        piped: Whether a line is a sentence of `token|POS|tag` items.
        tab: Whether tabs separate the columns.
        width: The number of columns.
        token: The column of the token.
        tag: The column of the tag.
        tagging: How the tags are written.
        spacing: How the tokens were cut.
        key: The tag's key, where the column holds `key=value` pairs, as CoNLL-U's last one does; else "".
        numbered: Whether tokens are numbered: then lines of a range (1-2) and of empty nodes (5.1) are not tokens.
        header: Whether the first line names the columns.
        spaced: Whether the last column says which tokens are not followed by a space.
        prefix: The language that stands before every token and is not part of it, "" where there is none.
        others: Further columns of tags, for nested entities or of another kind, which are not read.
        documents: The number of `-DOCSTART-` lines in the sample.
    """

    piped: bool
    tab: bool
    width: int
    token: int
    tag: int
    tagging: Tagging
    spacing: Spacing
    key: str = ""
    numbered: bool = False
    header: bool = False
    spaced: bool = False
    prefix: str = ""
    others: tuple[int, ...] = ()
    documents: int = 0

    def __str__(self) -> str:
        if self.piped:
            return f"{self.tagging.scheme} tags in token|tag items"
        separator = "tabs" if self.tab else "blanks"
        key = f" after {self.key}=" if self.key else ""
        others = ", ".join(str(column + 1) for column in self.others)
        further = f"; other tags in {others} (the column can be chosen)" if others else ""
        where = f"in column {self.tag + 1} of {self.width}{key}, separated by {separator}{further}"
        return f"{self.tagging.scheme} tags {where}"

    @cached_property
    def rare(self) -> bool:
        """Whether every line needs a closer look."""
        return self.numbered or self.spaced or bool(self.key) or bool(self.prefix)

    def split(self, line: str) -> list[str]:
        """Cut a line into its columns."""
        columns = _split(line, self.tab)
        if self.tab and len(columns) != self.width:
            # Some files were edited by hand, with blanks.
            other = _split(line, False)
            return other if len(other) == self.width else columns
        return columns

    def read_tag(self, columns: list[str], column: int) -> str | None:
        """Read the tag in a column of a line. Returns None where the column holds none."""
        value = columns[column]
        if self.key:
            value = _pairs(value).get(self.key, self.tagging.outside)
        tag = self.tagging.read(value)
        if tag is None and self.tagging.style == "types" and len(columns) == self.width and columns[0][:1] != "#":
            # A type that first occurs after the sample.
            return value or None
        return tag


def find_layout(source: Source, tag_column: int | None = None, types: Collection[str] = ()) -> Layout | None:
    """Find out how a file of tokens and tags is laid out.

    Args:
        source: The file.
        tag_column: The column of the tags, counted from 1; None to find it.
        types: The entity types that are known: one that is named like a tag is read as a type.

    Returns:
        The layout, None where the file does not hold tokens and tags.

    Raises:
        UserError: There is no such column.
    """
    sample = [line for _, line in islice(lines(source), SAMPLE)]
    rows = [line for line in sample if line.strip() and not line.startswith(DOCUMENT_START)]
    if not rows:
        return None
    return _piped_layout(rows, types) or _column_layout(sample, tag_column, types)


def read_sentences(source: Source, layout: Layout) -> Iterator[tuple[int, Version | RefusedError]]:
    """Read the sentences of a file.

    Args:
        source: The file.
        layout: How it is laid out.

    Yields:
        The number of a sentence's first line, and its version or why there is none.
    """
    if layout.piped:
        yield from _read_piped(source, layout)
        return
    sentence = _Sentence(layout)
    document, documents = 0, layout.documents
    # The file's name only: its documents stay the same wherever the file lies.
    group = Path(source.name).name if documents >= FEWEST_DOCUMENTS else ""
    header = layout.header
    for number, line in lines(source):
        if line.startswith(DOCUMENT_START) or not line.strip():
            if sentence.rows:
                yield sentence.finish()
            document += line.startswith(DOCUMENT_START)
            sentence = _Sentence(layout, f"{group}#{document}" if group else "")
        elif header and not line.startswith("# "):
            header = False
        else:
            sentence.add(number, line)
    if sentence.rows:
        yield sentence.finish()


@dataclass(slots=True)
class _Row:
    """One token.

    Attributes:
        number: The number of its line.
        token: Its text.
        tag: Its tag as `decode_tags` takes it, "" where the line has none.
        glued: Whether the last column says that no space follows.
        blank: Whether a blank follows that is a token of its own.
    """

    number: int
    token: str
    tag: str
    glued: bool = False
    blank: bool = False


class _Sentence:
    """One sentence, made of its lines as they come."""

    def __init__(self, layout: Layout, source: str = "") -> None:
        self._layout = layout
        self._source = source
        self._text = ""
        self._notes: list[str] = []
        self._length = 0
        # The number of the last word in a token of several words (French "du").
        self._range_end = 0
        self.rows: list[_Row] = []

    def add(self, number: int, line: str) -> None:
        """Add a line. What it is, the first case that fits decides: their order matters."""
        self._length += 1
        if self._length > MOST_LINES:
            # The sentence will be refused, so its lines are not kept.
            return
        layout = self._layout
        columns = layout.split(line)
        whole = len(columns) == layout.width
        # 1. A token and its tag, as nearly all lines are.
        if whole and not (layout.rare or line.startswith("#")):
            tag, token = layout.read_tag(columns, layout.tag), columns[layout.token]
            if tag is not None and token and not token.isspace():
                self.rows.append(_Row(number, token, tag))
                return
        column, tag = self._find_tag(columns)
        # 2. A comment: "#" may be a token, but then its line has all columns and a tag.
        if line.startswith("#") and (tag is None or not whole):
            name, _, value = line[1:].partition("=")
            if name.strip() == "text":
                self._text = value.strip()
        # 3. A numbered line that is not a word of its own: a range, a word within a range, or an empty node.
        elif layout.numbered and _NUMBER.fullmatch(columns[0]) and self._is_not_a_word(number, columns, tag):
            pass
        # 4. A blank as a token, where the text is otherwise written without spaces: it is the text's own blank.
        elif layout.spacing.exact and self._is_blank(line, columns, tag):
            if self.rows:
                self.rows[-1].blank = True
        # 5. A blank as a token in any other file: it is passed over, and noted.
        elif self._lacks_token(line, columns):
            self._notes.append(f"line {number} has no token")
        # 6. A line without a tag: it is kept, so that the whole sentence is refused, since its tokens are not known.
        elif tag is None:
            self.rows.append(_Row(number, line.strip(), ""))
        # 7. A token and its tag in a line that needs the closer look, perhaps with more or fewer columns than others.
        else:
            if not whole:
                self._notes.append(f"line {number} has {len(columns)} columns where others have {layout.width}")
            token = self._token(columns, column)
            if token.strip():
                self.rows.append(_Row(number, token, tag, self._is_glued(columns[-1], token)))

    def _token(self, columns: list[str], tag_column: int) -> str:
        """The token of a line whose tag is in a column: the blanks of a token push the tag further to the right."""
        layout = self._layout
        first = min(layout.token, len(columns) - 1)
        further = max(0, tag_column - layout.tag) if tag_column > layout.token and not layout.tab else 0
        return " ".join(columns[first : first + 1 + further]).removeprefix(layout.prefix)

    def finish(self) -> tuple[int, Version | RefusedError]:
        """Give the number of the sentence's first line, and its version or why there is none."""
        first = self.rows[0].number
        if self._length > MOST_LINES:
            return first, RefusedError(f"{self._length} lines without an empty line, which would divide sentences")
        broken = next((row for row in self.rows if not row.tag), None)
        if broken is not None:
            what = f"line {broken.number} ({shorten(broken.token, 40)!r}) has no tag in column {self._layout.tag + 1}"
            return first, RefusedError(what)
        tokens = [row.token for row in self.rows]
        places = align_tokens(tokens, self._text) if self._text else None
        if places:
            text, offsets = self._text, places
        elif self._layout.spaced:
            text, offsets = _joined(tokens, [row.glued for row in self.rows])
        elif self._layout.spacing.exact and any(row.blank for row in self.rows):
            text, offsets = _joined(tokens, [not row.blank for row in self.rows])
        else:
            text, offsets = join_tokens(tokens, self._layout.spacing)
        tags = [row.tag for row in self.rows]
        return first, _version(text, offsets, tags, self._layout, self._source, self._notes)

    def _is_blank(self, line: str, columns: list[str], tag: str | None) -> bool:
        """Whether the token of a line is a blank."""
        if tag is None:
            return self._lacks_token(line, columns)
        return not columns[min(self._layout.token, len(columns) - 1)].strip()

    def _is_glued(self, value: str, token: str) -> bool:
        """Whether no space follows a token, by the last column of its line."""
        if not self._layout.spaced:
            return False
        if "EndOfLine" in value.split("|"):
            # In old newspapers: the word continues on the next line of the page.
            return token in ("¬", "-") and bool(self.rows) and self.rows[-1].glued
        return bool(_NO_SPACE.search(value))

    def _lacks_token(self, line: str, columns: list[str]) -> bool:
        """Whether the token of a line is a blank, which splitting at blanks takes away."""
        layout = self._layout
        if layout.tab or layout.token or line[:1] not in (" ", "\t") or len(columns) != layout.width - 1:
            return False
        return layout.read_tag(columns, layout.tag - 1) is not None

    def _is_not_a_word(self, number: int, columns: list[str], tag: str | None) -> bool:
        """Whether a numbered line is not a word of its own; a token of several words is added, with their tag."""
        layout = self._layout
        if "." in columns[0]:
            return True
        if (match := _RANGE.fullmatch(columns[0])) is not None:
            glued = self._is_glued(columns[-1], columns[layout.token])
            self._range_end = int(match[2])
            self.rows.append(_Row(number, columns[layout.token], "O" if tag in (None, "-") else str(tag), glued))
            return True
        if self.rows and tag is not None and int(columns[0]) <= self._range_end:
            if self.rows[-1].tag == "O":
                self.rows[-1].tag = tag
            return True
        self._range_end = 0
        return False

    def _find_tag(self, columns: list[str]) -> tuple[int, str | None]:
        """Find the tag of a line: its column, and the tag or None. In a line of unusual width the tag may come last."""
        layout = self._layout
        for column in (layout.tag, len(columns) - 1) if len(columns) > 1 else ():
            if column < len(columns) and column != layout.token:
                tag = layout.read_tag(columns, column)
                if tag is not None:
                    return column, tag
        return layout.tag, None


def _version(
    text: str, offsets: list[tuple[int, int]], tags: list[str], layout: Layout, source: str, notes: list[str]
) -> Version | RefusedError:
    try:
        spans, repaired = decode_tags(tags, layout.tagging.prefixes)
    except BadTagError as error:
        return RefusedError(str(error))
    version = Version(text, meta={"source": source} if source else {}, notes=notes)
    for first, last, label in spans:
        version.add_span(offsets[first][0], offsets[last][1], label)
    if repaired and layout.tagging.scheme != "IOB1":
        version.notes.append(f"{repaired} span(s) begin with an I that continues nothing")
    if "-" in tags:
        version.status = Status.UNANNOTATED if set(tags) == {"-"} else Status.PARTIAL
    return version


def _joined(tokens: Sequence[str], glued: Sequence[bool]) -> tuple[str, list[tuple[int, int]]]:
    text, offsets = "", []
    for token, last in zip(tokens, glued, strict=True):
        offsets.append((len(text), len(text) + len(token)))
        text += token + ("" if last else " ")
    return text.rstrip(" "), offsets


def _read_piped(source: Source, layout: Layout) -> Iterator[tuple[int, Version | RefusedError]]:
    for number, line in lines(source):
        if not line.strip() or line.startswith(DOCUMENT_START):
            continue
        items = [_item(item, layout.width) for item in line.split()]
        tags = [layout.tagging.read(item[-1]) for item in items]
        broken = next((item for item, tag in zip(items, tags, strict=True) if len(item) < 2 or tag is None), None)
        if broken is not None:
            yield number, RefusedError(f"{shorten('|'.join(broken), 40)!r} is not a token with a tag")
            continue
        text, offsets = join_tokens([item[0] for item in items], layout.spacing)
        yield number, _version(text, offsets, [tag or "" for tag in tags], layout, "", [])


def _item(item: str, width: int) -> list[str]:
    """The parts of a `token|POS|tag` item, fewer where it is not one. The token may be a bar itself."""
    return [part or "|" for part in item.rsplit("|", width - 1)]


def _piped_layout(rows: list[str], types: Collection[str]) -> Layout | None:
    items = [item for row in rows[:200] for item in row.split()]
    width, _ = Counter(len(item.split("|")) for item in items).most_common(1)[0]
    if width not in (2, 3) or sum(item.count("|") >= width - 1 for item in items) < 0.9 * len(items):
        return None
    table = [_item(item, width) for row in rows for item in row.split()]
    tagging = find_tagging([item[-1] for item in table if len(item) == width], types)
    if tagging is None:
        return None
    return Layout(True, False, width, 0, width - 1, tagging, Spacing(item[0] for item in table))


def _column_layout(sample: list[str], tag_column: int | None, types: Collection[str]) -> Layout | None:
    filled = [line for line in sample if line.strip() and not line.startswith(DOCUMENT_START)]
    tab = 2 * sum("\t" in line for line in filled) > len(filled)
    # Comments do not count, except where all lines begin with "#": then that is a token.
    split = [_split(line, tab) for line in filled if not line.startswith("#")] or [_split(line, tab) for line in filled]
    widths = Counter(map(len, split))
    width, count = widths.most_common(1)[0]
    if not 2 <= width <= 10 or 10 * count < 6 * widths.total():
        return None
    if tag_column is not None and not 1 <= tag_column <= width:
        raise UserError(
            f"There is no column {tag_column}: the lines have {width}", "Name another column with `tag_column`."
        )
    # Every sentence ends with an empty row: in some schemes it matters where a sentence ends.
    rows = [_split(line, tab) if line.strip() else [] for line in sample if not line.startswith(("#", DOCUMENT_START))]
    table = [row if len(row) == width else [""] * width for row in rows or split]
    places = range(width) if tag_column is None else [tag_column - 1]
    first = next((row for row in table if any(row)), [])
    header = bool(first) and len(split) > 1 and bool(_HEADER.fullmatch(first[0]))
    if header:
        headless = [row for row in table if row is not first]
        found = _find_columns(table, width, places, types), _find_columns(headless, width, places, types)
        # A file may begin with the word "Text" as a token: then that line has a tag.
        header = found[1] is not None and (
            found[0] is None or found[0][:2] != found[1][:2] or found[1][2].read(first[found[1][1]]) is None
        )
        table = headless if header else table
    columns = _find_columns(table, width, places, types)
    if columns is None:
        return None
    token, tag, tagging, key, others = columns
    prefix = _prefix([row[token] for row in table])
    return Layout(
        False, tab, width, token, tag, tagging, Spacing(row[token].removeprefix(prefix) for row in table), key,
        numbered=_is_numbered(table, width), header=header,
        spaced=(bool(key) or tag < width - 1) and any(_NO_SPACE.search(row[-1]) for row in table),
        prefix=prefix, others=others, documents=sum(line.startswith(DOCUMENT_START) for line in sample),
    )  # fmt: skip


def _prefix(tokens: Sequence[str]) -> str:
    """The language that stands before every token, "" where there is none."""
    tokens = [token for token in tokens if token]
    match = _LANGUAGE.match(tokens[0]) if len(tokens) > 3 else None
    return match[0] if match and all(token.startswith(match[0]) for token in tokens) else ""


def _split(line: str, tab: bool) -> list[str]:
    if tab:
        return [column.strip(" ") for column in line.split("\t")]
    return line.split() if line.isascii() else _BLANKS.split(line.strip(" \t"))


def _is_numbered(table: list[list[str]], width: int) -> bool:
    numbers = [row[0] for row in table if row[0]]
    if width < 3 or not numbers or not all(map(_NUMBER.fullmatch, numbers)):
        return False
    return numbers[0] in ("0", "1") or numbers[0].startswith("1-")


def _find_columns(
    table: list[list[str]], width: int, places: Sequence[int], types: Collection[str]
) -> tuple[int, int, Tagging, str, tuple[int, ...]] | None:
    """Find the columns of the token and of the tag, how the tags are written, their key, and other columns of tags."""
    token = int(_is_numbered(table, width))
    # A token of several words has no tag of its own.
    rows = [row for row in table if not (token and re.search("[-.]", row[0]))]
    found = {
        place: tagging
        for place in places
        if place > token and (tagging := find_tagging([row[place] for row in rows], types)) is not None
    }
    # Some files give the token a second time, with tags of another kind.
    again = {place for place in found if place > token + 1 and all(row[place - 1] == row[token] for row in rows)}
    found = {place: tagging for place, tagging in found.items() if place not in again} or found
    if len(rows) > 1 and all(row[token] in ("|", "") for row in rows):
        # This is a table of Markdown.
        return None
    tagged = [place for place, tagging in found.items() if tagging.style not in ("types", "outside")]
    labels = {place: _labels(rows, place, found[place]) for place in tagged}
    no_chunks = [place for place in tagged if not labels[place] <= _CHUNKS or labels[place] <= set(types)]
    # In a file of a few sentences, perhaps only chunks are tagged.
    others = [place for place in found if place not in tagged]
    for candidates in (no_chunks, others, tagged):
        if candidates:
            place = _outer(rows, candidates, found)
            return token, place, found[place], "", tuple(other for other in no_chunks if other != place)
    for place in places:
        for key, tagging in _keyed(rows, place):
            return token, place, tagging, key, ()
    if width == 2 and 0 in places and (tagging := find_tagging([row[0] for row in rows], types)) is not None:
        return (1, 0, tagging, "", ()) if tagging.style == "prefixes" else None
    return None


def _outer(rows: list[list[str]], places: list[int], found: dict[int, Tagging]) -> int:
    """Choose among several columns of tags. Where entities are nested, the first column has the outer ones, unless it
    has a single label that another column has among others (code, beside the names in it)."""
    first, *further = places
    own = _labels(rows, first, found[first]) if further else set()
    if len(own) == 1:
        for place in further:
            if len(labels := _labels(rows, place, found[place])) > 2 and own < labels:
                return place
    return first


def _labels(rows: list[list[str]], place: int, tagging: Tagging) -> set[str]:
    tags = {tagging.read(value) or "O" for value in {row[place] for row in rows}}
    return {label for _, label in map(parse_tag, tags) if label}


def _keyed(rows: list[list[str]], place: int) -> Iterator[tuple[str, Tagging]]:
    pairs = [_pairs(row[place]) for row in rows]
    keys = Counter(key for row in pairs for key in row)
    for key in keys:
        tagging = find_tagging([row.get(key, "O") if any(full) else "" for row, full in zip(pairs, rows, strict=True)])
        if tagging is not None and tagging.style == "prefixes":
            yield key, tagging


def _pairs(value: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in value.split("|") if "=" in pair)
