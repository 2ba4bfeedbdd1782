"""Extension: a window whose first or last minute is hot was cut in the middle of the move.

Belongs here: the decision, a pure function of what the window holds.
Keep out: fetching the new part (`fetch`), whether the profile extends at all (`Profile.extend`).

What counts as a trade follows the rest of the flow: prints that were cancelled or corrected away
(correction other than 0 or 1) and messages that carry no volume (conditions 15, 16, 38) are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from smallcaps_pipeline.micro.conditions import counts_for_volume, exists
from smallcaps_pipeline.micro.prices import NS_PER_MINUTE
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline.thresholds import at_least
from smallcaps_pipeline.windows.nbbo import Nanoseconds, in_tape_order, mids, nanoseconds
from smallcaps_pipeline.windows.window import Window

Floats = npt.NDArray[np.float64]


def extension(
    window: Window | Mapping[str, Any],
    trades: pl.DataFrame,
    quotes: pl.DataFrame | None = None,
    *,
    settings: Settings | None = None,
) -> tuple[datetime, datetime] | None:
    """Decide whether a window is widened, from what it holds.

    Its minutes are counted from window_start, the empty ones and the edges included; a last part
    of a minute counts as one. An edge minute is hot if its trades, or with quotes the move of its
    mid, reach the 90th percentile (linear) of the window's minutes and a floor (50 trades, 1 %).
    A hot first minute moves the start to 10 minutes before the first event, a hot last one the end
    to 20 minutes after the last. A window never shrinks, and is extended once.

    Args:
        window: A `Window`, or a row of the plan (or the manifest) as a mapping.
        trades: schemas.TRADES of the window; rows outside it do not count. `correction` and
            `conditions` may be absent.
        quotes: schemas.QUOTES of the window and the last one before it; None decides by trades.
        settings: Configuration (`windows.extension`, and `micro.quote_lag_ns`, the extra age that
            a quote needs to be in force); None loads it.

    Returns:
        The new [start, end), UTC, or None where nothing changes.
    """
    settings = settings or load_settings()
    rules = settings.windows.extension
    window = Window.of(window)
    if window.extended:
        return None
    hot_first, hot_last = _hot_edges(window, trades, quotes, settings)
    start, end = window.window_start, window.window_end
    if hot_first:
        start = min(start, window.first_event - timedelta(minutes=rules.minutes_before))
    if hot_last:
        end = max(end, window.last_event + timedelta(minutes=rules.minutes_after))
    return None if (start, end) == (window.window_start, window.window_end) else (start, end)


def _hot_edges(
    window: Window, trades: pl.DataFrame, quotes: pl.DataFrame | None, settings: Settings
) -> tuple[bool, bool]:
    """Say of the first and of the last minute whether it is hot."""
    rules, lag_ns = settings.windows.extension, settings.micro.quote_lag_ns
    edges = _minute_edges(window)
    measures = [(_trades_per_minute(trades, edges), float(rules.min_trades))]
    if quotes is not None:
        measures.append((_moves(quotes, edges - lag_ns), rules.min_move_pct / 100))
    first, last = (
        any(_is_hot(values, edge, floor, rules.percentile) for values, floor in measures)
        for edge in (0, -1)
    )
    return first, last


def _is_hot(values: Floats, edge: int, floor: float, percentile: float) -> bool:
    """Compare one minute with the window's percentile and the floor; an unknown one is not hot."""
    if np.isnan(values[edge]):
        return False
    usual = float(np.percentile(values[~np.isnan(values)], percentile, method="linear"))
    return all(at_least(float(values[edge]), bound) for bound in (usual, floor))


def _minute_edges(window: Window) -> Nanoseconds:
    """Return the instants between the minutes of a window, its two ends included, ns."""
    start, end = nanoseconds([window.window_start, window.window_end])
    return np.append(np.arange(start, end, NS_PER_MINUTE), end)


def _trades_per_minute(trades: pl.DataFrame, edges: Nanoseconds) -> Floats:
    times = nanoseconds(trades.filter(*_standing(trades))["timestamp"])
    inside = times[(times >= edges[0]) & (times < edges[-1])]
    minute = (inside - edges[0]) // NS_PER_MINUTE
    return np.bincount(minute, minlength=edges.size - 1).astype(np.float64)


def _standing(trades: pl.DataFrame) -> list[pl.Expr]:
    """Return the conditions that a print fulfils which happened and carried volume."""
    rules = {
        "correction": exists(pl.col("correction")),
        "conditions": counts_for_volume(pl.col("conditions")),
    }
    return [rule for name, rule in rules.items() if name in trades.columns]


def _moves(quotes: pl.DataFrame, instants: Nanoseconds) -> Floats:
    """Return abs(mid at an instant / mid at the one before - 1); NaN where one is unknown."""
    mid = mids(in_tape_order(quotes), instants).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    moves: Floats = np.abs(mid[1:] / mid[:-1] - 1)
    return moves
