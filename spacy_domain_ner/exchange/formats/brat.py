"""brat stand-off: a text (`.txt`) and its annotation beside it (`.ann`), which is empty where there is no entity."""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.exchange.formats.version import Status, Version
from spacy_domain_ner.reading.records import RefusedError
from spacy_domain_ner.reading.source import Source
from spacy_domain_ner.reading.stream import lines
from spacy_domain_ner.text import shorten

_LINE = re.compile(r"[TREAMN#*]\S*\t")
_ENTITY = re.compile(r"(T\S*)\t(\S+) ([\d ;]+)(?:\t(.*))?", re.DOTALL)
# The roles of the ends have any names: Arg1 and Arg2 where nobody has chosen others.
_RELATION = re.compile(r"R\S*\t(\S+)[ \t]+\S+?:(\S+)[ \t]+\S+?:(\S+)\s*")
# An offset of more digits lies beyond the end of any text.
_OFFSETS = re.compile(r"(?<!\d)(\d{1,18}) (\d{1,18})(?!\d)")
# What stands in one line of a mention, without white space at its end.
_LINES = re.compile(r"[^\s][^\r\n]*(?<=\S)|\S")
_KINDS = {
    "E": "event", "A": "attribute", "M": "attribute", "N": "normalization", "#": "note", "*": "equivalence",
}  # fmt: skip


def read_document(source: Source) -> Version:
    """Read a text with its annotation.

    Args:
        source: The `.ann` file, or a `.txt` file that is not annotated since it has none.

    Returns:
        The version.

    Raises:
        RefusedError: The text is missing, or is not UTF-8 text.
        UserError: A file can't be read.
    """
    path = source.path
    text_path = path.with_suffix(".txt")
    if not text_path.is_file():
        raise RefusedError(f"there is no {text_path.name} beside it")
    text_source = replace(source, path=text_path, name=str(Path(source.name).with_suffix(".txt")))
    with text_source.open() as stream:
        data = stream.read()
    try:
        text = data.decode("utf8")
    except UnicodeDecodeError as error:
        raise RefusedError(f"{text_path.name} is not UTF-8 text ({error.reason}): give its encoding") from None
    version = Version(text, id=path.stem, meta={"source": path.stem}, relations_unsaid=True)
    if path.suffix == ".txt":
        version.status = Status.UNANNOTATED
        return version
    for entry in _entries(source):
        _add(version, entry)
    return version


def to_files(passage: Passage) -> tuple[bytes, bytes]:
    """Write a passage as a text and its annotation.

    Args:
        passage: The passage. Its labels and the types of its relations must not have blanks.

    Returns:
        The content of the `.txt` file and that of the `.ann` file.
    """
    entries = []
    for number, span in enumerate(passage.spans, 1):
        # A mention that spans lines has a fragment in each of them.
        parts = [
            (span.start + part.start(), span.start + part.end()) for part in _LINES.finditer(passage.surface(span))
        ]
        offsets = ";".join(f"{start} {end}" for start, end in parts)
        words = " ".join(passage.text[start:end] for start, end in parts)
        entries.append(f"T{number}\t{span.label} {offsets}\t{words}\n")
    numbers = {span: number for number, span in enumerate(passage.spans, 1)}
    for number, relation in enumerate(passage.relations or (), 1):
        ends = f"Arg1:T{numbers[relation.head]} Arg2:T{numbers[relation.tail]}"
        entries.append(f"R{number}\t{relation.type} {ends}\n")
    # A text that begins like a byte order mark would lose that character, without another one before it.
    mark = codecs.BOM_UTF8 if passage.text.startswith("\ufeff") else b""
    return mark + passage.text.encode("utf8"), "".join(entries).encode("utf8")


def configuration(passages: Iterable[Passage]) -> str:
    """The `annotation.conf` with which brat shows the labels and relations of these passages."""
    labels: set[str] = set()
    heads: dict[str, set[str]] = defaultdict(set)
    tails: dict[str, set[str]] = defaultdict(set)
    for passage in passages:
        labels.update(span.label for span in passage.spans)
        for relation in passage.relations or ():
            heads[relation.type].add(relation.head.label)
            tails[relation.type].add(relation.tail.label)
    entities = "".join(f"{label}\n" for label in sorted(labels))
    relations = "".join(
        f"{name}\tArg1:{'|'.join(sorted(heads[name]))}, Arg2:{'|'.join(sorted(tails[name]))}\n"
        for name in sorted(heads)
    )
    return f"[entities]\n{entities}\n[relations]\n{relations}\n[events]\n\n[attributes]\n"


def _entries(source: Source) -> list[str]:
    entries: list[str] = []
    for _, line in lines(source):
        # A mention that spans two lines of the text breaks its own line in two, and notes may have several lines.
        if entries and not _LINE.match(line) and (entries[-1][0] == "#" or _is_cut(entries[-1])):
            entries[-1] += "\n" + line
        elif line.strip():
            entries.append(line)
    return entries


def _is_cut(entry: str) -> bool:
    """Whether the text of an entity's line is shorter than its offsets say."""
    match = _ENTITY.fullmatch(entry)
    if match is None or match[4] is None:
        return False
    fragments = _OFFSETS.findall(match[3])
    return len(match[4]) < sum(int(end) - int(start) for start, end in fragments) + len(fragments) - 1


def _add(version: Version, entry: str) -> None:
    if entry.startswith("R"):
        relation = _RELATION.fullmatch(entry)
        if relation is None:
            version.relations = version.relations or []
            version.refused_relations.append((shorten(entry), "this is not a relation of two ends as brat writes it"))
        else:
            version.add_relation(*relation.groups())
        return
    if not entry.startswith("T"):
        kind = _KINDS.get(entry[0]) if _LINE.match(entry) else None
        if kind is None:
            version.refused.append((shorten(entry), "this is not a line as brat writes it"))
        else:
            version.ignored[kind] = version.ignored.get(kind, 0) + 1
        return
    match = _ENTITY.fullmatch(entry.rstrip("\n"))
    fragments = _OFFSETS.findall(match[3]) if match else []
    if match is None or not fragments:
        version.refuse(shorten(entry), "this is not an entity as brat writes it", entry.partition("\t")[0])
        return
    if len(fragments) > 1:
        # Fragments with only white space between them are one mention.
        between = [version.text[int(end) : int(start)] for (_, end), (start, _) in pairwise(fragments)]
        if any(gap.strip() for gap in between):
            words = f"{match[2]} is discontinuous: its parts can't be one span"
            version.refuse(match[4] or entry, words, match[1])
            return
    version.add_span(int(fragments[0][0]), int(fragments[-1][1]), match[2], match[4], id=match[1])
