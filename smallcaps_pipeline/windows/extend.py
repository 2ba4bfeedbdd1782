"""Plan what the extension of hot windows asks for.

Belongs here: which windows of a batch are extended, and the new part less what others hold or plan.
Keep out: what makes an edge hot (`extension`), fetching (`fetch`).

The order of a batch, for a profile that extends:

    fetch_trades(batch)
    fetch_trades(plan_extensions(batch, lake, planned=...))     decided by trades
    fetch_quotes(batch)
    more = plan_extensions(batch, lake, planned=...)            decided again, now by quotes too
    fetch_trades(more), fetch_quotes(more)

The decision is written into the files that it widens (`extended` in their metadata: which window,
to what), so a run that is killed between the parts goes on with the same decision, and no window is
extended twice. It is one window's: a neighbour that shares the file decides for itself.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import PLAN, STORED, UTC_US
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.windows.extension import extension
from smallcaps_pipeline.windows.intervals import Interval, overlap, uncovered
from smallcaps_pipeline.windows.plan import Kind, price
from smallcaps_pipeline.windows.reading import read_interval
from smallcaps_pipeline.windows.stored import Part, missing_intervals, stored_windows
from smallcaps_pipeline.windows.window import Window

ROW_COLUMNS: Final = (
    "symbol",
    "kind",
    "window_start",
    "window_end",
    "events_merged",
    "priority",
    "nbbo",
    "merged_start",
    "merged_end",
)
WIDENS: Final = ("widens_start", "widens_end")
Planned = defaultdict[tuple[str, Kind], list[Part]]


def plan_extensions(
    plan_rows: pl.DataFrame,
    lake: Lake,
    *,
    planned: pl.DataFrame | None = None,
    settings: Settings | None = None,
) -> pl.DataFrame:
    """Plan the new parts of the windows of a batch whose edges are hot.

    A window is looked at when all its trades are stored; its quotes take part when they are stored
    too. A window that was extended before yields what is still missing of that.

    Args:
        plan_rows: schemas.PLAN, the rows of one batch.
        lake: What is stored.
        planned: schemas.PLAN, every row that is planned, of any batch; None takes the batch alone.
            What a neighbour plans is left to the neighbour.
        settings: Configuration; None loads it.

    Returns:
        schemas.PLAN, best windows first, with `widens_start` and `widens_end`: the window before
        (`merged_start`, `merged_end` are the one after). Of both kinds; where no quotes of a window
        are planned or stored, of trades only.
    """
    settings = settings or load_settings()
    ahead = _by_owner(plan_rows if planned is None else planned)
    found: list[dict[str, Any]] = []
    for window in _windows(plan_rows).to_dicts():
        target = _target(window, lake, settings)
        if target is not None:
            for kind in Kind:
                found += _new_parts(window, kind, target, lake, ahead)
    schema = {name: PLAN.schema[name] for name in ROW_COLUMNS} | dict.fromkeys(WIDENS, UTC_US)
    rows = pl.DataFrame(found, schema=schema)
    plan = price(rows.drop(WIDENS), STORED.empty(), settings)
    before = rows.select("symbol", "kind", "window_start", *WIDENS)
    return plan.join(
        before,
        on=["symbol", "kind", "window_start"],
        how="left",
        maintain_order="left",
        validate="1:1",
    )


def _by_owner(planned: pl.DataFrame) -> Planned:
    parts: Planned = defaultdict(list)
    for row in planned.to_dicts():
        part = Part(row["window_start"], row["window_end"], row["nbbo"])
        parts[row["symbol"], Kind(row["kind"])].append(part)
    return parts


def _windows(plan_rows: pl.DataFrame) -> pl.DataFrame:
    """Return one row per merged window, best first, with the NBBO label of its quotes."""
    return (
        plan_rows.group_by("symbol", "merged_start", "merged_end")
        .agg(
            pl.col("events_merged").first(),
            pl.col("priority").first(),
            pl.col("nbbo").drop_nulls().first(),
        )
        .sort("priority", "symbol", "merged_start")
    )


def _target(window: dict[str, Any], lake: Lake, settings: Settings) -> Interval | None:
    """Return the interval to which a window is, or was before, extended."""
    symbol, interval = window["symbol"], (window["merged_start"], window["merged_end"])
    trade_windows = stored_windows(lake, Kind.TRADES, symbol)
    if missing_intervals(interval, trade_windows, None):
        return None
    for stored in trade_windows:
        for widened in stored.extended:
            if overlap(widened.window, interval):
                return widened.to
    quotes = None
    if not missing_intervals(interval, stored_windows(lake, Kind.QUOTES, symbol), None):
        quotes = read_interval(lake, symbol, Kind.QUOTES, interval)
    trades = read_interval(lake, symbol, Kind.TRADES, interval)
    row = Window(symbol, *interval, tuple(window["events_merged"]))
    return extension(row, trades, quotes, settings=settings)


def _new_parts(
    window: dict[str, Any], kind: Kind, target: Interval, lake: Lake, ahead: Planned
) -> list[dict[str, Any]]:
    """Return the rows of a kind that neither a file nor a plan holds, and put them on the plan."""
    symbol = window["symbol"]
    there = stored_windows(lake, kind, symbol)
    nbbo = None
    if kind == Kind.QUOTES:
        own = (window["merged_start"], window["merged_end"])
        parts = [part for stored in there for part in stored.parts if overlap(part.interval, own)]
        nbbo = window["nbbo"] or next((part.nbbo for part in parts), None)
        if nbbo is None:
            return []
    neighbours = [part.interval for part in ahead[symbol, kind] if part.covers(nbbo)]
    intervals = [
        rest
        for missing in missing_intervals(target, there, nbbo)
        for rest in uncovered(missing, neighbours)
    ]
    ahead[symbol, kind] += [Part(start, end, nbbo) for start, end in intervals]
    return [_row(window, kind, nbbo, start, end, target) for start, end in intervals]


def _row(
    window: dict[str, Any],
    kind: Kind,
    nbbo: str | None,
    start: datetime,
    end: datetime,
    target: Interval,
) -> dict[str, Any]:
    return window | {
        "kind": kind.value,
        "window_start": start,
        "window_end": end,
        "nbbo": nbbo,
        "merged_start": target[0],
        "merged_end": target[1],
        "widens_start": window["merged_start"],
        "widens_end": window["merged_end"],
    }
