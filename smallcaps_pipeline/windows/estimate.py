"""What a plan will cost: requests, hours at the rate limit, bytes - before anything is fetched.

Belongs here: sums over a plan.
Keep out: what one row is expected to take (`plan`), progress while fetching (`cli`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from smallcaps_pipeline.windows.plan import Kind


@dataclass(frozen=True)
class Cost:
    """What some rows of a plan take.

    Attributes:
        intervals: Plan rows.
        requests_min: Requests at least: one page each, and for quotes the quote before the start.
        requests_expected: Requests at the expected rows per minute.
        bytes_expected: Bytes on disk at the expected rows per minute, before the NBBO reduction.
        hours_min: Hours that `requests_min` take at the rate limit; null without a limit.
        hours_expected: Hours that `requests_expected` take at the rate limit; null without one.
    """

    intervals: int
    requests_min: int
    requests_expected: float
    bytes_expected: float
    hours_min: float | None
    hours_expected: float | None


@dataclass(frozen=True)
class Estimate:
    """The cost of a plan.

    Attributes:
        windows: Merged windows of which something is missing.
        events: Events in them.
        total: Both kinds together.
        by_kind: `trades` and `quotes` apart.
        refetched: Time of quotes that are stored at a coarser NBBO and fetched once more, the one
            exception to "nothing is asked for twice".
        refetched_intervals: Plan rows that hold some of it.
        per_symbol: One row per symbol: windows, requests_min, requests_expected, bytes_expected,
            most expensive first.
    """

    windows: int
    events: int
    total: Cost
    by_kind: dict[Kind, Cost]
    refetched: timedelta
    refetched_intervals: int
    per_symbol: pl.DataFrame


def estimate(
    plan: pl.DataFrame,
    *,
    calls_per_minute: float | None = None,
    calls_per_second: float | None = None,
) -> Estimate:
    """Add up a plan.

    Args:
        plan: schemas.PLAN.
        calls_per_minute: The provider's limit; None is no limit.
        calls_per_second: The provider's limit; None is no limit. The tighter of the two holds.
    """
    rate = _calls_per_hour(calls_per_minute, calls_per_second)
    window = pl.struct("symbol", "merged_start")
    refetched = plan.filter(pl.col("refetched_seconds") > 0)
    return Estimate(
        windows=plan.select(window.n_unique()).item(),
        events=plan["events_merged"].explode().drop_nulls().n_unique(),
        total=_cost(plan, rate),
        by_kind={kind: _cost(plan.filter(pl.col("kind") == kind.value), rate) for kind in Kind},
        refetched=timedelta(seconds=float(refetched["refetched_seconds"].sum())),
        refetched_intervals=refetched.height,
        per_symbol=_per_symbol(plan, window),
    )


def _calls_per_hour(per_minute: float | None, per_second: float | None) -> float | None:
    limits = [
        calls * periods
        for calls, periods in ((per_minute, 60.0), (per_second, 3600.0))
        if calls is not None
    ]
    return min(limits) if limits else None


def _cost(rows: pl.DataFrame, rate: float | None) -> Cost:
    least, expected = int(rows["requests_min"].sum()), float(rows["requests_expected"].sum())
    return Cost(
        intervals=rows.height,
        requests_min=least,
        requests_expected=expected,
        bytes_expected=float(rows["bytes_expected"].sum()),
        hours_min=None if rate is None else least / rate,
        hours_expected=None if rate is None else expected / rate,
    )


def _per_symbol(plan: pl.DataFrame, window: pl.Expr) -> pl.DataFrame:
    return (
        plan.group_by("symbol")
        .agg(
            window.n_unique().cast(pl.Int64).alias("windows"),
            pl.col("requests_min", "requests_expected", "bytes_expected").sum(),
        )
        .sort(["requests_expected", "symbol"], descending=[True, False])
    )
