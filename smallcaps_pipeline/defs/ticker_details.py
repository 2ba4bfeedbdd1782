"""Details of the stocks listed on a date: one call each, so what was answered is kept as it comes.

On a plan of five calls a minute the details of 6,000 stocks take 20 hours. They are asked for by
several connections and stored every so many answers; a run that was killed goes on where it was.
"""

import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.day_files import PROVIDER_POOL
from smallcaps_pipeline.defs.describe import OWNER, described, figures
from smallcaps_pipeline.defs.facts import GROUP, as_of_date
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.errors import NotFound
from smallcaps_pipeline.schemas import TICKER_DETAILS
from smallcaps_pipeline.settings import Settings

ANSWERS = "ticker_details_answers"  # by date; only those of the latest date are kept
STORE_EVERY = 200


def ticker_details_asset(settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the details."""

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
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> pl.DataFrame:
        as_of = as_of_date(settings, provider)
        with provider.client() as client:
            listed = client.tickers(as_of=as_of)
            wanted = listed.filter(_is_wanted(settings))
            progress = ProgressLog(
                context.log.info,
                total=len(wanted),
                unit="stocks",
                clock=time.monotonic,
                display=display,
            )
            workers = settings.provider.connections
            detailed = ask_details(lake, client, wanted, as_of, workers, progress)
        others = listed.join(detailed, on="symbol", how="anti")
        frame = TICKER_DETAILS.conform(pl.concat([others, detailed]).sort("symbol"))
        context.add_output_metadata({**figures(frame), "as of": str(as_of)})
        return frame

    return ticker_details


def _is_wanted(settings: Settings) -> pl.Expr:
    """Say whether a stock may take part: old records leave type and exchange blank."""
    rules = settings.universe
    of_kind = pl.col("type").is_in(rules.types) & pl.col("primary_exchange").is_in(rules.exchanges)
    unknown = pl.any_horizontal(pl.col("type", "primary_exchange").is_null())
    return (of_kind | unknown).fill_null(True)


def ask_details(
    lake: Lake,
    client: PolygonClient,
    wanted: pl.DataFrame,
    as_of: date,
    workers: int,
    progress: ProgressLog,
) -> pl.DataFrame:
    """Return the details (`schemas.TICKER_DETAILS`) of stocks; only what is not stored is asked.

    Args:
        lake: Keeps the answers of this date.
        client: Asked, one call per stock.
        wanted: The stocks as the list of tickers has them.
        as_of: Date of the details.
        workers: Calls in flight at once.
        progress: Counts stocks.
    """
    file = lake.day(ANSWERS, str(as_of))
    for other in lake.files(ANSWERS):
        if other != file:
            lake.remove(other)
    done = lake.read(file, TICKER_DETAILS) if file.exists() else TICKER_DETAILS.empty()
    done = done.join(wanted, on="symbol", how="semi")
    missing = wanted.join(done, on="symbol", how="anti").sort("symbol")
    progress.advance(len(done))
    with closing(_answers(client, missing, as_of, workers)) as answers:
        new: list[pl.DataFrame] = []
        for answer in answers:
            new.append(answer)
            progress.advance()
            if len(new) == STORE_EVERY:
                done, new = pl.concat([done, *new]), []
                lake.write(done, file)
    if new:
        done = pl.concat([done, *new])
        lake.write(done, file)
    return done


def _answers(
    client: PolygonClient, missing: pl.DataFrame, as_of: date, workers: int
) -> Generator[pl.DataFrame, None, None]:
    """Yield the details of each stock; those not yet begun are given up when the reader ends."""

    def ask(listed: pl.DataFrame) -> pl.DataFrame:
        try:
            return client.ticker_details(symbol=listed["symbol"][0], as_of=as_of)
        except NotFound:
            return listed  # what the list says of it

    pool = ThreadPoolExecutor(workers)
    try:
        yield from pool.map(ask, missing.iter_slices(1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
