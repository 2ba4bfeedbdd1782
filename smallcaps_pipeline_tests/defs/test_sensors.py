"""Sensors: one request per change, none while the stage before is at work."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.partitions import build_grid
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.defs.sensors import (
    DOWNLOADS_AT_ONCE,
    TRIES,
    files_state,
    next_batches,
    sensors,
)
from smallcaps_pipeline.lake import Lake
from smallcaps_pipeline.report.overrides import Override, record_override
from smallcaps_pipeline.schemas import BARS, EVENTS, MICRO_FEATURES, PLAN
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.defs.runs import add_run

CONFIG = load_settings()
FAILED = dg.DagsterRunStatus.FAILURE


def tick(
    name: str,
    instance: dg.DagsterInstance,
    lake: Lake,
    cursor: str | None = None,
    settings: Settings = CONFIG,
) -> dg.SensorResult | dg.SkipReason:
    (sensor,) = [one for one in sensors(build_grid(settings), settings) if one.name == name]
    context = dg.build_sensor_context(instance=instance, cursor=cursor, resources={"lake": lake})
    result = sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def requests(result: dg.SensorResult | dg.SkipReason) -> list[tuple[str | None, str | None]]:
    """Return (job, partition) of what a tick asks for."""
    assert isinstance(result, dg.SensorResult)
    return [(request.job_name, request.partition_key) for request in result.run_requests or []]


def run_keys(result: dg.SensorResult | dg.SkipReason) -> list[str | None]:
    assert isinstance(result, dg.SensorResult)
    return [request.run_key for request in result.run_requests or []]


def put_shard(lake: Lake, symbol: str = "AEMD") -> Path:
    file = lake.cell(EVENTS.name, symbol, "2025")
    lake.write(EVENTS.empty(), file)
    return file


def put_batches(lake: Lake, *names: str) -> None:
    for name in names:
        lake.write(PLAN.empty(), lake.batch("window_batches", name))


# what is new ----------------------------------------------------------------------------------


def test_state_of_no_files_is_none() -> None:
    assert files_state([]) is None


def test_state_changes_with_names_sizes_and_times_and_with_nothing_else(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        file.write_text("abc")
    state = files_state([one, other])
    assert files_state([other, one]) == state
    assert files_state([one]) != state
    stamp = one.stat().st_mtime_ns
    os.utime(one, ns=(stamp, stamp + 1))
    assert files_state([one, other]) != state
    os.utime(one, ns=(stamp, stamp))
    assert files_state([one, other]) == state
    one.write_text("abcd")
    os.utime(one, ns=(stamp, stamp))
    assert files_state([one, other]) != state


# which batches --------------------------------------------------------------------------------

SIX = [f"core-0000{n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    ("done", "under_way", "tries", "expected", "why"),
    [
        ([], [], {}, SIX[:4], "the best, a few at a time"),
        (SIX[:2], [], {}, SIX[2:6], "not those that are done"),
        ([], SIX[:1], {}, SIX[1:4], "those under way take room"),
        ([], SIX[:4], {}, [], "no room"),
        ([], [*SIX, "plus-00001"], {}, [], "more under way than room"),
        (SIX, [], {}, [], "all done"),
        ([], [], {SIX[0]: 1}, SIX[1:5], "one that failed waits for those not tried yet"),
        (SIX[2:], [], {SIX[0]: 1}, [SIX[1], SIX[0]], "and is tried again after them"),
        (SIX[2:], [], {SIX[0]: TRIES}, [SIX[1]], "but not for ever"),
    ],
)
def test_next_batches(
    done: Sequence[str],
    under_way: Sequence[str],
    tries: Mapping[str, int],
    expected: list[str],
    why: str,
) -> None:
    assert DOWNLOADS_AT_ONCE == 4
    assert next_batches(SIX, done, under_way, tries) == expected, why


# new_bars -------------------------------------------------------------------------------------


def put_bars(lake: Lake, symbol: str, at: int) -> None:
    """Write a cell of bars as if it were written at a second of the clock."""
    file = lake.cell(BARS.name, symbol, "2025")
    lake.write(BARS.empty(), file)
    os.utime(file, (at, at))


def ranges(result: dg.SensorResult | dg.SkipReason) -> list[tuple[str, str]]:
    assert isinstance(result, dg.SensorResult)
    return [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in result.run_requests or []]


def test_new_bars_ask_for_their_events_in_packed_runs(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    instance.add_dynamic_partitions("symbol", ["AEMD", "NERV", "GRI", "WOLF"])
    for symbol in ("AEMD", "NERV", "WOLF"):
        put_bars(lake, symbol, at=100)
    found = ranges(tick("new_bars", instance, lake))
    assert found == [("2025|AEMD", "2025|NERV"), ("2025|WOLF", "2025|WOLF")]


def test_cell_whose_events_are_younger_than_its_bars_is_left_alone(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    instance.add_dynamic_partitions("symbol", ["AEMD"])
    put_bars(lake, "AEMD", at=100)
    os.utime(put_shard(lake), (101, 101))
    assert isinstance(tick("new_bars", instance, lake), dg.SkipReason)
    put_bars(lake, "AEMD", at=102)
    assert ranges(tick("new_bars", instance, lake)) == [("2025|AEMD", "2025|AEMD")]


def test_bars_of_a_symbol_without_a_partition_get_one(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    put_bars(lake, "AEMD", at=100)
    result = tick("new_bars", instance, lake)
    assert isinstance(result, dg.SensorResult)
    assert result.dynamic_partitions_requests is not None
    (request,) = result.dynamic_partitions_requests
    assert request.partition_keys == ["AEMD"]


def test_bars_that_cannot_be_detected_are_asked_for_once(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    """A damaged file stays younger than its events; the same state has the same run key."""
    put_bars(lake, "AEMD", at=100)
    first, second = (tick("new_bars", instance, lake) for _ in range(2))
    assert run_keys(first) == run_keys(second)


def test_new_bars_wait_for_the_fetch_to_end(instance: dg.DagsterInstance, lake: Lake) -> None:
    put_bars(lake, "AEMD", at=100)
    add_run(instance, jobs.BARS)
    assert isinstance(tick("new_bars", instance, lake), dg.SkipReason)


# new_events -----------------------------------------------------------------------------------


def test_new_events_ask_for_a_manifest_and_a_summary_once(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    assert isinstance(tick("new_events", instance, lake), dg.SkipReason)
    put_shard(lake)
    first = tick("new_events", instance, lake)
    assert requests(first) == [(jobs.MANIFEST, "core"), (jobs.SUMMARY, None)]
    assert isinstance(first, dg.SensorResult)
    again = tick("new_events", instance, lake, first.cursor)
    assert isinstance(again, dg.SkipReason)
    put_shard(lake, "NERV")
    second = tick("new_events", instance, lake, first.cursor)
    assert len(requests(second)) == 2
    assert set(run_keys(first)).isdisjoint(run_keys(second))


def test_new_events_after_a_lost_cursor_have_the_same_run_key(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    """Dagster makes no second run of a run key: a reset sensor costs nothing."""
    put_shard(lake)
    first, second = (tick("new_events", instance, lake) for _ in range(2))
    assert run_keys(first) == run_keys(second)


@pytest.mark.parametrize("job", [jobs.BARS, jobs.EVENTS])
def test_new_events_wait_for_the_backfill_to_end(
    instance: dg.DagsterInstance, lake: Lake, job: str
) -> None:
    put_shard(lake)
    add_run(instance, job)
    assert isinstance(tick("new_events", instance, lake), dg.SkipReason)


def test_new_events_do_not_wait_for_a_report(instance: dg.DagsterInstance, lake: Lake) -> None:
    put_shard(lake)
    add_run(instance, jobs.REPORT)
    assert requests(tick("new_events", instance, lake))


# new_batches ----------------------------------------------------------------------------------


def test_new_batches_are_asked_for_best_first(instance: dg.DagsterInstance, lake: Lake) -> None:
    put_batches(lake, *reversed(SIX), "plus-00001")
    result = tick("new_batches", instance, lake)
    assert [key for _, key in requests(result)] == SIX[:4]
    assert run_keys(result) == [f"{name} 1" for name in SIX[:4]]


def test_batches_done_or_under_way_are_not_asked_for(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    put_batches(lake, *SIX[:3])
    lake.write(MICRO_FEATURES.empty(), lake.batch(MICRO_FEATURES.name, SIX[0]))
    add_run(instance, jobs.DOWNLOAD, tags={"dagster/partition": SIX[1]})
    assert [key for _, key in requests(tick("new_batches", instance, lake))] == [SIX[2]]


def test_batches_that_fail_do_not_keep_the_others_waiting(
    instance: dg.DagsterInstance, lake: Lake
) -> None:
    """Four broken batches took all the room for ever: Dagster drops a run key it has seen."""
    put_batches(lake, *SIX)
    for name in SIX[:4]:
        tags = {"dagster/partition": name, "dagster/run_key": f"{name} 1"}
        add_run(instance, jobs.DOWNLOAD, FAILED, tags)
    result = tick("new_batches", instance, lake)
    assert [key for _, key in requests(result)] == [*SIX[4:], *SIX[:2]]
    assert run_keys(result) == [f"{name} 1" for name in SIX[4:]] + [f"{n} 2" for n in SIX[:2]]


@pytest.mark.parametrize("job", [jobs.MANIFEST])
def test_no_download_starts_while_a_plan_is_made(
    instance: dg.DagsterInstance, lake: Lake, job: str
) -> None:
    put_batches(lake, SIX[0])
    add_run(instance, job, tags={"dagster/partition": "core"})
    assert isinstance(tick("new_batches", instance, lake), dg.SkipReason)


def test_no_batch_no_download(instance: dg.DagsterInstance, lake: Lake) -> None:
    assert isinstance(tick("new_batches", instance, lake), dg.SkipReason)


# new_figures ----------------------------------------------------------------------------------


def test_new_figures_ask_for_one_report(instance: dg.DagsterInstance, lake: Lake) -> None:
    assert isinstance(tick("new_figures", instance, lake), dg.SkipReason)
    lake.write(MICRO_FEATURES.empty(), lake.batch(MICRO_FEATURES.name, SIX[0]))
    first = tick("new_figures", instance, lake)
    assert requests(first) == [(None, "core")]
    assert isinstance(first, dg.SensorResult)
    assert isinstance(tick("new_figures", instance, lake, first.cursor), dg.SkipReason)


def test_new_figures_wait_for_the_last_download(instance: dg.DagsterInstance, lake: Lake) -> None:
    lake.write(MICRO_FEATURES.empty(), lake.batch(MICRO_FEATURES.name, SIX[0]))
    add_run(instance, jobs.DOWNLOAD, tags={"dagster/partition": SIX[1]})
    assert isinstance(tick("new_figures", instance, lake), dg.SkipReason)


def test_sensors_follow_the_active_profile(instance: dg.DagsterInstance, lake: Lake) -> None:
    manifest = CONFIG.manifest.model_copy(update={"active_profile": "plus"})
    settings = CONFIG.model_copy(update={"manifest": manifest})
    put_shard(lake)
    put_batches(lake, "core-00001", "plus-00001")
    blocked = tick("new_batches", instance, lake, settings=settings)
    assert isinstance(blocked, dg.SkipReason)  # core is not GO
    assert "plus is blocked" in str(blocked.skip_message)
    manifest_only = tick("new_events", instance, lake, settings=settings)
    assert isinstance(manifest_only, dg.SensorResult)
    assert manifest_only.run_requests is not None
    assert manifest_only.run_requests[0].asset_selection == [dg.AssetKey("event_manifest")]
    now = datetime(2025, 11, 28, tzinfo=UTC)
    record_override(lake, Override("plus", "a pilot of 20 symbols", "anna", now, None))
    asked = [
        key
        for name in ("new_events", "new_batches")
        for _, key in requests(tick(name, instance, lake, settings=settings))
    ]
    assert asked == ["plus", None, "plus-00001"]


def test_sensors_are_off_until_they_are_switched_on() -> None:
    every = sensors(build_grid(CONFIG), CONFIG)
    assert {one.default_status for one in every} == {dg.DefaultSensorStatus.STOPPED}
