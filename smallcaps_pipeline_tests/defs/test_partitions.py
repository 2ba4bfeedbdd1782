"""The partitions: which keys a grid has, and what they name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache

import dagster as dg
import pytest

from smallcaps_pipeline.cells import Cadence, period_from_key, period_of
from smallcaps_pipeline.defs.partitions import Cell, Grid, build_grid
from smallcaps_pipeline.sessions import NEW_YORK_TZ, trading_days
from smallcaps_pipeline.settings import load_settings

CADENCES: tuple[Cadence, ...] = ("year", "quarter", "month", "week", "day")
START = date(2025, 8, 13)  # a Wednesday, in the middle of every longer period
NOON = datetime(2025, 11, 26, 12, tzinfo=NEW_YORK_TZ)  # the day before Thanksgiving
CONFIG = load_settings()


@cache
def grid_of(cadence: Cadence, start: date = START) -> Grid:
    partitions = CONFIG.partitions.model_copy(update={"date": cadence, "start": start})
    return build_grid(CONFIG.model_copy(update={"partitions": partitions}))


def keys_at(partitions: dg.PartitionsDefinition, now: datetime = NOON) -> Sequence[str]:
    with dg.partition_loading_context(effective_dt=now):
        return partitions.get_partition_keys()


@pytest.mark.parametrize(
    ("cadence", "first", "current", "count"),
    [
        ("year", "2025", "2025", 1),
        ("quarter", "2025-07", "2025-10", 2),
        ("month", "2025-08", "2025-11", 4),
        ("week", "2025-08-11", "2025-11-24", 16),
        ("day", "2025-08-13", "2025-11-26", 75),
    ],
)
def test_grid_reaches_from_the_start_to_the_current_period(
    cadence: Cadence, first: str, current: str, count: int
) -> None:
    keys = keys_at(grid_of(cadence).periods)
    assert (keys[0], keys[-1], len(keys)) == (first, current, count)


@pytest.mark.parametrize("cadence", CADENCES)
def test_keys_are_those_of_the_lake(cadence: Cadence) -> None:
    keys = keys_at(grid_of(cadence).periods)
    periods = [period_from_key(key, cadence) for key in keys]
    assert [period.key for period in periods] == list(keys)
    days = trading_days(START, NOON.date())
    assert sorted({period_of(day, cadence).key for day in days}) == list(keys)


@pytest.mark.parametrize("cadence", CADENCES)
def test_next_period_is_no_partition_before_it_begins(cadence: Cadence) -> None:
    grid = grid_of(cadence)
    current = period_of(NOON.date(), cadence)
    after = period_of(current.last + timedelta(days=1), cadence)
    while cadence == "day" and not trading_days(after.first, after.last):
        after = period_of(after.first + timedelta(days=1), cadence)
    assert after.key not in keys_at(grid.periods)
    begun = datetime.combine(after.first, NOON.time(), tzinfo=NEW_YORK_TZ)
    assert after.key in keys_at(grid.periods, begun)


@pytest.mark.parametrize(
    ("closed", "why"),
    [
        ("2025-11-27", "Thanksgiving"),
        ("2025-11-29", "Saturday"),
        ("2025-11-30", "Sunday"),
        ("2025-09-01", "Labor Day"),
        ("2025-01-09", "the day of mourning for President Carter"),
        ("2012-10-29", "hurricane Sandy"),
    ],
)
@pytest.mark.parametrize("of", ["days", "cells of a day"])
def test_closed_days_are_no_partitions(closed: str, why: str, of: str) -> None:
    grid = grid_of("day", date(2003, 1, 2))
    now = datetime(2025, 12, 31, 12, tzinfo=NEW_YORK_TZ)
    keys = keys_at(grid.days if of == "days" else grid.periods, now)
    assert closed not in keys, why


def test_days_are_the_trading_days_that_are_over() -> None:
    days = keys_at(grid_of("year").days)
    assert list(days) == [str(day) for day in trading_days(date(2003, 1, 1), date(2025, 11, 25))]


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2025, 11, 29, 12, tzinfo=NEW_YORK_TZ), "2025-11-28"),  # Friday's, on Saturday
        (datetime(2025, 11, 27, 12, tzinfo=NEW_YORK_TZ), "2025-11-26"),  # on Thanksgiving
        (datetime(2025, 11, 28, 12, tzinfo=NEW_YORK_TZ), "2025-11-26"),  # the day after it
    ],
)
def test_day_is_there_at_noon_of_the_next_also_where_that_is_closed(
    now: datetime, last: str
) -> None:
    """The daily schedule asks for it then, with the weekend or a holiday before the next tick."""
    assert keys_at(grid_of("year").days, now)[-1] == last


def test_cell_key_names_the_date_first() -> None:
    cell = Cell("AEMD", period_of(date(2025, 10, 7), "year"))
    assert cell.key == "2025|AEMD"


@pytest.mark.parametrize("symbol", ["AEMD", "BRK.A", "BApA", "BRK-B"])
@pytest.mark.parametrize("cadence", CADENCES)
def test_cell_is_found_by_its_key(cadence: Cadence, symbol: str) -> None:
    grid = grid_of(cadence)
    cell = Cell(symbol, period_of(date(2025, 10, 7), cadence))
    assert grid.cell(cell.key) == cell
    assert grid.cell(str(cell.key)) == cell


def test_cells_are_the_product_of_symbols_and_periods() -> None:
    instance, grid = dg.DagsterInstance.ephemeral(), grid_of("quarter")
    instance.add_dynamic_partitions("symbol", ["NERV", "AEMD"])
    with dg.partition_loading_context(effective_dt=NOON, dynamic_partitions_store=instance):
        keys = set(grid.cells.get_partition_keys())
    assert keys == {f"2025-{month}|{name}" for month in ("07", "10") for name in ("NERV", "AEMD")}


def test_profiles_are_those_of_the_settings() -> None:
    assert list(grid_of("year").profiles.get_partition_keys()) == ["core", "plus", "premium"]
