"""Cells of the date dimension: which period a trading day falls into.

A cell is one symbol and one period. The length of a period is `partitions.date` (year, quarter,
month, week or day); its key is the partition key in Dagster and the file name in the lake:

    year 2025 | quarter 2025-04 (its first month) | month 2025-10 | week 2025-10-06 (its Monday)
    | day 2025-10-07

Keep out: Dagster's partition definitions (defs/partitions.py builds them from here) and paths.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import polars as pl

Cadence = Literal["year", "quarter", "month", "week", "day"]

KEY_FORMAT: dict[Cadence, str] = {
    "year": "%Y",
    "quarter": "%Y-%m",
    "month": "%Y-%m",
    "week": "%Y-%m-%d",
    "day": "%Y-%m-%d",
}
_TRUNCATE: dict[Cadence, str] = {
    "year": "1y",
    "quarter": "1q",
    "month": "1mo",
    "week": "1w",
    "day": "1d",
}


@dataclass(frozen=True, order=True)
class Period:
    """A stretch of calendar days, both ends included; `key` names it."""

    first: date
    last: date
    key: str


def period_of(day: date, cadence: Cadence) -> Period:
    """Return the period that holds a trading day."""
    if cadence == "year":
        first, last = date(day.year, 1, 1), date(day.year, 12, 31)
    elif cadence in ("quarter", "month"):
        length = 3 if cadence == "quarter" else 1
        month = (day.month - 1) // length * length + 1
        first = date(day.year, month, 1)
        last = _add_months(first, length) - timedelta(days=1)
    elif cadence == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=6)
    else:
        first = last = day
    return Period(first, last, first.strftime(KEY_FORMAT[cadence]))


def period_from_key(key: str, cadence: Cadence) -> Period:
    """Return the period with a key.

    Raises:
        ValueError: `key` is no key of this cadence (a folder of another `partitions.date`).
    """
    try:
        first = datetime.strptime(key, KEY_FORMAT[cadence]).date()  # noqa: DTZ007  a date, no instant
    except ValueError:
        first = None
    if first is None or (period := period_of(first, cadence)).key != key:
        raise ValueError(
            f"{key!r} is no {cadence} of the date dimension; was partitions.date changed after "
            "these files were written?"
        )
    return period


def periods_between(first: date, last: date, cadence: Cadence) -> list[Period]:
    """List the periods that overlap the days from `first` to `last`, both included."""
    periods = []
    while first <= last:
        period = period_of(first, cadence)
        periods.append(period)
        first = period.last + timedelta(days=1)
    return periods


def period_key(day: pl.Expr, cadence: Cadence) -> pl.Expr:
    """Return the key (String) of the period of each trading day (Date)."""
    return day.dt.truncate(_TRUNCATE[cadence]).dt.strftime(KEY_FORMAT[cadence])


def _add_months(first: date, months: int) -> date:
    month = first.month - 1 + months
    return date(first.year + month // 12, month % 12 + 1, 1)
