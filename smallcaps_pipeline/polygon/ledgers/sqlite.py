"""A ledger in a file: for all processes of one machine, with nothing to install.

The clock is the wall clock, the only one that processes share and that survives a restart. Set
back, entries of the future count as of now: that can cost a window, never a limit. Set forward by a
jump, the calls of the last minute are forgotten.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.ledger import KEPT_US, NOT_COUNTED, US, Limit, Slot

LOCK_TIMEOUT_S: Final = 30.0  # a transaction takes below 1 ms: longer means a broken disk
LONGEST_PAUSE_US: Final = 900 * US
CLOCK_SLACK_US: Final = US  # a clock that went back by less is merely being adjusted
FORGET_EVERY: Final = 64  # entries
_NTH_LATEST: Final = "SELECT at_us FROM calls ORDER BY at_us DESC LIMIT 1 OFFSET ?"
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


class SqliteLedger:
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

    def reserve(self, limits: Sequence[Limit]) -> Slot:
        with self._transaction() as now:
            self._mend_clock(now)
            at = max(now, self._paused_until(now))
            for limit in limits:
                nth = self._one(_NTH_LATEST, limit.calls - 1)
                at = at if nth is None else max(at, nth + limit.window_us)
            number = self._enter(at, now) if limits else NOT_COUNTED
        return Slot(number, (at - now) / US)

    def confirm(self, slot: Slot, limits: Sequence[Limit], patience_s: float) -> bool:
        with self._transaction() as now:
            at = self._one("SELECT at_us FROM calls WHERE number = ?", slot.number)
            if (
                at is None
                or now < self._paused_until(now)
                or (
                    now - at > patience_s * US
                    and any((self._one(_NTH_LATEST, limit.calls - 1) or 0) > at for limit in limits)
                )
            ):
                self._remove(slot)
                return False
            self._move(slot, max(at, now))
        return True

    def delay(self, slot: Slot) -> None:
        with self._transaction() as now:
            self._move(slot, now)

    def release(self, slot: Slot) -> None:
        with self._transaction():
            self._remove(slot)

    def pause(self, seconds: float) -> None:
        with self._transaction() as now:
            until = max(now + round(seconds * US), self._paused_until(now))
            self._connection.execute("INSERT OR REPLACE INTO pause VALUES (1, ?)", (until,))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _enter(self, at_us: int, now_us: int) -> int:
        values = (at_us, now_us)
        execute = self._connection.execute
        added = execute("INSERT INTO calls (at_us, made_us) VALUES (?, ?)", values).lastrowid or 0
        if added % FORGET_EVERY == 0:
            execute("DELETE FROM calls WHERE at_us < ?", (now_us - KEPT_US,))
        return added

    def _move(self, slot: Slot, at_us: int) -> None:
        values = (at_us, slot.number)
        self._connection.execute("UPDATE calls SET at_us = ? WHERE number = ?", values)

    def _remove(self, slot: Slot) -> None:
        self._connection.execute("DELETE FROM calls WHERE number = ?", (slot.number,))

    def _paused_until(self, now_us: int) -> int:
        until = self._one("SELECT until_us FROM pause") or 0
        return until if until - now_us <= LONGEST_PAUSE_US else 0  # the clock was set back

    def _mend_clock(self, now_us: int) -> None:
        """Count entries that were made in the future as of now: the clock was set back."""
        made = self._one("SELECT max(made_us) FROM calls") or 0
        if made > now_us + CLOCK_SLACK_US:
            mended = (
                "UPDATE calls SET at_us = min(at_us, :now), made_us = :now WHERE made_us > :now"
            )
            self._connection.execute(mended, {"now": now_us})

    def _one(self, query: str, *values: int) -> int | None:
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self) -> Iterator[int]:
        """Hold the ledger alone, over all threads and processes; give the time, microseconds."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield int(self._clock() * US)
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
