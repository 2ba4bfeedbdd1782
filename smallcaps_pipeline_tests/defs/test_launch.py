"""Packing cells into runs, and running jobs in this process."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallcaps_pipeline.cells import Cadence, Period, period_of, periods_between
from smallcaps_pipeline.defs.launch import Cube, Launcher, RunFailedError, pack
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid, build_grid
from smallcaps_pipeline.polygon.errors import KeyRefused
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.settings import load_settings

SYMBOLS = [f"S{n}" for n in range(9)]
CADENCES: tuple[Cadence, ...] = ("year", "quarter", "month", "week", "day")
CONFIG = load_settings()


def grid_of(cadence: Cadence) -> Grid:
    start = {"date": cadence, "start": date(2020, 1, 2)}
    partitions = CONFIG.partitions.model_copy(update=start)
    return build_grid(CONFIG.model_copy(update={"partitions": partitions}))


def periods_of(cadence: Cadence, count: int) -> list[Period]:
    """Return some consecutive periods of the grid from summer 2025 on, holidays left out."""
    first = date(2020, 1, 2) if cadence == "year" else date(2025, 6, 16)
    if cadence == "day":  # June 19 and July 4 are holidays
        return [period_of(day, cadence) for day in trading_days(first, date(2025, 8, 1))][:count]
    return periods_between(first, first + timedelta(days=366 * 8), cadence)[:count]


def cells_of(cube: Cube, symbols: Sequence[str], periods: Sequence[Period]) -> set[Cell]:
    """Return what Dagster runs for a range: a stretch of symbols x a stretch of periods."""
    rows = symbols[symbols.index(cube.first.symbol) : symbols.index(cube.last.symbol) + 1]
    columns = [p for p in periods if cube.first.period <= p <= cube.last.period]
    return {Cell(symbol, period) for symbol in rows for period in columns}


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_cubes_hold_exactly_the_cells_and_each_at_most_as_many_as_a_run_takes(
    data: st.DataObject,
) -> None:
    cadence = data.draw(st.sampled_from(CADENCES))
    periods = periods_of(cadence, 8)
    symbols = data.draw(st.permutations(SYMBOLS))
    one = st.builds(Cell, st.sampled_from(SYMBOLS), st.sampled_from(periods))
    cells = data.draw(st.lists(one, unique=True, max_size=40))
    size = data.draw(st.integers(1, 12))
    cubes = pack(cells, symbols, cadence, size)
    packed = [cell for cube in cubes for cell in cells_of(cube, symbols, periods)]
    assert sorted(packed, key=str) == sorted(cells, key=str)
    assert [cube.cells for cube in cubes] == [
        len(cells_of(cube, symbols, periods)) for cube in cubes
    ]
    assert all(cube.cells <= size for cube in cubes)


@pytest.mark.parametrize(
    ("symbols", "years", "size", "expected", "why"),
    [
        ("012345678", "01", 200, 1, "a full grid is one run"),
        ("012345678", "01", 8, 3, "four symbols of two years in a run"),
        ("012345678", "0", 4, 3, "four symbols of a year in a run"),
        ("0", "0123", 3, 2, "a symbol's periods are cut where a run is full"),
        ("02468", "0", 200, 5, "symbols that do not stand together"),
        ("01", "013", 200, 2, "a gap between the years"),
    ],
)
def test_number_of_runs(symbols: str, years: str, size: int, expected: int, why: str) -> None:
    periods = periods_of("year", 4)
    cells = [Cell(f"S{s}", periods[int(y)]) for s in symbols for y in years]
    assert len(pack(cells, SYMBOLS, "year", size)) == expected, why


def test_days_around_a_holiday_and_a_weekend_are_one_stretch() -> None:
    days = trading_days(date(2025, 7, 3), date(2025, 7, 8))
    cells = [Cell("S1", period_of(day, "day")) for day in days]
    (cube,) = pack(cells, SYMBOLS, "day", 10)
    assert (cube.first.period.key, cube.last.period.key) == ("2025-07-03", "2025-07-08")
    assert cube.cells == 3  # July 4 is a Friday


def test_nothing_needs_no_run() -> None:
    assert pack([], SYMBOLS, "year", 5) == []


# runs -----------------------------------------------------------------------------------------


def definitions(
    seen: list[list[str]], broken: Mapping[str, BaseException], grid: Grid
) -> dg.Definitions:
    @dg.asset(partitions_def=grid.cells, backfill_policy=dg.BackfillPolicy.single_run())
    def squares(context: dg.AssetExecutionContext) -> Any:
        seen.append(list(context.partition_keys))
        for key in context.partition_keys:
            if key in broken:
                raise broken[key]
        return dg.MaterializeResult()

    job = dg.define_asset_job("squares_job", selection=["squares"])
    return dg.Definitions(assets=[squares], jobs=[job], executor=dg.in_process_executor)


@pytest.mark.parametrize("cadence", ["year", "day"])
def test_runs_take_exactly_the_cells_in_dagsters_own_order(
    instance: dg.DagsterInstance, cadence: Cadence
) -> None:
    """Symbols are partitions in the order in which they came, not in that of the alphabet."""
    grid = grid_of(cadence)
    seen: list[list[str]] = []
    instance.add_dynamic_partitions(SYMBOL, ["NERV", "AEMD"])
    periods = periods_of(cadence, 3)
    cells = [Cell(symbol, period) for symbol in ("AEMD", "NERV", "BBB") for period in periods]
    wanted = [*cells[:5], cells[-1]]
    Launcher(definitions(seen, {}, grid), instance).run_cells("squares_job", wanted, grid, 4)
    assert sorted(key for keys in seen for key in keys) == sorted(cell.key for cell in wanted)
    assert all(len(keys) <= 4 for keys in seen)
    assert instance.get_dynamic_partitions(SYMBOL) == ["NERV", "AEMD", "BBB"]


def test_failed_run_does_not_keep_the_others_from_running(instance: dg.DagsterInstance) -> None:
    grid = grid_of("year")
    seen: list[list[str]] = []
    cells = [Cell(symbol, periods_of("year", 1)[0]) for symbol in ("AAA", "BBB", "CCC")]
    broken = {cells[0].key: ValueError("no bars"), cells[1].key: ValueError("bad bars")}
    launcher = Launcher(definitions(seen, broken, grid), instance)
    with pytest.raises(RunFailedError, match=r"(?s)squares: .*no bars.*squares: .*bad bars"):
        launcher.run_cells("squares_job", cells, grid, 1)
    assert len(seen) == 3


def test_refused_key_ends_it(instance: dg.DagsterInstance) -> None:
    grid = grid_of("year")
    seen: list[list[str]] = []
    cells = [Cell(symbol, periods_of("year", 1)[0]) for symbol in ("AAA", "BBB", "CCC")]
    broken = {cells[0].key: KeyRefused("unknown key", "/v2/aggs", 401)}
    launcher = Launcher(definitions(seen, broken, grid), instance)
    with pytest.raises(RunFailedError, match="unknown key") as caught:
        launcher.run_cells("squares_job", cells, grid, 1)
    assert len(seen) == 1
    assert "no other" not in str(caught.value)


def test_failure_says_the_first_cause_in_plain_words(instance: dg.DagsterInstance) -> None:
    grid = grid_of("year")
    cell = Cell("AAA", periods_of("year", 1)[0])
    try:
        raise OSError("disk full")
    except OSError as cause:
        error = RuntimeError("cannot write")
        error.__cause__ = cause
    launcher = Launcher(definitions([], {cell.key: error}, grid), instance)
    with pytest.raises(RunFailedError) as caught:
        launcher.run_cells("squares_job", [cell], grid, 1)
    assert str(caught.value).startswith("squares: ")
    assert "disk full" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_interrupt_ends_all_runs_not_one(instance: dg.DagsterInstance) -> None:
    """Dagster turns Ctrl-C into a failed run: the command went on with the next of thirty."""
    grid = grid_of("year")
    seen: list[list[str]] = []
    cells = [Cell(symbol, periods_of("year", 1)[0]) for symbol in ("AAA", "BBB", "CCC")]
    broken = {cells[0].key: KeyboardInterrupt()}
    launcher = Launcher(definitions(seen, broken, grid), instance)
    with pytest.raises(KeyboardInterrupt):
        launcher.run_cells("squares_job", cells, grid, 1)
    assert len(seen) == 1
    (run,) = instance.get_runs()
    assert run.status == dg.DagsterRunStatus.FAILURE
