"""The lake: safe names, atomic writes, metadata, and files that others can read."""

from __future__ import annotations

import errno
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.lake import (
    Lake,
    LakeError,
    encode_symbol,
    fingerprint,
    read_chunks,
    read_metadata,
)
from smallcaps_pipeline.schemas import BARS, TRADES

AWKWARD = ["BAPA", "BApA", "BRK.A", "BF/B", "CON", "NUL.", ".X", "A B", "A%B", "ÄÖ", "a", "X-WI"]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "data")


def bars(close: float = 10.0, rows: int = 3, symbol: str = "AEMD") -> pl.DataFrame:
    times = [datetime(2025, 10, 7, 14, minute, tzinfo=UTC) for minute in range(rows)]
    return pl.DataFrame(
        {
            "symbol": [symbol] * rows,
            "timestamp": times,
            **dict.fromkeys(("open", "high", "low", "close"), [close] * rows),
            "volume": [100.0] * rows,
            "vwap": [None] * rows,
            "transactions": [7] * rows,
        },
        schema=BARS.schema,
    )


def leftovers(lake: Lake) -> list[Path]:
    return list((lake.root / ".tmp").glob("*"))


# names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("AEMD", "AEMD"),
        ("BAPA", "BAPA"),
        ("BApA", "BA%70A"),  # must not meet BAPA on a case-blind disk
        ("BRK.A", "BRK.A"),
        ("NUL.", "NUL%2E"),  # Windows drops a trailing dot
        (".X", "%2EX"),
        ("..", "%2E%2E"),
        ("BF/B", "BF%2FB"),
        ("A:B", "A%3AB"),
        ("A%B", "A%25B"),
    ],
)
def test_symbol_as_a_folder(symbol: str, name: str) -> None:
    assert encode_symbol(symbol) == name


def test_no_two_symbols_meet_on_a_case_blind_disk() -> None:
    names = [encode_symbol(symbol).casefold() for symbol in [*AWKWARD, "A", "bapa", "BaPa"]]
    assert len(set(names)) == len(names)


def test_paths(lake: Lake) -> None:
    def relative(path: Path) -> str:
        return path.relative_to(lake.root).as_posix()

    assert relative(lake.cell("bars_1m", "AEMD", "2025")) == "bars_1m/symbol=AEMD/date=2025.parquet"
    assert relative(lake.profile("event_manifest", "core")) == "event_manifest/profile=core.parquet"
    assert relative(lake.day("daily_bars", "2025-10-07")) == "daily_bars/date=2025-10-07.parquet"
    assert relative(lake.table("reference")) == "reference.parquet"
    assert relative(lake.report("core")) == "report/profile=core/index.html"
    window = lake.window("BApA", "2025-10-07", "BApA_20251007_133500_flush_down", "trades")
    assert relative(window) == (
        "event_windows/symbol=BA%70A/date=2025-10-07/"
        "event=BApA_20251007_133500_flush_down/trades.parquet"
    )


def test_names_hold_nothing_that_windows_forbids(lake: Lake) -> None:
    for symbol in AWKWARD:
        window = lake.window(symbol, "2025-10-07", f"{symbol}_20251007_133500_flush_up", "quotes")
        for part in (*window.relative_to(lake.root).parts, *_parts(lake, symbol)):
            assert not set(part) & set('<>:"/\\|?*'), part
            assert not part.endswith((".", " ")), part
            # Reserved names (CON, NUL) stand only after `symbol=`.
            assert "=" in part or part in {"event_windows", "bars_1m", "quotes.parquet"}


def _parts(lake: Lake, symbol: str) -> tuple[str, ...]:
    return lake.cell("bars_1m", symbol, "2025").relative_to(lake.root).parts


# what others read -----------------------------------------------------------------------------


