"""One call budget for all processes of the machine.

Belongs here: when the next call may go out.
Keep out: retries (transport) and what a call is for.

The budget is a pyrate-limiter `SQLiteBucket` (a sliding log of the last calls) in one small file.
pyrate's own `Limiter` is not used, for it does not hold across processes: it stamps a call with the
time at which its wait was planned rather than with the time at which it went out, its leaker
commits on the connection from a thread of its own, and its file lock is polled every 50 ms, which
starves processes that share 80 calls a second. Here every decision is one `BEGIN IMMEDIATE`
transaction of SQLite, so count and entry are atomic over threads and processes, and the entry is
stamped inside it. Waiting happens outside, so nobody waits for a sleeper.

The clock is the wall clock, the only one that processes share and that survives a restart. Where it
was set back, entries of the future count as of now: that can cost a minute, never a limit.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from pyrate_limiter import Rate, RateItem, SQLiteBucket

from smallcaps_pipeline.polygon.errors import BudgetUnavailable

CALLS: Final = "calls"
LOCK_TIMEOUT_S: Final = 30.0  # a transaction takes below 1 ms: longer means a broken disk
MAX_PAUSE_S: Final = 900.0  # a pause beyond it comes from a clock that was wrong
# A call reaches the provider a little after it went out, and the first of a window later than the
# last (its connection is new): windows are counted 2 % longer than the provider's.
WINDOW_MARGIN: Final = 1.02

_TABLES: Final = (
    f"CREATE TABLE IF NOT EXISTS {CALLS} (name VARCHAR, item_timestamp INTEGER)",  # pyrate's layout
    f"CREATE INDEX IF NOT EXISTS {CALLS}_by_time ON {CALLS} (item_timestamp)",
    "CREATE TABLE IF NOT EXISTS pause (id INTEGER PRIMARY KEY CHECK (id = 1), until_ms INTEGER)",
)


class CallBudget:
    """Calls per second and per minute, over any sliding window, shared by file.

    Threads may share an instance; a process started by fork opens its own.

    Args:
        path: The budget's file; its folder is created. Processes with the same file share it.
        calls_per_minute: None is no limit.
        calls_per_second: None is no limit.
        clock: Seconds since 1970; processes of one file must share it.
        sleep: Waits for so many seconds.

    Raises:
        BudgetUnavailable: The file cannot be opened.
    """

    def __init__(
        self,
        path: Path,
        *,
        calls_per_minute: int | None,
        calls_per_second: int | None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._connection = self._open()
        rates = binding_rates(calls_per_minute, calls_per_second)
        self._bucket = SQLiteBucket(rates, self._connection, CALLS) if rates else None
        self._cleaned_ms = 0

    def acquire(self) -> None:
        """Wait until a call may go out, and count it.

        Raises:
            BudgetUnavailable: The file cannot be read or written.
        """
        while (wait_ms := self._take()) > 0:
            self._sleep(wait_ms / 1000)

    def pause(self, seconds: float) -> None:
        """Let no process call for `seconds` from now; a longer pause under way stays.

        Raises:
            BudgetUnavailable: The file cannot be read or written.
        """
        with self._transaction() as now_ms:
            until_ms = now_ms + round(min(seconds, MAX_PAUSE_S) * 1000)
            self._connection.execute(
                "INSERT INTO pause VALUES (1, :until) ON CONFLICT (id) "
                "DO UPDATE SET until_ms = max(until_ms, :until)",
                {"until": until_ms},
            )

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _take(self) -> int:
        """Count a call and return 0, or return the milliseconds after which to ask again."""
        with self._transaction() as now_ms:
            if wait_ms := self._pause_left(now_ms):
                return wait_ms
            if self._bucket is None:
                return 0
            self._mend_clock(now_ms)
            call = RateItem(CALLS, now_ms)
            return 0 if self._bucket.put(call) else max(1, cast(int, self._bucket.waiting(call)))

    def _pause_left(self, now_ms: int) -> int:
        row = self._connection.execute("SELECT until_ms FROM pause").fetchone()
        left = row[0] - now_ms if row else 0
        return left if 0 < left <= MAX_PAUSE_S * 1000 else 0

    def _mend_clock(self, now_ms: int) -> None:
        """Forget calls that no window reaches; calls of the future become calls of now."""
        if self._bucket is None or 0 <= now_ms - self._cleaned_ms < self._bucket.rates[-1].interval:
            return
        self._cleaned_ms = now_ms
        oldest_ms = now_ms - self._bucket.rates[-1].interval
        execute = self._connection.execute
        execute(f"DELETE FROM {CALLS} WHERE item_timestamp < ?", (oldest_ms,))
        execute(f"UPDATE {CALLS} SET item_timestamp = ? WHERE item_timestamp > ?", (now_ms,) * 2)

    @contextmanager
    def _transaction(self) -> Iterator[int]:
        """Hold the budget alone, over all threads and processes; give the time, milliseconds."""
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield int(self._clock() * 1000)
                finally:
                    if self._connection.in_transaction:  # the bucket commits what it admits
                        self._connection.commit()
            except sqlite3.Error as error:
                raise BudgetUnavailable(self._path, str(error)) from error

    def _open(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            _prepare(connection)
        except (OSError, sqlite3.Error) as error:
            raise BudgetUnavailable(self._path, str(error)) from error
        return connection


def binding_rates(calls_per_minute: int | None, calls_per_second: int | None) -> list[Rate]:
    """Return the limits that can bind; pyrate refuses a list with one that another implies."""
    second, minute = calls_per_second, calls_per_minute
    if second and minute and minute <= second:
        second = None
    elif second and minute and minute >= 60 * second:
        minute = None
    limits = ((second, 1_000), (minute, 60_000))
    return [Rate(calls, round(ms * WINDOW_MARGIN)) for calls, ms in limits if calls]


def _prepare(connection: sqlite3.Connection) -> None:
    """Create the tables, one process at a time."""
    try:
        # Commits without waiting for the disk; a killed process or a power cut breaks nothing.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.OperationalError:
        pass  # another process is just setting it: the mode is the file's, not the connection's
    connection.execute("BEGIN IMMEDIATE")
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("COMMIT")
