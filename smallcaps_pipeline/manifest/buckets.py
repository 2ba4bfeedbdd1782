"""Time buckets: the part of the trading day that an event belongs to.

    PM | opening  RTH before 10:30 | midday  RTH before 15:00 | power_hour  the rest of RTH | AH

The session decides first. On an early close power_hour is the last 60 minutes before it and midday
ends where it starts. Keep out: how many rows a bucket must hold (`limits`).
"""

from __future__ import annotations

from datetime import date, time
from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.sessions import Session, calendar, check_in_calendar, minute_of_day
from smallcaps_pipeline.settings import Manifest

EARLY_CLOSE_POWER_MINUTES: Final = 60


class TimeBucket(StrEnum):
    """A part of the trading day with a floor of its own."""

    PM = "PM"
    OPENING = "opening"
    MIDDAY = "midday"
    POWER_HOUR = "power_hour"
    AH = "AH"


def time_buckets(events: pl.DataFrame, settings: Manifest) -> pl.Series:
    """Return the time bucket of each event.

    Args:
        events: Rows with `date` (String, trading day), `timestamp` (UTC) and `session`.
        settings: Where `opening` and `midday` end, New York time.

    Returns:
        One String per row, in the rows' order.

    Raises:
        CalendarRangeError: A date lies beyond the exchange calendar.
    """
    days = events["date"].str.to_date()
    for day in (days.min(), days.max()):
        if isinstance(day, date):
            check_in_calendar(day)
    return (
        events.select(date=days, minute=minute_of_day(pl.col("timestamp")), session="session")
        .join(calendar(), on="date", how="left", maintain_order="left", validate="m:1")
        .select(time_bucket=_time_bucket(settings))
        .to_series()
    )


def _time_bucket(settings: Manifest) -> pl.Expr:
    minute, session = pl.col("minute"), pl.col("session")
    early_power = pl.col("close_minute") - EARLY_CLOSE_POWER_MINUTES
    midday_until = (
        pl.when("is_early_close").then(early_power).otherwise(minutes(settings.midday_until))
    )
    return (
        pl.when(session != Session.RTH)
        .then(session)  # PM and AH are buckets of the same name
        .when(minute < minutes(settings.opening_until))
        .then(pl.lit(TimeBucket.OPENING.value))
        .when(minute < midday_until)
        .then(pl.lit(TimeBucket.MIDDAY.value))
        .otherwise(pl.lit(TimeBucket.POWER_HOUR.value))
    )


def minutes(clock: time) -> int:
    """Return minutes after midnight of a wall-clock time."""
    return clock.hour * 60 + clock.minute
