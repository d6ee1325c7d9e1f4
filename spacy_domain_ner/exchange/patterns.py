"""Names and patterns that are known before there is a model: filled in as pre-labels, for people to correct."""

import csv
import json
import signal
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy_domain_ner.corpus.passage import Span
from spacy_domain_ner.errors import UserError, reason
from spacy_domain_ner.schema import EntitySchema
from spacy_domain_ner.text import shorten

if TYPE_CHECKING:
    from spacy.language import Language

HINT = (
    'Patterns are JSON lines as spaCy\'s EntityRuler takes them ({"label": ..., "pattern": ...}), a CSV or TSV file '
    "with the columns label and name, or TYPE=FILE with one name per line of a text file."
)
# Seconds that all patterns may take for a text, and one of them: regular expressions can take years.
_LONGEST, _LONGEST_OF_ONE = 10.0, 2.0
_LABEL_COLUMNS, _NAME_COLUMNS = ("label", "type", "entity_type"), ("name", "pattern", "text", "term")


class Patterns:
    """Finds known names in texts, by spaCy's EntityRuler. A name is found as it is written, as whole tokens."""

    def __init__(self, files: Iterable[str | Path], nlp: "Language", schema: EntitySchema | None = None) -> None:
        """Read the patterns.

        Args:
            files: Pattern files, or "TYPE=FILE" for a text file of names.
            nlp: A pipeline whose tokenizer cuts the texts.
            schema: The entity types; None takes every label.

        Raises:
            UserError: A file can't be read, a pattern is none, or a label is not an entity type.
        """
        from spacy.pipeline import EntityRuler

        # How many names of each type were found.
        self.found: Counter[str] = Counter()
        self._nlp = nlp
        self._files = [str(file) for file in files]
        self._ruler = EntityRuler(nlp)
        for file in self._files:
            for place, label, pattern in _read(file):
                known = schema.type_of(label) if schema else label
                if known is None:
                    raise UserError(
                        f"{place}: {label!r} is not an entity type",
                        f"The entity types are {', '.join(schema.labels) if schema else ''}.",
                    )
                try:
                    self._ruler.add_patterns([{"label": known, "pattern": pattern}])
                except Exception as error:  # spaCy's matcher has errors of its own for each kind of fault
                    raise UserError(f"{place}: spaCy can't use this pattern: {reason(error)}", HINT) from None

    def __len__(self) -> int:
        return len(self._ruler)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the patterns give."""
        return tuple(self._ruler.labels)

    def find(self, text: str, given: Sequence[Span] = ()) -> list[Span]:
        """Find the known names of a text.

        Args:
            text: The text.
            given: Spans that are there already. A name that overlaps one of them is left out.

        Returns:
            The given spans and the names, in the order of the text.

        Raises:
            UserError: The patterns take too long for the text.
        """
        doc = self._nlp.make_doc(text)
        try:
            with _at_most(_LONGEST):
                doc = self._ruler(doc)
        except _TooLongError:
            raise self._too_slow(text) from None
        found = [Span(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        free = [one for one in found if not any(one.start < own.end and own.start < one.end for own in given)]
        self.found.update(one.label for one in free)
        return sorted([*given, *free])

    def _too_slow(self, text: str) -> UserError:
        from spacy.pipeline import EntityRuler

        places = []
        for file in self._files:
            for place, label, pattern in _read(file):
                alone = EntityRuler(self._nlp, patterns=[{"label": label, "pattern": pattern}])
                try:
                    with _at_most(_LONGEST_OF_ONE):
                        alone(self._nlp.make_doc(text))
                except _TooLongError:
                    places.append(place)
        named = ", ".join(places[:3]) or "the patterns"
        return UserError(
            f"{named} takes over {_LONGEST_OF_ONE if places else _LONGEST:.0f} seconds for one text: "
            f"{shorten(text, 60)!r}",
            "Its regular expression repeats what is repeated already, as (a+)+ does: write it without that.",
        )


class _TooLongError(Exception):
    pass


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Stop what takes longer. Only the main thread has signals; elsewhere nothing is stopped."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _read(file: str) -> Iterator[tuple[str, str, Any]]:
    """Give the place, the label and the pattern of each entry of a file."""
    label, equals, path = file.partition("=")
    if not equals or Path(file).is_file():
        label, path = "", file
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            entries: Iterator[tuple[int, str, Any]]
            if label:
                entries = ((number, label.strip(), line.strip()) for number, line in enumerate(stream, 1))
            elif path.lower().endswith((".csv", ".tsv")):
                entries = _table(path, stream)
            else:
                entries = _json_lines(path, stream)
            for number, type_, pattern in entries:
                if pattern:
                    yield f"{path}:{number}", type_, pattern
    except OSError as error:
        raise UserError(f"Can't read the patterns in {path}: {reason(error)}", HINT) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text ({error.reason})", "Save it as UTF-8.") from None


def _json_lines(path: str, lines: Iterable[str]) -> Iterator[tuple[int, str, Any]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        label, pattern = (row.get("label"), row.get("pattern")) if isinstance(row, dict) else (None, None)
        if not isinstance(label, str) or not isinstance(pattern, (str, list)) or not pattern:
            raise UserError(f"{path}:{number}: this is not a pattern: a text `label` and a `pattern` are needed", HINT)
        yield number, label, pattern


def _table(path: str, stream: Any) -> Iterator[tuple[int, str, str]]:
    first = stream.readline()
    stream.seek(0)
    delimiter = max("\t;,", key=first.count)
    rows = csv.reader(stream, delimiter=delimiter)
    header = [cell.strip().lower() for cell in next(rows, [])]
    columns = [next((header.index(name) for name in names if name in header), None) for names in (
        _LABEL_COLUMNS, _NAME_COLUMNS)]  # fmt: skip
    label_column, name_column = columns
    if label_column is None or name_column is None:
        raise UserError(f"{path} has no columns label and name: its first line is {first.strip()!r}", HINT)
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) <= max(label_column, name_column):
            raise UserError(f"{path}:{rows.line_num}: the row has {len(row)} column(s)", HINT)
        yield rows.line_num, row[label_column].strip(), row[name_column].strip()
