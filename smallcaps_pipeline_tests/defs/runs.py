"""Runs in an instance's storage, without anything being run."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg
from dagster._core.utils import make_new_run_id

UNFINISHED = (
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
FINISHED = (
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
)


def add_run(
    instance: dg.DagsterInstance,
    job: str,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED,
    tags: Mapping[str, str] | None = None,
    assets: Collection[str] = (),
) -> None:
    """Store a run; `assets` is its selection where it was launched over one."""
    selection = frozenset(map(dg.AssetKey, assets)) or None
    instance.run_storage.add_run(
        dg.DagsterRun(
            job_name=job,
            run_id=make_new_run_id(),
            status=status,
            tags=dict(tags or {}),
            asset_selection=selection,
        )
    )
