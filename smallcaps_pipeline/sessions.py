"""Trading days and sessions: the only module that knows New York time.

Belongs here: the exchange calendar, the trading day of an instant, PM / RTH / AH, early closes.
Keep out: what a detector does with a session, and the length of a date partition (`cells`).

Instants are UTC everywhere else. A *trading day* is the date in America/New_York; its sessions are
half-open intervals of New York wall-clock time:

    premarket    PM   [04:00, 09:30)
    regular      RTH  [09:30, close)       close is 16:00, or 13:00 on an early-close day
    after-hours  AH   [close, close + 4 h)

Source: the XNYS calendar of exchange_calendars, built from 2003-01-01 (the provider's history
starts in September 2003). A date beyond the calendar is an error, never taken for a holiday.
The daylight-saving switch is at 02:00 on a Sunday, outside all sessions, so within a day's sessions
wall-clock minutes and elapsed minutes are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Final, Self
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from smallcaps_pipeline.compiled import Array, read_only
from smallcaps_pipeline.session_kernel import (
    AH_CODE,
    PM_CODE,
    RTH_CODE,
    US_PER_MINUTE,
    label,
)

NEW_YORK: Final = "America/New_York"
NEW_YORK_TZ: Final = ZoneInfo(NEW_YORK)
FIRST_DATE: Final = date(2003, 1, 1)
LAST_DATE: Final = date(2035, 12, 31)
FIRST_DATE_NUMBER: Final = (FIRST_DATE - date(1970, 1, 1)).days

PREMARKET_START_MINUTE: Final = 4 * 60  # minutes after midnight, New York
RTH_OPEN_MINUTE: Final = 9 * 60 + 30
HOURS_AFTER_CLOSE: Final = 4


class Session(StrEnum):
    """A part of the trading day."""

    PM = "PM"
    RTH = "RTH"
    AH = "AH"


class CalendarRangeError(ValueError):
    """A date lies outside the exchange calendar that this project was built with."""

    def __init__(self, day: date) -> None:
        super().__init__(
            f"{day} is outside the exchange calendar (XNYS {FIRST_DATE} to {LAST_DATE}): "
            "whether it is a trading day is not known"
        )


class NaiveTimestampError(ValueError):
    """A timestamp carries no time zone; it is never guessed."""

    def __init__(self, column: str, where: str, dtype: pl.DataType) -> None:
        super().__init__(
            f"{where}: column {column!r} is {dtype}, expected a Datetime with a time zone. "
            "A naive time is never guessed: import the file with `smallcaps import-bars "
            "--timezone UTC` or `--timezone America/New_York`"
        )


@cache
def calendar() -> pl.DataFrame:
    """Return the trading days of the exchange.

    Returns:
        One row per trading day, sorted by `date`: `date` (Date, New York), `close_minute` (Int32,
        minutes after New York midnight at which RTH ends), `is_early_close` (Boolean),
        `day_number` (Int32, 0 for the first trading day of the calendar).
    """
    import exchange_calendars  # noqa: PLC0415  0.7 s: only when a calendar is needed

    xnys = exchange_calendars.get_calendar("XNYS", start=str(FIRST_DATE), end=str(LAST_DATE))
    closes = xnys.schedule["close"].dt.tz_convert(NEW_YORK)
    close_minute = (closes.dt.hour * 60 + closes.dt.minute).to_list()
    return pl.DataFrame(
        {
            "date": [day.date() for day in xnys.schedule.index],
            "close_minute": close_minute,
            "is_early_close": [minute < 16 * 60 for minute in close_minute],
            "day_number": range(len(close_minute)),
        },
        schema={
            "date": pl.Date,
            "close_minute": pl.Int32,
            "is_early_close": pl.Boolean,
            "day_number": pl.Int32,
        },
    )


@cache
def _day_numbers() -> dict[date, int]:
    return dict(calendar().select("date", "day_number").iter_rows())


def check_in_calendar(day: date) -> None:
    """Raise `CalendarRangeError` where `day` is beyond the calendar."""
    if not FIRST_DATE <= day <= LAST_DATE:
        raise CalendarRangeError(day)


def is_trading_day(day: date) -> bool:
    """Say whether the exchange is open on `day` (New York)."""
    check_in_calendar(day)
    return day in _day_numbers()


def trading_days(first: date, last: date) -> list[date]:
    """List the trading days from `first` to `last`, both included."""
    check_in_calendar(first)
    check_in_calendar(last)
    return calendar().filter(pl.col("date").is_between(first, last))["date"].to_list()


def shift_trading_day(day: date, n: int) -> date:
    """Return the `n`-th trading day after (n > 0) or before (n < 0) `day`.

    `day` itself need not be a trading day; `n` = 0 gives `day` or the trading day before it.
    """
    check_in_calendar(day)
    days = calendar()["date"]
    at = days.search_sorted(day, side="right") - 1  # the last trading day <= day
    if n < 0 and days[at] != day:
        at += 1
    if not 0 <= at + n < len(days):
        raise CalendarRangeError(day)
    found: date = days[at + n]
    return found


def previous_trading_day(day: date) -> date:
    """Return the last trading day before `day`."""
    return shift_trading_day(day, -1)


def new_york_time(day: date, at: time) -> datetime:
    """Return the UTC instant at which New York clocks show `at` on `day`."""
    return datetime.combine(day, at, tzinfo=NEW_YORK_TZ).astimezone(ZoneInfo("UTC"))


def session_bounds(day: date) -> dict[Session, tuple[datetime, datetime]]:
    """Return the half-open UTC intervals of the sessions of a trading day.

    Raises:
        CalendarRangeError: `day` is beyond the calendar.
        ValueError: the exchange is closed on `day`.
    """
    if not is_trading_day(day):
        raise ValueError(f"the exchange is closed on {day}: it has no sessions")
    close_minute = calendar().filter(pl.col("date") == day)["close_minute"].item()
    midnight = datetime.combine(day, time(), tzinfo=NEW_YORK_TZ)

    def at(minute: int) -> datetime:
        wall = midnight + timedelta(minutes=minute)  # wall-clock arithmetic
        return wall.astimezone(ZoneInfo("UTC"))

    pm, rth, close = at(PREMARKET_START_MINUTE), at(RTH_OPEN_MINUTE), at(close_minute)
    return {
        Session.PM: (pm, rth),
        Session.RTH: (rth, close),
        Session.AH: (close, at(close_minute + HOURS_AFTER_CLOSE * 60)),
    }


def trading_day_of(instant: datetime) -> date:
    """Return the New York date of an aware instant."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone; a naive time is never guessed")
    return instant.astimezone(NEW_YORK_TZ).date()