def test_cells_give_symbols_and_periods_back(lake: Lake) -> None:
    for symbol in AWKWARD:
        lake.write(bars(symbol=symbol), lake.cell("bars_1m", symbol, "2025"))
    found = list(lake.cells("bars_1m"))
    assert sorted(symbol for symbol, _, _ in found) == sorted(AWKWARD)
    assert {period for _, period, _ in found} == {"2025"}
    assert all(file == lake.cell("bars_1m", symbol, "2025") for symbol, _, file in found)
    assert list(lake.cells("nothing_yet")) == []
    assert lake.files("bars_1m") == sorted(file for _, _, file in found)


def test_hive_scans_of_others_give_symbols_back(lake: Lake) -> None:
    """The folder alone names the symbol here: the column is left out of the files."""
    for symbol in AWKWARD:
        lake.write(bars().drop("symbol"), lake.cell("bars_1m", symbol, "2025"))
    pattern = f"{lake.root.as_posix()}/bars_1m/*/*.parquet"
    scanned = pl.scan_parquet(pattern, hive_partitioning=True).select("symbol").unique().collect()
    assert sorted(scanned["symbol"]) == sorted(AWKWARD)
    query = f"SELECT DISTINCT symbol FROM read_parquet('{pattern}', hive_partitioning = true)"
    assert sorted(symbol for (symbol,) in duckdb.execute(query).fetchall()) == sorted(AWKWARD)


def test_symbol_column_and_folder_agree_in_a_plain_scan(lake: Lake) -> None:
    for symbol in ("BAPA", "BApA"):
        lake.write(bars(symbol=symbol), lake.cell("bars_1m", symbol, "2025"))
    plain = pl.scan_parquet(lake.root / "bars_1m" / "**" / "*.parquet").collect()
    assert sorted(plain["symbol"].unique()) == ["BAPA", "BApA"]
    assert plain.height == 6


def test_one_cell_reads_as_a_plain_file(lake: Lake) -> None:
    """`date=2025` is the file's name and no column: it must not turn into one."""
    file = lake.cell("bars_1m", "AEMD", "2025")
    lake.write(bars(), file)
    assert_frame_equal(pl.read_parquet(file, hive_partitioning=False), bars())
    assert_frame_equal(lake.scan([file], BARS).collect(), bars())
    assert_frame_equal(lake.read(file, BARS), bars())


def test_scan_of_nothing_is_the_empty_table(lake: Lake) -> None:
    assert_frame_equal(lake.scan([], TRADES).collect(), TRADES.empty())


def test_window_files_of_one_symbol_or_all(lake: Lake) -> None:
    for symbol in ("BAPA", "BApA"):
        for kind in ("trades", "quotes"):
            lake.write(bars(), lake.window(symbol, "2025-10-07", f"{symbol}_x", kind))
    assert len(lake.window_files("trades")) == 2
    assert lake.window_files("quotes", "BApA") == [
        lake.window("BApA", "2025-10-07", "BApA_x", "quotes")
    ]
    assert lake.window_files("quotes", "NONE") == []


# writing --------------------------------------------------------------------------------------


def test_write_leaves_one_file_and_says_its_size(lake: Lake) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    size = lake.write(bars(), file)
    assert size == file.stat().st_size
    assert leftovers(lake) == []
    assert [f for f in lake.root.rglob("*") if f.is_file()] == [file]


def test_same_rows_give_the_same_bytes(lake: Lake) -> None:
    first, second = lake.cell("a", "X", "2025"), lake.cell("b", "X", "2025")
    lake.write(bars(), first, metadata={"b": 1, "a": [2]})
    lake.write(bars().clone(), second, metadata={"a": [2], "b": 1})
    assert first.read_bytes() == second.read_bytes()
    assert fingerprint(first) == fingerprint(second)


