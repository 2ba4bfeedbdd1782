"""Running jobs from a process of our own, in the project's Dagster instance.

The `smallcaps` command and the demo run jobs here, in process: the UI shows the same history as
for runs that it started itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import TypeVar

import dagster as dg
from dagster._core.events import RunFailureReason
from dagster_shared.error import SerializableErrorInfo

from smallcaps_pipeline.cells import Cadence, Period, period_of
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid
from smallcaps_pipeline.defs.processes import process_tag
from smallcaps_pipeline.defs.schedules import range_tags
from smallcaps_pipeline.lake import DiskFullError
from smallcaps_pipeline.polygon.errors import KeyRefused
from smallcaps_pipeline.sessions import shift_trading_day

Item = TypeVar("Item")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

HOPELESS = (KeyRefused.__name__, DiskFullError.__name__)


class RunFailedError(RuntimeError):
    """A run failed; the message says which step and why.

    Attributes:
        is_hopeless: The provider refuses the key, or the disk is full: no other run would fare
            better.
    """

    def __init__(self, message: str, *, is_hopeless: bool = False) -> None:
        super().__init__(message)
        self.is_hopeless = is_hopeless


@dataclass(frozen=True)
class Cube:
    """Cells that one run can take: a stretch of symbol partitions x a stretch of periods."""

    first: Cell
    last: Cell
    cells: int


class Launcher:
    """Runs the jobs of a set of definitions in this process."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self._definitions = definitions
        self.instance = instance

    def run(
        self,
        job: str,
        *,
        partition: str | None = None,
        tags: Mapping[str, str] | None = None,
        assets: Collection[str] | None = None,
        config: Mapping[str, object] | None = None,
    ) -> None:
        """Run a job to its end.

        Args:
            job: Its name.
            partition: The partition that it is run for.
            tags: Tags of the run.
            assets: Those of the job's assets that are made; None is all.
            config: Configuration of each of these assets.

        Raises:
            RunFailedError: A step failed.
            KeyboardInterrupt: The run was interrupted; it is recorded as failed.
        """
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition,
            tags={**(tags or {}), **process_tag()},
            run_config={**QUIET, "ops": {name: {"config": config} for name in assets or ()}}
            if config
            else QUIET,
            raise_on_error=False,
            asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
        )
        if _was_interrupted(result):
            raise KeyboardInterrupt
        if not result.success:
            raise _why(job, result)

    def run_cells(self, job: str, cells: Iterable[Cell], grid: Grid, cells_per_run: int) -> None:
        """Run a job over cells, in as few runs as their arrangement allows.

        Every run is made, whatever happens to one (but for a refused key); the failures are raised
        together at the end.

        Raises:
            RunFailedError: Some runs failed, or a cell lies before the grid.
        """
        cells = list(cells)
        start = grid.periods.start.date()
        if early := [cell.key for cell in cells if cell.period.first < start]:
            raise RunFailedError(
                f"{len(early)} cells lie before partitions.start ({start}), the first is "
                f"{min(early)}: set it to an earlier day"
            )
        self.add_symbols(cell.symbol for cell in cells)
        symbols = self.instance.get_dynamic_partitions(SYMBOL)
        failures = []
        for cube in pack(cells, symbols, grid.cadence, cells_per_run):
            try:
                self.run(job, tags=range_tags(cube.first, cube.last))
            except RunFailedError as error:
                failures.append(str(error))
                if error.is_hopeless:
                    break
        if failures:
            raise RunFailedError("\n".join(failures))

    def add_symbols(self, symbols: Iterable[str]) -> None:
        """Add symbol partitions that are not there yet."""
        there = set(self.instance.get_dynamic_partitions(SYMBOL))
        if new := sorted(set(symbols) - there):
            self.instance.add_dynamic_partitions(SYMBOL, new)


def pack(cells: Iterable[Cell], symbols: Sequence[str], cadence: Cadence, size: int) -> list[Cube]:
    """Pack cells into cubes, each of at most `size` cells and holding nothing else.

    Args:
        cells: Cells, each once.
        symbols: All symbol partitions in Dagster's order: a run takes a stretch of it.
        cadence: Length of a period.
        size: Most cells in a run.
    """
    place = {symbol: n for n, symbol in enumerate(symbols)}
    periods: dict[str, list[Period]] = {}
    for cell in sorted(cells, key=lambda cell: cell.period):
        periods.setdefault(cell.symbol, []).append(cell.period)
    alike: dict[tuple[Period, Period, int], list[str]] = {}
    for symbol, own in periods.items():
        for stretch in _stretches(own, lambda a, b: _follows(a, b, cadence), size):
            alike.setdefault((stretch[0], stretch[-1], len(stretch)), []).append(symbol)
    return [
        Cube(Cell(part[0], first), Cell(part[-1], last), len(part) * length)
        for (first, last, length), sharing in sorted(alike.items())
        for part in _stretches(
            sorted(sharing, key=place.__getitem__),
            lambda a, b: place[b] == place[a] + 1,
            max(size // length, 1),
        )
    ]


def _follows(period: Period, after: Period, cadence: Cadence) -> bool:
    """Say whether no other period of the grid lies between two."""
    if cadence == "day":  # weekends and holidays are no partitions
        return shift_trading_day(period.first, 1) == after.first
    return period_of(period.last + timedelta(days=1), cadence) == after


def _stretches(
    items: Sequence[Item], follows: Callable[[Item, Item], bool], size: int
) -> Iterator[list[Item]]:
    """Cut a list where an item does not follow the one before, and after `size` items."""
    stretch = list(items[:1])
    for before, item in pairwise(items):
        if len(stretch) == size or not follows(before, item):
            yield stretch
            stretch = []
        stretch.append(item)
    yield stretch


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Say whether Ctrl-C ended a run: Dagster keeps that to itself, as a failure like others."""
    ends = result.filter_events(lambda event: event.event_type == dg.DagsterEventType.RUN_FAILURE)
    reasons = [event.job_failure_data.failure_reason for event in ends]
    return RunFailureReason.UNEXPECTED_TERMINATION in reasons


def _why(job: str, result: dg.ExecuteInProcessResult) -> RunFailedError:
    """Return the first failure of a run in plain words."""
    for event in result.filter_events(lambda event: event.is_step_failure):
        error = _root_cause(event)
        is_hopeless = error is not None and error.cls_name in HOPELESS
        return RunFailedError(failure_reason(event), is_hopeless=is_hopeless)
    return RunFailedError(f"{job} failed; the run's log in the UI says why")


def failure_reason(event: dg.DagsterEvent) -> str:
    """Return in plain words why a step failed."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    error = _root_cause(event)
    return f"{event.step_key}: {error.message.strip() if error else 'failed'}"


def why_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return in plain words why a stored run failed: its first failed step, else its last word."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        if entry.dagster_event is not None:
            return failure_reason(entry.dagster_event)
    ends = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    words = [entry.dagster_event.message for entry in ends if entry.dagster_event is not None]
    return (words[-1] if words else None) or "the run's log in the UI says why"


def _root_cause(event: dg.DagsterEvent) -> SerializableErrorInfo | None:
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error
