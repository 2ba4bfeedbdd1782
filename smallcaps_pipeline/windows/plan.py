"""The window plan: from the manifest and what is stored to the intervals that must be fetched.

Belongs here: which windows become one, what of them is missing, what that will cost.
Keep out: interval arithmetic (`intervals`), batches (`batches`), the sum over a plan (`estimate`).

Two rules merge windows of one symbol: they overlap, or two of their events lie less than 8 minutes
apart. "Until nothing changes" needs no loop: events near each other form chains, which the merging
of windows cannot change; the hulls of the chains are merged where they overlap, and a union of
overlapping intervals has no gap, so its hull reaches nothing that the union did not. In the other
order (overlaps first, then chains) a hull across a gap could swallow a window in the gap.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import polars as pl

from smallcaps_pipeline.manifest.nbbo_level import NbboLevel
from smallcaps_pipeline.schemas import MANIFEST, PLAN, STORED, SchemaError, Table, some
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows.intervals import label_overlaps, subtract_intervals
from smallcaps_pipeline.windows.rates import Rates, unlearnt


class Kind(StrEnum):
    """What is fetched of a window. Trades come first: the thinning of quotes looks at them."""

    TRADES = "trades"
    QUOTES = "quotes"


OWNER: Final = ("symbol", "kind")
UNREDUCED: Final = NbboLevel(by_change=False)
EVENT_COLUMNS: Final = (
    "symbol",
    "timestamp",
    "event_id",
    "rank",
    "nbbo_by_change",
    "nbbo_max_hz",
    "window_start",
    "window_end",
)
_EVENTS: Final = Table(MANIFEST.name, MANIFEST.row, some(MANIFEST, *EVENT_COLUMNS))


def plan_windows(
    manifest_frame: pl.DataFrame,
    *,
    stored: pl.DataFrame | None = None,
    settings: Settings | None = None,
    rates: Rates | None = None,
) -> pl.DataFrame:
    """Plan what is to be fetched, so that no instant of a symbol and kind is asked for twice.

    Quotes that are stored at a coarser NBBO reduction than a window wants are the one exception:
    they are fetched once more (`refetched_seconds` says how much of a row that is).

    Args:
        manifest_frame: One row per event (schemas.MANIFEST; of its columns those of
            EVENT_COLUMNS are read), in any order.
        stored: What is stored or under way (schemas.STORED), rows in any order, which may overlap.
            Quotes without an NBBO label count as unreduced. None is nothing.
        settings: Configuration; None loads it.
        rates: What windows are expected to hold, learnt from what was fetched; None takes what the
            settings expect.

    Returns:
        schemas.PLAN, one row per missing interval [window_start, window_end), UTC. Sorted by
        priority, symbol, kind (trades before quotes), window_start. `requests_expected` counts
        pages of `provider.page_limit` rows at the expected rates, and for quotes the last quote
        before the start; `bytes_expected` counts rows before the NBBO reduction.

    Raises:
        SchemaError: A column is missing, a time has no time zone, or a window does not end after
            its start.
        ValueError: A stored row has an NBBO label that is none.
    """
    settings = settings or load_settings()
    stored = STORED.empty() if stored is None else STORED.conform(stored)
    windows = merge_windows(manifest_frame, settings.windows.merge_minutes)
    wanted = pl.concat(
        [
            windows.with_columns(kind=pl.lit(Kind.TRADES.value), nbbo=pl.lit(None, pl.String)),
            windows.with_columns(kind=pl.lit(Kind.QUOTES.value)),
        ],
        how="diagonal",
    )
    return price(subtract_stored(wanted, stored), stored, settings, rates)


def price(
    missing: pl.DataFrame, stored: pl.DataFrame, settings: Settings, rates: Rates | None = None
) -> pl.DataFrame:
    """Return missing intervals as schemas.PLAN: with what they are expected to cost, and sorted."""
    rates = rates or unlearnt(settings.windows)
    missing = rates.add_to(_add_refetched(missing, stored))
    return PLAN.conform(
        missing.with_columns(**_cost(settings.provider.page_limit)).sort(
            "priority", "symbol", pl.col("kind") == Kind.QUOTES.value, "window_start"
        )
    )


def merge_windows(manifest_frame: pl.DataFrame, merge_minutes: int) -> pl.DataFrame:
    """Merge the windows of each symbol that overlap or have events near each other.

    Returns:
        One row per merged window: symbol, window_start, window_end, merged_start, merged_end (the
        same), events_merged (by timestamp, then event_id), priority (best rank), nbbo (label).
    """
    rows = _read_manifest(manifest_frame).sort("symbol", "timestamp", "event_id")
    gap = pl.col("timestamp").diff()
    near = (pl.col("symbol") == pl.col("symbol").shift()) & (
        gap < pl.duration(minutes=merge_minutes)
    )
    rows = rows.with_columns(chain=(~near.fill_null(value=False)).cum_sum())
    chains = rows.group_by("chain").agg(
        pl.col("symbol").first(), pl.col("window_start").min(), pl.col("window_end").max()
    )
    groups = label_overlaps(chains, by=["symbol"]).select("chain", "overlap_group")
    hz = pl.col("nbbo_max_hz")
    return (
        rows.join(groups, on="chain", validate="m:1", maintain_order="left")
        .group_by("overlap_group", maintain_order=True)
        .agg(
            pl.col("symbol").first(),
            pl.col("window_start").min(),
            pl.col("window_end").max(),
            pl.col("event_id").alias("events_merged"),
            pl.col("rank").min().alias("priority"),
            pl.col("nbbo_by_change").all(),
            pl.when(hz.is_not_null().all()).then(hz.max()).alias("nbbo_max_hz"),
        )
        .with_columns(
            nbbo=_nbbo_label(), merged_start=pl.col("window_start"), merged_end=pl.col("window_end")
        )
        .drop("overlap_group", "nbbo_by_change", "nbbo_max_hz")
    )


def _read_manifest(manifest_frame: pl.DataFrame) -> pl.DataFrame:
    """Return the columns that the plan reads, in their declared types."""
    rows = _EVENTS.conform(manifest_frame)
    wrong = rows.filter((pl.col("window_end") <= pl.col("window_start")).fill_null(value=True))
    if wrong.height:
        first = wrong.row(0, named=True)
        raise SchemaError(
            f"{MANIFEST.name}: the window of {first['event_id']} must end after its start, was "
            f"[{first['window_start']}, {first['window_end']})"
        )
    return rows


def _nbbo_label() -> pl.Expr:
    """Return the label of `NbboLevel`, as an expression over its two parts."""
    rows = pl.when(pl.col("nbbo_by_change")).then(pl.lit("change")).otherwise(pl.lit("all"))
    rate = pl.format("@{}Hz", pl.col("nbbo_max_hz"))
    return pl.concat_str(rows, rate.fill_null(""))


def subtract_stored(wanted: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Take out of each interval what is stored at a level that covers the one it wants.

    A pass per wanted level, of which there are as many as profiles and cohorts differ.

    Args:
        wanted: Rows with symbol, kind, window_start, window_end and nbbo (null for trades) that do
            not overlap within a symbol and kind (the rows of one plan or one batch); further
            columns pass through.
        stored: schemas.STORED.

    Returns:
        What is missing, in the columns of `wanted`; a row may become none or several.
    """
    passes = [
        subtract_intervals(part, _covering(stored, part["nbbo"][0]), by=OWNER)
        for part in wanted.partition_by("nbbo", maintain_order=True)
    ]
    return pl.concat(passes) if passes else wanted


