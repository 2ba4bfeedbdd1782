"""Each event's own rows: what lies in its window, whatever was merged, extended or stored.

An extended window must not give hot events another horizon than calm ones; so every figure is made
of rows in [window_start, window_end) alone, and of the one quote before.

Keep out: figures. An *event* row here is: event (row number in the manifest), symbol, start_ns,
end_ns, bar_ns, bar_end_ns (never after end_ns), close_micro and what single figures need.
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import NS_PER_MINUTE, micro_dollars, nanoseconds


def event_bounds(manifest_rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per manifest row, in its order, with its instants in ns.

    Returns:
        event (UInt32), symbol, date (Date), direction, close (USD), start_ns, end_ns: the window;
        bar_ns, bar_end_ns: the event bar, whose end is cut where a window ends within the bar.
    """
    bar, end = nanoseconds(pl.col("timestamp")), nanoseconds(pl.col("window_end"))
    return manifest_rows.select(
        "symbol",
        "direction",
        "close",
        event=pl.int_range(pl.len(), dtype=pl.UInt32),
        date=pl.col("date").str.to_date("%Y-%m-%d"),
        close_micro=micro_dollars(pl.col("close")),
        start_ns=nanoseconds(pl.col("window_start")),
        end_ns=end,
        bar_ns=bar,
        bar_end_ns=pl.min_horizontal(bar + NS_PER_MINUTE, end),
    )


def slice_rows(
    events: pl.DataFrame, rows: pl.DataFrame, *, row_before: bool = False
) -> pl.DataFrame:
    """Return each event's rows: one per (event, row), sorted by event, rows in their order.

    Args:
        events: As `event_bounds` gives them.
        rows: Rows with `symbol` and `at_ns`, sorted by them.
        row_before: Also take the one row of the symbol before window_start, the state at the start.

    Returns:
        The rows with `event`; a row in the windows of two events stands twice.
    """
    ranges = _row_ranges(events, rows)
    first = pl.col("first_before") if row_before else pl.col("first")
    pairs = (
        ranges.select("event", row=pl.int_ranges(first, pl.col("last")))
        .filter(pl.col("row").list.len() > 0)
        .explode("row")
    )
    taken = rows.select(pl.exclude("symbol")).select(pl.all().gather(pairs["row"]))
    return pl.concat([pairs.select("event"), taken], how="horizontal")


def _row_ranges(events: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return per event the row numbers [first, last) of its window, and the one before it."""
    numbered = rows.select("symbol", "at_ns", row=pl.int_range(pl.len(), dtype=pl.Int64))
    starts = numbered.group_by("symbol").agg(symbol_first=pl.col("row").min())
    known = events.select("event", "symbol", "start_ns", "end_ns").join(
        starts, on="symbol", how="inner", validate="m:1"
    )
    before_start = _last_row_before(known, "start_ns", numbered)
    before_end = _last_row_before(known, "end_ns", numbered)
    ranges = known.join(before_start, on="event", validate="1:1").join(
        before_end, on="event", validate="1:1"
    )
    first, last = pl.col("start_ns_row") + 1, pl.col("end_ns_row") + 1
    opening = pl.col("symbol_first")
    return ranges.sort("event").select(
        "event",
        first=first.fill_null(opening),
        last=last.fill_null(opening),
        first_before=pl.col("start_ns_row").fill_null(opening),
    )


def _last_row_before(events: pl.DataFrame, instant: str, numbered: pl.DataFrame) -> pl.DataFrame:
    """Return per event the last row of its symbol strictly before an instant, null where none."""
    last_of_instant = (
        pl.struct("symbol", "at_ns") != pl.struct("symbol", "at_ns").shift(-1)
    ).fill_null(value=True)
    return (
        events.select("event", "symbol", instant)
        .sort("symbol", instant)
        .join_asof(
            numbered.filter(last_of_instant),
            left_on=instant,
            right_on="at_ns",
            by="symbol",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,  # both sorted within each symbol
        )
        .select("event", pl.col("row").alias(f"{instant}_row"))
    )
