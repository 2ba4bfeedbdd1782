"""Minute bars against the prints of their minutes, and against the halts found on the tape.

The provider makes a bar of the prints of its minute: high and low over those that set them, open
and close the first and last of those that set these, volume and count over all that count for
volume. A minute in which nothing sets a close has no bar, whatever volume it had. Form T sets
prices outside regular hours. So bars and prints of one minute must agree, and where they do not,
one of the two is incomplete, adjusted or late.

Only whole minutes of a window are compared, and only those whose prints all have known conditions:
without them nobody can say which prints a bar is made of.

Keep out: what share of disagreement is allowed (report/).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.micro.conditions import (
    counts_for_price,
    counts_for_range,
    counts_for_volume,
    exists,
)
from smallcaps_pipeline.micro.prices import NS_PER_MINUTE, micro_dollars, nanoseconds
from smallcaps_pipeline.micro.slices import slice_rows
from smallcaps_pipeline.micro.tape import in_rth, ordered_rows, unique_rows, with_absent, with_hours
from smallcaps_pipeline.schemas import BARS, TRADES

PRICE_SLACK: Final = 50  # $0.00005: bars round to four decimals, prints have up to six
VOLUME_SLACK: Final = 1e-6  # relative: sums of fractional shares
FIELDS: Final = ("open", "high", "low", "close")
BAR_COUNTS: Final = (
    *("minutes_compared", "bars_missing", "bars_without_trades"),
    *(f"bar_{field}_differs" for field in FIELDS),
    *("bar_volume_differs", "bar_count_differs", "bar_vwap_outside"),
)


def rebuild_bars(trades: pl.DataFrame) -> pl.DataFrame:
    """Make the minute bars that the provider makes of prints.

    Args:
        trades: Rows of `schemas.TRADES` with `symbol`, any order; columns may be left out.

    Returns:
        One row per symbol and minute with a print that exists, sorted: symbol, at_ns (its start),
        open, high, low, close ($0.000001; null where no print sets them), volume, transactions,
        conditions_known (all its prints have them).
    """
    rows = with_absent(trades, TRADES, "conditions", "correction")
    ordered = with_hours(unique_rows(ordered_rows(rows), TRADES))
    codes, price = pl.col("conditions"), pl.col("price_micro")
    sets_close, sets_range = pl.col("sets_close"), pl.col("sets_range")
    size = pl.col("size").cast(pl.Float64).filter(counts_for_volume(codes))
    return (
        ordered.filter(exists(pl.col("correction")))
        .with_columns(
            price_micro=micro_dollars(pl.col("price").cast(pl.Float64)),
            sets_close=counts_for_price(codes, in_rth()),
            sets_range=counts_for_range(codes, in_rth()),
        )
        .group_by("symbol", at_ns=_minute(pl.col("at_ns")), maintain_order=True)
        .agg(
            open=price.filter(sets_close).first(),
            high=price.filter(sets_range).max(),
            low=price.filter(sets_range).min(),
            close=price.filter(sets_close).last(),
            volume=size.sum(),
            transactions=counts_for_volume(codes).sum().cast(pl.Int64),
            conditions_known=codes.is_not_null().all(),
        )
    )


def bar_counts(events: pl.DataFrame, trades: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return one row per event: how the bars of its window and their prints agree.

    Args:
        events: As `slices.event_bounds` gives them.
        trades: As `rebuild_bars` takes them.
        bars: Rows of `schemas.BARS`, cleaned, any order.

    Returns:
        event, the columns of `BAR_COUNTS`, bar_price_ratio; all null for events on a day of which
        their symbol has no bar at all.
    """
    given = _given(bars)
    compared = (
        slice_rows(events, rebuild_bars(trades))
        .join(slice_rows(events, given), on=["event", "at_ns"], how="full", coalesce=True)
        .join(events.select("event", "start_ns", "end_ns"), on="event", validate="m:1")
        .filter(
            pl.col("at_ns") >= pl.col("start_ns"),
            pl.col("at_ns") + NS_PER_MINUTE <= pl.col("end_ns"),
            pl.col("conditions_known").fill_null(value=True),
        )
    )
    counted = compared.group_by("event").agg(**_agreement())
    has_bars = given.select("symbol", _day("at_ns")).unique()
    covered = events.select("event", "symbol", _day("bar_ns")).join(
        has_bars, on=["symbol", "day"], how="semi"
    )
    found = covered.join(counted, on="event", how="left").with_columns(
        pl.col(*BAR_COUNTS).fill_null(0).cast(pl.Int64)
    )
    return events.select("event").join(
        found.select("event", *BAR_COUNTS, "bar_price_ratio"),
        on="event",
        how="left",
        validate="1:1",
        maintain_order="left",
    )


