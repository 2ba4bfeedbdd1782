"""Comparison: a sample of bars asked for by REST and held against the stored day files."""

import time
from collections.abc import Sequence
from datetime import date, timedelta

import dagster as dg
import polars as pl

from smallcaps_pipeline.bars import clean_bars
from smallcaps_pipeline.bars.compare import compare_day, sample
from smallcaps_pipeline.bars.day_files import DayFiles
from smallcaps_pipeline.bars.update import TABLE
from smallcaps_pipeline.defs.day_files import GROUP, PROVIDER_POOL
from smallcaps_pipeline.defs.describe import OWNER, described, figures, table_of
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BAR_COMPARISON, FLAT_FILE_DAYS
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.thresholds import at_most

CHECK = "rest_agrees_with_flat_files"
DIFFERENCES = ("bars_rest_only", "bars_flat_only", "prices_differ", "volumes_differ")


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    del grid
    rules = settings.kpis.bars

    @dg.asset(
        group_name=GROUP,
        deps=[
            dg.AssetDep("flat_file_days", partition_mapping=dg.AllPartitionMapping()),
            dg.AssetDep("bars_1m", partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(BAR_COMPARISON),
        pool=PROVIDER_POOL,
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=BAR_COMPARISON.name,
                description="Few minutes differ between REST and flat files.",
            )
        ],
        description=(
            "A sample of symbol-days by REST held against the day files: minutes that only one "
            "has, prices and volumes that differ. One request per symbol-day of the sample."
        ),
    )
    def bar_comparison(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        frame = _compare(context, lake, provider, display, rules.compare_symbol_days)
        lake.write(frame, lake.table(BAR_COMPARISON.name))
        return dg.MaterializeResult(
            metadata={**figures(frame), "differences": table_of(_worst(frame))},
            check_results=[check_result(frame, rules.max_compare_differ_pct)],
        )

    return [bar_comparison]


def _compare(
    context: dg.AssetExecutionContext, lake: Lake, provider: Provider, display: Display, size: int
) -> pl.DataFrame:
    """Ask for a sample by REST; return how each symbol-day differs (`schemas.BAR_COMPARISON`)."""
    days = [
        date.fromisoformat(file.stem.removeprefix("date="))
        for file in lake.files(FLAT_FILE_DAYS.name)
    ]
    chosen = sample(sorted({symbol for symbol, _, _ in lake.cells(TABLE)}), days, size)
    if not chosen:
        raise dg.Failure(
            "there is nothing to compare: it needs day files (flat_file_days) and symbols that "
            "have cells of bars (bars_1m)",
            allow_retries=False,
        )
    progress = ProgressLog(
        context.log.info,
        total=len(chosen),
        unit="symbol-days",
        clock=time.monotonic,
        display=display,
    )
    stored = DayFiles.of(lake, min(days), max(days))
    rows = []
    with provider.client() as client:
        for symbol, day in chosen:
            fetched = client.bars(symbol=symbol, start=day, end=day + timedelta(days=1))
            rest, _ = clean_bars(fetched)
            rows.append(compare_day(symbol, day, rest, stored.scan([day], [symbol])))
            progress.advance()
    return pl.concat(rows).sort("symbol", "date")


def check_result(frame: pl.DataFrame, allowed_pct: float) -> dg.AssetCheckResult:
    """Judge the share of minutes that differ, among those that either has."""
    either = int(frame.select(pl.sum_horizontal("bars_both", *DIFFERENCES[:2]).sum()).item())
    differ = int(frame.select(pl.sum_horizontal(*DIFFERENCES).sum()).item())
    share = 100 * differ / either if either else 0.0
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=at_most(share, allowed_pct),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"minutes": either, "percent": share, "allowed percent": allowed_pct}
        | {name.replace("_", " "): int(frame[name].sum()) for name in DIFFERENCES},
    )


def _worst(frame: pl.DataFrame) -> pl.DataFrame:
    differ = pl.sum_horizontal(*DIFFERENCES)
    return frame.filter(differ > 0).sort(differ, descending=True).head(20)
