"""IO managers in real runs: frames and cells reach the lake, and come back from it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pyarrow.parquet as pq
import pytest

from smallcaps_pipeline.cells import period_of
from smallcaps_pipeline.defs.io_managers import FrameIOManager, io_managers
from smallcaps_pipeline.defs.partitions import SYMBOL, Cell, Grid, build_grid
from smallcaps_pipeline.defs.schedules import range_tags
from smallcaps_pipeline.lake import METADATA_KEY, Lake
from smallcaps_pipeline.settings import load_settings

GRID = build_grid(load_settings())
SYMBOLS = ("AAA", "BBB", "CCC")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions(SYMBOL, list(SYMBOLS))
        yield made


def cell(symbol: str, year: int = 2025) -> Cell:
    return Cell(symbol, period_of(date(year, 1, 2), "year"))


def numbers(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": list(range(n))})


def run(
    assets: list[dg.AssetsDefinition],
    lake: Lake,
    instance: dg.DagsterInstance,
    **values: Any,
) -> dg.ExecuteInProcessResult:
    resources = io_managers(lake, GRID)
    return dg.materialize(assets, resources=resources, instance=instance, **values)


# frames ---------------------------------------------------------------------------------------


@dg.asset(io_manager_key="frames")
def table() -> pl.DataFrame:
    return numbers(3)


def test_frame_is_written_and_read_eagerly_and_lazily(
    lake: Lake, instance: dg.DagsterInstance
) -> None:
    seen: dict[str, Any] = {}

    @dg.asset
    def eager(table: pl.DataFrame) -> None:
        seen["eager"] = table

    @dg.asset
    def lazy(table: pl.LazyFrame) -> None:
        seen["lazy"] = table

    result = run([table, eager, lazy], lake, instance)
    assert isinstance(seen["eager"], pl.DataFrame)
    assert isinstance(seen["lazy"], pl.LazyFrame)
    assert seen["eager"].equals(numbers(3))
    assert seen["lazy"].collect().equals(numbers(3))
    assert pl.read_parquet(lake.table("table")).equals(numbers(3))
    (event,) = result.asset_materializations_for_node("table")
    assert event.metadata["dagster/row_count"].value == 3
    assert event.metadata["path"].value == str(lake.table("table"))


def test_lazy_frame_can_be_returned(lake: Lake, instance: dg.DagsterInstance) -> None:
    @dg.asset(io_manager_key="frames")
    def table() -> pl.LazyFrame:
        return numbers(4).lazy()

    run([table], lake, instance)
    assert pl.read_parquet(lake.table("table")).equals(numbers(4))


def test_frames_are_written_in_one_step(
    lake: Lake, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that dies on the way leaves the file that was there, whole."""
    run([table], lake, instance)
    before = lake.table("table").read_bytes()
    # The lake wrote it, not polars.
    assert METADATA_KEY in pq.read_metadata(lake.table("table")).metadata

    def dies(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", dies)
        result = run([table], lake, instance, raise_on_error=False)
    assert not result.success
    assert lake.table("table").read_bytes() == before
    assert [path.name for path in lake.root.rglob("*.parquet")] == ["table.parquet"]


def test_frame_that_is_missing_names_its_file(lake: Lake, instance: dg.DagsterInstance) -> None:
    reader = FrameIOManager(root=str(lake.root))
    context = dg.build_input_context(
        asset_key=dg.AssetKey("table"),
        instance=instance,
        dagster_type=dg.PythonObjectDagsterType(pl.DataFrame),
    )
    with pytest.raises(FileNotFoundError, match=r"table\.parquet"):
        reader.load_input(context)


# cells ----------------------------------------------------------------------------------------


def cells_asset(make: Callable[[dg.AssetExecutionContext], Any]) -> dg.AssetsDefinition:
    """Return an asset of symbol x date that gives what `make` makes."""

    @dg.asset(
        name="squares",
        partitions_def=GRID.cells,
        io_manager_key="cells",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def squares(context: dg.AssetExecutionContext) -> Any:
        return make(context)

    return squares


def cells_reader(seen: list[Any]) -> dg.AssetsDefinition:
    """Return an asset of symbol x date that keeps what it is handed of `squares`."""

    @dg.asset(
        partitions_def=GRID.cells,
        backfill_policy=dg.BackfillPolicy.single_run(),
        ins={"squares": dg.AssetIn(input_manager_key="cells")},
    )
    def reader(squares: Any) -> None:
        seen.append(squares)

    return reader


def put(lake: Lake, n: int, symbol: str, year: int = 2025) -> None:
    lake.write(numbers(n), lake.cell("squares", symbol, str(year)))


def read(lake: Lake, instance: dg.DagsterInstance, **values: Any) -> Any:
    seen: list[Any] = []
    run(
        [cells_asset(lambda _: None), cells_reader(seen)],
        lake,
        instance,
        selection=["reader"],
        **values,
    )
    (found,) = seen
    return found


def test_one_cell_is_read_as_a_lazy_frame(lake: Lake, instance: dg.DagsterInstance) -> None:
    put(lake, 3, "AAA")
    put(lake, 5, "BBB")
    found = read(lake, instance, partition_key=cell("BBB").key)
    assert isinstance(found, pl.LazyFrame)
    assert found.collect().equals(numbers(5))


def test_range_of_cells_is_read_by_key_without_those_that_are_missing(
    lake: Lake, instance: dg.DagsterInstance
) -> None:
    """Symbols BBB and CCC of 2024 and 2025; BBB has no file of 2024."""
    for n, (symbol, year) in enumerate(
        [("AAA", 2025), ("BBB", 2025), ("CCC", 2024), ("CCC", 2025)]
    ):
        put(lake, n, symbol, year)
    found = read(lake, instance, tags=range_tags(cell("BBB", 2024), cell("CCC", 2025)))
    assert {key: frame.collect().height for key, frame in found.items()} == {
        "2025|BBB": 1,
        "2024|CCC": 2,
        "2025|CCC": 3,
    }


def test_one_cell_without_a_file_fails_by_name(lake: Lake, instance: dg.DagsterInstance) -> None:
    with pytest.raises(FileNotFoundError, match=r"symbol=AAA.*materialize it first"):
        read(lake, instance, partition_key=cell("AAA").key)


def test_frame_of_one_cell_is_written(lake: Lake, instance: dg.DagsterInstance) -> None:
    run([cells_asset(lambda _: numbers(2))], lake, instance, partition_key=cell("AAA").key)
    assert [(s, key) for s, key, _ in lake.cells("squares")] == [("AAA", "2025")]
    assert pl.read_parquet(lake.cell("squares", "AAA", "2025")).equals(numbers(2))


def test_dict_of_frames_is_written_by_cell(lake: Lake, instance: dg.DagsterInstance) -> None:
    def by_key(context: dg.AssetExecutionContext) -> Mapping[str, pl.DataFrame]:
        return {key: numbers(n) for n, key in enumerate(context.partition_keys, 1)}

    tags = range_tags(cell("AAA"), cell("BBB"))
    run([cells_asset(by_key)], lake, instance, tags=tags)
    there = {symbol: pl.read_parquet(file).height for symbol, _, file in lake.cells("squares")}
    assert there == {"AAA": 1, "BBB": 2}


def test_asset_that_wrote_by_itself_returns_nothing(
    lake: Lake, instance: dg.DagsterInstance
) -> None:
    assert run(
        [cells_asset(lambda _: None)], lake, instance, tags=range_tags(cell("AAA"), cell("CCC"))
    ).success
    assert not lake.files("squares")


def test_grids_of_other_lengths_name_other_files(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = load_settings()
    partitions = settings.partitions.model_copy(update={"date": "month"})
    grid: Grid = build_grid(settings.model_copy(update={"partitions": partitions}))
    lake = Lake(tmp_path)

    @dg.asset(partitions_def=grid.cells, io_manager_key="cells")
    def squares() -> pl.DataFrame:
        return numbers(1)

    key = Cell("AAA", period_of(date(2025, 3, 4), "month")).key
    dg.materialize(
        [squares], resources=io_managers(lake, grid), instance=instance, partition_key=key
    )
    assert [(s, key) for s, key, _ in lake.cells("squares")] == [("AAA", "2025-03")]
