"""Versions that wait for each other: a database on the disk that groups them by passage, however many there are."""

import pickle
import sqlite3
from collections.abc import Iterator
from itertools import groupby

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.exchange.formats.version import Version


class Staging:
    """The versions by passage, then the passages made of them, in a database on the disk that lasts until `close`."""

    def __init__(self) -> None:
        self._versions = 0
        self._connection = sqlite3.connect("")
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;"
            "CREATE TABLE version (id INTEGER PRIMARY KEY, first INTEGER, key BLOB, data BLOB);"
            "CREATE INDEX by_key ON version (key); CREATE INDEX by_first ON version (first, id);"
            "CREATE TABLE passage (id INTEGER PRIMARY KEY, key BLOB, data BLOB, used INTEGER DEFAULT 0);"
            "CREATE INDEX passage_by_key ON passage (key);"
            "CREATE TABLE partial (data BLOB);"
        )

    def add(self, version: Version) -> None:
        """Add a version to the others of its passage."""
        key = passage_key(version.text, version.meta)
        row = self._connection.execute("SELECT first FROM version WHERE key = ? LIMIT 1", (key,)).fetchone()
        self._versions += 1
        self._connection.execute(
            "INSERT INTO version (id, first, key, data) VALUES (?, ?, ?, ?)",
            (self._versions, row[0] if row else self._versions, key, _packed(version)),
        )

    def count(self, what: str) -> int:
        """Count the rows of a table.

        Args:
            what: The table's name, with or without a condition: "passage WHERE used = 0".
        """
        return int(self._connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])

    def groups(self) -> Iterator[list[Version]]:
        """Give the versions of each passage, in the order in which the passages were first read."""
        rows = self._connection.execute("SELECT first, data FROM version ORDER BY first, id")
        for _, group in groupby(rows, key=lambda row: row[0]):
            yield [pickle.loads(data) for _, data in group]

    def add_passage(self, passage: Passage, version: Version, with_annotator: bool) -> None:
        """Add the passage that a version became.

        Args:
            passage: The passage.
            version: The version that it follows.
            with_annotator: Whether the versions of several annotators are passages of their own.
        """
        key = passage_key(passage.text, passage.meta, with_annotator)
        # Only the version's place and status are needed later.
        place = Version("", id=version.id, status=version.status, file=version.file, line=version.line)
        self._connection.execute("INSERT INTO passage (key, data) VALUES (?, ?)", (key, _packed((passage, place))))

    def take(self, passage: Passage) -> tuple[Passage, Version] | None:
        """Give what was imported for a passage, with the version that it follows, and mark it as used."""
        for with_annotator in (False, True):
            key = passage_key(passage.text, passage.meta, with_annotator)
            row = self._connection.execute("SELECT id, data FROM passage WHERE key = ?", (key,)).fetchone()
            if row is not None:
                self._connection.execute("UPDATE passage SET used = 1 WHERE id = ?", (row[0],))
                return pickle.loads(row[1])
        return None

    def new_passages(self) -> Iterator[tuple[Passage, Version]]:
        """Give the passages that were not taken."""
        for (data,) in self._connection.execute("SELECT data FROM passage WHERE used = 0 ORDER BY id"):
            yield pickle.loads(data)

    def add_partial(self, passage: Passage) -> None:
        """Add a passage that is annotated in part."""
        self._connection.execute("INSERT INTO partial VALUES (?)", (_packed(passage),))

    def partial(self) -> Iterator[Passage]:
        """Give the passages that are annotated in part."""
        for (data,) in self._connection.execute("SELECT data FROM partial ORDER BY rowid"):
            yield pickle.loads(data)

    def close(self) -> None:
        """Delete the database."""
        self._connection.close()


def _packed(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
