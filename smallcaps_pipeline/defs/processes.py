"""Which process works on a run that was started outside of Dagster's queue.

A run of the `smallcaps` command lives in the command's own process. When that is killed, nobody
else would ever end the run: it would look under way, and sensors and commands would wait for it.
Runs that the queue launched are watched by Dagster's run monitoring.
"""

from __future__ import annotations

import platform

import dagster as dg
import psutil
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

PROCESS_TAG = "smallcaps/process"


def process_tag() -> dict[str, str]:
    """Return the tag of a run in this process: machine, process id, and when it began.

    The time tells a later process with the same id apart.
    """
    own = psutil.Process()
    return {PROCESS_TAG: f"{platform.node()} {own.pid} {own.create_time():.0f}"}


def fail_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Fail the started runs whose process on this machine is gone; return their ids."""
    runs = instance.get_runs(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    dead = [run for run in runs if _is_dead(run)]
    for run in dead:
        instance.report_run_failed(run, "the process that worked on it is gone")
    return [run.run_id for run in dead]


def _is_dead(run: DagsterRun) -> bool:
    node, _, process = run.tags.get(PROCESS_TAG, "").partition(" ")
    if not process or node != platform.node():
        return False
    pid, began = process.split()
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" != began
    except psutil.NoSuchProcess:
        return True
