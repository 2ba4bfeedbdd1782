"""A ledger in PostgreSQL: for workers on several machines that have a database anyway.

One advisory lock per budget makes the steps of all machines one after another; the clock is the
database's. A worker that is killed loses its connection, and with it what it had not committed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from zlib import crc32

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.address import shown
from smallcaps_pipeline.polygon.ledgers.ledger import SqlLedger

try:
    import psycopg
except ImportError:  # an extra: most users have one machine
    psycopg = None  # type: ignore[assignment]

LOCK_TIMEOUT_S: Final = 30
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS smallcaps_calls (
    number BIGSERIAL PRIMARY KEY, budget TEXT NOT NULL, at_us BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS smallcaps_calls_by_moment ON smallcaps_calls (budget, at_us);
CREATE TABLE IF NOT EXISTS smallcaps_pauses (
    budget TEXT PRIMARY KEY, until_us BIGINT NOT NULL);
"""


class PostgresLedger(SqlLedger):
    """A ledger in a database; workers that name the same database and budget share it.

    Args:
        url: `postgresql://user:password@host/database`. The password is never shown.
        budget: Name of the budget within the database.

    Raises:
        BudgetUnavailable: The database cannot be reached, or the driver is not installed.
    """

    def __init__(self, url: str, budget: str) -> None:
        self._url = url
        self._where = f"{budget} at {shown(url)}"
        self._budget = budget
        self._key = crc32(f"smallcaps {budget}".encode())
        self._lock = threading.Lock()
        if psycopg is None:
            hint = "Install smallcaps-pipeline[postgres]"
            raise BudgetUnavailable(self._where, "psycopg is not installed", hint)
        self._connection = self._open()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[_Entries]:
        with self._lock:
            if self._connection.closed:  # the database was restarted: a new connection is as good
                self._connection = self._open()
            try:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (self._key,))
                    yield _Entries(cursor, self._budget)
            except psycopg.Error as error:
                self._connection.close()
                raise self._unavailable(error) from None

    def _open(self) -> Any:
        try:
            connection = psycopg.connect(
                self._url,
                autocommit=True,
                connect_timeout=LOCK_TIMEOUT_S,
                options=f"-c lock_timeout={LOCK_TIMEOUT_S}s",
                application_name="smallcaps call budget",
            )
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (self._key,))
                connection.execute(_TABLES)
        except psycopg.Error as error:
            raise self._unavailable(error) from None
        return connection

    def _unavailable(self, error: Exception) -> BudgetUnavailable:
        return BudgetUnavailable(self._where, shown(self._url, str(error)))


class _Entries:
    def __init__(self, cursor: Any, budget: str) -> None:
        self._cursor = cursor
        self._budget = budget
        now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        self.now_us = int(self._one(now) or 0)

    def paused_until(self) -> int:
        query = "SELECT until_us FROM smallcaps_pauses WHERE budget = %s"
        return self._one(query, self._budget) or 0

    def pause_until(self, at_us: int) -> None:
        self._cursor.execute(
            "INSERT INTO smallcaps_pauses VALUES (%s, %s) "
            "ON CONFLICT (budget) DO UPDATE SET until_us = excluded.until_us",
            (self._budget, at_us),
        )

    def latest(self, nth: int) -> int | None:
        query = (
            "SELECT at_us FROM smallcaps_calls WHERE budget = %s "
            "ORDER BY at_us DESC LIMIT 1 OFFSET %s"
        )
        return self._one(query, self._budget, nth - 1)

    def enter(self, at_us: int) -> int:
        query = "INSERT INTO smallcaps_calls (budget, at_us) VALUES (%s, %s) RETURNING number"
        return self._one(query, self._budget, at_us) or 0

    def moment_of(self, number: int) -> int | None:
        return self._one("SELECT at_us FROM smallcaps_calls WHERE number = %s", number)

    def move(self, number: int, at_us: int) -> None:
        query = "UPDATE smallcaps_calls SET at_us = %s WHERE number = %s"
        self._cursor.execute(query, (at_us, number))

    def remove(self, number: int) -> None:
        self._cursor.execute("DELETE FROM smallcaps_calls WHERE number = %s", (number,))

    def forget(self, before_us: int) -> None:
        query = "DELETE FROM smallcaps_calls WHERE budget = %s AND at_us < %s"
        self._cursor.execute(query, (self._budget, before_us))

    def mend_clock(self) -> None:
        """Do nothing: a database server's clock is kept, and no caller's is used."""

    def _one(self, query: str, *values: int | str) -> int | None:
        row = self._cursor.execute(query, values).fetchone()
        return None if row is None else row[0]
