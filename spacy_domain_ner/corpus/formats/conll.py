"""Tokens and tags in lines: CoNLL and BIO files in the varieties that are found, and spaCy's `token|POS|tag` lines.

2 to 10 columns by tabs or blanks; the token first (second after a number, as in CoNLL-U), the tag in whichever column
holds tags; `-DOCSTART-`, comments, separator lines of blanks and tabs. Every sentence becomes a passage.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from spacy_domain_ner.corpus.formats.bio import BadTagError, decode_tags, parse_tag, scheme_of
from spacy_domain_ner.corpus.formats.spacing import Spacing, align_tokens, join_tokens
from spacy_domain_ner.corpus.formats.stream import Source, lines
from spacy_domain_ner.corpus.formats.version import Status, Version
from spacy_domain_ner.corpus.jsonl import RefusedError, shorten
from spacy_domain_ner.errors import UserError

SAMPLE = 20_000
DOCUMENT_START = "-DOCSTART-"
# A source keeps its passages on one side of a split: with fewer documents than sides there would be no split.
FEWEST_DOCUMENTS = 3
# The phrases of CoNLL-2000's chunking, whose tags look like those of entities.
_CHUNKS = {"NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP"}
_MOST_TYPES = 200


@dataclass(frozen=True)
class Layout:
    """How a file of tokens and tags is laid out; columns count from 0.

    piped: Whether a line is a sentence of `token|POS|tag` items.
    scheme: The tags' scheme, for the report.
    prefixes: Whether tags have prefixes.
    documents: How many `-DOCSTART-` lines there are (a few are enough).
    """

    piped: bool
    tab: bool
    width: int
    token: int
    tag: int
    scheme: str
    prefixes: bool
    spacing: Spacing
    documents: int = 0

    def __str__(self) -> str:
        if self.piped:
            return f"{self.scheme} tags in token|tag items"
        separator = "tabs" if self.tab else "blanks"
        return f"{self.scheme} tags in column {self.tag + 1} of {self.width}, separated by {separator}"

    def split(self, line: str) -> list[str]:
        """A line's columns."""
        return [column.strip() for column in line.split("\t")] if self.tab else line.split()


def find_layout(source: Source, tag_column: int | None = None) -> Layout | None:
    """Tell how a file of tokens and tags is laid out.

    tag_column: The column of the tags, counted from 1; None to find it.
    RETURNS: The layout, None where the file holds no tokens and tags.
    RAISES: UserError where there is no such column.
    """
    sample = [line for _, line in islice(lines(source), SAMPLE)]
    rows = [line for line in sample if line.strip() and not line.startswith(DOCUMENT_START)]
    if not rows:
        return None
    return _piped_layout(rows) or _column_layout(rows, sample, tag_column)


def read_sentences(source: Source, layout: Layout) -> Iterator[tuple[int, Version | RefusedError]]:
    """The sentences of a file, each with the number of its first line."""
    if layout.piped:
        yield from _read_piped(source, layout)
        return
    sentence = _Sentence(layout)
    document, documents = 0, layout.documents
    group = source.name if documents >= FEWEST_DOCUMENTS else ""
    for number, line in lines(source):
        if line.startswith(DOCUMENT_START) or not line.strip():
            if sentence.rows:
                yield sentence.finish()
            document += line.startswith(DOCUMENT_START)
            sentence = _Sentence(layout, f"{group}#{document}" if group else "")
        else:
            sentence.add(number, line)
    if sentence.rows:
        yield sentence.finish()


class _Sentence:
    """The lines of one sentence as they come."""

    def __init__(self, layout: Layout, source: str = "") -> None:
        self._layout = layout
        self._source = source
        self._text = ""
        self._notes: list[str] = []
        self.rows: list[tuple[int, str, str]] = []

    def add(self, number: int, line: str) -> None:
        columns = self._layout.split(line)
        tag = self._tag(columns)
        if line.startswith("#") and (tag is None or len(columns) != self._layout.width):
            name, _, value = line[1:].partition("=")
            if name.strip() == "text":
                self._text = value.strip()
        elif tag is None:
            # Kept, so that the whole sentence is refused: what its tokens are is not known.
            self.rows.append((number, line.strip(), ""))
        else:
            if len(columns) != self._layout.width:
                self._notes.append(f"line {number} has {len(columns)} columns where others have {self._layout.width}")
            if token := columns[min(self._layout.token, len(columns) - 1)]:
                self.rows.append((number, token, tag))

    def finish(self) -> tuple[int, Version | RefusedError]:
        """The sentence's first line and its version, or why there is none."""
        first = self.rows[0][0]
        broken = next(((number, text) for number, text, tag in self.rows if not tag), None)
        tokens = [token for _, token, _ in self.rows]
        if broken is not None:
            line = f"line {broken[0]} ({shorten(broken[1], 40)!r}) has no tag in column {self._layout.tag + 1}"
            return first, RefusedError(line)
        places = align_tokens(tokens, self._text) if self._text else None
        text, offsets = (self._text, places) if places else join_tokens(tokens, self._layout.spacing)
        tags = [tag for _, _, tag in self.rows]
        return first, _version(text, offsets, tags, self._layout, self._source, self._notes)

    def _tag(self, columns: list[str]) -> str | None:
        """The tag of a line, None where it has none; in a line of unusual width it may stand last."""
        wanted = self._layout.tag
        for place in (wanted, len(columns) - 1) if len(columns) > 1 else ():
            if 0 < place < len(columns) and _is_tag(columns[place], self._layout.prefixes):
                return columns[place]
        return None


