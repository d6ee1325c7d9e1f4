"""WebAnno's and INCEpTION's TSV, version 3: a document with its tokens in lines and a column for each feature.

    #FORMAT=WebAnno TSV 3.3
    #T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value

    #Text=Redis Cluster is down.
    1-1	0-5	Redis	*	INFRA[1]
    1-2	6-13	Cluster	*	INFRA[1]

Lines of one number in brackets are one span, `A|B` are two spans on one token, `_` is none and `*` one without a value.
Offsets count UTF-16 units. A line 1-3.1 is a part of the token 1-3. Each sentence becomes a passage.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from spacy_domain_ner.exchange.formats.layers import NO_VALUE, Feature, Layers, choose_layers
from spacy_domain_ner.exchange.formats.sentences import cut_into_sentences
from spacy_domain_ner.exchange.formats.spacing import align_tokens
from spacy_domain_ner.exchange.formats.version import RawSpan, Version
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.stream import lines

FIRST_LINE = "#FORMAT=WebAnno TSV 3"
_LAYER = re.compile(r"#T_(SP|RL|CH)=(.*)")
_TEXT = "#Text="
_TOKEN = re.compile(r"\d+-\d+(\.\d+)?\t(\d+)-(\d+)\t")
_STACKED = re.compile(r"(?<!\\)\|")
_NUMBERED = re.compile(r"(.*)(?<!\\)\[(\d+)\]", re.DOTALL)
_ESCAPED = re.compile(r"\\(->|.)", re.DOTALL)
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}


def find_layers(source: Source, types: Collection[str] = ()) -> Layers:
    """Find out which layers of a file have its entities.

    Args:
        source: The file.
        types: The entity types that are known.

    Returns:
        The layers.

    Raises:
        UserError: That can't be told.
    """
    columns = _columns(source)
    counts: dict[Feature, Counter[str]] = {feature: Counter() for feature in columns}
    for _, line in lines(source):
        if _TOKEN.match(line):
            cells = line.split("\t")
            for feature, place in columns.items():
                counts[feature].update(value for value, _ in _annotations(cells[place] if place < len(cells) else ""))
    return choose_layers(source.name, counts, types)


def read_sentences(source: Source, layers: Layers) -> Iterator[tuple[int, Version | RefusedError]]:
    """Read a file's sentences.

    Args:
        source: The file.
        layers: Where it has its entities.

    Yields:
        The number of the first line of a sentence, and its version or why there is none.
    """
    columns = _columns(source)
    text, units = "", 0
    ranges: list[tuple[int, int]] = []
    first_lines: list[int] = []
    spans: list[RawSpan] = []
    # The spans of the sentence before, by their column and number.
    before: dict[tuple[int, str], RawSpan] = {}
    for sentence in _sentences(source):
        placed = sentence.placed()
        if placed is None:
            yield sentence.line, RefusedError("its tokens are not in its text", text="\n".join(sentence.text))
            continue
        own, places = placed
        # Between sentences there is only white space.
        gap = max(sentence.rows[0].start - units, 1 if text else 0)
        text += " " * gap
        offset = len(text)
        text += own
        units = sentence.rows[0].start + len(own.encode("utf-16-le")) // 2
        ranges.append((offset, len(text)))
        first_lines.append(sentence.line)
        # Some files count the numbers of each sentence anew: one continues only where the sentences touch in it.
        end_before = offset - gap
        numbered = {key: span for key, span in before.items() if span.end == end_before}
        before = {}
        for row, (start, end) in zip(sentence.rows, places, strict=True):
            start, end = offset + start, offset + end
            for place, value, number in _labels(row, layers, columns):
                span = (numbered if start == offset else before).get((place, number)) or before.get((place, number))
                if span is None or not number:
                    span = RawSpan(start, end, value)
                    spans.append(span)
                span.start, span.end = min(span.start, start), max(span.end, end)
                before[place, number] = span
    for first, version in cut_into_sentences(text, ranges, spans):
        yield (first_lines[first] if first_lines else 0), version


def _labels(row: "_Row", layers: Layers, columns: dict[Feature, int]) -> Iterator[tuple[int, str, str]]:
    """The annotations of a row: the column's place, the label, and the number of the span or ""."""
    for feature in layers.features:
        place = columns[feature]
        for value, number in _annotations(row.cells[place] if place < len(row.cells) else ""):
            yield place, layers.label(feature, "" if value == NO_VALUE else value), number


