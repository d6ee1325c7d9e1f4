"""Tables of tokens and tags: CoNLL and BIO files in the varieties that exist, CSV and TSV, and spaCy's `token|POS|tag`.

A line is a token. Sentences end where a line is empty, where the sentence's number changes, or where the numbers of
tokens begin anew; documents where `-DOCSTART-` or a like mark stands, or the document's name changes. Each sentence
becomes a passage.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spacy_domain_ner.exchange.formats.bio import BadTagError, decode_tags, tags_of_brackets
from spacy_domain_ner.exchange.formats.spacing import align_tokens, join_spaced, join_tokens
from spacy_domain_ner.exchange.formats.table_layout import DOCUMENT_START, DOCUMENT_STARTS, NO_SPACE, Layout, piped_item
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.stream import lines
from spacy_domain_ner.text import shorten

# The passages of a source stay on one side of a split: with fewer documents than sides, no split is possible.
FEWEST_DOCUMENTS = 3
# Longer than any sentence: the file lacks what divides sentences.
MOST_LINES = 200_000
# The number of a token: 1-2 is a token of two words, and 5.1 an empty node.
_NUMBER = re.compile(r"(\d{1,18})([-.]\d{1,18})?")


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
    # The file's name only: its documents stay the same wherever the file lies.
    group = Path(source.name).name if _has_documents(source, layout) else ""
    sentence, places = _Sentence(layout), _Places(layout)
    for number, line, cells in layout.rows(source):
        begins = places.begins(line, cells)
        if begins and sentence.rows:
            yield sentence.finish()
        if begins:
            sentence = _Sentence(layout, f"{group}#{places.document}" if group and places.document else "")
        if not places.is_gap:
            sentence.add(number, line, cells)
    if sentence.rows:
        yield sentence.finish()


class _Places:
    """Where sentences and documents begin, as the rows of a file are read.

    Attributes:
        document: The number or the name of the document.
        is_gap: Whether the last row was not a token, but stands between sentences.
    """

    def __init__(self, layout: Layout) -> None:
        roles = layout.roles
        self.document: int | str = 0 if roles.document is None else ""
        self.is_gap = False
        self._layout = layout
        self._columns = [column for column in (roles.document, roles.sentence) if column is not None]
        self._values = [""] * len(self._columns)
        self._number = -1

    def begins(self, line: str, cells: list[str]) -> bool:
        """Whether a sentence begins with a row, or ends before it."""
        layout = self._layout
        roles = layout.roles
        starts = line.startswith(DOCUMENT_STARTS)
        self.is_gap = not line.strip() or starts or not any(cells) or line.startswith("#end document")
        if not self.is_gap and len(cells) == layout.width and cells[roles.token] == DOCUMENT_START:
            starts = self.is_gap = True
        if starts and isinstance(self.document, int):
            self.document += 1
        if self.is_gap:
            self._number = -1
            return True
        if len(cells) != layout.width or (line.startswith("# ") and layout.read_tag(cells, roles.tag) is None):
            return False
        begins = False
        for place, column in enumerate(self._columns):
            value = cells[column]
            if value and (value != self._values[place] or (roles.marks and column == roles.sentence)):
                begins = True
                self._values[place] = value
                if column == roles.document:
                    self.document = value
        if layout.restarts and (number := _NUMBER.match(cells[roles.number or 0])) is not None:
            first = int(number[1])
            if not number[2]:
                begins = begins or first <= self._number
                self._number = first
            elif number[2][0] == "-":
                # A token of two words comes before its words.
                begins = begins or first <= self._number
                self._number = first - 1
        return begins


def _has_documents(source: Source, layout: Layout) -> bool:
    """Whether a file has documents enough to name them."""
    places, found = _Places(layout), set()
    for _, line, cells in layout.rows(source.unreported()) if layout.documented else ():
        if layout.roles.document is None and not line.startswith(("-", "#")):
            continue
        places.begins(line, cells)
        found.add(places.document)
        if len(found - {0, ""}) >= FEWEST_DOCUMENTS:
            return True
    return False


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

    def add(self, number: int, line: str, columns: list[str]) -> None:
        """Add a line. What it is, the first case that fits decides: their order matters."""
        self._length += 1
        if self._length > MOST_LINES:
            # The sentence will be refused, so its lines are not kept.
            return
        layout = self._layout
        whole = len(columns) == layout.width
        # 1. A token and its tag, as nearly all lines are.
        if whole and not (layout.rare or line.startswith("#")):
            tag, token = layout.read_tag(columns, layout.roles.tag), columns[layout.roles.token]
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
        elif self._is_not_a_word(number, columns, tag):
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
            if not token.strip():
                self._notes.append(f"line {number} has no token" + ("" if tag == "O" else f", but the tag {tag}"))
            else:
                self.rows.append(_Row(number, token, tag, self._is_glued(columns[-1], token)))

    def _token(self, columns: list[str], tag_column: int) -> str:
        """The token of a line whose tag is in a column: a separator in a token pushes the tag further to the right."""
        layout = self._layout
        character, roles = layout.separator.character, layout.roles
        first = min(roles.token, len(columns) - 1)
        further = max(0, tag_column - roles.tag) if tag_column > roles.token and character != "\t" else 0
        return character.join(columns[first : first + 1 + further]).removeprefix(layout.prefix)

    def finish(self) -> tuple[int, Version | RefusedError]:
        """Give the number of the sentence's first line, and its version or why there is none."""
        first = self.rows[0].number
        if self._length > MOST_LINES:
            return first, RefusedError(f"{self._length} lines without an empty line or a number that divides sentences")
        broken = next((row for row in self.rows if not row.tag), None)
        if broken is not None:
            roles = self._layout.roles
            kind = "" if roles.type is None else f", or no type in column {roles.type + 1}"
            what = f"line {broken.number} ({shorten(broken.token, 40)!r}) has no tag in column {roles.tag + 1}{kind}"
            return first, RefusedError(what)
        tokens = [row.token for row in self.rows]
        places = align_tokens(tokens, self._text) if self._text else None
        if places:
            text, offsets = self._text, places
        elif self._layout.spaced:
            text, offsets = join_spaced(tokens, [*(not row.glued for row in self.rows[:-1]), False])
        elif self._layout.spacing.exact and any(row.blank for row in self.rows):
            text, offsets = join_spaced(tokens, [*(row.blank for row in self.rows[:-1]), False])
        else:
            text, offsets = join_tokens(tokens, self._layout.spacing)
        tags = [row.tag for row in self.rows]
        return first, _version(text, offsets, tags, self._layout, self._source, self._notes)

    def _is_blank(self, line: str, columns: list[str], tag: str | None) -> bool:
        """Whether the token of a line is a blank."""
        if tag is None:
            return self._lacks_token(line, columns)
        return not columns[min(self._layout.roles.token, len(columns) - 1)].strip()

    def _is_glued(self, value: str, token: str) -> bool:
        """Whether no space follows a token, by the last column of its line."""
        if not self._layout.spaced:
            return False
        if "EndOfLine" in value.split("|"):
            # In old newspapers: the word continues on the next line of the page.
            return token in ("¬", "-") and bool(self.rows) and self.rows[-1].glued
        return bool(NO_SPACE.search(value))

    def _lacks_token(self, line: str, columns: list[str]) -> bool:
        """Whether the token of a line is a blank, which splitting at blanks takes away."""
        layout = self._layout
        if layout.separator.character != " " or layout.roles.token or line[:1] not in (" ", "\t"):
            return False
        return len(columns) == layout.width - 1 and layout.read_tag(columns, layout.roles.tag - 1) is not None

    def _is_not_a_word(self, number: int, columns: list[str], tag: str | None) -> bool:
        """Whether a numbered line is not a word of its own; a token of several words is added, with their tag."""
        layout, place = self._layout, self._layout.roles.number
        if place is None or len(columns) <= place or not (found := _NUMBER.fullmatch(columns[place])):
            return False
        if found[2] and found[2][0] == ".":
            return True
        token = columns[layout.roles.token]
        if found[2]:
            glued = self._is_glued(columns[-1], token)
            self._range_end = -int(found[2])
            self.rows.append(_Row(number, token, "O" if tag in (None, "-") else str(tag), glued))
            return True
        if self.rows and tag is not None and int(columns[place]) <= self._range_end:
            if self.rows[-1].tag == "O":
                self.rows[-1].tag = tag
            return True
        self._range_end = 0
        return False

    def _find_tag(self, columns: list[str]) -> tuple[int, str | None]:
        """Find the tag of a line: its column, and the tag or None. In a line of unusual width the tag may come last."""
        layout, roles = self._layout, self._layout.roles
        if len(columns) != layout.width and layout.separator.quoted:
            # Quotation marks keep separators within their cell, so another width is a broken line.
            return roles.tag, None
        for column in (roles.tag, len(columns) - 1) if len(columns) > 1 else ():
            if column < len(columns) and column != roles.token:
                tag = layout.read_tag(columns, column)
                if tag is not None:
                    return column, tag
        return roles.tag, None


