"""KPIs of event shards and of downloaded windows: named figures with an allowed range.

Belongs here: what an asset check measures, as pure functions of frames.
Keep out: the checks themselves, and the decision on the whole (`decision`).

Shares need a sample: below `SMALLEST_SAMPLE` events a single one is more than 2 %, and the status
is "not yet". Figures without an allowed range (counts) always pass; they are there to be read.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.report.status import Finding, judge
from smallcaps_pipeline.schemas import EVENTS, MICRO_FEATURES
from smallcaps_pipeline.sessions import Session, minute_of_day
from smallcaps_pipeline.settings import Range, Settings, load_settings

SMALLEST_SAMPLE: Final = 50
UNBOUNDED: Final = Range(low=None, high=None)


def event_kpis(events: pl.DataFrame, settings: Settings | None = None) -> list[Finding]:
    """Measure events, of one shard or of all.

    Args:
        events: Rows of `schemas.EVENTS`, any order.
        settings: None takes `load_settings()`.

    Returns:
        One finding each for: the number of events, of each type, the sessions' shares, median
        dollar volume, the high quantile of spike_x and the events above it, near duplicates,
        events per symbol and RTH hour (mean and 99th percentile, over hours with an event), and
        the fullest clock minute of the day.
    """
    limits = (settings or load_settings()).kpis.events
    rows = EVENTS.conform(events, where="event_kpis")
    return [
        _count("events", "Events", rows.height),
        *_type_counts(rows),
        _session_share(rows, Session.PM, limits.pm_share_pct),
        _session_share(rows, Session.RTH, limits.rth_share_pct),
        _session_share(rows, Session.AH, limits.ah_share_pct),
        _median_dollar_volume(rows, limits.median_dollar_volume),
        *_spike_tail(rows, limits.spike_quantile),
        _near_duplicates(rows, limits.duplicates_minutes, limits.max_duplicates_pct),
        *_per_hour(rows, limits.max_events_per_hour_mean, limits.max_events_per_hour_p99),
        _fullest_minute(rows, limits.max_one_minute_pct),
    ]


def window_kpis(features: pl.DataFrame, settings: Settings | None = None) -> list[Finding]:
    """Measure downloaded windows by their figures.

    Args:
        features: Rows of `schemas.MICRO_FEATURES`, one per event whose window is stored.
        settings: None takes `load_settings()`.

    Returns:
        Findings: RTH windows with a trade, windows without a quote, and the median and 99th
        percentile of trades per minute.
    """
    limits = (settings or load_settings()).kpis.windows
    rows = MICRO_FEATURES.conform(features, where="window_kpis")
    rth = rows.filter(pl.col("session") == Session.RTH)
    quoted = rows.filter(pl.col("label_quotes").is_not_null())
    speed = rows["label_tape_speed"]
    with_trades = Range(low=limits.min_rth_with_trades_pct, high=None)
    empty = Range(low=None, high=limits.max_empty_quotes_pct)
    traded = _share(rth["label_trades"] > 0)
    unquoted = _share(quoted["label_quotes"] == 0)
    return [
        _figure(
            "rth_with_trades", "RTH windows with a trade", traded, "%", with_trades, n=rth.height
        ),
        _figure("empty_quotes", "Windows without a quote", unquoted, "%", empty, n=quoted.height),
        _figure(
            *("trades_per_minute_p50", "Trades per minute, median", _quantile(speed, 0.5), ""),
            UNBOUNDED,
            n=rows.height,
        ),
        _figure(
            *("trades_per_minute_p99", "Trades per minute, p99", _quantile(speed, 0.99), ""),
            UNBOUNDED,
            n=rows.height,
        ),
    ]


def _figure(
    name: str,
    title: str,
    figure: float | None,
    unit: str,
    allowed: Range,
    *,
    n: int,
    enough: int = 1,
    note: str = "",
) -> Finding:
    status = judge(figure, allowed, n=n, enough=enough)
    return Finding(name, title, figure, unit, allowed.low, allowed.high, n, status, note)


def _count(name: str, title: str, count: int) -> Finding:
    return _figure(name, title, float(count), "events", UNBOUNDED, n=count, enough=0)


def _type_counts(rows: pl.DataFrame) -> list[Finding]:
    by_type = rows.group_by("event_type").len().sort("event_type")
    return [_count(f"events_{name}", f"Events: {name}", count) for name, count in by_type.rows()]


def _session_share(rows: pl.DataFrame, session: Session, allowed: Range) -> Finding:
    share = _share(rows["session"] == session)
    name, title = f"{session.lower()}_share_pct", f"{session} share"
    return _figure(name, title, share, "%", allowed, n=rows.height, enough=SMALLEST_SAMPLE)


def _median_dollar_volume(rows: pl.DataFrame, allowed: Range) -> Finding:
    median = _quantile(rows["dollar_volume"], 0.5)
    title = "Dollar volume of the event bar, median"
    return _figure("median_dollar_volume", title, median, "USD", allowed, n=rows.height)


def _spike_tail(rows: pl.DataFrame, quantile: float) -> list[Finding]:
    spikes = rows["spike_x"].drop_nulls()
    border = _quantile(spikes, quantile)
    above = 0 if border is None else int((spikes > border).sum())
    title = f"spike_x, {quantile:.1%} quantile"
    return [
        _figure("spike_x_quantile", title, border, "x", UNBOUNDED, n=len(spikes)),
        _count("spike_x_above_quantile", "Events above that quantile", above),
    ]


def _near_duplicates(rows: pl.DataFrame, minutes: int, limit: float) -> Finding:
    """Measure events less than `minutes` after the one before of symbol, type and direction."""
    keys = ["symbol", "event_type", "direction"]
    gap = pl.col("timestamp").diff().over(keys)
    near = rows.sort(*keys, "timestamp").select(near=gap < pl.duration(minutes=minutes))["near"]
    share = _share(near.fill_null(value=False))
    title = f"Less than {minutes} minutes after another of its kind"
    allowed = Range(low=None, high=limit)
    return _figure(
        *("near_duplicates_pct", title, share, "%", allowed), n=rows.height, enough=SMALLEST_SAMPLE
    )


def _per_hour(rows: pl.DataFrame, mean_limit: float, p99_limit: float) -> list[Finding]:
    hour = (minute_of_day(pl.col("timestamp")) // 60).alias("hour")
    in_rth = rows.filter(pl.col("session") == Session.RTH)
    hours = in_rth.group_by("symbol", "date", hour).len()["len"].cast(pl.Float64)
    note = "over symbol-hours with at least one event"
    n = len(hours)
    return [
        _figure(
            *("events_per_hour_mean", "Events per symbol and RTH hour, mean", _mean(hours), ""),
            Range(low=None, high=mean_limit),
            n=n,
            note=note,
        ),
        _figure(
            *("events_per_hour_p99", "Events per symbol and RTH hour, p99", _quantile(hours, 0.99)),
            "",
            Range(low=None, high=p99_limit),
            n=n,
            note=note,
        ),
    ]


def _fullest_minute(rows: pl.DataFrame, limit: float) -> Finding:
    minutes = rows.select(minute=minute_of_day(pl.col("timestamp"))).group_by("minute").len()
    fullest = minutes.sort("len", "minute", descending=[True, False]).head(1).rows()
    share, note = None, ""
    if fullest:
        (minute, count) = fullest[0]
        share = count / rows.height * 100
        note = f"{minute // 60:02d}:{minute % 60:02d} New York"
    return _figure(
        "one_minute_pct",
        "Share of the fullest clock minute",
        share,
        "%",
        Range(low=None, high=limit),
        n=rows.height,
        enough=SMALLEST_SAMPLE,
        note=note,
    )


def _share(true: pl.Series) -> float | None:
    """Return the percentage of True; None where there are no rows."""
    return None if true.is_empty() else float(true.sum()) / len(true) * 100


def _mean(values: pl.Series) -> float | None:
    return None if values.is_empty() else float(values.sum()) / len(values)


def _quantile(values: pl.Series, quantile: float) -> float | None:
    return values.drop_nulls().quantile(quantile, interpolation="linear")