def _version(
    text: str, offsets: list[tuple[int, int]], tags: list[str], layout: Layout, source: str, notes: list[str]
) -> Version | RefusedError:
    try:
        spans, repaired = decode_tags(tags, layout.prefixes)
    except BadTagError as error:
        return RefusedError(str(error))
    version = Version(text, meta={"source": source} if source else {}, notes=notes)
    for first, last, label in spans:
        version.add_span(offsets[first][0], offsets[last][1], label)
    if repaired and layout.scheme != "IOB1":
        version.notes.append(f"{repaired} span(s) begin with an I that follows nothing")
    if "-" in tags:
        version.status = Status.UNANNOTATED if set(tags) == {"-"} else Status.PARTIAL
    return version


def _read_piped(source: Source, layout: Layout) -> Iterator[tuple[int, Version | RefusedError]]:
    for number, line in lines(source):
        if not line.strip() or line.startswith(DOCUMENT_START):
            continue
        items = [item.split("|") for item in line.split()]
        # A token may be a bar itself.
        pairs = [("|".join(item[: layout.tag]) or "|", item[-1]) for item in items if len(item) > layout.tag]
        if len(pairs) < len(items) or not all(_is_tag(tag, layout.prefixes) for _, tag in pairs):
            broken = next(
                "|".join(item) for item in items if len(item) <= layout.tag or not _is_tag(item[-1], layout.prefixes)
            )
            yield number, RefusedError(f"{shorten(broken, 40)!r} is no token with a tag")
            continue
        text, offsets = join_tokens([token for token, _ in pairs], layout.spacing)
        yield number, _version(text, offsets, [tag for _, tag in pairs], layout, "", [])


def _piped_layout(rows: list[str]) -> Layout | None:
    items = [item.split("|") for row in rows[:200] for item in row.split()]
    widths = Counter(map(len, items))
    width = widths.most_common(1)[0][0]
    if width not in (2, 3) or widths[width] < 0.9 * len(items):
        return None
    items = [item.split("|") for row in rows for item in row.split()]
    tags = [item[-1] for item in items if len(item) >= width]
    if not _are_tags(tags):
        return None
    prefixes = any(parse_tag(tag)[0] not in ("O", "") for tag in tags)
    spacing = Spacing(item[0] for item in items)
    return Layout(True, False, width, 0, width - 1, scheme_of(tags), prefixes, spacing)


def _column_layout(rows: list[str], sample: list[str], tag_column: int | None) -> Layout | None:
    tab = 2 * sum("\t" in row for row in rows) > len(rows)
    split = [[column.strip() for column in row.split("\t")] if tab else row.split() for row in rows]
    # A comment is no row; a token may be the sign that comments begin with.
    widths = Counter(len(row) for row in split if not row[0].startswith("#")) or Counter(map(len, split))
    width, count = widths.most_common(1)[0]
    table = [row for row in split if len(row) == width]
    if not 2 <= width <= 10 or 10 * count < 6 * sum(widths.values()):
        return None
    token = 1 if width > 2 and all(row[0].replace("-", "").replace(".", "").isdecimal() for row in table) else 0
    if tag_column is not None:
        if not 1 <= tag_column <= width:
            raise UserError(f"There is no column {tag_column}: the lines have {width}", "Name another --tag-column.")
        tag = tag_column - 1
    else:
        found = _tag_column([[row[column] for row in table] for column in range(width)], token)
        if found is None:
            return None
        tag = found
    tags = []
    for line in sample:
        row = [column.strip() for column in line.split("\t")] if tab else line.split()
        tags.append(row[tag] if len(row) == width and not line.startswith(DOCUMENT_START) else "O")
    prefixes = any(parse_tag(value)[0] not in ("O", "") for value in tags)
    documents = sum(line.startswith(DOCUMENT_START) for line in sample)
    spacing = Spacing(row[token] for row in table)
    return Layout(False, tab, width, token, tag, scheme_of(tags), prefixes, spacing, documents)


def _tag_column(columns: list[list[str]], token: int) -> int | None:
    candidates = [place for place in range(token + 1, len(columns)) if _are_tags(columns[place])]
    prefixed = [place for place in candidates if _labels(columns[place])]
    candidates = [place for place in prefixed if not _labels(columns[place]) <= _CHUNKS] or prefixed or candidates
    if not candidates:
        return None
    # Some files give the token a second time, with tags of another kind.
    again = {place for place in candidates[1:] if columns[place - 1] == columns[token]}
    return [place for place in candidates if place not in again][-1]


def _labels(column: list[str]) -> set[str]:
    return {label for prefix, label in map(parse_tag, set(column)) if prefix not in ("O", "")}


def _are_tags(column: list[str]) -> bool:
    counts = Counter(column)
    if not counts["O"] and not _labels(column):
        return False
    if _labels(column):
        return sum(count for tag, count in counts.items() if _is_tag(tag, True)) >= 0.9 * len(column)
    # Types without prefixes: few, and most tokens have none.
    return len(counts) <= _MOST_TYPES and counts["O"] >= 0.3 * len(column)


def _is_tag(value: str, prefixes: bool) -> bool:
    if not prefixes:
        return bool(value)
    return value in ("O", "-") or parse_tag(value)[0] not in ("O", "")