def test_bytes_do_not_depend_on_chunks_or_on_what_lies_under_a_null(lake: Lake) -> None:
    """Arrow leaves values under nulls undefined; they are no part of the rows."""
    plain = pl.DataFrame({"x": [1.0, None, 3.0], "s": ["a", None, "c"]})
    hidden = pl.DataFrame({"x": [1.0, 2.0, 3.0], "s": ["a", "b", "c"]}).with_columns(
        pl.when(pl.col("x") != 2).then(pl.all())
    )
    chunked = pl.concat([hidden.head(1), hidden.tail(2)], rechunk=False)
    sliced = pl.concat([hidden.head(1), hidden]).slice(1)
    files = [lake.cell(f"t{i}", "X", "2025") for i in range(4)]
    for frame, file in zip([plain, hidden, chunked, sliced], files, strict=True):
        assert_frame_equal(frame, plain)
        lake.write(frame, file, digested=True)
    assert len({fingerprint(file) for file in files}) == 1
    assert len({file.read_bytes() for file in files}) == 1


def test_fingerprint_follows_the_rows(lake: Lake) -> None:
    one, other, foreign = (lake.cell(name, "X", "2025") for name in "abc")
    lake.write(bars(), one, metadata={"made_from": "x"}, digested=True)
    lake.write(bars(11.0), other, metadata={"made_from": "x"}, digested=True)
    assert fingerprint(one) != fingerprint(other)
    again = lake.cell("d", "X", "2025")
    lake.write(bars(), again, metadata={"made_from": "y"}, level=15, digested=True)
    assert fingerprint(one) == fingerprint(again)
    foreign.parent.mkdir(parents=True)
    bars().write_parquet(foreign)
    assert fingerprint(foreign) not in {fingerprint(one), fingerprint(other)}


def test_metadata_round_trip(lake: Lake) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    metadata = {"events_merged": ["a", "b"], "rows": 3, "nbbo": None, "name": "Ä", "x": 0.1}
    lake.write(bars(), file, metadata=metadata)
    stored = read_metadata(file)
    assert stored is not None
    assert {key: stored[key] for key in metadata} == metadata


def test_metadata_of_a_missing_foreign_or_damaged_file(lake: Lake) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    assert read_metadata(file) is None
    file.parent.mkdir(parents=True)
    bars().write_parquet(file)
    assert read_metadata(file) == {}
    file.write_bytes(file.read_bytes()[:-50])
    assert read_metadata(file) is None


@pytest.mark.parametrize("pieces", [[7], [3, 4], [1, 0, 5, 1], [2, 2, 2, 1], [0, 7]])
def test_how_rows_come_in_frames_changes_no_byte(lake: Lake, pieces: list[int]) -> None:
    rows = pl.DataFrame(
        {"n": [1, 2, None, 4, 5, 6, 7], "list": [[1], [], None, [2, 3], [4], [], [5]]}
    )
    ends = [sum(pieces[: i + 1]) for i in range(len(pieces))]
    frames = [rows[end - n : end] for n, end in zip(pieces, ends, strict=True)]
    whole, cut = lake.table("whole"), lake.table("cut")
    for file, given in ((whole, [rows]), (cut, frames)):
        lake.write_frames(given, file, describe=lambda n: {"rows": n}, group_rows=3)
    assert cut.read_bytes() == whole.read_bytes()
    assert pq.read_metadata(cut).num_row_groups == 3
    assert (read_metadata(cut) or {})["rows"] == 7
    assert_frame_equal(pl.concat(read_chunks(cut, 2)), rows)


def test_chunks_of_no_rows_are_one_empty_frame(lake: Lake) -> None:
    file = lake.table("empty")
    lake.write(TRADES.empty(), file)
    (chunk,) = read_chunks(file, 10)
    assert_frame_equal(chunk, TRADES.empty())
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(LakeError, match="empty"):
        list(read_chunks(file, 10))


def test_empty_frame_is_a_file_with_metadata(lake: Lake) -> None:
    file = lake.window("AEMD", "2025-10-07", "AEMD_x", "trades")
    lake.write(TRADES.empty(), file, metadata={"rows": 0})
    assert_frame_equal(lake.read(file, TRADES), TRADES.empty())
    assert (read_metadata(file) or {})["rows"] == 0


