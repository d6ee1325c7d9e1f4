"""The roles of a table's columns: which one has the tokens, which the tags, which divide sentences and documents.

A role is told by the option `columns`, else by the column's name, else by what the whole column holds. No role is told
by one line.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from spacy_domain_ner.errors import UserError
from spacy_domain_ner.exchange.formats.bio import LEAST_OUTSIDE, Tagging, find_tagging, named_tag, parse_tag
from spacy_domain_ner.exchange.formats.cells import Table
from spacy_domain_ner.exchange.formats.column_names import role_of
from spacy_domain_ner.exchange.formats.divisions import Divisions, changes, find_number_column, is_scattered, stays
from spacy_domain_ner.exchange.formats.tag_names import names_under

# The phrases of the chunking in CoNLL-2000 and in the German CoNLL-2003, whose tags look like those of entities.
_CHUNKS = {
    "NP", "VP", "PP", "ADVP", "ADJP", "SBAR", "PRT", "CONJP", "INTJ", "LST", "UCP",
    "NC", "VC", "PC", "AC", "ADVC", "ADJC",
}  # fmt: skip
# Parts of speech of the Penn Treebank and of Universal Dependencies.
_PARTS_OF_SPEECH = frozenset((
    "CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS", "PRP",
    "PRP$", "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT", "WP", "WP$",
    "WRB", ".", ",", ":", "HYPH", "ADJ", "ADP", "ADV", "AUX", "CCONJ", "CONJ", "DET", "INTJ", "NOUN", "NUM", "PART",
    "PRON", "PROPN", "PUNCT", "SCONJ", "VERB", "X", "SPACE",
))  # fmt: skip
# What stands in the column of the types beside a token that is not in an entity.
NO_TYPE = frozenset(("", "O", "o", "_", "-", "0", "None", "NONE", "none", "NaN", "nan", "null"))
# The share of rows that must fit: one may be wrong.
_MOST = 0.98
_DECIMAL = re.compile(r"-?\d+([.,]\d+)?")
_WHOLE = re.compile(r"-?\d{1,4}")


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are; columns count from 0.

    Attributes:
        token: The column of the token.
        tag: The column of the tag.
        tagging: How the tags are written.
        key: The tag's key, where the column holds `key=value` pairs, as CoNLL-U's last one does; else "".
        type: The column of the type, where that of the tag has prefixes alone (B, I, O).
        sentence: The column of the sentence's number or name.
        document: The column of the document's number or name.
        number: The column of the token's number, which may begin anew in each sentence.
        marks: Whether only the first token of a sentence or document has its number or name.
        others: Further columns of tags, for nested entities or of another kind, which are not read.
    """

    token: int
    tag: int
    tagging: Tagging
    key: str = ""
    type: int | None = None
    sentence: int | None = None
    document: int | None = None
    number: int | None = None
    marks: bool = False
    others: tuple[int, ...] = ()


def find_roles(table: Table, given: dict[str, int], types: Collection[str] = (), tag_names: Any = None) -> Roles | None:
    """Find out what the columns of a table are.

    Args:
        table: The table's beginning.
        given: The columns that are known, by role.
        types: The entity types that are known: one that is named like a tag is read as a type.
        tag_names: The names of tags that are numbers, as `read_tag_names` gives them; None where the user names none.

    Returns:
        The roles, None where there is no column of tags, or no telling which column has the tokens.

    Raises:
        UserError: The column that is given for the tags has none, or its tags are numbers without names.
    """
    if not table.full:
        return None
    number = find_number_column(table, given.values())
    divisions = Divisions(table, given, number)
    tags = _tag_columns(table, given, types, tag_names)
    token = _token_column(table, given, {*divisions.found, *((number,) if number is not None else ())}, tags)
    if token is None:
        return None
    if number is not None and number != token:
        # A token of several words has no tag of its own.
        words = [row for row in table.rows if not (row and re.search("[-.]", row[number]))]
        tags = _tag_columns(Table(table.width, words, table.names), given, types, tag_names)
    else:
        number = None
    chosen = _choose_tags(table, token, given, tags, types)
    if chosen is None:
        return None
    tag, tagging, key, others = chosen
    kind = _type_column(table, token, tag, tagging, given)
    sentence, document = divisions.roles(token, tag)
    if sentence is not None and is_scattered(table.cells(sentence)):
        raise UserError(
            f"The tokens of a sentence do not stand together, by their numbers in column {table.title(sentence)}",
            "Sort the table by them, with the tokens of each sentence in their order.",
        )
    marks = sentence is not None and "" in table.cells(sentence)
    others = tuple(place for place in others if place != kind)
    return Roles(token, tag, tagging, key, kind, sentence, document, number, marks, others)


