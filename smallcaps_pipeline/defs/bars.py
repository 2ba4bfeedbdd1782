"""Bars: 1-minute bars of every symbol and period, from the provider."""

from collections.abc import Sequence

import dagster as dg

from smallcaps_pipeline.bars.update import update_bars
from smallcaps_pipeline.defs.describe import OWNER, counts, described
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.settings import Settings

GROUP = "bars"
PROVIDER_POOL = "provider"


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""

    @dg.asset(
        partitions_def=grid.cells,
        group_name=GROUP,
        deps=["universe"],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(BARS),
        pool=PROVIDER_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.partitions.cells_per_run),
        description=(
            "1-minute bars as traded, premarket and after-hours included: one file per symbol and "
            "period. Only days that are not there yet are asked for; imported files are left alone."
        ),
    )
    def bars_1m(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        through = provider.last_finished_day()
        with provider.client() as client:

            def work(key: str) -> Metadata:
                cell = grid.cell(key)
                update = update_bars(
                    lake,
                    client,
                    cell.symbol,
                    cell.period,
                    through=through,
                    source_name=provider.source_name,
                    look_back=settings.provider.look_back_sessions,
                )
                return {
                    "dagster/row_count": update.rows,
                    "new rows": update.new_rows,
                    "state": update.state.value,
                    "file": dg.MetadataValue.path(update.file),
                    **counts("set aside", update.set_aside),
                }

            workers = settings.provider.connections
            return run_partitions(context, work, unit="cells", display=display, workers=workers)

    return [bars_1m]