def test_lists_and_nanoseconds_come_back(lake: Lake) -> None:
    row = {"timestamp": 1, "price": 1.5, "size": 2.0, "conditions": [12, 37], "sequence_number": 1}
    frame = pl.DataFrame([row, {**row, "conditions": []}, {**row, "conditions": None}])
    nulls = [n for n in TRADES.columns if n not in frame.columns]
    trades = TRADES.conform(frame.with_columns(pl.lit(None).alias(name) for name in nulls))
    file = lake.window("AEMD", "2025-10-07", "AEMD_x", "trades")
    lake.write(trades, file)
    assert_frame_equal(lake.read(file, TRADES), trades)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("a column of a type that parquet does not know"),
        KeyboardInterrupt(),
    ],
)
def test_write_that_fails_midway_leaves_the_old_file(
    lake: Lake, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    lake.write(bars(), file)
    before = file.read_bytes()

    write = pq.ParquetWriter.write_table

    def half(writer: Any, table: Any, **more: Any) -> None:
        write(writer, table, **more)
        if isinstance(writer.where, Path):
            raise error

    monkeypatch.setattr(pq.ParquetWriter, "write_table", half)
    expected = LakeError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as raised:
        lake.write(bars(11.0), file)
    if isinstance(error, OSError):
        assert str(file) in str(raised.value)
        assert "No space left on device" in str(raised.value)
    assert file.read_bytes() == before
    assert leftovers(lake) == []


def test_file_that_is_held_open_is_tried_again_and_then_named(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows does not replace a file that a reader holds open."""
    file = lake.cell("bars_1m", "AEMD", "2025")
    lake.write(bars(), file)
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    tries = iter([PermissionError("in use")] * 3)
    replace = Path.replace

    def busy(self: Path, target: Path) -> Path:
        for error in tries:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", busy)
    lake.write(bars(11.0), file)
    assert len(waits) == 3
    assert lake.read(file, BARS)["close"][0] == 11.0
    tries = iter([PermissionError("in use")] * 1_000)
    with pytest.raises(LakeError, match=r"date=2025\.parquet: cannot be replaced"):
        lake.write(bars(12.0), file)
    assert lake.read(file, BARS)["close"][0] == 11.0
    assert leftovers(lake) == []


def test_text_is_written_in_one_step(lake: Lake) -> None:
    file = lake.report("core")
    lake.write_text("Größe\n", file)
    assert file.read_bytes() == "Größe\n".encode()
    assert leftovers(lake) == []


def test_remove_takes_empty_folders_with_it(lake: Lake) -> None:
    trades = lake.window("AEMD", "2025-10-07", "AEMD_x", "trades")
    other = lake.window("AEMD", "2025-10-08", "AEMD_y", "trades")
    lake.write(bars(), trades)
    lake.write(bars(), other)
    lake.remove(trades)
    assert not trades.parent.parent.exists()
    assert other.exists()
    lake.remove(other)
    assert not (lake.root / "event_windows").exists()
    assert lake.root.exists()


# damaged files --------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [b"", b"PAR1 nonsense", None])
def test_damaged_file_is_named(lake: Lake, damage: bytes | None) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    lake.write(bars(rows=50), file)
    file.write_bytes(file.read_bytes()[:-20] if damage is None else damage)
    with pytest.raises(LakeError, match=r"symbol=AEMD.*date=2025.parquet"):
        lake.read(file, BARS)


def test_file_of_another_table_is_named_with_what_it_lacks(lake: Lake) -> None:
    file = lake.cell("bars_1m", "AEMD", "2025")
    lake.write(bars().drop("volume"), file)
    with pytest.raises(LakeError, match=r"date=2025.parquet.*volume"):
        lake.read(file, BARS)


def test_missing_file_is_no_damaged_file(lake: Lake) -> None:
    with pytest.raises(FileNotFoundError):
        lake.read(lake.cell("bars_1m", "AEMD", "2025"), BARS)
