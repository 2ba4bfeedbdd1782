"""News of the hours before a batch's events: what news latency is measured by."""

import time
from datetime import timedelta

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.batch_events import events_of
from smallcaps_pipeline.defs.describe import OWNER, described, figures
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.windows import DOWNLOAD_POOL
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.errors import ProviderError
from smallcaps_pipeline.schemas import NEWS
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows.intervals import Interval, merge_intervals

BAR = timedelta(minutes=1)


def news_asset(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    """Return the asset: one file per batch, fetched once."""

    @dg.asset(
        name=NEWS.name,
        partitions_def=grid.batches,
        group_name="universe",
        deps=["quote_windows"],  # windows come first where the rate limit is tight
        owners=[OWNER],
        kinds={"parquet"},
        metadata=described(NEWS),
        pool=DOWNLOAD_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        description=(
            "News that name the symbols of a batch, of the hours before its events: a call for "
            "each symbol and stretch, asked once. Left out where micro.fetch_news is off."
        ),
    )
    def news(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        file = lake.batch(NEWS.name, context.partition_key)
        if not settings.micro.fetch_news:
            return dg.MaterializeResult(metadata={"state": "micro.fetch_news is off"})
        if file.exists():
            there = lake.read(file, NEWS)
            return dg.MaterializeResult(metadata={**figures(there), "state": "already there"})
        events = events_of(lake, context.partition_key)
        stretches = stretches_before(events, timedelta(hours=settings.micro.news_hours))
        progress = ProgressLog(
            context.log.info,
            total=len(stretches),
            unit="stretches",
            clock=time.monotonic,
            display=display,
        )
        try:
            with provider.client() as client:
                found = _fetch(client, stretches, progress)
        except ProviderError as error:  # news is worth less than the figures that wait for it
            context.log.warning(f"no news of this batch, their latency is unknown: {error}")
            return dg.MaterializeResult(metadata={"state": f"not fetched: {error}"})
        lake.write(found, file)
        return dg.MaterializeResult(
            metadata={**figures(found, "published_at"), "calls": len(stretches), "state": "fetched"}
        )

    return news


def stretches_before(events: pl.DataFrame, reach: timedelta) -> list[tuple[str, Interval]]:
    """Return symbol and [bar end - reach, bar end) of events, those that overlap as one."""
    end = pl.col("timestamp") + BAR
    wanted = events.select("symbol", window_start=end - reach, window_end=end)
    merged = merge_intervals(wanted, by=["symbol"])
    return [(symbol, (start, stop)) for symbol, start, stop in merged.iter_rows()]


def _fetch(
    client: PolygonClient, stretches: list[tuple[str, Interval]], progress: ProgressLog
) -> pl.DataFrame:
    parts = [NEWS.empty()]
    for symbol, (start, end) in stretches:
        parts.append(client.news(symbol=symbol, start=start, end=end))
        progress.advance()
    return pl.concat(parts).unique(NEWS.key).sort(NEWS.key)
