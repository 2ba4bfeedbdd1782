"""Schedules: the day after a trading day, every symbol, in runs of a bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import dagster as dg
import pytest

from smallcaps_pipeline.cells import Cadence
from smallcaps_pipeline.defs.instance import instance_in
from smallcaps_pipeline.defs.partitions import SYMBOL, Grid, build_grid
from smallcaps_pipeline.defs.schedules import (
    RANGE_END,
    RANGE_START,
    daily_requests,
    ended_day,
    schedules,
)
from smallcaps_pipeline.sessions import NEW_YORK_TZ
from smallcaps_pipeline.settings import Settings, load_settings

CONFIG = load_settings()


def settings_of(cadence: Cadence = "year", cells_per_run: int = 200) -> Settings:
    update = {"date": cadence, "cells_per_run": cells_per_run}
    partitions = CONFIG.partitions.model_copy(update=update)
    return CONFIG.model_copy(update={"partitions": partitions})


def noon(day: str) -> datetime:
    return datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=NEW_YORK_TZ)


def tick(
    name: str, day: str, instance: dg.DagsterInstance, settings: Settings
) -> list[dg.RunRequest] | dg.SkipReason:
    grid: Grid = build_grid(settings)
    (schedule,) = [one for one in schedules(grid, settings) if one.name == name]
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=noon(day))
    result = schedule(context)
    if isinstance(result, dg.SkipReason | dg.RunRequest):
        return [result] if isinstance(result, dg.RunRequest) else result
    assert isinstance(result, list)
    return result


@pytest.fixture
def stored_instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder: a schedule's context opens it by its reference."""
    with instance_in(tmp_path / "state") as made:
        yield made


@pytest.mark.parametrize(
    ("tick_on", "ended", "why"),
    [
        ("2025-11-26", date(2025, 11, 25), "a Wednesday"),
        ("2025-11-29", date(2025, 11, 28), "a Saturday brings Friday in, an early close"),
        ("2025-11-28", None, "the day after Thanksgiving"),
        ("2025-11-27", date(2025, 11, 26), "Thanksgiving itself brings Wednesday in"),
        ("2025-09-02", None, "the day after Labor Day"),
        ("2025-11-30", None, "Sunday, if anybody ticks on it"),
        ("2025-03-11", date(2025, 3, 10), "the first day of daylight-saving time is over"),
    ],
)
def test_day_that_ended(tick_on: str, ended: date | None, why: str) -> None:
    assert ended_day(noon(tick_on)) == ended, why


def test_ticks_are_at_noon_after_weekdays_in_new_york() -> None:
    for schedule in schedules(build_grid(CONFIG), CONFIG):
        assert schedule.cron_schedule == "0 12 * * 2-6"
        assert schedule.execution_timezone == "America/New_York"
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


def test_update_covers_every_symbol_in_runs_of_bounded_size(
    stored_instance: dg.DagsterInstance,
) -> None:
    """Five symbols in Dagster's order, two a run."""
    stored_instance.add_dynamic_partitions(SYMBOL, ["E", "A", "C", "B", "D"])
    requests = tick("daily_update", "2025-11-26", stored_instance, settings_of("month", 2))
    assert isinstance(requests, list)
    assert [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in requests] == [
        ("2025-11|E", "2025-11|A"),
        ("2025-11|C", "2025-11|B"),
        ("2025-11|D", "2025-11|D"),
    ]
    keys = [request.run_key for request in requests]
    assert len(set(keys)) == 3
    assert all(str(key).startswith("2025-11-25") for key in keys)
    assert all(request.partition_key is None for request in requests)


@pytest.mark.parametrize(
    ("cadence", "day", "periods"),
    [
        ("year", date(2025, 11, 25), ["2025"]),
        ("year", date(2026, 1, 6), ["2026", "2025"]),  # the 5th, the 2nd, 31 December
        ("year", date(2026, 1, 7), ["2026"]),
        ("quarter", date(2025, 11, 25), ["2025-10"]),
        ("week", date(2025, 11, 25), ["2025-11-24", "2025-11-17"]),
        ("day", date(2025, 11, 25), ["2025-11-25", "2025-11-24", "2025-11-21", "2025-11-20"]),
    ],
)
def test_update_is_of_the_day_that_ended_and_of_periods_within_the_look_back(
    cadence: Cadence, day: date, periods: list[str]
) -> None:
    settings = settings_of(cadence)
    requests = list(daily_requests(day, ["A", "B"], build_grid(settings), settings))
    assert [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in requests] == [
        (f"{period}|A", f"{period}|B") for period in periods
    ]
    assert len({request.run_key for request in requests}) == len(periods)


def test_first_of_january_brings_in_the_year_that_ended(
    stored_instance: dg.DagsterInstance,
) -> None:
    stored_instance.add_dynamic_partitions(SYMBOL, ["A"])
    requests = tick("daily_update", "2026-01-01", stored_instance, settings_of())
    assert isinstance(requests, list)
    assert requests[0].tags[RANGE_START] == "2025|A"


@pytest.mark.parametrize("name", ["daily_update", "daily_market"])
def test_day_after_a_holiday_is_skipped_and_says_so(
    name: str, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions(SYMBOL, ["A"])
    skipped = tick(name, "2025-11-28", instance, CONFIG)
    assert isinstance(skipped, dg.SkipReason)
    assert "closed" in str(skipped.skip_message)


def test_without_symbols_nothing_is_asked_for(stored_instance: dg.DagsterInstance) -> None:
    assert tick("daily_update", "2025-11-26", stored_instance, CONFIG) == []


@pytest.mark.parametrize("day", ["2025-11-26", "2025-11-29"])
def test_market_is_asked_for_a_day_that_is_a_partition_then(
    day: str, instance: dg.DagsterInstance
) -> None:
    requests = tick("daily_market", day, instance, CONFIG)
    assert isinstance(requests, list)
    (request,) = requests
    with dg.partition_loading_context(effective_dt=noon(day)):
        assert build_grid(CONFIG).days.has_partition_key(str(request.partition_key))
    assert request.run_key == request.partition_key
