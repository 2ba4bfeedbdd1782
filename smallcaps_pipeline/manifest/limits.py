"""Limits of a profile: caps, quotas, floors and weekdays, all of one kind.

A *limit* counts rows by some columns and gives each group a room. That one form serves the whole
selection: a cap or a quota has room while its group holds fewer rows than its room, and a bucket
that holds fewer rows than its floor is a group with room as well.

Keep out: in which order rows are taken (`passes`) and what is said about it (`notes`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import Manifest, Profile
from smallcaps_pipeline.thresholds import TOLERANCE

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Cap:
    """One room for each group of some columns; no column = all rows together."""

    key: str  # of the settings
    counted_by: tuple[str, ...]
    room: int

    def room_of_row(self) -> pl.Expr:
        """Return the room (Int64) of each row's group."""
        return pl.lit(self.room, pl.Int64)


@dataclass(frozen=True)
class Shares:
    """A room for each value of one column; a value that is not named has none."""

    key: str  # of the settings
    column: str
    rooms: Mapping[str, int]

    @property
    def counted_by(self) -> tuple[str, ...]:
        return (self.column,)

    def room_of_row(self) -> pl.Expr:
        """Return the room (Int64) of each row's group."""
        return pl.col(self.column).replace_strict(
            dict(self.rooms), default=0, return_dtype=pl.Int64
        )


Limit = Cap | Shares


@dataclass(frozen=True)
class Limits:
    """The limits of one profile; `caps` are those beside the total, no weekdays = not balanced."""

    total: Cap
    caps: tuple[Cap, ...]
    types: Shares
    sessions: Shares
    floors: Shares
    weekdays: Shares | None

    @property
    def all_caps(self) -> tuple[Limit, ...]:
        return (self.total, *self.caps)

    @property
    def quotas(self) -> tuple[Limit, ...]:
        return (self.types, self.sessions)

    @property
    def balance(self) -> tuple[Limit, ...]:
        return () if self.weekdays is None else (self.weekdays,)

    @property
    def all(self) -> tuple[Limit, ...]:
        return (*self.all_caps, *self.quotas, self.floors, *self.balance)


def limits_of(name: str, settings: Manifest, days: Sequence[date]) -> Limits:
    """Return the limits of the profile `name`.

    Args:
        name: A profile of the settings.
        settings: The section `manifest`.
        days: The trading days of the events asked for, any order, possibly none. With
            `balance_weekdays` a weekday's share is its share of the exchange's trading days from
            the first to the last of them.
    """
    profile = settings.profiles[name]
    path, total = f"manifest.profiles.{name}", profile.total
    return Limits(
        total=Cap(f"{path}.total", (), total),
        caps=_caps(path, profile),
        types=_shares("type_quotas_pct", "event_type", settings.type_quotas_pct, total),
        sessions=_shares("session_quotas_pct", "quota_session", settings.session_quotas_pct, total),
        floors=_shares("bucket_floors_pct", "time_bucket", settings.bucket_floors_pct, total),
        weekdays=_weekdays(settings, days, total) if settings.balance_weekdays and days else None,
    )


def _caps(path: str, profile: Profile) -> tuple[Cap, ...]:
    per_month = profile.max_per_month if profile.monthly_best else None
    caps = (
        ("max_per_symbol", ("symbol",), profile.max_per_symbol),
        ("max_per_symbol_day", ("symbol", "date"), profile.max_per_symbol_day),
        ("max_per_symbol_year", ("symbol", "year"), profile.max_per_symbol_year),
        ("max_per_month", ("month",), per_month),
    )
    return tuple(
        Cap(f"{path}.{key}", columns, room) for key, columns, room in caps if room is not None
    )


def _shares(key: str, column: str, percents: Mapping[Any, int], total: int) -> Shares:
    """Return rooms in whole percent of the profile's total, rounded down."""
    rooms = {str(name): percent * total // 100 for name, percent in percents.items()}
    return Shares(f"manifest.{key}", column, rooms)


def _weekdays(settings: Manifest, days: Sequence[date], total: int) -> Shares:
    """Return each weekday's share of the trading days plus the tolerance, of the total."""
    counts = Counter(day.weekday() for day in trading_days(min(days), max(days)))
    over = settings.weekday_tolerance_pct / 100
    shares = {weekday: counts[weekday] / max(counts.total(), 1) + over for weekday in range(7)}
    rooms = {
        WEEKDAYS[weekday]: int(total * share * (1 + TOLERANCE))  # 0.29 x 100 is 28.999... in floats
        for weekday, share in shares.items()
    }
    return Shares("manifest.balance_weekdays", "weekday", rooms)
