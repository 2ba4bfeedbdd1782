"""Universe: reference data of the market, daily bars, and the ranking that fills `symbol`."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.day_files import PROVIDER_POOL
from smallcaps_pipeline.defs.describe import OWNER, counts, described, figures
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import SYMBOL, Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.errors import NotFound
from smallcaps_pipeline.schemas import (
    DAILY_BARS,
    SHORT_INTEREST,
    SPLITS,
    TICKER_DETAILS,
    UNIVERSE,
    Table,
)
from smallcaps_pipeline.sessions import shift_trading_day, trading_days
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.universe import rank_universe

GROUP = "universe"
SPLIT_HISTORY = timedelta(days=20 * 365)
SHORT_INTEREST_HISTORY = timedelta(days=3 * 365)


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [
        _ticker_details(settings),
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
        _daily_bars(grid, settings),
        _universe(settings),
    ]


def as_of_date(settings: Settings, provider: Provider) -> date:
    """Return the date that the universe is ranked for."""
    return settings.universe.as_of or provider.last_finished_day()


def first_day_needed(settings: Settings, as_of: date) -> date:
    """Return the first day of daily bars that the ranking as of a date looks at."""
    rules = settings.universe
    return shift_trading_day(as_of, -(rules.sessions + rules.volume_mean_sessions))


def _ticker_details(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(TICKER_DETAILS),
        pool=PROVIDER_POOL,
        io_manager_key="frames",
        description=(
            "Stocks listed, and since delisted, as of the universe's date: type, exchange, size. "
            "Size is asked for stocks of the wanted types and exchanges only, one call each."
        ),
    )
    def ticker_details(
        context: dg.AssetExecutionContext, provider: dg.ResourceParam[Provider]
    ) -> pl.DataFrame:
        as_of = as_of_date(settings, provider)
        with provider.client() as client:
            listed = client.tickers(as_of=as_of)
            rules = settings.universe
            wanted = (
                pl.col("type").is_in(rules.types)
                & pl.col("primary_exchange").is_in(rules.exchanges)
            ) | pl.any_horizontal(pl.col("type", "primary_exchange").is_null())
            detailed = [_detail(client, row, as_of) for row in listed.filter(wanted).iter_slices(1)]
            floats = client.float_shares().select("symbol", known="float_shares")
        frame = TICKER_DETAILS.conform(
            pl.concat([listed.filter(~wanted.fill_null(True)), *detailed])
        )
        frame = frame.join(floats, on="symbol", how="left").with_columns(
            float_shares=pl.coalesce("float_shares", "known")
        )
        frame = TICKER_DETAILS.conform(frame.sort("symbol"))
        context.add_output_metadata({**figures(frame), "as of": str(as_of)})
        return frame

    return ticker_details


def _detail(client: PolygonClient, listed: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return a stock's details, or what the list says of it where the provider has none."""
    try:
        return client.ticker_details(symbol=listed["symbol"][0], as_of=as_of)
    except NotFound:
        return listed


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
        end = as_of_date(settings, provider) + timedelta(days=1)
        with provider.client() as client:
            frame = fetch(client, start=end - reaches_back, end=end)
        context.add_output_metadata(figures(frame, time))
        return table.conform(frame)

    return history


def _daily_bars(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.days,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(DAILY_BARS),
        pool=PROVIDER_POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Daily bars of the whole market as traded: one call and one file per day.",
    )
    def daily_bars(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        with provider.client() as client:

            def work(key: str) -> Metadata:
                file = lake.day(DAILY_BARS.name, key)
                if not file.exists():
                    lake.write(client.grouped_daily(day=date.fromisoformat(key)), file)
                return figures(lake.read(file, DAILY_BARS))

            workers = settings.provider.connections
            return run_partitions(context, work, unit="days", display=display, workers=workers)

    return daily_bars


def _universe(settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        group_name=GROUP,
        deps=["daily_bars"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(UNIVERSE),
        io_manager_key="frames",
        description=(
            "The symbols that move most often and hardest, ranked and tiered as of a date, "
            "delisted ones included. Fills the symbol partitions."
        ),
    )
    def universe(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        ticker_details: pl.DataFrame,
        splits: pl.DataFrame,
    ) -> pl.DataFrame:
        as_of = as_of_date(settings, provider)
        daily = read_daily_bars(lake, first_day_needed(settings, as_of), as_of)
        ranked = rank_universe(daily, ticker_details, as_of=as_of, splits=splits, settings=settings)
        context.instance.add_dynamic_partitions(SYMBOL, ranked.frame["symbol"].to_list())
        context.add_output_metadata(
            {
                **figures(ranked.frame),
                "as of": str(as_of),
                **counts("left out", {str(k): v for k, v in ranked.left_out.items()}),
                **counts("passed as unknown", {str(k): v for k, v in ranked.unknown.items()}),
            }
        )
        return ranked.frame

    return universe


def read_daily_bars(lake: Lake, first: date, last: date) -> pl.DataFrame:
    """Read the daily bars of the trading days from `first` to `last`, both included.

    Raises:
        FileNotFoundError: Days are missing; the message says which to materialize.
    """
    files = {day: lake.day(DAILY_BARS.name, str(day)) for day in trading_days(first, last)}
    if missing := [day for day, file in files.items() if not file.exists()]:
        raise FileNotFoundError(
            f"daily_bars lacks {len(missing)} of {len(files)} days from {first} to {last}, the "
            f"first is {missing[0]}: materialize daily_bars of {missing[0]} to {missing[-1]} first"
        )
    return lake.scan(list(files.values()), DAILY_BARS).collect()
