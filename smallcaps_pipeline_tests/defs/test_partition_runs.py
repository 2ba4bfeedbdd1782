"""Runs over many partitions: one that fails takes no other with it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import dagster as dg
import pytest

from smallcaps_pipeline.defs.partition_runs import run_partitions
from smallcaps_pipeline.defs.progress import NoDisplay, ProgressLog
from smallcaps_pipeline.defs.schedules import RANGE_END, RANGE_START
from smallcaps_pipeline.polygon.errors import KeyRefused

KEYS = ["a", "b", "c", "d", "e"]
LETTERS = dg.StaticPartitionsDefinition(KEYS)
WHOLE = {RANGE_START: "a", RANGE_END: "e"}
Work = Callable[[str], Mapping[str, Any]]


class Shown:
    """A display that remembers what it was shown."""

    def __init__(self) -> None:
        self.total, self.unit, self.done = 0, "", 0

    def start(self, total: int, unit: str) -> Callable[..., None]:
        self.total, self.unit = total, unit

        def advance(n: int, note: str = "") -> None:
            self.done += n

        return advance


def run(
    work: Work, instance: dg.DagsterInstance, workers: int = 1, tags: Mapping[str, str] = WHOLE
) -> tuple[dg.ExecuteInProcessResult, Shown]:
    """Run an asset of five partitions that does the work."""
    shown = Shown()

    @dg.asset(partitions_def=LETTERS, backfill_policy=dg.BackfillPolicy.single_run())
    def letters(context: dg.AssetExecutionContext) -> Any:
        return run_partitions(context, work, unit="letters", display=shown, workers=workers)

    result = dg.materialize([letters], instance=instance, tags=tags, raise_on_error=False)
    return result, shown


def recorded(instance: dg.DagsterInstance) -> dict[str, int]:
    """Return the metadata `n` of each partition that the instance says is materialized."""
    found = instance.fetch_materializations(dg.AssetKey("letters"), limit=100).records
    events = [record.asset_materialization for record in found]
    assert len(events) == len({event.partition for event in events if event})  # once each
    values = {event.partition: event.metadata["n"].value for event in events if event}
    there = instance.get_materialized_partitions(dg.AssetKey("letters"))
    assert set(values) == set(there)
    return {str(key): int(str(value)) for key, value in values.items()}


def failure(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    if data.user_failure_data:
        return data.user_failure_data.description or ""
    return str(data.error)


def place(key: str) -> dict[str, int]:
    return {"n": KEYS.index(key)}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_partition_is_recorded_with_its_own_metadata(
    instance: dg.DagsterInstance, workers: int
) -> None:
    result, shown = run(place, instance, workers)
    assert result.success
    assert recorded(instance) == {key: n for n, key in enumerate(KEYS)}
    assert (shown.total, shown.done, shown.unit) == (5, 5, "letters")


def test_one_partition_is_recorded(instance: dg.DagsterInstance) -> None:
    result, _ = run(place, instance, tags={"dagster/partition": "c"})
    assert result.success
    assert recorded(instance) == {"c": 2}


@pytest.mark.parametrize("workers", [1, 3])
def test_failed_partition_is_named_and_the_others_are_recorded(
    instance: dg.DagsterInstance, workers: int
) -> None:
    def work(key: str) -> dict[str, int]:
        if key in "bd":
            raise ValueError(f"{key} has no bars")
        return place(key)

    result, shown = run(work, instance, workers)
    assert not result.success
    assert recorded(instance) == {"a": 0, "c": 2, "e": 4}
    said = failure(result)
    assert "2 of 5 letters failed, the others are stored" in said
    assert "b: ValueError: b has no bars" in said
    assert "d: ValueError: d has no bars" in said
    assert shown.done == 5


def test_second_run_over_the_failed_ones_completes_the_record(
    instance: dg.DagsterInstance,
) -> None:
    broken = {"b"}

    def work(key: str) -> dict[str, int]:
        if key in broken:
            raise ValueError("not yet")
        return place(key)

    run(work, instance)
    broken.clear()
    result, _ = run(work, instance, tags={"dagster/partition": "b"})
    assert result.success
    assert set(recorded(instance)) == set(KEYS)


@pytest.mark.parametrize("workers", [1, 2])
def test_refused_key_stops_the_run(instance: dg.DagsterInstance, workers: int) -> None:
    tried, lock = [], Lock()

    def work(key: str) -> dict[str, int]:
        with lock:
            tried.append(key)
        if key != "a":
            raise KeyRefused("unknown key", "/v2/aggs", 401)
        return place(key)

    result, _ = run(work, instance, workers)
    assert not result.success
    assert "KeyRefused" in failure(result)
    assert workers > 1 or tried == ["a", "b"]
    assert set(recorded(instance)) <= {"a"}


def test_what_was_done_before_the_key_was_refused_is_recorded(
    instance: dg.DagsterInstance,
) -> None:
    def work(key: str) -> dict[str, int]:
        if key == "c":
            raise KeyRefused("unknown key", "/v2/aggs", 401)
        return place(key)

    run(work, instance)
    assert recorded(instance) == {"a": 0, "b": 1}


def test_workers_are_under_way_at_once(instance: dg.DagsterInstance) -> None:
    """Five partitions meet at a barrier, which one thread alone could never pass."""
    barrier = Barrier(5)

    def work(key: str) -> dict[str, int]:
        barrier.wait(timeout=30)
        return place(key)

    result, _ = run(work, instance, workers=5)
    assert result.success
    assert set(recorded(instance)) == set(KEYS)


# progress -------------------------------------------------------------------------------------


def clock(*seconds: float) -> Iterator[float]:
    yield from seconds


def test_progress_says_rate_and_time_left_every_five_seconds_and_at_the_end() -> None:
    """Clock: start 0; 10 items at 2 s, 4 s, 5 s, 6 s (silent: 1 s after), 40 s (all done)."""
    times = clock(0, 2, 4, 5, 6, 40)
    said: list[str] = []
    log = ProgressLog(
        said.append, total=50, unit="cells", clock=lambda: next(times), display=NoDisplay()
    )
    for _ in range(5):
        log.advance(10)
    assert said == [
        "30 of 50 cells, 6.0 a second, 0:00:03 left",  # 20 left at 6 a second
        "50 of 50 cells, 1.2 a second, 0:00:00 left",
    ]


def test_progress_of_nothing_knows_no_time_left() -> None:
    log = ProgressLog(print, total=5, unit="cells", clock=lambda: 0.0, display=NoDisplay())
    assert log.line(10.0) == "0 of 5 cells, 0.0 a second, unknown left"


def test_display_is_told_of_every_step(tmp_path: Path) -> None:
    shown, times = Shown(), clock(0, 1, 1)
    log = ProgressLog(
        lambda line: None, total=3, unit="cells", clock=lambda: next(times), display=shown
    )
    log.advance()
    log.advance(2)
    assert (shown.total, shown.done) == (3, 3)
