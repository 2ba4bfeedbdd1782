"""Micro: figures of every event from the trades and quotes around it."""

from collections.abc import Iterator, Sequence
from datetime import date

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.describe import OWNER, described, figures
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.schemas import DAILY_BARS, MANIFEST, MICRO_FEATURES, NEWS, SPLITS
from smallcaps_pipeline.sessions import previous_trading_day
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.universe import previous_close
from smallcaps_pipeline.windows import Kind, is_stored, profile_of, read_batch, read_interval

GROUP = "micro"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""

    @dg.asset(
        partitions_def=grid.batches,
        group_name=GROUP,
        deps=[
            "trade_windows",
            "quote_windows",
            "splits",
            dg.AssetDep("daily_bars", partition_mapping=dg.AllPartitionMapping()),
            dg.AssetDep("news", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(MICRO_FEATURES),
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        description=(
            "Spread, flow, tape speed, blocks, halts and continuation of every event of a batch. "
            "Columns named label_ look past the event: never train on them as inputs."
        ),
    )
    def micro_features(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        batch = context.partition_key
        planned = _events_of(lake, batch)
        events = _with_trades(lake, planned)
        closes = _previous_closes(lake)
        news = news_around(lake, events)
        parts = [_of_symbol(lake, rows, closes, news, settings) for rows in _by_symbol(events)]
        features = pl.concat(parts) if parts else MICRO_FEATURES.empty()
        features = features.with_columns(
            # On a day whose news were not fetched, that of the day before is not the last.
            pl.when(pl.col("date").is_in(days_with_news(lake, events))).then("news_latency_s")
        )
        file = lake.batch(MICRO_FEATURES.name, batch)
        lake.write(features, file)
        return dg.MaterializeResult(
            metadata={
                **figures(features, "timestamp"),
                "events without trades stored": len(planned) - len(events),
                "file": dg.MetadataValue.path(file),
            }
        )

    return [micro_features]


def _events_of(lake: Lake, batch: str) -> pl.DataFrame:
    """Return the manifest rows of the events in a batch's windows."""
    ids = read_batch(lake, batch)["events_merged"].explode().unique()
    manifest = lake.read(lake.profile(MANIFEST.name, profile_of(batch)), MANIFEST)
    return manifest.filter(pl.col("event_id").is_in(ids.implode()))


def _with_trades(lake: Lake, events: pl.DataFrame) -> pl.DataFrame:
    """Return the events whose trades are stored: of a window set aside nothing may be said."""
    owns = ("symbol", "window_start", "window_end")
    there = [
        is_stored(lake, symbol, Kind.TRADES, (start, end))
        for symbol, start, end in events.select(owns).iter_rows()
    ]
    return events.filter(pl.Series(there, dtype=pl.Boolean))


def _by_symbol(events: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield the rows of one symbol after the other: one symbol's ticks are in memory at a time."""
    yield from events.sort("symbol", "timestamp").partition_by("symbol", maintain_order=True)


def _of_symbol(
    lake: Lake,
    rows: pl.DataFrame,
    closes: pl.DataFrame | None,
    news: pl.DataFrame | None,
    settings: Settings,
) -> pl.DataFrame:
    symbol, start, end = rows.select(
        pl.col("symbol").first(), pl.col("window_start").min(), pl.col("window_end").max()
    ).row(0)
    trades, quotes = (read_interval(lake, symbol, kind, (start, end)) for kind in Kind)
    return event_features(rows, trades, quotes, previous_close=closes, news=news, settings=settings)


def days_with_news(lake: Lake, events: pl.DataFrame) -> list[str]:
    """List those of the events' trading days whose news were fetched."""
    return [day for day in events["date"].unique() if lake.day(NEWS.name, day).exists()]


def news_around(lake: Lake, events: pl.DataFrame) -> pl.DataFrame | None:
    """Return the news of the events' trading days and those before; None where no day is there."""
    days = {date.fromisoformat(day) for day in events["date"].unique()}
    days |= {previous_trading_day(day) for day in days}
    files = [file for day in sorted(days) if (file := lake.day(NEWS.name, str(day))).exists()]
    if not files:
        return None
    symbols = events["symbol"].unique().implode()
    return lake.scan(files, NEWS).filter(pl.col("symbol").is_in(symbols)).collect()


def _previous_closes(lake: Lake) -> pl.DataFrame | None:
    """Return the previous closes on each day's price basis; None without daily bars."""
    daily = lake.files(DAILY_BARS.name)
    if not daily:
        return None
    splits = lake.table(SPLITS.name)
    known = lake.read(splits, SPLITS) if splits.exists() else SPLITS.empty()
    return previous_close(lake.scan(daily, DAILY_BARS).collect(), known)
