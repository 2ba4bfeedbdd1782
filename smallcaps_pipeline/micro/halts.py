"""Probable trading halts, inferred from silence on the tape.

There is no history of halts to ask for. A halt is taken as probable where, in regular hours, no
trade prints for `halt_silence_s`, each of the `halt_minutes_before` minutes before had a trade, and
either prices ranged by `halt_range_pct` in those minutes or the silence ends with a reopening
print. Silence alone is no halt: thin names fall silent twenty times a day.

The minutes before are stretches of 60 s back from the silence's start, its last trade included.
The range is (highest - lowest) / lowest over trades that count for price. A silence still going on
where the data end has its end there.

Keep out: what a halt does to the spread (`spread`).
"""

from __future__ import annotations

import polars as pl

from smallcaps_pipeline.micro.prices import MICRO_DOLLARS, NS_PER_MINUTE, NS_PER_S
from smallcaps_pipeline.micro.quotes_in_force import with_mid
from smallcaps_pipeline.micro.tape import instant
from smallcaps_pipeline.schemas import HALT
from smallcaps_pipeline.settings import Micro
from smallcaps_pipeline.thresholds import at_least


def probable_halts(
    tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame, micro: Micro, *, end: str
) -> pl.DataFrame:
    """Find the silences of each event's window, up to `end`, that look like halts.

    Args:
        tape: The events' trades, sorted by event and order.
        book: The events' quotes, only asked for halt indicators.
        events: As `slices.event_bounds` gives them.
        micro: Settings of the stage.
        end: Column of `events` that ends what may be seen.

    Returns:
        One row per probable halt, by event and start: event, start_ns (last trade before, or the
        open), end_ns (first trade after, else the close or `end`), confirmed (a reopening print at
        its end, or a halt indicator among its quotes).
    """
    seen = tape.filter(pl.col("counts_volume")).join(
        events.select("event", stop_ns=end), on="event", how="left", maintain_order="left"
    )
    seen = seen.filter(pl.col("at_ns") < pl.col("stop_ns"))
    silences = _silences(seen, micro)
    found = _with_minutes_before(silences, tape, micro)
    marked = _with_evidence(found, seen, book)
    moved = at_least(pl.col("range_pct"), micro.halt_range_pct)
    active = pl.col("active_minutes") == micro.halt_minutes_before
    return (
        marked.filter(active & (moved.fill_null(value=False) | pl.col("reopened")))
        .sort("event", "start_ns")
        .select("event", "start_ns", "end_ns", confirmed=pl.col("reopened") | pl.col("indicated"))
    )


def halt_lists(halts: pl.DataFrame, book: pl.DataFrame, *, lag_ns: int) -> pl.DataFrame:
    """Return per event the list of its halts with the mids in force at start and end."""
    with_mids = halts
    for side in ("start", "end"):
        asked = with_mids.with_columns(at_ns=pl.col(f"{side}_ns"))
        mid = pl.col("mid_x2") / (2 * MICRO_DOLLARS)
        with_mids = (
            with_mid(asked, book, by=["event"], lag_ns=lag_ns)
            .with_columns(mid.alias(f"mid_{side}"))
            .drop("mid_x2", "at_ns")
        )
    halt = pl.struct(
        start=instant(pl.col("start_ns")),
        end=instant(pl.col("end_ns")),
        mid_start="mid_start",
        mid_end="mid_end",
        confirmed="confirmed",
    )
    return with_mids.group_by("event", maintain_order=True).agg(label_halts=halt.cast(HALT))


def _silences(seen: pl.DataFrame, micro: Micro) -> pl.DataFrame:
    """Return gaps between trades, cut to regular hours, of at least the silence asked for."""
    following = pl.col("at_ns").shift(-1).over("event")
    start = pl.max_horizontal("at_ns", "open_ns")
    stop = pl.min_horizontal(pl.coalesce(following, "stop_ns"), "close_ns", "stop_ns")
    return (
        seen.select("event", "open_ns", start_ns=start, end_ns=stop)
        .filter(
            pl.col("open_ns").is_not_null()  # no regular hours on days the exchange is closed
            & (pl.col("end_ns") - pl.col("start_ns") >= micro.halt_silence_s * NS_PER_S)
        )
        .select("event", "start_ns", "end_ns", silence=pl.int_range(pl.len(), dtype=pl.UInt32))
    )


def _with_minutes_before(silences: pl.DataFrame, tape: pl.DataFrame, micro: Micro) -> pl.DataFrame:
    """Add active_minutes (of the minutes before, those with a trade) and range_pct in them."""
    age = pl.col("start_ns") - pl.col("at_ns")
    before = silences.join(tape, on="event").filter(
        (age >= 0) & (age < micro.halt_minutes_before * NS_PER_MINUTE)
    )
    price = pl.col("price_micro").filter(pl.col("counts_price"))
    counted = (age // NS_PER_MINUTE).filter(pl.col("counts_volume"))
    minutes = before.group_by("silence").agg(
        active_minutes=counted.n_unique(),
        range_pct=(price.max() - price.min()) / price.min() * 100,
    )
    return silences.join(minutes, on="silence", how="left", validate="1:1")


def _with_evidence(silences: pl.DataFrame, seen: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """Add `reopened` (a reopening print at the end) and `indicated` (halt indicators in quotes)."""
    prints = seen.filter(pl.col("reopens")).select("event", end_ns="at_ns").unique()
    marks = book.filter(pl.col("halt_mark")).select("event", "at_ns")
    within = (pl.col("at_ns") > pl.col("start_ns")) & (pl.col("at_ns") <= pl.col("end_ns"))
    indicated = silences.join(marks, on="event").filter(within).select("silence").unique()
    return (
        silences.join(prints.with_columns(reopened=True), on=["event", "end_ns"], how="left")
        .join(indicated.with_columns(indicated=True), on="silence", how="left")
        .with_columns(pl.col("reopened", "indicated").fill_null(value=False))
    )
