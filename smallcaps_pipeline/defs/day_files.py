"""Day files: the minute bars of the whole market by trading day, from the provider's flat files."""

from collections.abc import Mapping, Sequence
from datetime import date

import dagster as dg

from smallcaps_pipeline.bars.day_files import (
    DayFiles,
    Splitter,
    StoredDay,
    needed_days,
    store_day,
    stored_day,
    update_from_days,
)
from smallcaps_pipeline.bars.update import TABLE, BarUpdate, CellState
from smallcaps_pipeline.defs.describe import OWNER, counts, described
from smallcaps_pipeline.defs.partition_runs import Metadata, run_partitions
from smallcaps_pipeline.defs.partitions import Cell, Grid
from smallcaps_pipeline.defs.progress import Display
from smallcaps_pipeline.defs.resources import Provider
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.polygon.flatfiles import FlatFiles
from smallcaps_pipeline.schemas import FLAT_FILE_DAYS
from smallcaps_pipeline.settings import Settings

GROUP = "bars"
PROVIDER_POOL = "provider"
DOWNLOADS_AT_ONCE = 2  # each holds a day of the whole market in memory, some 600 MB at its peak


def day_files_asset(grid: Grid, settings: Settings) -> dg.AssetsDefinition:
    """Return the asset of the day files."""

    @dg.asset(
        partitions_def=grid.days,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"parquet", "polars", "s3"},
        metadata=described(FLAT_FILE_DAYS),
        pool=PROVIDER_POOL,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description=(
            "Minute bars of the whole market, one file per trading day, from the provider's flat "
            "files (provider.bars_source: flat_files). A day that was replaced there comes anew; "
            "bars_1m takes its cells from here, without a request."
        ),
    )
    def flat_file_days(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        provider: dg.ResourceParam[Provider],
        display: dg.ResourceParam[Display],
    ) -> dg.MaterializeResult:
        files = provider.flat_files()
        days = [date.fromisoformat(key) for key in context.partition_keys]
        listed = files.versions(min(days), max(days))

        def work(key: str) -> Metadata:
            state, stored = take_day(
                lake, files, date.fromisoformat(key), listed, source=provider.file_source_name
            )
            return {
                "dagster/row_count": stored.rows,
                "symbols": stored.symbols,
                "state": state.value,
                "bars of test symbols left out": stored.test_bars,
                "version": stored.version,
                "file": dg.MetadataValue.path(lake.day(FLAT_FILE_DAYS.name, key)),
                **counts("set aside", dict(stored.set_aside)),
            }

        workers = min(DOWNLOADS_AT_ONCE, settings.provider.connections)
        return run_partitions(context, work, unit="days", display=display, workers=workers)

    return flat_file_days


def take_day(
    lake: Lake, files: FlatFiles, day: date, listed: Mapping[date, str], *, source: str
) -> tuple[CellState, StoredDay]:
    """Download and store a day's file, unless the version that is listed is there already.

    Raises:
        ProviderError: It is not published, not in the plan, or cannot be had.
    """
    stored = stored_day(lake, day)
    if stored is not None and stored.version == listed.get(day):
        return CellState.CURRENT, stored
    got = files.read(day)
    done = store_day(lake, day, got.frame, version=got.version, source=source)
    return CellState.WRITTEN, done


class CellsFromDays:
    """Brings the cells of one run up to date from the stored day files.

    Args:
        lake: Where both lie.
        cells: All cells of the run, in the order in which they are asked for.
        through: Last day taken in.
        source_name: Written into the cells' files.
    """

    def __init__(
        self, lake: Lake, cells: Sequence[Cell], *, through: date, source_name: str
    ) -> None:
        self._lake, self._source_name = lake, source_name
        first = min(cell.period.first for cell in cells)
        last = min(max(cell.period.last for cell in cells), through)
        self._days = DayFiles.of(lake, first, max(first, last))
        self._needs = {
            (cell.symbol, cell.period.key): needed_days(
                lake.cell(TABLE, cell.symbol, cell.period.key), cell.period, self._days, through
            )
            for cell in cells
        }
        self._splitter = Splitter(self._days, self._needs)

    def update(self, cell: Cell) -> BarUpdate:
        """Bring one cell up to date."""
        return update_from_days(
            self._lake,
            self._splitter,
            self._days,
            cell.symbol,
            cell.period,
            self._needs[cell.symbol, cell.period.key],
            source_name=self._source_name,
        )
