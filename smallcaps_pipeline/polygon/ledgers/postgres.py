"""A ledger in PostgreSQL: for workers on several machines that have a database anyway.

Each step is one function in the database, under an advisory lock per budget; the clock is the
database's. A worker that is killed loses its connection, and with it what it had not committed.
The functions are made anew by whoever connects, so the user needs the right to create them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.address import shown
from smallcaps_pipeline.polygon.ledgers.ledger import KEPT_US, NOT_COUNTED, US, Limit, Slot

try:
    import psycopg
except ImportError:  # an extra: most users have one machine
    psycopg = None  # type: ignore[assignment]

LOCK_TIMEOUT_S: Final = 30
_SETUP_LOCK: Final = crc32(b"smallcaps call budget")
_SETUP: Final = f"""
CREATE TABLE IF NOT EXISTS smallcaps_calls (
    number BIGSERIAL PRIMARY KEY, budget TEXT NOT NULL, at_us BIGINT NOT NULL);
CREATE INDEX IF NOT EXISTS smallcaps_calls_by_moment ON smallcaps_calls (budget, at_us);
CREATE TABLE IF NOT EXISTS smallcaps_pauses (
    budget TEXT PRIMARY KEY, until_us BIGINT NOT NULL);

-- Wait for the budget's lock; give the time and until when a pause holds, in microseconds. Every
-- statement after it sees what the holder before has committed.
CREATE OR REPLACE FUNCTION smallcaps_begin(
    _budget TEXT, OUT now_us BIGINT, OUT paused_us BIGINT) AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('smallcaps ' || _budget, 0));
    now_us := extract(epoch FROM clock_timestamp()) * 1000000;
    paused_us := coalesce((SELECT until_us FROM smallcaps_pauses WHERE budget = _budget), 0);
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION smallcaps_reserve(
    _budget TEXT, _calls BIGINT[], _windows_us BIGINT[], OUT number BIGINT, OUT wait_us BIGINT
) AS $$
DECLARE
    _at BIGINT; _now BIGINT; _nth BIGINT;
BEGIN
    SELECT now_us, greatest(now_us, paused_us) INTO _now, _at FROM smallcaps_begin(_budget);
    FOR i IN 1 .. cardinality(_calls) LOOP
        _nth := (SELECT c.at_us FROM smallcaps_calls c WHERE c.budget = _budget
                 ORDER BY c.at_us DESC LIMIT 1 OFFSET _calls[i] - 1);
        _at := greatest(_at, _nth + _windows_us[i]);  -- null does not count
    END LOOP;
    number := {NOT_COUNTED};
    wait_us := _at - _now;
    IF cardinality(_calls) > 0 THEN
        INSERT INTO smallcaps_calls AS c (budget, at_us) VALUES (_budget, _at)
        RETURNING c.number INTO number;
        DELETE FROM smallcaps_calls c WHERE c.budget = _budget AND c.at_us < _now - {KEPT_US};
    END IF;
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION smallcaps_confirm(
    _budget TEXT, _number BIGINT, _calls BIGINT[], _patience_us BIGINT) RETURNS BOOLEAN AS $$
DECLARE
    _at BIGINT; _now BIGINT; _paused BIGINT; _promised BOOLEAN := FALSE;
BEGIN
    SELECT now_us, paused_us INTO _now, _paused FROM smallcaps_begin(_budget);
    SELECT at_us INTO _at FROM smallcaps_calls WHERE number = _number;
    FOR i IN 1 .. cardinality(_calls) LOOP
        _promised := _promised OR coalesce(_at < (
            SELECT c.at_us FROM smallcaps_calls c WHERE c.budget = _budget
            ORDER BY c.at_us DESC LIMIT 1 OFFSET _calls[i] - 1), FALSE);
    END LOOP;
    IF _at IS NULL OR _now < _paused OR (_promised AND _now - _at > _patience_us) THEN
        DELETE FROM smallcaps_calls WHERE number = _number;
        RETURN FALSE;
    END IF;
    UPDATE smallcaps_calls SET at_us = greatest(_at, _now) WHERE number = _number;
    RETURN TRUE;
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION smallcaps_delay(_budget TEXT, _number BIGINT) RETURNS VOID AS $$
BEGIN
    UPDATE smallcaps_calls SET at_us = (SELECT now_us FROM smallcaps_begin(_budget))
    WHERE number = _number;
END $$ LANGUAGE plpgsql;

CREATE OR REPLACE FUNCTION smallcaps_release(_number BIGINT) RETURNS VOID AS $$
    DELETE FROM smallcaps_calls WHERE number = _number;
$$ LANGUAGE sql;

CREATE OR REPLACE FUNCTION smallcaps_pause(_budget TEXT, _length_us BIGINT) RETURNS VOID AS $$
    INSERT INTO smallcaps_pauses SELECT _budget, now_us + _length_us FROM smallcaps_begin(_budget)
    ON CONFLICT (budget)
    DO UPDATE SET until_us = greatest(smallcaps_pauses.until_us, excluded.until_us);
$$ LANGUAGE sql;
"""


class PostgresLedger:
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
        self._lock = threading.Lock()
        if psycopg is None:
            hint = "Install smallcaps-pipeline[postgres]"
            raise BudgetUnavailable(self._where, "psycopg is not installed", hint)
        self._connection = self._open()

    def reserve(self, limits: Sequence[Limit]) -> Slot:
        calls, windows = [one.calls for one in limits], [one.window_us for one in limits]
        step = "SELECT * FROM smallcaps_reserve(%s, %s::bigint[], %s::bigint[])"
        number, wait_us = self._row(step, self._budget, calls, windows)
        return Slot(number, wait_us / US)

    def confirm(self, slot: Slot, limits: Sequence[Limit], patience_s: float) -> bool:
        step = "SELECT smallcaps_confirm(%s, %s, %s::bigint[], %s)"
        calls, patience_us = [one.calls for one in limits], round(patience_s * US)
        return bool(self._row(step, self._budget, slot.number, calls, patience_us)[0])

    def delay(self, slot: Slot) -> None:
        self._row("SELECT smallcaps_delay(%s, %s)", self._budget, slot.number)

    def release(self, slot: Slot) -> None:
        self._row("SELECT smallcaps_release(%s)", slot.number)

    def pause(self, seconds: float) -> None:
        self._row("SELECT smallcaps_pause(%s, %s)", self._budget, round(seconds * US))

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _row(self, step: str, *values: object) -> tuple[Any, ...]:
        with self._lock:
            if self._connection.closed:  # the database was restarted: a new connection is as good
                self._connection = self._open()
            try:
                row: tuple[Any, ...] = self._connection.execute(step, values).fetchone()
            except psycopg.Error as error:
                self._connection.close()
                raise self._unavailable(error) from None
        return row

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
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SETUP_LOCK,))
                connection.execute(_SETUP)
        except psycopg.Error as error:
            raise self._unavailable(error) from None
        return connection

    def _unavailable(self, error: Exception) -> BudgetUnavailable:
        return BudgetUnavailable(self._where, shown(self._url, str(error)))
