"""A ledger in a file: for all processes of one machine, with nothing to install.

The clock is the wall clock, the only one that processes share and that survives a restart. Set
back, entries of the future count as of now: that can cost a window, never a limit. Set forward by a
jump, the calls of the last minute are forgotten.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.ledger import CLOCK_SLACK_US, US, SqlLedger

LOCK_TIMEOUT_S: Final = 30.0  # a transaction takes below 1 ms: longer means a broken disk
LONGEST_PAUSE_US: Final = 900 * US
_LAYOUT: Final = 2  # files of another layout are replaced: they hold a minute's calls
_TABLES: Final = (
    "DROP TABLE IF EXISTS calls",
    "DROP TABLE IF EXISTS pause",
    "CREATE TABLE calls (number INTEGER PRIMARY KEY AUTOINCREMENT, "
    "at_us INTEGER NOT NULL, made_us INTEGER NOT NULL)",
    "CREATE INDEX calls_by_moment ON calls (at_us)",
    "CREATE INDEX calls_by_making ON calls (made_us)",
    "CREATE TABLE pause (id INTEGER PRIMARY KEY CHECK (id = 1), until_us INTEGER NOT NULL)",
    f"PRAGMA user_version = {_LAYOUT}",
)


class SqliteLedger(SqlLedger):
    """A ledger in a file; processes that name the same file share it.

    Args:
        path: Its folder is created. It must lie on a local disk.
        clock: Seconds since 1970; processes of one file must share it.

    Raises:
        BudgetUnavailable: The file cannot be opened.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._connection = self._open()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[_Entries]:
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield _Entries(self._connection, int(self._clock() * US))
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise _unavailable(self._path, error) from error

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            _prepare(connection)
        except (OSError, sqlite3.Error) as error:
            raise _unavailable(self._path, error) from error
        return connection


class _Entries:
    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        self._execute = connection.execute
        self.now_us = now_us

    def paused_until(self) -> int:
        until = self._one("SELECT until_us FROM pause") or 0
        return until if until - self.now_us <= LONGEST_PAUSE_US else 0  # the clock was set back

    def pause_until(self, at_us: int) -> None:
        self._execute("INSERT OR REPLACE INTO pause VALUES (1, ?)", (at_us,))

    def latest(self, nth: int) -> int | None:
        ordered = "SELECT at_us FROM calls ORDER BY at_us DESC LIMIT 1 OFFSET ?"
        return self._one(ordered, nth - 1)

    def enter(self, at_us: int) -> int:
        values = (at_us, self.now_us)
        added = self._execute("INSERT INTO calls (at_us, made_us) VALUES (?, ?)", values)
        return added.lastrowid or 0

    def moment_of(self, number: int) -> int | None:
        return self._one("SELECT at_us FROM calls WHERE number = ?", number)

    def move(self, number: int, at_us: int) -> None:
        self._execute("UPDATE calls SET at_us = ? WHERE number = ?", (at_us, number))

    def remove(self, number: int) -> None:
        self._execute("DELETE FROM calls WHERE number = ?", (number,))

    def forget(self, before_us: int) -> None:
        self._execute("DELETE FROM calls WHERE at_us < ?", (before_us,))

    def mend_clock(self) -> None:
        made = self._one("SELECT max(made_us) FROM calls") or 0
        if made > self.now_us + CLOCK_SLACK_US:
            mended = (
                "UPDATE calls SET at_us = min(at_us, :now), made_us = :now WHERE made_us > :now"
            )
            self._execute(mended, {"now": self.now_us})

    def _one(self, query: str, *values: int) -> int | None:
        row = self._execute(query, values).fetchone()
        return None if row is None else row[0]


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the tables, one process at a time."""
    try:
        # Commits without waiting for the disk; a killed process or a power cut breaks nothing.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.OperationalError:
        pass  # another process is just setting it: the mode is the file's, not the connection's
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("PRAGMA user_version").fetchone()[0] != _LAYOUT:
        for statement in _TABLES:
            connection.execute(statement)
    connection.execute("COMMIT")


def _unavailable(path: Path, error: Exception) -> BudgetUnavailable:
    hint = "It must lie on a local disk; it may be deleted while no process uses it"
    return BudgetUnavailable(str(path), str(error), hint)
