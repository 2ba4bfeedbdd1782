"""Bars: 1-minute bars of every symbol and period, by REST or from the provider's day files."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dagster as dg

from smallcaps_pipeline.bars.update import BarUpdate, update_bars
from smallcaps_pipeline.defs.day_files import (
    GROUP,
    PROVIDER_POOL,
    CellsFromDays,
    day_files_asset,
)
from smallcaps_pipeline.defs.describe import OWNER, counts, described
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import Cell, Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline.settings import Settings


def assets(grid: Grid, settings: Settings) -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the stage."""
    days = day_files_asset(grid, settings)

    @dg.asset(
        partitions_def=grid.cells,
        group_name=GROUP,
        deps=[
            "universe",
            dg.AssetDep(days, partition_mapping=dg.AllPartitionMapping()),
        ],
        owners=[OWNER],
        kinds={"parquet", "polars"},
        metadata=described(BARS),
        pool=PROVIDER_POOL,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.partitions.cells_per_run),
        description=(
            "1-minute bars as traded, premarket and after-hours included: one file per symbol and "
            "period, by REST or from flat_file_days (provider.bars_source). Only days that are not "
            "there yet are asked for, and the last few once more; imported files are left alone."
        ),
    )
    def bars_1m(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        cells = {key: grid.cell(key) for key in context.partition_keys}
        with _updates(list(cells.values()), lake, provider, settings) as update:

            def work(key: str) -> Metadata:
                done = update(cells[key])
                return {
                    "dagster/row_count": done.rows,
                    "new rows": done.new_rows,
                    "state": done.state.value,
                    "file": dg.MetadataValue.path(done.file),
                    **counts("set aside", done.set_aside),
                }

            workers = settings.provider.connections
            return run_partitions(context, work, unit="cells", display=display, workers=workers)

    return [days, bars_1m]


@contextmanager
def _updates(
    cells: Sequence[Cell], lake: Lake, provider: Provider, settings: Settings
) -> Iterator[Callable[[Cell], BarUpdate]]:
    """Open where bars come from; yield what brings one cell up to date."""
    if settings.provider.bars_source == "flat_files":
        through, source = provider.last_file_day(), provider.file_source_name
        yield CellsFromDays(lake, cells, through=through, source_name=source).update
        return
    through = provider.last_finished_day()
    with provider.client() as client:
        yield lambda cell: update_bars(
            lake,
            client,
            cell.symbol,
            cell.period,
            through=through,
            source_name=provider.source_name,
            look_back=settings.provider.look_back_sessions,
        )
