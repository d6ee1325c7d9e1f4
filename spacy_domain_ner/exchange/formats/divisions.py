"""The columns of numbers and names that divide a table of tokens: into tokens, sentences and documents."""

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby, pairwise

from spacy_domain_ner.exchange.formats.cells import Table
from spacy_domain_ner.exchange.formats.column_names import role_of

_INTEGER = re.compile(r"\d{1,18}")
# The number of a token in CoNLL-U, where 1-2 is a token of two words, and 5.1 an empty node.
_NUMBER = re.compile(r"\d{1,18}([-.]\d{1,18})?")
_DIGITS = re.compile(r"\d+")


def find_number_column(table: Table, taken: Collection[int]) -> int | None:
    """Find the column that numbers the tokens of each sentence, or all tokens.

    Args:
        table: The table's beginning.
        taken: The columns that are something else.

    Returns:
        The column, None where there is none.
    """
    if table.width < 3:
        return None
    for within in (False, True):
        for place in range(table.width):
            if place in taken or (table.names and role_of(table.names[place]) not in ("index", "")):
                continue
            cells = [row[place] if row else "" for row in table.rows]
            if all(map(_NUMBER.fullmatch, filter(None, cells))) and _counts(cells, within):
                return place
    return None


def _counts(cells: Sequence[str], within: bool) -> bool:
    """Whether numbers count up by one, and begin anew at most where a sentence ends ("") or, if `within`, anywhere."""
    numbers = [int(cell) if _INTEGER.fullmatch(cell) else None for cell in cells if not re.search("[-.]", cell)]
    known = [number for number in numbers if number is not None]
    steps = [(before, after) for before, after in pairwise(numbers) if before is not None and after is not None]
    if known[:1] not in ([0], [1]):
        return False
    # Numbers that are only 0 and 1 are marks, and those of sentences are the same for most tokens.
    same = sum(before == after for before, after in steps)
    within = within and max(known) > 1 and 5 * same < len(steps)
    return all(after == before + 1 or (within and after in (0, 1)) for before, after in steps)


class Divisions:
    """The columns that divide a table into sentences and documents.

    Attributes:
        found: These columns.
    """

    def __init__(self, table: Table, given: dict[str, int], number: int | None) -> None:
        """Find these columns.

        Args:
            table: The table's beginning.
            given: The columns that are known, by role.
            number: The column that numbers the tokens, None where there is none.
        """
        self._table = table
        taken = {*given.values(), number}
        self._named: dict[str, int] = {}
        for role in ("sentence", "document"):
            places = [place for place in table.named(role) if place not in taken and _divides(table, place, True)]
            if role in given:
                self._named[role] = given[role]
            elif places:
                self._named[role] = places[0]
        # A column with a known name is what its name says; beside the tokens, a text is that of a whole sentence.
        known = ("", "index", "token") if len(table.named("token")) > 1 else ("", "index")
        unnamed = [
            place
            for place in range(table.width)
            if place not in taken and (not table.names or role_of(table.names[place]) in known)
        ]
        # The numbers of tokens may begin anew with each sentence, and a row's number with none.
        counted = {place for place in unnamed if _counts([row[place] if row else "" for row in table.rows], False)}
        self._alike = [place for place in unnamed if place not in counted and _divides(table, place, False)]
        self.found = {*self._named.values(), *self._alike}

    def roles(self, token: int, tag: int) -> tuple[int | None, int | None]:
        """Return the columns of sentences and of documents, each None where there is none.

        Args:
            token: The column of the tokens.
            tag: The column of the tags.
        """
        alike = [place for place in self._alike if place not in (token, tag, *self._named.values())]
        alike = [place for place in alike if place < token or _is_numbered(self._table.cells(place))]
        # What is only 0 and 1 between a token and its tag is a mark.
        alike = [place for place in alike if not (token < place < tag and set(self._table.cells(place)) <= {"0", "1"})]
        # The more often a column changes, the smaller is what it numbers.
        alike.sort(key=lambda place: -changes(self._table.cells(place)))
        sentence, document = self._named.get("sentence"), self._named.get("document")
        ends = sum(bool(before) and not after for before, after in pairwise(self._table.rows))
        for place in alike:
            coarse = ends > 2 and 2 * changes(self._table.cells(place)) < ends
            if sentence is None and not coarse:
                sentence = place
            elif document is None:
                document = place
        return sentence, document


def _is_numbered(cells: Sequence[str]) -> bool:
    return all(_DIGITS.search(cell) for cell in cells if cell)


def changes(cells: Sequence[str]) -> int:
    """Count the runs of equal cells in a column; an empty cell is like the one above it."""
    return sum(1 for _ in groupby(_filled(cells)))


def stays(cells: Sequence[str]) -> bool:
    """Whether each value of a column stands in several rows on end, as no word does."""
    runs = [sum(1 for _ in run) for _, run in groupby(cells)]
    return len(cells) > 5 and min(runs) > 1 and len(cells) >= 3 * len(runs)


def is_scattered(cells: Sequence[str]) -> bool:
    """Whether the rows with one value of a column stand here and there."""
    runs = changes(cells)
    return runs > 2 * len(set(cells)) and 1.5 * runs > len(cells)


def _filled(cells: Sequence[str]) -> Iterator[str]:
    """Cells with what stands above in place of the empty ones."""
    last = ""
    for cell in cells:
        last = cell or last
        yield last


def _divides(table: Table, place: int, named: bool) -> bool:
    """Whether a column divides a table: its cells stay the same over rows that belong together.

    Args:
        table: The table.
        place: The column.
        named: Whether its name says so, too.
    """
    cells = table.cells(place)
    filled = [cell for cell in cells if cell]
    if not filled or not cells[0]:
        return False
    runs = [(value, sum(1 for _ in run)) for value, run in groupby(_filled(cells))]
    partly = len(filled) < len(cells)
    if named:
        return True
    if partly:
        # Only the first token of each has it.
        return all(map(_DIGITS.search, filled)) and len(filled) < 0.9 * len(cells)
    if len(runs) == 1 or len(runs) == len(cells):
        return False
    values = [value for value, _ in runs]
    mean = len(cells) / len(runs)
    if all(map(_INTEGER.fullmatch, values)):
        numbers = list(map(int, values))
        steps = list(pairwise(numbers))
        if max(numbers) < 2:
            # These may be marks, unless there are two sentences.
            return numbers == [0, 1] and not table.names and [] not in table.rows[:-1]
        if numbers[0] in (0, 1) and all(after == before + 1 for before, after in steps):
            return True
        anew = numbers[0] in (0, 1) and all(after in (before + 1, numbers[0]) for before, after in steps)
        return mean >= 1.5 and (anew or (len(set(values)) == len(values) and (numbers == sorted(numbers) or mean >= 3)))
    once = len(set(values)) == len(values)
    return once and ((mean >= 3 and stays(cells)) or (mean >= 1.5 and _is_numbered(values)))