def _version(
    text: str, offsets: list[tuple[int, int]], tags: list[str], layout: Layout, source: str, notes: list[str]
) -> Version | RefusedError:
    tagging = layout.roles.tagging
    try:
        spans, repaired = decode_tags(tags_of_brackets(tags) if tagging.style == "brackets" else tags, tagging.prefixes)
    except BadTagError as error:
        return RefusedError(str(error))
    version = Version(text, meta={"source": source} if source else {}, notes=notes)
    for first, last, label in spans:
        version.add_span(offsets[first][0], offsets[last][1], label)
    if repaired and tagging.scheme != "IOB1":
        version.notes.append(f"{repaired} span(s) begin with an I that continues nothing")
    if "-" in tags:
        version.status = Status.UNANNOTATED if set(tags) == {"-"} else Status.PARTIAL
    return version


def _read_piped(source: Source, layout: Layout) -> Iterator[tuple[int, Version | RefusedError]]:
    for number, line in lines(source):
        if not line.strip() or line.startswith(DOCUMENT_START):
            continue
        items = [piped_item(item, layout.width) for item in line.split()]
        tags = [layout.roles.tagging.read(item[-1]) for item in items]
        broken = next((item for item, tag in zip(items, tags, strict=True) if len(item) < 2 or tag is None), None)
        if broken is not None:
            yield number, RefusedError(f"{shorten('|'.join(broken), 40)!r} is not a token with a tag")
            continue
        text, offsets = join_tokens([item[0] for item in items], layout.spacing)
        yield number, _version(text, offsets, [tag or "" for tag in tags], layout, "", [])