def _tag_columns(table: Table, given: dict[str, int], types: Collection[str], tag_names: Any) -> dict[int, Tagging]:
    """The columns that hold tags, and how they are written."""
    found = {}
    for place in [given["tag"]] if "tag" in given else range(table.width):
        role = role_of(table.names[place]) if table.names else ""
        if "tag" not in given and (role == "other" or place in given.values()):
            continue
        cells = [row[place] if row else "" for row in table.rows]
        names: tuple[str, ...] = ()
        if _is_numbers(table, place):
            sure = tag_names is not None and ("tag" in given or role == "tag")
            names = tuple(names_under(tag_names, table.names[place] if table.names else "")) if sure else ()
            if not names:
                continue
            cells = [named_tag(cell, names) for cell in cells]
        # A name tells more than the share of tokens that are in no entity.
        least = 0.0 if "tag" in given else 0.02 if role in ("tag", "type") else LEAST_OUTSIDE
        blank = "O" not in cells and "" in table.cells(place)
        if blank:
            # What is not in an entity has no tag.
            cells = [(row[place] or "O") if row else "" for row in table.rows]
        tagging = find_tagging(cells, types, least)
        if tagging is not None and not (blank and tagging.style == "types" and role not in ("tag", "type") and least):
            found[place] = replace(tagging, outside="" if blank else tagging.outside, names=names)
    return found


def _is_numbers(table: Table, place: int) -> bool:
    return all(map(_WHOLE.fullmatch, filter(None, table.cells(place))))


def _token_column(table: Table, given: dict[str, int], taken: Collection[int], tags: dict[int, Tagging]) -> int | None:
    """The column of the tokens: the one with that name, else the first that may hold words."""
    if "token" in given:
        return given["token"]
    free = [place for place in range(table.width) if place not in given.values()]
    rows = len(table.full)
    same = {place for place in free if changes(table.cells(place)) == 1 < rows or stays(table.cells(place))}
    empty = {place for place in free if 2 * table.cells(place).count("") > rows}
    for place in table.named("token"):
        if place in free and place not in same | empty:
            return place
    other = {place for place in free if table.names and role_of(table.names[place]) not in ("", "token", "index")}
    speech = {place for place in free if rows > 1 and _PARTS_OF_SPEECH.issuperset(table.cells(place))}
    numbers = {place for place in free if all(map(_DECIMAL.fullmatch, table.cells(place)))}
    told = "tag" in given or any(place in tags for place in table.named("tag"))
    # What is least likely to be words is left out first. In a table of numbers alone, the tokens are numbers.
    for out in (other | empty | set(taken) | same | speech | numbers, other | empty | set(taken), other):
        order = [place for place in free if place not in out]
        if order and (told or not tags or any(tag > order[0] for tag in tags)):
            return order[0]
        # The tag may stand first, but then there is one other column that may be the token's.
        if len(order) == 2 and order[0] in tags and tags[order[0]].style == "prefixes":
            return order[1]
    return None


