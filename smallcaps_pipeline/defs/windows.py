"""Windows: the plan with its cost, and the download of trades and quotes, batch by batch."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.batch_runs import batches_under_way
from smallcaps_pipeline.defs.describe import OWNER, described, table_of
from smallcaps_pipeline.defs.partitions import BATCH, Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.defs.window_fetch import BatchFetch, FetchConfig
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.escalation import EscalationBlockedError, require_release
from smallcaps_pipeline.schemas import MANIFEST, PLAN, QUOTES, TRADES
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import Cost, Estimate, Kind, estimate, profile_of, replan

GROUP = "windows"
SYMBOLS_SHOWN = 10
# One run at a time: two would write the same symbol's windows. Within a run, several windows are in
# flight. A pool's default limit is not held on its first burst, so the plan sets it explicitly.
DOWNLOAD_POOL = "downloads"
DOWNLOADS_AT_ONCE = 1


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [
        _window_plan(grid, settings),
        _trade_windows(grid, settings),
        _quote_windows(grid, settings),
    ]


def _window_plan(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.profiles,
        group_name=GROUP,
        deps=["event_manifest"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(PLAN),
        description=(
            "What is still to be fetched for a profile, and what it will cost in requests, hours "
            "and bytes, before any call. Cuts the batches that trade_windows and quote_windows "
            "download; a batch never changes, one that nobody wants any more is withdrawn. Blocked "
            "until the profile before is GO, or somebody has signed an override."
        ),
    )
    def window_plan(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> dg.MaterializeResult:
        profile = context.partition_key
        _require_release(lake, profile, settings)
        manifest = lake.read(lake.profile(MANIFEST.name, profile), MANIFEST)
        under_way = batches_under_way(context.instance)
        planned = replan(lake, manifest, profile, under_way, settings)
        context.instance.event_log_storage.set_concurrency_slots(DOWNLOAD_POOL, DOWNLOADS_AT_ONCE)
        context.instance.add_dynamic_partitions(BATCH, [*planned.kept, *planned.new])
        for batch in planned.withdrawn:
            context.instance.delete_dynamic_partition(BATCH, batch)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(planned.plan),
                "profile": profile,
                **cost_metadata(planned.plan, settings),
                "most expensive symbols": table_of(
                    pl.DataFrame(cost_by_symbol(planned.plan, settings)[:SYMBOLS_SHOWN])
                ),
                "new batches": len(planned.new),
                "batches still waiting": len(planned.kept),
                "batches withdrawn": len(planned.withdrawn),
            }
        )

    return window_plan


def _require_release(lake: Lake, profile: str, settings: Settings) -> None:
    """Fail, without retries, where the profile before this one is not GO and nobody signed."""
    try:
        require_release(lake, profile, settings)
    except EscalationBlockedError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def cost_metadata(plan: pl.DataFrame, settings: Settings) -> dict[str, Any]:
    """Return the cost of a plan, in the words of one who pays for it."""
    return cost_facts(_estimate(plan, settings))


def cost_facts(found: Estimate) -> dict[str, Any]:
    """Return an estimate, in the words of one who pays for it."""
    return {
        "windows": found.windows,
        "events": found.events,
        **_costs("", found.total),
        **_costs("trades: ", found.by_kind[Kind.TRADES]),
        **_costs("quotes: ", found.by_kind[Kind.QUOTES]),
        "quotes fetched once more, hours": found.refetched.total_seconds() / 3600,
    }


def cost_by_symbol(plan: pl.DataFrame, settings: Settings) -> list[dict[str, Any]]:
    """Return the cost of a plan per symbol, most expensive first."""
    return (
        _estimate(plan, settings)
        .per_symbol.select(
            "symbol",
            "windows",
            pl.col("requests_min").alias("requests, at least"),
            pl.col("requests_expected").alias("requests, expected"),
            (pl.col("bytes_expected") / 1e6).round(3).alias("MB, expected"),
        )
        .to_dicts()
    )


def _estimate(plan: pl.DataFrame, settings: Settings) -> Estimate:
    limits = settings.provider
    return estimate(
        plan, calls_per_minute=limits.calls_per_minute, calls_per_second=limits.calls_per_second
    )


def _costs(of: str, cost: Cost) -> dict[str, float]:
    found: dict[str, float] = {
        f"{of}requests, at least": cost.requests_min,
        f"{of}requests, expected": round(cost.requests_expected),
        f"{of}GB, expected": round(cost.bytes_expected / 1e9, 3),
    }
    if cost.hours_expected is not None:
        found[f"{of}hours at the rate limit, expected"] = round(cost.hours_expected, 3)
    return found


def _trade_windows(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.batches,
        group_name=GROUP,
        deps=[dg.AssetDep("window_plan", partition_mapping=dg.AllPartitionMapping())],
        owners=[OWNER],
        kinds={"parquet"},
        metadata=described(TRADES),
        pool=DOWNLOAD_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        description=(
            "Trades of every window of a batch, all fields, each window a file of its own. Where "
            "the profile extends, a hot edge widens its window once."
        ),
    )
    def trade_windows(
        context: dg.AssetExecutionContext,
        config: FetchConfig,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        _require_release(lake, profile_of(context.partition_key), settings)
        with provider.client() as client:
            job = BatchFetch(context, config, lake, client, provider.source_name, settings, display)
            done = [job.fetch(Kind.TRADES, job.rows)]
            done.append(job.fetch(Kind.TRADES, job.extensions()))
        return dg.MaterializeResult(metadata={**job.figures(Kind.TRADES, done), **_folder(lake)})

    return trade_windows


def _quote_windows(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.batches,
        group_name=GROUP,
        deps=["trade_windows"],
        owners=[OWNER],
        kinds={"parquet"},
        metadata=described(QUOTES),
        pool=DOWNLOAD_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(1),
        description=(
            "NBBO quotes of every window of a batch, reduced as the profile asks, with the quotes "
            "in force at the start and at each trade. A move of the mid can still widen a window."
        ),
    )
    def quote_windows(
        context: dg.AssetExecutionContext,
        config: FetchConfig,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        _require_release(lake, profile_of(context.partition_key), settings)
        with provider.client() as client:
            job = BatchFetch(context, config, lake, client, provider.source_name, settings, display)
            done = [job.fetch(Kind.QUOTES, job.rows)]
            more = job.extensions()
            job.fetch(Kind.TRADES, more)
            done.append(job.fetch(Kind.QUOTES, more))
        return dg.MaterializeResult(metadata={**job.figures(Kind.QUOTES, done), **_folder(lake)})

    return quote_windows


def _folder(lake: Lake) -> dict[str, Any]:
    return {"folder": dg.MetadataValue.path(lake.root / "event_windows")}