def _covering(stored: pl.DataFrame, label: str | None) -> pl.DataFrame:
    """Return the stored trades (`label` null), or the stored quotes at least as fine as `label`."""
    quotes = pl.col("kind") == Kind.QUOTES.value
    if label is None:
        return stored.filter(~quotes)
    wanted = NbboLevel.from_label(label)
    fine = [
        have
        for have in stored.filter(quotes)["nbbo"].fill_null(UNREDUCED.label).unique()
        if NbboLevel.from_label(have).covers(wanted)
    ]
    return stored.filter(quotes & pl.col("nbbo").fill_null(UNREDUCED.label).is_in(fine))


def _add_refetched(missing: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """Add `refetched_seconds`: what of a missing interval is stored, but too coarse."""
    missing = missing.sort(*OWNER, "window_start").with_row_index("number")
    new = subtract_intervals(missing, stored, by=OWNER)
    new_seconds = new.group_by("number").agg(new_seconds=_seconds().sum())
    return (
        missing.join(new_seconds, on="number", how="left", validate="1:1")
        .with_columns(refetched_seconds=_seconds() - pl.col("new_seconds").fill_null(0.0))
        .drop("number", "new_seconds")
    )


def _seconds() -> pl.Expr:
    length = pl.col("window_end") - pl.col("window_start")
    return length.dt.total_microseconds() / 1_000_000


def _cost(page_limit: int) -> dict[str, pl.Expr]:
    """Return the expressions of requests and bytes that a row is expected to take."""
    state = (pl.col("kind") == Kind.QUOTES.value).cast(pl.Int64)  # the quote before: one more
    rows = _seconds() / 60 * pl.col("rows_per_minute")
    return {
        "requests_min": 1 + state,
        "requests_expected": (rows / page_limit).ceil().clip(lower_bound=1) + state,
        "bytes_expected": rows * pl.col("bytes_per_row"),
    }
