"""Universe: reference data of the market, daily bars, and the ranking that fills `symbol`."""

from collections.abc import Sequence
from datetime import date

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs import facts
from smallcaps_pipeline.defs.day_files import PROVIDER_POOL
from smallcaps_pipeline.defs.describe import OWNER, counts, described, figures
from smallcaps_pipeline.defs.facts import GROUP, as_of_date
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import SYMBOL, Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.ticker_details import ticker_details_asset
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import (
    DAILY_BARS,
    UNIVERSE,
)
from smallcaps_pipeline.sessions import shift_trading_day, trading_days
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.universe import rank_universe


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [
        ticker_details_asset(settings),
        *facts.assets(grid, settings),
        _daily_bars(grid, settings),
        _universe(settings),
    ]


def first_day_needed(settings: Settings, as_of: date) -> date:
    """Return the first day of daily bars that the ranking as of a date looks at."""
    rules = settings.universe
    return shift_trading_day(as_of, -(rules.sessions + rules.volume_mean_sessions))


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
