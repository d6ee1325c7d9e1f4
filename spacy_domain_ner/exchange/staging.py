"""Versions waiting for each other: a database on the disk that groups them by passage, however many there are."""

import pickle
import sqlite3
from collections.abc import Iterator
from itertools import groupby

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.passage import Passage
from spacy_domain_ner.exchange.formats.version import Version


class Staging:
    """Versions by passage, and then the passages made of them, in a database on the disk that ends with `close`."""

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
        """Put a version to the others of its passage."""
        key = passage_key(version.text, version.meta)
        row = self._connection.execute("SELECT first FROM version WHERE key = ? LIMIT 1", (key,)).fetchone()
        self._versions += 1
        self._connection.execute(
            "INSERT INTO version (id, first, key, data) VALUES (?, ?, ?, ?)",
            (self._versions, row[0] if row else self._versions, key, _packed(version)),
        )

    def count(self, what: str) -> int:
        """How many rows there are of a table, with or without a condition."""
        return int(self._connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0])

    def groups(self) -> Iterator[list[Version]]:
        """The versions of each passage, in the order in which the passages came first."""
        rows = self._connection.execute("SELECT first, data FROM version ORDER BY first, id")
        for _, group in groupby(rows, key=lambda row: row[0]):
            yield [pickle.loads(data) for _, data in group]

    def add_passage(self, passage: Passage, version: Version, each: bool) -> None:
        """Add the passage that a version became. each: Whether further versions are passages of their own."""
        key = passage_key(passage.text, passage.meta, each)
        # Of the version, its place and status are all that is needed.
        place = Version("", id=version.id, status=version.status, file=version.file, line=version.line)
        self._connection.execute("INSERT INTO passage (key, data) VALUES (?, ?)", (key, _packed((passage, place))))

    def take(self, passage: Passage) -> tuple[Passage, Version] | None:
        """What was imported for the same text and source."""
        for with_annotator in (False, True):
            key = passage_key(passage.text, passage.meta, with_annotator)
            row = self._connection.execute("SELECT id, data FROM passage WHERE key = ?", (key,)).fetchone()
            if row is not None:
                self._connection.execute("UPDATE passage SET used = 1 WHERE id = ?", (row[0],))
                return pickle.loads(row[1])
        return None

    def new_passages(self) -> Iterator[tuple[Passage, Version]]:
        """What has not been taken."""
        for (data,) in self._connection.execute("SELECT data FROM passage WHERE used = 0 ORDER BY id"):
            yield pickle.loads(data)

    def add_partial(self, passage: Passage) -> None:
        """Add a passage that is annotated in part."""
        self._connection.execute("INSERT INTO partial VALUES (?)", (_packed(passage),))

    def partial(self) -> Iterator[Passage]:
        """The passages that are annotated in part."""
        for (data,) in self._connection.execute("SELECT data FROM partial ORDER BY rowid"):
            yield pickle.loads(data)

    def close(self) -> None:
        """Delete it."""
        self._connection.close()


def _packed(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