def _choose_tags(
    table: Table, token: int, given: dict[str, int], tags: dict[int, Tagging], types: Collection[str]
) -> tuple[int, Tagging, str, tuple[int, ...]] | None:
    """Choose the column of the tags. Returns it, how its tags are written, their key, and other columns of tags."""
    found = {place: tagging for place, tagging in tags.items() if place != token}
    for place, tagging in found.items():
        if tagging.style == "bare" and _type_column(table, token, place, tagging, given) is not None:
            return place, tagging, "", ()
    named = [place for place in table.named("tag") if place in found]
    # A column with tags comes before one that has only O or B, I and O.
    named.sort(key=lambda place: found[place].style in ("outside", "bare"))
    if named or "tag" in given:
        chosen = named[:1] if named else list(found)
        others = [place for place in found if found[place].style not in ("types", "outside")]
    else:
        right = {place: tagging for place, tagging in found.items() if place > token or tagging.style == "prefixes"}
        chosen, others = _by_content(table, token, right, types)
    for place in chosen:
        return place, found[place], "", tuple(other for other in others if other != place)
    for place in [given["tag"]] if "tag" in given else range(table.width):
        for key, tagging in _keyed(table, place):
            return place, tagging, key, ()
    words = 2 * sum(" " not in cell for cell in table.cells(token)) > len(table.full)
    for place in [given["tag"]] if "tag" in given else table.named("tag") if words else []:
        if _is_numbers(table, place):
            raise UserError(
                f"Column {table.title(place)} has numbers as tags, and the table does not say what they mean",
                "Name the tags in the order of their numbers: `tag_names=O,B-NAME,I-NAME`",
            )
    if "tag" in given:
        values = ", ".join(map(repr, list(dict.fromkeys(filter(None, table.cells(given["tag"]))))[:4]))
        raise UserError(
            f"Column {table.title(given['tag'])} holds no tags: {values or 'it is empty'}",
            "Tags are such as B-PER, I-PER and O. Name the column that holds them: `columns=tag=NUMBER`",
        )
    return None


def _by_content(
    table: Table, token: int, found: dict[int, Tagging], types: Collection[str]
) -> tuple[list[int], list[int]]:
    """Choose a column of tags by what it holds. Returns it, or nothing, and all such columns."""
    # Some files give the token a second time, with tags of another kind.
    again = {place for place in found if place > token + 1 and all(r[place - 1] == r[token] for r in table.full)}
    found = {place: tagging for place, tagging in found.items() if place not in again} or found
    tagged = [place for place, tagging in found.items() if tagging.style not in ("types", "outside")]
    labels = {place: _labels(table, place, found[place]) for place in tagged}
    no_chunks = [place for place in tagged if not labels[place] <= _CHUNKS or labels[place] <= set(types)]
    # In a file of a few sentences, perhaps only chunks are tagged.
    others = [place for place in found if place not in tagged]
    candidates = no_chunks or others or tagged
    return [_outer(table, candidates, found)] if candidates else [], no_chunks


def _outer(table: Table, places: list[int], found: dict[int, Tagging]) -> int:
    """Choose among several columns of tags. Where entities are nested, the first column has the outer ones, unless it
    has a single label that another column has among others (code, beside the names in it)."""
    first, *further = places
    own = _labels(table, first, found[first]) if further else set()
    if len(own) == 1:
        for place in further:
            if len(labels := _labels(table, place, found[place])) > 2 and own < labels:
                return place
    return first


def _labels(table: Table, place: int, tagging: Tagging) -> set[str]:
    tags = {tagging.read(value) or "O" for value in set(table.cells(place))}
    return {label for _, label in map(parse_tag, tags) if label}


def _type_column(table: Table, token: int, tag: int, tagging: Tagging, given: dict[str, int]) -> int | None:
    """The column of the types beside tags that are prefixes alone: it is filled just where there is an entity."""
    if tagging.style != "bare":
        if "type" in given:
            raise UserError(
                f"Column {table.title(tag)} has tags with their types, so there is no other column of types",
                "Leave the role type out of `columns`.",
            )
        return None
    if "type" in given:
        return given["type"]
    inside = [tagging.read(cell) != "O" for cell in table.cells(tag)]
    for place in [*table.named("type"), *range(table.width)]:
        if place in (token, tag):
            continue
        fits = sum((cell not in NO_TYPE) == within for cell, within in zip(table.cells(place), inside, strict=True))
        if fits >= _MOST * len(inside):
            return place
    return None


def _keyed(table: Table, place: int) -> Iterator[tuple[str, Tagging]]:
    pairs = [read_pairs(row[place]) if row else {} for row in table.rows]
    keys = Counter(key for row in pairs for key in row)
    for key in keys:
        tagging = find_tagging([row.get(key, "O") if full else "" for row, full in zip(pairs, table.rows, strict=True)])
        if tagging is not None and tagging.style == "prefixes":
            yield key, tagging


def read_pairs(value: str) -> dict[str, str]:
    """Read the `key=value` pairs of a cell."""
    return dict(pair.split("=", 1) for pair in value.split("|") if "=" in pair)