@dataclass
class _Row:
    """A token or a part of one: its line, its offsets in UTF-16 units in the document, and all cells of the line."""

    line: int
    start: int
    end: int
    cells: list[str]


@dataclass
class _Sentence:
    """A sentence: its first line, its text as the file has it, and its tokens."""

    line: int
    text: list[str] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)

    def placed(self) -> tuple[str, list[tuple[int, int]]] | None:
        """The text, and where each row stands in it, in code points; None where the rows do not fit the text."""
        forms = [row.cells[2] for row in self.rows]
        base = self.rows[0].start
        offsets = [(row.start - base, row.end - base) for row in self.rows]
        raw = "\n".join(self.text)
        if not self.text:
            raw = _spelt_out(offsets, forms)
        for text in dict.fromkeys((_unescaped(raw), raw)):
            if (places := _in_code_points(text, offsets)) and _fit(text, places, forms):
                return text, places
            if _fit(text, offsets, forms):
                return text, offsets
        whole = [index for index, row in enumerate(self.rows) if "." not in row.cells[0]]
        for text in dict.fromkeys((_unescaped(raw), raw)):
            found = align_tokens([_unescaped(forms[index]) for index in whole], text)
            if found and len(whole) == len(self.rows):
                return text, found
        return None


def _sentences(source: Source) -> Iterator[_Sentence]:
    sentence: _Sentence | None = None
    for number, line in lines(source):
        match = _TOKEN.match(line)
        if match is None:
            if sentence is not None and sentence.rows:
                yield sentence
                sentence = None
            if line.startswith(_TEXT):
                sentence = sentence or _Sentence(number)
                # A text of several lines has each of them in a line of its own.
                sentence.text.append(line.removeprefix(_TEXT))
            continue
        sentence = sentence or _Sentence(number)
        sentence.rows.append(_Row(number, int(match[2]), int(match[3]), line.split("\t")))
    if sentence is not None and sentence.rows:
        yield sentence


def _columns(source: Source) -> dict[Feature, int]:
    """The features of the layers of spans, each with the place of its column in a line."""
    columns: dict[Feature, int] = {}
    place = 3
    for _, line in takewhile(lambda numbered: not numbered[1].startswith(_TEXT), lines(source)):
        match = _LAYER.match(line)
        if match is None:
            continue
        layer, *features = [name for name in match[2].strip().split("|") if name] or [""]
        for feature in features or [""]:
            # Slots have two columns: the role and the target, which is named by its type.
            if match[1] == "SP" and not feature.startswith("ROLE_") and "." not in feature:
                columns[Feature(layer, feature)] = place
            place += 1
    return columns


def _annotations(cell: str) -> Iterator[tuple[str, str]]:
    """The values in a cell, each with the number of its span, "" where it has none."""
    for part in _STACKED.split(cell.strip(" ")) if cell.strip() not in ("", "_") else ():
        match = _NUMBERED.fullmatch(part)
        value, number = (match[1], match[2]) if match else (part, "")
        if value != "_":
            yield (value if value == NO_VALUE else _unescaped(value)), number


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _CONTROLS.get(found[1], found[1]), text) if "\\" in text else text


def _in_code_points(text: str, offsets: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """Offsets in UTF-16 units as offsets in code points; None where one lies outside the text or within a character."""
    places, units = {}, 0
    for index, character in enumerate(text):
        places[units] = index
        units += 1 + (character > "\uffff")
    places[units] = len(text)
    if not all(start in places and end in places for start, end in offsets):
        return None
    return [(places[start], places[end]) for start, end in offsets]


def _fit(text: str, places: list[tuple[int, int]], forms: list[str]) -> bool:
    pairs = zip(places, forms, strict=True)
    return all(end <= len(text) and text[start:end] in (form, _unescaped(form)) for (start, end), form in pairs)


def _spelt_out(offsets: list[tuple[int, int]], forms: list[str]) -> str:
    """The text of tokens that is not given, with a blank for each unit between them."""
    text, units = "", 0
    for (start, end), form in zip(offsets, forms, strict=True):
        if start >= units:
            text += " " * (start - units) + form
            units = end
    return text
