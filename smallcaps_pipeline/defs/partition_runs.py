"""Runs over many partitions: each by itself, failures apart, progress in the log.

Dagster writes all materializations of a step when it ends; a step that fails records none. A
symbol that fails must not take the others of its run with it, so on failure the good partitions
are recorded here before the step fails with the list of the others. A partition whose file is
current is skipped by the work itself, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from functools import partial
from typing import Any, Final

import dagster as dg

from smallcaps_pipeline.defs.progress import Display, ProgressLog
from smallcaps_pipeline.polygon.errors import KeyRefused

Metadata = Mapping[str, Any]
Work = Callable[[str], Metadata]
FAILURES_SHOWN: Final = 20


def run_partitions(
    context: dg.AssetExecutionContext,
    work: Work,
    *,
    unit: str,
    display: Display,
    workers: int = 1,
) -> dg.MaterializeResult:
    """Do the work of every partition of a run and record each one's metadata.

    Args:
        context: Of a partitioned asset, in a run over one partition or a range.
        work: Does one partition key and returns its metadata; what it raises is that partition's
            failure.
        unit: What a partition is, in the plural, for the progress.
        display: Shows the progress.
        workers: Partitions under way at once (threads: for work that waits).

    Raises:
        dagster.Failure: Some partitions failed; the others are recorded as materialized.
        KeyRefused: The provider refuses the key: no other partition would fare better. Those that
            were done before are recorded.
    """
    keys = list(context.partition_keys)
    done: dict[str, Metadata] = {}
    failed: dict[str, str] = {}
    progress = ProgressLog(
        context.log.info, total=len(keys), unit=unit, clock=time.monotonic, display=display
    )
    for key, outcome in _each(keys, work, workers):
        try:
            done[key] = outcome()
        except KeyRefused:
            _record(context, done)
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, it is this partition's alone
            failed[key] = f"{type(error).__name__}: {error}"
            context.log.error(f"{key}: {error}")
        progress.advance()
    if failed:
        _record(context, done)
        raise _failure(failed, len(keys), unit)
    for key, metadata in done.items():
        context.add_asset_metadata(metadata, partition_key=key)
    return dg.MaterializeResult()


def _each(
    keys: Sequence[str], work: Work, workers: int
) -> Iterable[tuple[str, Callable[[], Metadata]]]:
    """Yield each key with a call that gives its result or raises its error."""
    if workers == 1:
        for key in keys:
            yield key, partial(work, key)
        return
    pool = ThreadPoolExecutor(workers)
    try:
        futures: dict[Future[Metadata], str] = {pool.submit(work, key): key for key in keys}
        for future in as_completed(futures):
            yield futures[future], future.result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _record(context: dg.AssetExecutionContext, done: Mapping[str, Metadata]) -> None:
    for key, metadata in done.items():
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=dict(metadata))
        )


def _failure(failed: Mapping[str, str], total: int, unit: str) -> dg.Failure:
    shown = "\n".join(f"{key}: {reason}" for key, reason in list(failed.items())[:FAILURES_SHOWN])
    return dg.Failure(
        description=f"{len(failed)} of {total} {unit} failed, the others are stored:\n{shown}",
        metadata={"failed": dg.MetadataValue.json(dict(failed))},
        allow_retries=False,
    )