def trading_day(timestamp: pl.Expr) -> pl.Expr:
    """Return the New York date (Date) of an aware timestamp."""
    return timestamp.dt.convert_time_zone(NEW_YORK).dt.date()


def minute_of_day(timestamp: pl.Expr) -> pl.Expr:
    """Return minutes after New York midnight (Int32) of an aware timestamp, seconds cut off."""
    local = timestamp.dt.convert_time_zone(NEW_YORK)
    return local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()


def require_aware(schema: pl.Schema, columns: Sequence[str], where: str) -> None:
    """Raise `NaiveTimestampError` for the first of `columns` that has no time zone."""
    for column in columns:
        dtype = schema[column]
        if not isinstance(dtype, pl.Datetime) or dtype.time_zone is None:
            raise NaiveTimestampError(column, where, dtype)


@dataclass(frozen=True)
class Labels:
    """Trading day and session of instants, an array each, in their order.

    Attributes:
        date: Date in New York, as days since the epoch.
        minute: Minutes after New York midnight, by the clock.
        close_minute: Minute at which RTH of that day ends; 0 where the exchange is closed.
        session: Code of the session: `PM_CODE`, `RTH_CODE`, `AH_CODE`, or `NO_SESSION` outside all
            sessions and on days when the exchange is closed.
    """

    date: Array
    minute: Array
    close_minute: Array
    session: Array

    def where(self, wanted: Array) -> Self:
        """Return the labels of some of the instants (an array of truth values)."""
        return replace(
            self,
            date=self.date[wanted],
            minute=self.minute[wanted],
            close_minute=self.close_minute[wanted],
            session=self.session[wanted],
        )


