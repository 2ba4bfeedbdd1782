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
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

NEW_YORK: Final = "America/New_York"
NEW_YORK_TZ: Final = ZoneInfo(NEW_YORK)
FIRST_DATE: Final = date(2003, 1, 1)
LAST_DATE: Final = date(2035, 12, 31)

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
    pm_minute = premarket_start.hour * 60 + premarket_start.minute
    minute, close = pl.col("minute"), pl.col("close_minute")
    session = (
        pl.when(minute < pm_minute)
        .then(None)
        .when(minute < pl.min_horizontal(RTH_OPEN_MINUTE, close))
        .then(pl.lit(Session.PM.value))
        .when(minute < close)
        .then(pl.lit(Session.RTH.value))
        .when(minute < close + hours_after_close * 60)
        .then(pl.lit(Session.AH.value))
    )
    return (
        frame.with_columns(
            date=trading_day(pl.col("timestamp")).map_batches(
                _require_in_calendar, return_dtype=pl.Date
            ),
            minute=minute_of_day(pl.col("timestamp")),
        )
        .join(
            calendar().lazy().select("date", "close_minute"),
            on="date",
            how="left",
            maintain_order="left",
            validate="m:1",
        )
        .with_columns(session=pl.when(close.is_not_null()).then(session))
    )


def _require_in_calendar(days: pl.Series) -> pl.Series:
    """Pass trading days through; raise for the first one beyond the calendar."""
    first, last = days.min(), days.max()
    if isinstance(first, date) and isinstance(last, date):
        check_in_calendar(first)
        check_in_calendar(last)
    return days
