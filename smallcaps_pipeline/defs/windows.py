"""Windows: the plan with its cost, and the download of trades and quotes, batch by batch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg
import polars as pl

from smallcaps_pipeline.defs.batch_runs import batches_under_way
from smallcaps_pipeline.defs.describe import OWNER, described
from smallcaps_pipeline.defs.partitions import BATCH, Grid
from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.errors import KeyRefused
from smallcaps_pipeline.report.escalation import EscalationBlockedError, require_release
from smallcaps_pipeline.schemas import MANIFEST, PLAN, QUOTES, TRADES
from smallcaps_pipeline.settings import Settings
from smallcaps_pipeline.windows import (
    Cost,
    Estimate,
    FetchResult,
    Kind,
    WindowOutcome,
    batch_names,
    estimate,
    fetch_quotes,
    fetch_trades,
    plan_extensions,
    profile_of,
    read_batch,
    replan,
)

GROUP = "windows"
FAILURES_SHOWN = 20
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
    provider = settings.provider
    return cost_facts(
        estimate(
            plan,
            calls_per_minute=provider.calls_per_minute,
            calls_per_second=provider.calls_per_second,
        )
    )


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


def _costs(of: str, cost: Cost) -> dict[str, float]:
    found: dict[str, float] = {
        f"{of}requests, at least": cost.requests_min,
        f"{of}requests, expected": round(cost.requests_expected),
        f"{of}GB, at most": round(cost.bytes_expected / 1e9, 3),
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
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        _require_release(lake, profile_of(context.partition_key), settings)
        with provider.client() as client:
            job = BatchFetch(context, lake, client, provider.source_name, settings, display)
            done = [job.fetch(Kind.TRADES, job.rows)]
            done.append(job.fetch(Kind.TRADES, job.extensions()))
        return dg.MaterializeResult(metadata=_fetched(done, lake))

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
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        _require_release(lake, profile_of(context.partition_key), settings)
        with provider.client() as client:
            job = BatchFetch(context, lake, client, provider.source_name, settings, display)
            done = [job.fetch(Kind.QUOTES, job.rows)]
            more = job.extensions()
            job.fetch(Kind.TRADES, more)
            done.append(job.fetch(Kind.QUOTES, more))
        return dg.MaterializeResult(metadata=_fetched(done, lake))

    return quote_windows


@dataclass
class BatchFetch:
    """The download of one batch within a run."""

    context: dg.AssetExecutionContext
    lake: Lake
    client: PolygonClient
    source_name: str
    settings: Settings
    display: Display

    @property
    def profile(self) -> str:
        return profile_of(self.context.partition_key)

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The plan rows of the batch."""
        return read_batch(self.lake, self.context.partition_key)

    def extensions(self) -> pl.DataFrame:
        """Return the new parts of windows with hot edges, where the profile extends."""
        if not self.settings.manifest.profiles[self.profile].extend:
            return PLAN.empty()
        planned = pl.concat([read_batch(self.lake, name) for name in batch_names(self.lake)])
        return plan_extensions(self.rows, self.lake, planned=planned, settings=self.settings)

    def fetch(self, kind: Kind, rows: pl.DataFrame) -> FetchResult:
        """Fetch the rows of a kind.

        Raises:
            dagster.Failure: Some windows failed; the others are stored.
        """
        of_kind = rows.filter(pl.col("kind") == kind.value)
        progress = ProgressLog(
            self.context.log.info,
            total=len(of_kind),
            unit=f"windows of {kind.value}",
            clock=time.monotonic,
            display=self.display,
        )
        fetch = fetch_trades if kind == Kind.TRADES else fetch_quotes
        result = fetch(
            of_kind,
            self.client,
            self.lake,
            settings=self.settings,
            profile=self.profile,
            source_name=self.source_name,
            on_window=lambda outcome: progress.advance(),
            fatal=(KeyRefused,),
        )
        if result.failed:
            raise _failure(result.failed, len(of_kind), kind)
        return result


def _fetched(results: Sequence[FetchResult], lake: Lake) -> dict[str, Any]:
    """Add up what was fetched for the windows of a batch and, second, for their extensions."""
    planned, extended = results
    return {
        "dagster/row_count": planned.rows + extended.rows,
        "windows fetched": planned.done,
        "windows truly empty": planned.empty,
        "windows stored before": planned.skipped,
        "parts added by extension": extended.done + extended.empty,
        "pages": planned.pages + extended.pages,
        "bytes": planned.bytes + extended.bytes,
        "folder": dg.MetadataValue.path(lake.root / "event_windows"),
    }


def _failure(failed: Sequence[WindowOutcome], total: int, kind: Kind) -> dg.Failure:
    lines = [f"{o.symbol} {o.window_start:%Y-%m-%d %H:%M} UTC: {o.reason}" for o in failed]
    shown = "\n".join(lines[:FAILURES_SHOWN])
    return dg.Failure(
        description=(
            f"{len(failed)} of {total} windows of {kind.value} failed, the others are stored and "
            f"will not be asked for again:\n{shown}"
        ),
        metadata={"failed windows": dg.MetadataValue.json(lines)},
    )