def label_sessions(
    timestamp: pl.Series,
    *,
    premarket_start: time = time(4),
    hours_after_close: int = HOURS_AFTER_CLOSE,
) -> Labels:
    """Find the trading day and session of instants.

    Args:
        timestamp: Aware Datetime in microseconds, without nulls; seconds are cut off.
        premarket_start: New York wall-clock time at which PM begins.
        hours_after_close: Length of AH in hours.

    Raises:
        CalendarRangeError: An instant lies beyond the calendar.
    """
    midnights, closes = _midnights_and_closes()
    instants = read_only(timestamp.to_physical().to_numpy())
    day, minute = np.empty(instants.size, np.int32), np.empty(instants.size, np.int32)
    session = np.empty(instants.size, np.int8)
    all_known = label(
        instants,
        midnights,
        closes,
        premarket_start.hour * 60 + premarket_start.minute,
        RTH_OPEN_MINUTE,
        hours_after_close * 60,
        day,
        minute,
        session,
    )
    if not all_known:
        for bound in (timestamp.min(), timestamp.max()):
            check_in_calendar(trading_day_of(bound))  # type: ignore[arg-type]
    return Labels(day + FIRST_DATE_NUMBER, minute, closes[day], session)


@cache
def _midnights_and_closes() -> tuple[Array, Array]:
    """Return, for each day of the calendar, its New York midnight and its closing minute.

    Midnights are minutes since the epoch, with the end of the last day; a closing minute of 0 is a
    day on which the exchange is closed.
    """
    days = pl.date_range(FIRST_DATE, LAST_DATE + timedelta(days=1), eager=True).alias("date")
    midnights = days.cast(pl.Datetime("us")).dt.replace_time_zone(NEW_YORK).dt.epoch("us")
    closes = days[:-1].to_frame().join(calendar(), on="date", how="left", maintain_order="left")
    return (
        midnights.to_numpy() // US_PER_MINUTE,
        closes["close_minute"].fill_null(0).to_numpy(),
    )


def add_sessions(
    frame: pl.LazyFrame,
    *,
    premarket_start: time = time(4),
    hours_after_close: int = HOURS_AFTER_CLOSE,
) -> pl.LazyFrame:
    """Label each row with its trading day and session.

    Args:
        frame: Any rows with `timestamp` (aware Datetime).
        premarket_start: New York wall-clock time at which PM begins.
        hours_after_close: Length of AH in hours.

    Returns:
        The rows in their order with `date` (Date), `minute` (Int32, minutes after New York
        midnight), `close_minute` (Int32, null where the exchange is closed that day) and
        `session` (String; null outside all sessions and on days when the exchange is closed).

    Raises:
        CalendarRangeError: On collect, for a date beyond the calendar.
    """
    labels = pl.Struct(
        {"date": pl.Date, "minute": pl.Int32, "close_minute": pl.Int32, "session": pl.String}
    )

    def labelled(timestamp: pl.Series) -> pl.Series:
        found = label_sessions(
            timestamp.cast(pl.Datetime("us", "UTC")),
            premarket_start=premarket_start,
            hours_after_close=hours_after_close,
        )
        return pl.DataFrame(
            {
                "date": pl.Series(found.date).cast(pl.Date),
                "minute": found.minute,
                "close_minute": pl.Series(found.close_minute).replace(0, None),
                "session": session_names(found.session),
            }
        ).to_struct()

    every = pl.col("timestamp").map_batches(labelled, return_dtype=labels).alias("_labels")
    return frame.with_columns(every).unnest("_labels")


def session_names(codes: Array) -> pl.Series:
    """Return the names of sessions (String) from their codes; null for `NO_SESSION`."""
    names = {PM_CODE: Session.PM, RTH_CODE: Session.RTH, AH_CODE: Session.AH}
    texts = {code: name.value for code, name in names.items()}
    return pl.Series(codes).replace_strict(texts, default=None, return_dtype=pl.String)
