"""Runs whose process is gone: nobody else would end them."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import psutil
import pytest

from smallcaps_pipeline.defs import jobs
from smallcaps_pipeline.defs.batch_runs import is_busy
from smallcaps_pipeline.defs.processes import PROCESS_TAG, fail_dead_runs, process_tag
from smallcaps_pipeline_tests.defs.runs import add_run


def dead_process() -> str:
    """Return the tag value of a process that has ended."""
    node, own_pid, began = process_tag()[PROCESS_TAG].split()
    del own_pid
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    return f"{node} {ended.pid} {began}"


def test_run_of_a_dead_process_is_failed(instance: dg.DagsterInstance) -> None:
    add_run(instance, jobs.DOWNLOAD, tags={PROCESS_TAG: dead_process()})
    assert is_busy(instance, ["trade_windows"])
    (dead,) = fail_dead_runs(instance)
    run = instance.get_run_by_id(dead)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert not is_busy(instance, ["trade_windows"])


def test_run_of_this_process_goes_on(instance: dg.DagsterInstance) -> None:
    add_run(instance, jobs.DOWNLOAD, tags=process_tag())
    assert fail_dead_runs(instance) == []


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (None, "Dagster launched it, and watches it"),
        ("another-machine 1 0", "its processes are not ours to judge"),
    ],
)
def test_run_of_others_is_left_alone(
    instance: dg.DagsterInstance, tag: str | None, why: str
) -> None:
    add_run(instance, jobs.DOWNLOAD, tags={} if tag is None else {PROCESS_TAG: tag})
    assert fail_dead_runs(instance) == [], why


def test_later_process_with_the_same_id_is_another(instance: dg.DagsterInstance) -> None:
    node, pid, _ = process_tag()[PROCESS_TAG].split()
    before = psutil.Process().create_time() - 3600
    add_run(instance, jobs.DOWNLOAD, tags={PROCESS_TAG: f"{node} {pid} {before:.0f}"})
    assert len(fail_dead_runs(instance)) == 1
