"""The partitions of the asset graph.

`symbol` (dynamic: the universe and imports fill it) x `date` (a time window whose length is the
setting `partitions.date`, by default a year) make the grid of cells; `profile` is one of the
manifest's profiles; `batch` (dynamic) is a fixed list of windows to download.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

import dagster as dg

from smallcaps_pipeline.cells import (
    KEY_FORMAT,
    Cadence,
    Period,
    period_from_key,
    period_of,
    periods_between,
)
from smallcaps_pipeline.sessions import (
    FIRST_DATE,
    LAST_DATE,
    NEW_YORK,
    NEW_YORK_TZ,
    calendar,
    trading_days,
)
from smallcaps_pipeline.settings import Settings

SYMBOL: Final = "symbol"
DATE: Final = "date"
BATCH: Final = "batch"

SATURDAY: Final = 5
ADVISED_CELLS: Final = 100_000  # partitions of an asset that Dagster advises at most
CELL_COST_S: Final = 0.036  # one materialized cell in the event log, SQLite, as measured
_CRON: Final[dict[Cadence, str]] = {
    "year": "0 0 1 1 *",
    "quarter": "0 0 1 1,4,7,10 *",
    "month": "0 0 1 * *",
    "week": "0 0 * * 1",
}


@dataclass(frozen=True)
class Cell:
    """One symbol and one period of the date dimension."""

    symbol: str
    period: Period

    @property
    def key(self) -> str:
        """The partition key; Dagster orders the dimensions by name: `2025|AEMD`."""
        return dg.MultiPartitionKey({DATE: self.period.key, SYMBOL: self.symbol})


@dataclass(frozen=True)
class Grid:
    """The partition definitions of one configuration."""

    cadence: Cadence
    symbols: dg.DynamicPartitionsDefinition
    periods: dg.TimeWindowPartitionsDefinition
    cells: dg.MultiPartitionsDefinition
    days: dg.TimeWindowPartitionsDefinition
    profiles: dg.StaticPartitionsDefinition
    batches: dg.DynamicPartitionsDefinition

    def cell(self, key: str) -> Cell:
        """Return the cell of a partition key."""
        keys = self.cells.get_partition_key_from_str(key).keys_by_dimension
        return Cell(keys[SYMBOL], period_from_key(keys[DATE], self.cadence))


def build_grid(settings: Settings) -> Grid:
    """Return the partition definitions that the settings ask for."""
    cadence = settings.partitions.date
    symbols = dg.DynamicPartitionsDefinition(name=SYMBOL)
    periods = _periods(settings.partitions.start, cadence)
    return Grid(
        cadence=cadence,
        symbols=symbols,
        periods=periods,
        cells=dg.MultiPartitionsDefinition({SYMBOL: symbols, DATE: periods}),
        days=_trading_days(FIRST_DATE),  # the ranking looks back beyond the grid's start
        profiles=dg.StaticPartitionsDefinition(list(settings.manifest.profiles)),
        batches=dg.DynamicPartitionsDefinition(name=BATCH),
    )


def grid_warning(settings: Settings, today: date) -> str | None:
    """Say in plain words what a grid of too many cells costs; None for one that is not too large.

    Args:
        settings: The length of a period, its start, and the size of the universe.
        today: Last day that the grid must hold.
    """
    rules, symbols = settings.partitions, settings.universe.size
    first, last = rules.start, today
    if rules.date == "day":
        periods = len(trading_days(first, last))
    else:
        periods = len(periods_between(first, last, rules.date))
    if symbols * periods <= ADVISED_CELLS:
        return None
    hours = symbols * periods * CELL_COST_S / 3600
    return (
        f"partitions.date: {rules.date} from {first} makes {symbols:,} symbols x {periods:,} "
        f"{rules.date}s = {symbols * periods:,} cells. Dagster advises at most {ADVISED_CELLS:,} "
        f"per asset, and a pass over all costs {hours:,.1f} hours of book-keeping alone. A "
        "longer period or a later partitions.start makes it small again."
    )


def _periods(first: date, cadence: Cadence) -> dg.TimeWindowPartitionsDefinition:
    if cadence == "day":
        return _trading_days(first, end_offset=1)
    return dg.TimeWindowPartitionsDefinition(
        start=datetime.combine(period_of(first, cadence).first, time()),
        cron_schedule=_CRON[cadence],
        fmt=KEY_FORMAT[cadence],
        timezone=NEW_YORK,
        end_offset=1,  # the current period belongs to the grid: it grows day by day
    )


def _trading_days(first: date, *, end_offset: int = 0) -> dg.TimeWindowPartitionsDefinition:
    """Every trading day a partition; weekends and the exchange's holidays are none."""
    every = (date.fromordinal(n) for n in range(first.toordinal(), LAST_DATE.toordinal() + 1))
    open_days = set(calendar()["date"].to_list())
    holidays = [day for day in every if day.weekday() < SATURDAY and day not in open_days]
    return dg.TimeWindowPartitionsDefinition(
        start=datetime.combine(first, time()),
        cron_schedule="0 0 * * *",
        fmt="%Y-%m-%d",
        timezone=NEW_YORK,
        end_offset=end_offset,
        exclusions=[
            "0 0 * * 0,6",
            *(datetime.combine(day, time(), tzinfo=NEW_YORK_TZ) for day in holidays),
        ],
    )
