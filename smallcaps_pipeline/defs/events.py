"""Events: detected in every symbol and period of bars, and counted."""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from smallcaps_pipeline.bars.update import CellState
from smallcaps_pipeline.defs.describe import OWNER, counts, described, figures, table_of
from smallcaps_pipeline.defs.event_checks import (
    event_check_results,
    event_check_specs,
    kpi_metadata,
)
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.reference import read_reference
from smallcaps_pipeline.events.shards import RULES_VERSION, ShardUpdate, update_shard
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report import event_kpis
from smallcaps_pipeline.report.status import Finding
from smallcaps_pipeline.report.summary import event_summary as summarize
from smallcaps_pipeline.schemas import EVENT_SUMMARY, EVENTS
from smallcaps_pipeline.settings import Settings

GROUP = "events"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    return [_shards(grid, settings), _summary()]


def _shards(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    @dg.asset(
        partitions_def=grid.cells,
        group_name=GROUP,
        deps=["bars_1m", "universe", "short_interest", "float_shares"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(EVENTS),
        code_version=RULES_VERSION,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.partitions.cells_per_run),
        check_specs=event_check_specs("intraday_events", settings),
        description=(
            "The event shards: bursts found by the seven detectors in the bars of one symbol and "
            "period. Detected again only when bars, thresholds or reference facts have changed."
        ),
    )
    def intraday_events(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        reference = read_reference(lake)
        findings: dict[str, list[Finding]] = {}

        def work(key: str) -> Metadata:
            cell = grid.cell(key)
            update = update_shard(lake, cell.symbol, cell.period.key, settings, reference)
            if update.state == CellState.NO_INPUT:
                return _metadata(update)
            findings[key] = event_kpis(lake.read(update.file, EVENTS), settings)
            return {**_metadata(update), **kpi_metadata(findings[key])}

        workers = pl.thread_pool_size() + 1  # while a cell waits for the disk, another computes
        run_partitions(context, work, unit="cells", display=display, workers=workers)
        return dg.MaterializeResult(check_results=event_check_results(findings, settings))

    return intraday_events


def _summary() -> dg.AssetsDefinition:
    @dg.asset(
        group_name=GROUP,
        deps=["intraday_events"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(EVENT_SUMMARY),
        io_manager_key="frames",
        description="Counts of events by type, direction, session and month, over all shards.",
    )
    def event_summary(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
    ) -> pl.DataFrame:
        summary = summarize(lake.scan(lake.files(EVENTS.name), EVENTS))
        by_type = summary.group_by("event_type", "direction").agg(pl.col("events").sum())
        context.add_output_metadata(
            {
                **figures(summary),
                "events": int(summary["events"].sum()),
                "by type": table_of(by_type.sort("event_type", "direction")),
            }
        )
        return summary

    return event_summary


def _metadata(update: ShardUpdate) -> Metadata:
    missing = update.state == CellState.NO_INPUT
    return {
        "dagster/row_count": update.rows,
        "bars": update.bars,
        "bars outside sessions": update.outside_sessions,
        "bars with vwap outside low and high": update.vwap_outside,
        "state": "no bars in this cell" if missing else update.state.value,
        "file": dg.MetadataValue.path(update.file),
        **counts("bars set aside", update.set_aside),
        **counts("events dropped", update.dropped),
        **counts("events passed as unknown", update.unknown),
    }
