"""Versions that wait for each other: a database on the disk that groups them by passage, however many there are."""

import pickle
import sqlite3
from collections.abc import Iterator
from itertools import groupby

from spacy_domain_ner.corpus.identity import passage_key
from spacy_domain_ner.corpus.passage import PART_OF, Passage
from spacy_domain_ner.exchange.formats.version import Status, Version


class Staging:
    """The versions by passage, then the passages made of them, in a database on the disk that lasts until `close`."""

    def __init__(self) -> None:
        self._versions = 0
        self._connection = sqlite3.connect("")
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;"
            "CREATE TABLE version (id INTEGER PRIMARY KEY, first INTEGER, key BLOB, data BLOB);"
            "CREATE INDEX by_key ON version (key); CREATE INDEX by_first ON version (first, id);"
            "CREATE TABLE passage (id INTEGER PRIMARY KEY, key BLOB, whole BLOB, data BLOB, used INTEGER DEFAULT 0);"
            "CREATE INDEX passage_by_key ON passage (key); CREATE INDEX passage_by_whole ON passage (whole);"
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

    def add_passage(self, passage: Passage, version: Version, whole: bytes, with_annotator: bool) -> None:
        """Add the passage that a version became, or a part of it.

        Args:
            passage: The passage, or the part.
            version: The version that it follows.
            whole: The key of the whole passage.
            with_annotator: Whether the versions of several annotators are passages of their own.
        """
        key = passage_key(passage.text, passage.meta, with_annotator)
        # Only the version's place and status are needed later.
        place = Version("", id=version.id, status=version.status, file=version.file, line=version.line)
        row = (key, whole, _packed((passage, place)))
        self._connection.execute("INSERT INTO passage (key, whole, data) VALUES (?, ?, ?)", row)

    def take(self, passage: Passage) -> list[tuple[Passage, Version]] | None:
        """Give what was imported for a passage that was there, and mark it as used.

        Args:
            passage: The passage.

        Returns:
            The passage or its parts, each with the version that it follows; nothing where it was a part, and what takes
            its place is used already or is added with the new passages; None where nothing was imported for it.
        """
        keys = [passage_key(passage.text, passage.meta, with_annotator) for with_annotator in (False, True)]
        for key in keys:
            if found := self._take("key = ?", key):
                return found[:1]
        # It is whole, and was imported in parts.
        for key in keys:
            if found := self._take("used = 0 AND whole = ?", key):
                return found
        # It is a part, and was imported whole, or in other parts.
        whole = _whole_key(passage)
        row = self._connection.execute("SELECT data FROM passage WHERE whole = ? LIMIT 1", (whole,)).fetchone()
        if not whole or row is None:
            return None
        if pickle.loads(row[0])[1].status is Status.UNCONFIRMED:
            # Nobody may have looked at it: the annotation of all parts stays, and nothing is added beside it.
            self._connection.execute("UPDATE passage SET used = 1 WHERE whole = ?", (whole,))
            return None
        return self._take("used = 0 AND key = ?", whole)

    def _take(self, condition: str, key: bytes) -> list[tuple[Passage, Version]]:
        query = f"SELECT id, data FROM passage WHERE {condition} ORDER BY id"
        rows = self._connection.execute(query, (key,)).fetchall()
        self._connection.executemany("UPDATE passage SET used = 1 WHERE id = ?", [(number,) for number, _ in rows])
        return [pickle.loads(data) for _, data in rows]

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


def _whole_key(passage: Passage) -> bytes:
    """The key of the passage that a part was cut out of; nothing where it is not a part."""
    try:
        return bytes.fromhex(passage.meta.get(PART_OF, ""))
    except (TypeError, ValueError):
        return b""


def _packed(value: object) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