def halts_with_bars(
    events: pl.DataFrame, halts: pl.DataFrame, bars: pl.DataFrame | None
) -> pl.DataFrame:
    """Return per event with halts: halts, halts_confirmed, halts_with_bars (null without bars).

    Args:
        events: As `slices.event_bounds` gives them.
        halts: As `halts.probable_halts` gives them.
        bars: As `bar_counts` takes them; None = not there.
    """
    total = halts.group_by("event").agg(
        halts=pl.len().cast(pl.Int64), halts_confirmed=pl.col("confirmed").sum().cast(pl.Int64)
    )
    if bars is None:
        return total.with_columns(halts_with_bars=pl.lit(None, pl.Int64))
    minutes = slice_rows(events, _given(bars)).select("event", "at_ns")
    inside = (pl.col("at_ns") > pl.col("start_ns")) & (
        pl.col("at_ns") + NS_PER_MINUTE <= pl.col("end_ns")
    )
    broken = (
        halts.join(minutes, on="event")
        .filter(inside)
        .group_by("event")
        .agg(halts_with_bars=pl.col("start_ns").n_unique().cast(pl.Int64))
    )
    return total.join(broken, on="event", how="left", validate="1:1").with_columns(
        pl.col("halts_with_bars").fill_null(0)
    )


def _agreement() -> dict[str, pl.Expr]:
    """Return the counts over an event's minutes; own columns are the rebuilt ones."""
    own, there = pl.col("close").is_not_null(), pl.col("bar_close").is_not_null()
    both = own & there
    differs = {
        f"bar_{field}_differs": (
            both & ((pl.col(field) - pl.col(f"bar_{field}")).abs() > PRICE_SLACK)
        ).sum()
        for field in FIELDS
    }
    volume, bar_volume = pl.col("volume"), pl.col("bar_volume")
    vwap, slack = pl.col("bar_vwap"), PRICE_SLACK
    outside = (vwap < pl.col("bar_low") - slack) | (vwap > pl.col("bar_high") + slack)
    return {
        "minutes_compared": (own | there).sum(),
        "bars_missing": (own & ~there).sum(),
        "bars_without_trades": (there & ~own).sum(),
        **differs,
        "bar_volume_differs": (
            both & ((volume - bar_volume).abs() > VOLUME_SLACK * bar_volume)
        ).sum(),
        "bar_count_differs": (both & (pl.col("transactions") != pl.col("bar_transactions"))).sum(),
        "bar_vwap_outside": (there & outside).sum(),
        "bar_price_ratio": (pl.col("bar_close") / pl.col("close")).filter(both).median(),
    }


def _given(bars: pl.DataFrame) -> pl.DataFrame:
    rows = BARS.conform(bars, where="bars")
    prices = {f"bar_{field}": micro_dollars(pl.col(field)) for field in (*FIELDS, "vwap")}
    return rows.select(
        "symbol",
        at_ns=nanoseconds(pl.col("timestamp")),
        **prices,
        bar_volume="volume",
        bar_transactions="transactions",
    ).sort("symbol", "at_ns")


def _minute(at_ns: pl.Expr) -> pl.Expr:
    return at_ns // NS_PER_MINUTE * NS_PER_MINUTE


def _day(at_ns: str) -> pl.Expr:
    return (pl.col(at_ns) // (24 * 60 * NS_PER_MINUTE)).alias("day")
