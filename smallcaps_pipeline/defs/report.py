"""Report: the GO / NO-GO page of a profile."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.bars.update import TABLE as BARS_TABLE
from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs.describe import OWNER
from smallcaps_pipeline.defs.manifest import stored_funnel
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.resources import Source
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.report import build_report, decide, evaluate_criteria
from smallcaps_pipeline.schemas import BARS, EVENTS, MANIFEST, MICRO_FEATURES
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import Kind, read_interval

GROUP = "report"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""

    @dg.asset(
        partitions_def=grid.profiles,
        group_name=GROUP,
        deps=[
            dg.AssetDep("intraday_events", partition_mapping=dg.AllPartitionMapping()),
            "event_manifest",
            dg.AssetDep("micro_features", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"plotly"},
        description=(
            "GO or NO-GO for paying for more: each criterion with its figure, its threshold and "
            "how many events it rests on. Missing evidence reads `not yet`, never a pass."
        ),
    )
    def go_no_go(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        events = lake.scan(lake.files(EVENTS.name), EVENTS).collect()
        features = _features(lake, profile)
        file, sources = lake.report(profile), _sources(lake)
        page = build_report(
            events,
            profile=profile,
            features=features,
            simulated=Source.SIMULATED in sources,
            emulated=not sources.isdisjoint({Source.EMULATOR, Source.LOOPBACK_FILES}),
            settings=settings,
            **_manifest(lake, profile, grid, settings),
        )
        lake.write_text(page, file)
        criteria = evaluate_criteria(events, features, settings=settings)
        return dg.MaterializeResult(
            metadata={
                "decision": decide(criteria).value,
                "events": len(events),
                "events with windows": 0 if features is None else len(features),
                "page": dg.MetadataValue.path(file),
            }
        )

    return [go_no_go]


def _features(lake: Lake, profile: str) -> pl.DataFrame | None:
    """Return the figures of the profile's events; None without any."""
    files = lake.files(MICRO_FEATURES.name)
    if not files:
        return None
    frame = lake.scan(files, MICRO_FEATURES).filter(pl.col("profile") == profile)
    return frame.unique("event_id", keep="last", maintain_order=True).collect()


def _manifest(lake: Lake, profile: str, grid: Grid, settings: Settings) -> dict[str, Any]:
    """Return what the page shows of the manifest, and the data of its best events."""
    file = lake.profile(MANIFEST.name, profile)
    if not file.exists():
        return {}
    manifest, stored = lake.read(file, MANIFEST), read_metadata(file) or {}
    best = manifest.head(settings.report.best_and_worst)
    return {
        "manifest": manifest,
        "funnel": stored_funnel(file),
        "notes": stored["notes"],
        "bars": _bars_of(lake, best, grid),
        "trades": _ticks_of(lake, best, Kind.TRADES),
        "quotes": _ticks_of(lake, best, Kind.QUOTES),
    }


def _bars_of(lake: Lake, events: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    """Return the bars of the cells that hold some events."""
    days = events.select("symbol", pl.col("date").str.to_date()).unique()
    files = {
        lake.cell(BARS_TABLE, symbol, period_of(day, grid.cadence).key)
        for symbol, day in days.iter_rows()
    }
    return lake.scan(sorted(file for file in files if file.exists()), BARS).collect()


def _ticks_of(lake: Lake, events: pl.DataFrame, kind: Kind) -> pl.DataFrame | None:
    """Return the stored trades or quotes of some events' windows, with their symbol."""
    windows = events.select("symbol", "window_start", "window_end").unique(maintain_order=True)
    parts = [
        read_interval(lake, symbol, kind, (start, end)).with_columns(symbol=pl.lit(symbol))
        for symbol, start, end in windows.iter_rows()
    ]
    return pl.concat(parts) if parts else None


def _sources(lake: Lake) -> set[str]:
    """Return where bars, trades and quotes of the lake came from."""
    bars = (file for _, _, file in lake.cells(BARS_TABLE))
    files = chain(bars, *(lake.window_files(kind.value) for kind in Kind))
    return {(read_metadata(file) or {}).get("source", "") for file in files}
