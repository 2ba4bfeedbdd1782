"""The quoted spread of a stretch of a window, weighted by the time it was in force.

A quote is in force until the next quote, valid or not, the last until the stretch ends; a quote
that is not valid leaves a time without a spread. Silences taken for halts are left out: nobody
could trade at those quotes.

Keep out: the effective spread, which weighs trades (`flow`).
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import BPS, NS_PER_MINUTE, in_turn
from smallcaps_pipeline.micro.quotes_in_force import is_valid

P95_PERCENT = 95
START_MINUTES = 2  # of a window: calm enough to tell a symbol's usual spread by


def start_stretch_end() -> pl.Expr:
    """Return the end (ns) of a window's first minutes, never after the event bar."""
    return pl.min_horizontal(pl.col("start_ns") + START_MINUTES * NS_PER_MINUTE, "bar_end_ns")


def spread_figures(
    book: pl.DataFrame, halts: pl.DataFrame, events: pl.DataFrame, *, end: str
) -> pl.DataFrame:
    """Return mean and 95th percentile of the quoted spread per event, in bps of the mid.

    Args:
        book: The events' quotes with the one before each window, sorted by event and order.
        halts: `event`, `start_ns`, `end_ns` of the silences to leave out, as seen up to `end`.
        events: As `slices.event_bounds` gives them.
        end: Column of `events` at which the stretch [window_start, end) ends.

    Returns:
        event, spread_mean_bps, spread_p95_bps (the smallest spread whose cumulated time is at least
        95 %); events without any time in force have no row.
    """
    forces = _less_halts(_times_in_force(book, events, end), halts)
    held = forces.filter(pl.col("held_ns") > 0).sort("event", "spread_bps", maintain_order=True)
    spread, ns = pl.col("spread_bps"), pl.col("held_ns")
    reached = ns.cum_sum() * 100 >= ns.sum() * P95_PERCENT  # integers: exact at the border
    return held.group_by("event", maintain_order=True).agg(
        spread_mean_bps=in_turn(spread * ns) / ns.sum(),
        spread_p95_bps=spread.filter(reached).first(),
    )


def _times_in_force(book: pl.DataFrame, events: pl.DataFrame, end: str) -> pl.DataFrame:
    """Return the valid quotes with from_ns, until_ns within the stretch, and their spread."""
    bid, ask = pl.col("bid_micro"), pl.col("ask_micro")
    return (
        book.join(
            events.select("event", "start_ns", stop_ns=end),
            on="event",
            how="left",
            maintain_order="left",
            validate="m:1",
        )
        .filter(pl.col("at_ns") < pl.col("stop_ns"))
        .with_columns(
            from_ns=pl.max_horizontal("at_ns", "start_ns"),
            until_ns=pl.coalesce(pl.col("at_ns").shift(-1).over("event"), "stop_ns"),
        )
        .filter(is_valid())
        .select(
            "event",
            "from_ns",
            "until_ns",
            quote=pl.int_range(pl.len(), dtype=pl.UInt32),
            spread_bps=(ask - bid) / (ask + bid) * 2 * BPS,
        )
    )


def _less_halts(forces: pl.DataFrame, halts: pl.DataFrame) -> pl.DataFrame:
    """Add `held_ns`, the time in force without the event's halts (which never overlap)."""
    begin = pl.max_horizontal("from_ns", "start_ns")
    finish = pl.min_horizontal("until_ns", "end_ns")
    silent = (
        forces.join(halts.select("event", "start_ns", "end_ns"), on="event")
        .group_by("quote")
        .agg(halted_ns=(finish - begin).clip(lower_bound=0).sum())
    )
    in_force = pl.col("until_ns") - pl.col("from_ns")
    return forces.join(silent, on="quote", how="left", validate="1:1").with_columns(
        held_ns=in_force - pl.col("halted_ns").fill_null(0)
    )
