"""Facts of the stocks, with the date from which each was public: splits, short interest, news."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.day_files import PROVIDER_POOL
from smallcaps_pipeline.defs.describe import OWNER, described, figures
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.schemas import (
    DIVIDENDS,
    FLOAT_SHARES,
    NEWS,
    SHORT_INTEREST,
    SPLITS,
    Table,
)
from smallcaps_pipeline.sessions import new_york_time, previous_trading_day
from smallcaps_pipeline.settings import Settings

GROUP = "universe"
ONE_DAY = timedelta(days=1)
SPLIT_HISTORY = timedelta(days=20 * 365)
SHORT_INTEREST_HISTORY = timedelta(days=3 * 365)
DIVIDEND_HISTORY = timedelta(days=3 * 365)


def as_of_date(settings: Settings, provider: Provider) -> date:
    """Return the date that the universe is ranked for."""
    return settings.universe.as_of or provider.last_finished_day()


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of facts."""
    return [
        _history(
            settings,
            SHORT_INTEREST,
            fetch=PolygonClient.short_interest,
            reaches_back=SHORT_INTEREST_HISTORY,
            time="settlement_date",
            description="FINRA short interest by settlement date; known some days after it only.",
        ),
        _history(
            settings,
            SPLITS,
            fetch=PolygonClient.splits,
            reaches_back=SPLIT_HISTORY,
            time="execution_date",
            description="Splits of the whole market: our own factors for gaps, previous closes.",
        ),
        _history(
            settings,
            DIVIDENDS,
            fetch=PolygonClient.dividends,
            reaches_back=DIVIDEND_HISTORY,
            time="ex_dividend_date",
            description="Cash dividends by ex-date: a gap on such a day is the dividend's.",
        ),
        _float_shares(),
        _news(grid, settings),
    ]


def _history(
    settings: Settings,
    table: Table,
    *,
    fetch: Callable[..., pl.DataFrame],
    reaches_back: timedelta,
    time: str,
    description: str,
) -> dg.AssetsDefinition:
    """Return an asset of dated facts of the whole market, up to the universe's date.

    Args:
        settings: For the universe's date.
        table: What it holds; names the asset.
        fetch: Method of the client; takes `start` and `end`.
        reaches_back: How long before the universe's date it begins.
        time: The column that dates a row.
        description: What the UI says.
    """

    @dg.asset(
        name=table.name,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(table),
        pool=PROVIDER_POOL,
        io_manager_key="frames",
        description=description,
    )
    def history(
        context: dg.AssetExecutionContext, provider: dg.ResourceParam[Provider]
    ) -> pl.DataFrame:
        end = as_of_date(settings, provider) + ONE_DAY
        with provider.client() as client:
            frame = fetch(client, start=end - reaches_back, end=end)
        context.add_output_metadata(figures(frame, time))
        return table.conform(frame)

    return history


def _float_shares() -> dg.AssetsDefinition:
    @dg.asset(
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(FLOAT_SHARES),
        pool=PROVIDER_POOL,
        io_manager_key="frames",
        description=(
            "Free float by the date that it describes. The provider has the latest only, so its "
            "history is what was fetched over time; no event before its date is judged by it."
        ),
    )
    def float_shares(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
    ) -> pl.DataFrame:
        file = lake.table(FLOAT_SHARES.name)
        before = lake.read(file, FLOAT_SHARES) if file.exists() else FLOAT_SHARES.empty()
        with provider.client() as client:
            latest = FLOAT_SHARES.conform(client.float_shares())
        frame = with_history(before, latest)
        context.add_output_metadata(
            {**figures(frame, "effective_date"), "symbols": frame["symbol"].n_unique()}
        )
        return frame

    return float_shares


def with_history(before: pl.DataFrame, latest: pl.DataFrame) -> pl.DataFrame:
    """Add the latest floats (`schemas.FLOAT_SHARES`) to those of earlier fetches.

    Of one symbol and date the latest fetch stays: a correction.
    """
    rows = pl.concat([latest, before]).unique(FLOAT_SHARES.key, keep="first", maintain_order=True)
    return rows.sort(FLOAT_SHARES.key)


def _news(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.days,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(NEWS),
        pool=PROVIDER_POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=(
            "News of all symbols by publication, one file per trading day; what came out on a "
            "weekend or holiday belongs to the next trading day. A call or two a day."
        ),
    )
    def news(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        last = provider.last_finished_day()
        with provider.client() as client:

            def work(key: str) -> Metadata:
                file, day = lake.day(NEWS.name, key), date.fromisoformat(key)
                if not file.exists():
                    if day > last:
                        raise ValueError(f"{day} is not over yet, the last finished day is {last}")
                    start, end = news_hours(day)
                    lake.write(NEWS.conform(client.news(start=start, end=end)), file)
                return figures(lake.read(file, NEWS), "published_at")

            workers = settings.provider.connections
            return run_partitions(context, work, unit="days", display=display, workers=workers)

    return news


def news_hours(day: date) -> tuple[datetime, datetime]:
    """Return the half-open UTC interval whose news belong to a trading day.

    From the New York midnight that ends the trading day before, to the one that ends this day.
    """
    ends = (one + ONE_DAY for one in (previous_trading_day(day), day))
    start, end = (new_york_time(one, time()) for one in ends)
    return start, end
