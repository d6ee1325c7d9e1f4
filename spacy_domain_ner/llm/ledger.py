"""What was asked and answered, what it cost, and what may still be spent: a file that survives its process.

Answers and requests are in one SQLite file, so that an answer and its payment are written together or not at all. The
texts that were sent are not in it, only a hash of each prompt; the answers are.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from spacy_domain_ner.errors import UserError, reason

FILE = "ledger.sqlite"
# A request is "sent" until its end is known; what a killed process has left in that state may have been charged.
# "lost": it was sent, and no answer came, so it may have been charged. "refused": the server said that it won't.
State = Literal["sent", "answered", "refused", "lost"]

_FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, content TEXT NOT NULL, problem TEXT NOT NULL, request INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, purpose TEXT NOT NULL, server TEXT NOT NULL, model TEXT NOT NULL,
    key TEXT NOT NULL, state TEXT NOT NULL, tokens_in INTEGER NOT NULL, tokens_cached INTEGER NOT NULL,
    tokens_out INTEGER NOT NULL, is_estimated INTEGER NOT NULL, cost REAL, seconds REAL NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS spent (dollars REAL NOT NULL);
INSERT INTO spent SELECT 0 WHERE NOT EXISTS (SELECT * FROM spent);
"""
# How long another process may be at a transaction.
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Usage:
    """What a request used.

    Attributes:
        tokens_in: The tokens of the prompt, the cached ones included.
        tokens_out: The tokens of the answer.
        tokens_cached: Those of the prompt that the server had in its cache.
        is_estimated: Whether the server did not say, and they were estimated from the texts.
        cost: US dollars; None where the price is not known.
        seconds: How long it took.
    """

    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    is_estimated: bool = False
    cost: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request, as the ledger has it.

    Attributes:
        time: When it was sent, in UTC.
        purpose: What it was for, such as "extract" or "relations".
        server: The server's address.
        model: The model's name.
        key: The hash of all that the answer depends on: one prompt has one.
        state: What became of it. The usage of one that is sent or lost is the most that it can be charged with.
        usage: What it used.
        reason: Why it failed; "" where it did not.
    """

    time: datetime
    purpose: str
    server: str
    model: str
    key: str
    state: State
    usage: Usage
    reason: str = ""


@dataclass(frozen=True)
class Stored:
    """An answer that was paid for.

    Attributes:
        content: What the model said.
        problem: What is wrong with it, as `kind: reason`; "" where nothing is.
        usage: What it used when it was asked for.
    """

    content: str
    problem: str
    usage: Usage


class Ledger:
    """The file of answers and requests. It belongs to the thread that opens it; several processes may have it open.

    Each of its methods raises a UserError where the file can't be read or written.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Args:
            path: The file, such as llm/ledger.sqlite.

        Raises:
            UserError: It can't be opened, or is something else.
        """
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=_WAIT_SECONDS, isolation_level=None)
            # WAL: what is committed survives a killed process, and readers wait for nobody.
            self._base.execute("PRAGMA journal_mode=WAL")
            self._base.execute("PRAGMA synchronous=NORMAL")
            version = self._base.execute("PRAGMA user_version").fetchone()[0]
            if version > _FORMAT:
                raise UserError(f"{path} was made by a newer version of this package", "Install that version.")
            self._base.executescript("BEGIN IMMEDIATE;" + _SCHEMA + f"PRAGMA user_version={_FORMAT}; COMMIT;")
            self._claims = os.open(f"{path}-claims", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from None

    def close(self) -> None:
        """Close the file."""
        os.close(self._claims)
        with suppress(sqlite3.Error):
            self._base.close()

    @property
    def spent(self) -> float:
        """US dollars, with what requests that are under way may cost."""
        with self._reading():
            # Sums of sums end a little below nothing.
            return max(0.0, self._base.execute("SELECT dollars FROM spent").fetchone()[0])

    def claim(self, key: str, *, is_over: bool = False) -> bool:
        """Say that this process asks a prompt, so that no other one pays for it, too; a process that dies says no more.

        Args:
            key: The prompt's hash.
            is_over: Whether the claim ends.

        Returns:
            Whether it could be claimed: False where another process asks it.
        """
        try:
            import fcntl

            # Of a file that stays empty, one byte per prompt is locked.
            how = fcntl.LOCK_UN if is_over else fcntl.LOCK_EX | fcntl.LOCK_NB
            fcntl.lockf(self._claims, how, 1, int(key[:15], 16))
        except (BlockingIOError, PermissionError):
            return False
        except (ImportError, OSError):
            # This file system, or this system, has no locks.
            return True
        return True

    def answer(self, key: str) -> Stored | None:
        """Find the answer to a prompt that was asked before.

        Args:
            key: The prompt's hash.
        """
        with self._reading():
            row = self._base.execute(
                "SELECT content, problem, tokens_in, tokens_out, tokens_cached, is_estimated, cost, seconds "
                "FROM answers JOIN requests ON request = id WHERE answers.key = ?",
                (key,),
            ).fetchone()
        return None if row is None else Stored(row[0], row[1], _usage(row[2:]))

    def begin(
        self, purpose: str, server: str, model: str, key: str, most: Usage, budget: float | None = None
    ) -> int | None:
        """Write down that a request is about to be sent, and set aside what it can cost at most.

        Args:
            purpose: What it is for.
            server: The server's address.
            model: The model's name.
            key: The prompt's hash.
            most: The most that it can use.
            budget: What may be spent in all; None is without limit.

        Returns:
            The request's number; None where it could pass the budget: then it must not be sent.
        """
        cost = most.cost or 0.0
        with self._transaction():
            if budget is not None and self.spent + cost > budget + 1e-12:
                return None
            number = self._base.execute(
                "INSERT INTO requests VALUES (NULL, ?, ?, ?, ?, ?, 'sent', ?, ?, ?, 1, ?, 0, '')",
                (
                    datetime.now(timezone.utc).isoformat(timespec="milliseconds"), purpose, server, model, key,
                    most.tokens_in, 0, most.tokens_out, most.cost,
                ),
            ).lastrowid  # fmt: skip
            self._base.execute("UPDATE spent SET dollars = dollars + ?", (cost,))
        return number

    def end(self, number: int, state: State, usage: Usage | None, why: str = "", answer: Any = None) -> None:
        """Write down what became of a request, and its answer with it.

        Args:
            number: The request's number.
            state: What became of it.
            usage: What it used; None leaves what was set aside, since it may have been charged.
            why: Why it failed.
            answer: The prompt's hash, what the model said, and what is wrong with that; None where nothing is kept.
        """
        with self._transaction():
            if usage is None:
                self._base.execute("UPDATE requests SET state = ?, reason = ? WHERE id = ?", (state, why, number))
            else:
                before = self._base.execute("SELECT cost FROM requests WHERE id = ?", (number,)).fetchone()[0] or 0.0
                self._base.execute(
                    "UPDATE requests SET state = ?, reason = ?, tokens_in = ?, tokens_out = ?, tokens_cached = ?, "
                    "is_estimated = ?, cost = ?, seconds = ? WHERE id = ?",
                    (
                        state, why, usage.tokens_in, usage.tokens_out, usage.tokens_cached, usage.is_estimated,
                        usage.cost, usage.seconds, number,
                    ),
                )  # fmt: skip
                self._base.execute("UPDATE spent SET dollars = dollars + ?", ((usage.cost or 0.0) - before,))
            if answer is not None:
                key, content, problem = answer
                self._base.execute(
                    "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", (key, content, problem, number)
                )

    def requests(self, purpose: str | None = None) -> Iterator[Request]:
        """Give the requests, oldest first.

        Args:
            purpose: Only those for this; None gives all.
        """
        with self._reading():
            rows = self._base.execute(
                "SELECT time, purpose, server, model, key, state, reason, tokens_in, tokens_out, tokens_cached, "
                "is_estimated, cost, seconds FROM requests WHERE ?1 IS NULL OR purpose = ?1 ORDER BY id",
                (purpose,),
            )
            for time, what, server, model, key, state, why, *usage in rows:
                yield Request(datetime.fromisoformat(time), what, server, model, key, state, _usage(usage), why)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commits at the end of the block; an error takes all of it back."""
        with self._reading():
            # IMMEDIATE: another process can't spend between the look at the budget and the entry.
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._base.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")
                raise

    def _unusable(self, error: Exception) -> UserError:
        if "locked" in str(error):
            hint = "Another program has it open and is writing: close that one, then run the same command again."
        else:
            hint = "It holds what the LLM has answered and what that cost: give it another place, or move it away."
        return UserError(f"Can't use {self.path}: {reason(error)}", hint)


def read_ledger(path: Path, purpose: str | None = None) -> list[Request]:
    """Read the requests of a ledger.

    Args:
        path: The file; one that does not exist has none.
        purpose: Only those for this; None gives all.

    Returns:
        The requests, oldest first.

    Raises:
        UserError: The file can't be opened, or is something else.
    """
    if not path.exists():
        return []
    with closing(Ledger(path)) as ledger:
        return list(ledger.requests(purpose))


def _usage(row: Any) -> Usage:
    tokens_in, tokens_out, tokens_cached, is_estimated, cost, seconds = row
    return Usage(tokens_in, tokens_out, tokens_cached, bool(is_estimated), cost, seconds)
