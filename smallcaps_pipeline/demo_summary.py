"""The demo's last words: what was found, chosen and fetched, and where to look."""

from __future__ import annotations

from typing import Any

import polars as pl

from smallcaps_pipeline.console import Console
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.demo import CONFIG, PROFILE, Demo
from smallcaps_pipeline.report import event_summary
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, MICRO_FEATURES, UNIVERSE
from smallcaps_pipeline.windows import Kind, stored_windows

SHOWN = 5


def print_summary(console: Console, demo: Demo) -> None:
    """Print the tables of a finished demo and the path of its report."""
    lake = demo.lake
    manifest_file = lake.profile(MANIFEST.name, PROFILE)
    manifest = lake.read(manifest_file, MANIFEST)
    features = lake.scan(lake.files(MICRO_FEATURES.name), MICRO_FEATURES).collect()
    events = lake.scan(lake.files(EVENTS.name), EVENTS)
    bars = lake.scan(lake.files(BARS.name), BARS).select(pl.len()).collect().item()
    console.say("")
    console.table("events by type", _by_type(event_summary(events)))
    console.table("from events to windows", stored_funnel(manifest_file).to_dicts())
    console.table("the best events, and what their windows show", _best(manifest, features))
    trades, quotes = (stored_windows(lake, kind) for kind in Kind)
    universe = lake.read(lake.table(UNIVERSE.name), UNIVERSE)
    console.say(
        f"{len(universe)} symbols, {bars:,} bars, "
        f"{events.select(pl.len()).collect().item():,} events; {len(manifest):,} chosen; "
        f"{sum(w.rows for w in trades):,} trades and {sum(w.rows for w in quotes):,} quotes in "
        f"{len(trades):,} windows."
    )
    console.fact("report", str(demo.report))
    console.say(
        "[dim]To walk through it in the Dagster UI, set\n"
        f"  SMALLCAPS_DATA={demo.environment.data}\n"
        f"  SMALLCAPS_STATE={demo.environment.state}\n"
        f"  SMALLCAPS_CONFIG={CONFIG}\n"
        "and run: uv run dagster dev. To judge the charts: uv run smallcaps review[/]"
    )


def _by_type(counted: pl.DataFrame) -> list[dict[str, Any]]:
    by = counted.group_by("event_type", "session").agg(pl.col("events").sum())
    wide = by.pivot("session", index="event_type", values="events").fill_null(0)
    sessions = [name for name in ("PM", "RTH", "AH") if name in wide.columns]
    return (
        wide.select("event_type", *sessions, total=pl.sum_horizontal(sessions))
        .sort("total", descending=True)
        .to_dicts()
    )


def _best(manifest: pl.DataFrame, features: pl.DataFrame) -> list[dict[str, Any]]:
    return (
        manifest.head(SHOWN)
        .join(features, on="event_id", how="left", maintain_order="left")
        .select(
            "symbol",
            pl.col("timestamp").dt.strftime("%m-%d %H:%M").alias("bar UTC"),
            pl.format("{} {}", "event_type", "direction").alias("event"),
            pl.col("spike_x").round(1),
            pl.col("label_tape_speed").cast(pl.Int64).alias("trades/min"),
            pl.col("spread_before_bps").round(1).alias("bps"),
            (pl.col("label_continuation") * 100).round(1).alias("after %"),
        )
        .to_dicts()
    )
