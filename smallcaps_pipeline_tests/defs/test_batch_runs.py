"""Which assets and batches unfinished runs are working on."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg
import pytest

from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import batches_under_way, is_busy, tries_of_batches
from smallcaps_pipeline.defs.partitions import BATCH
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline_tests.defs.runs import FINISHED, UNFINISHED, add_run

ONE = {"dagster/partition": "core-00001"}
BACKFILL = "__ASSET_JOB"  # what Dagster calls the job of a backfill or of a click on assets


@pytest.mark.parametrize("status", UNFINISHED)
def test_batch_of_an_unfinished_run_is_under_way(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    add_run(instance, jobs.DOWNLOAD, status, ONE)
    assert batches_under_way(instance) == ["core-00001"]


@pytest.mark.parametrize("status", FINISHED)
def test_batch_of_a_finished_run_is_not(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    add_run(instance, jobs.DOWNLOAD, status, ONE)
    assert batches_under_way(instance) == []


@pytest.mark.parametrize(
    ("tags", "expected", "why"),
    [
        (
            {RANGE_START: "core-00002", RANGE_END: "core-00002"},
            ["core-00002"],
            "a backfill names one batch as a range: withdrawing it would take it from its run",
        ),
        (
            {RANGE_START: "core-00001", RANGE_END: "core-00003"},
            ["core-00001", "core-00002", "core-00003"],
            "a backfill in a single run",
        ),
        ({}, [], "no partition at all"),
    ],
)
def test_backfill_of_batches_is_under_way(
    instance: dg.DagsterInstance, tags: Mapping[str, str], expected: list[str], why: str
) -> None:
    instance.add_dynamic_partitions(BATCH, [f"core-0000{n}" for n in range(1, 5)])
    add_run(instance, BACKFILL, tags=tags, assets=["trade_windows"])
    assert batches_under_way(instance) == expected, why


@pytest.mark.parametrize(
    ("job", "key", "assets"),
    [
        (jobs.MANIFEST, "core", []),  # the run that plans sees itself
        (jobs.BARS, "2025|AEMD", []),
        (jobs.REPORT, "core", []),
        (BACKFILL, "core-00001", ["micro_features"]),
    ],
)
def test_runs_that_fetch_no_windows_are_no_downloads(
    instance: dg.DagsterInstance, job: str, key: str, assets: list[str]
) -> None:
    add_run(instance, job, tags={"dagster/partition": key}, assets=assets)
    assert batches_under_way(instance) == []


@pytest.mark.parametrize(
    ("job", "assets", "expected"),
    [
        (jobs.BARS, [], True),
        (jobs.EVENTS, [], True),
        (jobs.DOWNLOAD, [], False),
        (jobs.REPORT, [], False),
        (BACKFILL, ["bars_1m"], True),
        (BACKFILL, ["trade_windows"], False),
        ("a job of somebody's own", [], True),  # it does not tell: it may
    ],
)
def test_busy_is_what_makes_the_assets(
    instance: dg.DagsterInstance, job: str, assets: list[str], expected: bool
) -> None:
    add_run(instance, job, assets=assets)
    assert is_busy(instance, ["bars_1m", "intraday_events"]) is expected


def test_nothing_is_busy_when_nothing_runs(instance: dg.DagsterInstance) -> None:
    for status in FINISHED:
        add_run(instance, jobs.BARS, status)
    assert not is_busy(instance, ["bars_1m"])


def test_tries_are_the_finished_downloads_that_a_sensor_asked_for(
    instance: dg.DagsterInstance,
) -> None:
    asked = {**ONE, "dagster/run_key": "core-00001 1"}
    for status in (*FINISHED, dg.DagsterRunStatus.STARTED):
        add_run(instance, jobs.DOWNLOAD, status, asked)
    add_run(instance, jobs.DOWNLOAD, dg.DagsterRunStatus.FAILURE, ONE)  # a person's, or fetch's
    assert dict(tries_of_batches(instance)) == {"core-00001": 3}
