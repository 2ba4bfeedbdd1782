"""Import of existing bar files: every layout that people have, and what is never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from smallcaps_pipeline.bars import Reason, clean_bars
from smallcaps_pipeline.bars.importing import Imported, import_bars
from smallcaps_pipeline.bars.update import IMPORTED, StoredBars, stored_bars, write_bars
from smallcaps_pipeline.cells import Cadence, period_of
from smallcaps_pipeline.lake import Lake, read_metadata
from smallcaps_pipeline.schemas import BARS

NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2025, 10, 7)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "raw" / "market_data" / "bars" / "1m"
    folder.mkdir(parents=True)
    return folder


def clocks(day: date, *texts: str) -> list[datetime]:
    """Return New York clock times of a day as they stand in a file without a zone."""
    return [datetime.combine(day, time.fromisoformat(text)) for text in texts]


def table(times: Sequence[Any] | pl.Series, **columns: Any) -> pl.DataFrame:
    """Return bars of $10, $11, ... at some times, without a symbol."""
    frame = pl.DataFrame({"timestamp": times})
    price = pl.int_range(10, 10 + pl.len()).cast(pl.Float64)
    ohlc = dict.fromkeys(("open", "high", "low", "close"), price)
    return frame.with_columns(**ohlc, volume=pl.lit(100)).with_columns(**columns)


def save(frame: pl.DataFrame, folder: Path, symbol: str, day: date = DAY) -> Path:
    """Write a file of the old layout."""
    file = folder / f"symbol={symbol}" / f"date={day}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(file)
    return file


def run(
    source: Path, lake: Lake, timezone: str | None = None, cadence: Cadence = "year"
) -> Imported:
    return import_bars(source, lake, cadence=cadence, timezone=timezone)


def stored(lake: Lake, symbol: str, period: str = "2025") -> pl.DataFrame:
    return lake.read(lake.cell(BARS.name, symbol, period), BARS)


def instants(lake: Lake, symbol: str, period: str = "2025") -> list[str]:
    return [f"{at:%m-%d %H:%M}" for at in stored(lake, symbol, period)["timestamp"]]


def test_aware_times_keep_their_instant(source: Path, lake: Lake) -> None:
    there = [at.replace(tzinfo=NEW_YORK) for at in clocks(DAY, "09:30", "09:31")]
    frame = table(pl.Series(there, dtype=pl.Datetime("us", "America/New_York")))
    save(frame, source, "AEMD")
    done = run(source, lake)
    assert (done.files, done.rows, done.cells) == (1, 2, [("AEMD", "2025")])
    assert instants(lake, "AEMD") == ["10-07 13:30", "10-07 13:31"]
    assert stored(lake, "AEMD")["close"].to_list() == [10.0, 11.0]


def test_naive_times_fail_by_file_and_column_and_are_not_guessed(source: Path, lake: Lake) -> None:
    file = save(table(clocks(DAY, "09:30")), source, "AEMD")
    done = run(source, lake)
    assert done.files == 0
    assert list(done.failed) == [str(file)]
    assert "'timestamp' has no time zone" in done.failed[str(file)]
    assert "--timezone" in done.failed[str(file)]
    assert not lake.files(BARS.name)


@pytest.mark.parametrize(
    ("timezone", "day", "expected"),
    [
        ("UTC", DAY, "10-07 09:30"),
        ("America/New_York", date(2025, 10, 31), "10-31 13:30"),  # daylight saving: UTC-4
        ("America/New_York", date(2025, 11, 3), "11-03 14:30"),  # the Monday after: UTC-5
        ("America/New_York", date(2025, 3, 7), "03-07 14:30"),
        ("America/New_York", date(2025, 3, 10), "03-10 13:30"),
    ],
)
def test_naive_times_are_taken_in_the_stated_zone(
    source: Path, lake: Lake, timezone: str, day: date, expected: str
) -> None:
    save(table(clocks(day, "09:30")), source, "AEMD", day)
    run(source, lake, timezone)
    assert instants(lake, "AEMD") == [expected]


def test_stated_zone_does_not_move_aware_times(source: Path, lake: Lake) -> None:
    times = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    save(table(times), source, "AEMD")
    run(source, lake, "America/New_York")
    assert instants(lake, "AEMD") == ["10-07 13:30"]


def test_clock_hour_that_comes_twice_is_set_aside_and_the_rest_goes_on(
    source: Path, lake: Lake
) -> None:
    """Clocks show 01:30 twice on 2025-11-02 and 02:30 never on 2025-03-09."""
    times = [*clocks(date(2025, 3, 9), "02:30"), *clocks(date(2025, 11, 2), "01:30", "08:00")]
    save(table(times), source, "AEMD", date(2025, 11, 2))
    done = run(source, lake, "America/New_York")
    assert instants(lake, "AEMD") == ["11-02 13:00"]
    assert list(done.set_aside.values()) == [{Reason.NO_TIMESTAMP: 2}]


@pytest.mark.parametrize(
    ("unit", "per_second"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
@pytest.mark.parametrize("year", [2003, 2025, 2035])
def test_epochs_of_every_unit_are_utc(
    source: Path, lake: Lake, unit: str, per_second: int, year: int
) -> None:
    at = datetime(year, 10, 7, 13, 30, tzinfo=ZoneInfo("UTC"))
    seconds = int(at.timestamp())
    save(table([seconds * per_second, (seconds + 60) * per_second]), source, "AEMD")
    run(source, lake)
    assert instants(lake, "AEMD", str(year)) == ["10-07 13:30", "10-07 13:31"]


def test_flat_file_of_the_provider(source: Path, lake: Lake) -> None:
    """The provider's daily file: gzipped CSV of all tickers, ns, no vwap."""
    ns = 1_759_843_800_000_000_000  # 2025-10-07 13:30:00 UTC
    frame = pl.DataFrame(
        {
            "ticker": ["AEMD", "TRUE", "AEMD"],
            "volume": [100, 200, 300],
            "open": [1.0, 2.0, 1.1],
            "close": [1.1, 2.0, 1.2],
            "high": [1.1, 2.0, 1.2],
            "low": [1.0, 2.0, 1.1],
            "window_start": [ns, ns, ns + 60_000_000_000],
            "transactions": [3, 4, 5],
        }
    )
    frame.write_csv(source / "2025-10-07.csv.gz", compression="gzip")
    done = run(source, lake)
    assert sorted(done.cells) == [("AEMD", "2025"), ("TRUE", "2025")]
    assert instants(lake, "AEMD") == ["10-07 13:30", "10-07 13:31"]
    assert stored(lake, "AEMD")["transactions"].to_list() == [3, 5]
    assert stored(lake, "AEMD")["vwap"].null_count() == 2


def test_ticker_that_reads_like_a_truth_value_stays_a_ticker(source: Path, lake: Lake) -> None:
    (source / "bars.csv").write_text(
        "symbol,timestamp,open,high,low,close,volume\nTRUE,2025-10-07T13:30:00Z,1,1,1,1,5\n"
    )
    assert run(source, lake).cells == [("TRUE", "2025")]


@pytest.mark.parametrize(
    ("text", "timezone", "expected"),
    [
        ("2025-10-07T13:30:00Z", None, "10-07 13:30"),
        ("2025-10-07 09:30:00-04:00", None, "10-07 13:30"),
        ("2025-10-07 09:30:00-0400", "UTC", "10-07 13:30"),
        ("2025-10-07 09:30:00", "America/New_York", "10-07 13:30"),
        ("2025-10-07 09:30", "UTC", "10-07 09:30"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_times_written_as_text(
    source: Path, lake: Lake, text: str, timezone: str | None, expected: str, form: str
) -> None:
    frame = table([text], symbol=pl.lit("AEMD"))
    if form == "csv":
        frame.write_csv(source / "bars.csv")
    else:
        frame.write_parquet(source / "bars.parquet")
    done = run(source, lake, timezone)
    assert not done.failed
    assert instants(lake, "AEMD") == [expected]


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (["10/07/2025 09:30"], "holds '10/07/2025 09:30'"),  # July or October?
        (["2025-10-07"], "holds '2025-10-07'"),
        (["2025-10-07 09:30", "2025-10-07T13:31:00Z"], "in some of its rows only"),
        ([20251007.5], "is Float64"),
    ],
)
def test_times_that_could_mean_several_instants_are_refused(
    source: Path, lake: Lake, times: list[Any], reason: str
) -> None:
    table(times, symbol=pl.lit("AEMD")).write_csv(source / "bars.csv")
    done = run(source, lake, "America/New_York")
    assert reason in done.failed[str(source / "bars.csv")]


def test_symbols_that_differ_in_case_only_have_files_of_their_own(source: Path, lake: Lake) -> None:
    at = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    save(table(at, close=pl.lit(10.0)), source, "BApA")
    save(table(at, volume=pl.lit(7)), source, "BAPA")
    assert sorted(run(source, lake).cells) == [("BAPA", "2025"), ("BApA", "2025")]
    files = [file.parent.name.lower() for file in lake.files(BARS.name)]
    assert len(set(files)) == 2
    assert stored(lake, "BApA")["symbol"].to_list() == ["BApA"]
    assert stored(lake, "BAPA")["volume"].to_list() == [7.0]


def test_percent_encoded_folder_names_the_symbol(source: Path, lake: Lake) -> None:
    at = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    save(table(at), source, "BA%70A")
    assert run(source, lake).cells == [("BApA", "2025")]


def test_damaged_file_is_named_and_the_others_go_on(source: Path, lake: Lake) -> None:
    at = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    whole = save(table(at), source, "AEMD")
    torn = source / "symbol=AEMD" / "date=2025-10-08.parquet"
    torn.write_bytes(whole.read_bytes()[:200])
    other = save(table(at).drop("close"), source, "NERV")
    done = run(source, lake)
    assert (done.files, done.rows, done.cells) == (1, 1, [("AEMD", "2025")])
    assert sorted(done.failed) == [str(torn), str(other)]
    assert "close" in done.failed[str(other)]


def test_file_without_a_symbol_is_refused(source: Path, lake: Lake) -> None:
    at = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    table(at).write_parquet(source / "bars.parquet")
    (reason,) = run(source, lake).failed.values()
    assert "no column `symbol`" in reason


def test_bad_bars_and_copies_are_counted_by_reason(source: Path, lake: Lake) -> None:
    at = clocks(DAY, "13:30", "13:31", "13:31", "13:31")
    frame = table(pl.Series(at, dtype=pl.Datetime("us", "UTC"))).with_columns(
        volume=pl.Series([-1, 50, 80, 80]), open=10.0, high=10.0, low=10.0, close=10.0
    )
    save(frame, source, "AEMD")
    done = run(source, lake)
    ((file, reasons),) = done.set_aside.items()
    assert Path(file).is_relative_to(source)
    assert reasons == {Reason.VOLUME_NEGATIVE: 1, Reason.CONFLICT: 1, Reason.DUPLICATE: 1}
    assert stored(lake, "AEMD")["volume"].to_list() == [80.0]


def test_importing_twice_is_importing_once(source: Path, lake: Lake) -> None:
    for day in (DAY, date(2024, 12, 31)):
        at = pl.Series(clocks(day, "13:30", "13:31"), dtype=pl.Datetime("us", "UTC"))
        save(table(at), source, "AEMD", day)
    run(source, lake)
    before = {file: file.read_bytes() for file in lake.files(BARS.name)}
    assert len(before) == 2
    run(source, lake)
    assert {file: file.read_bytes() for file in lake.files(BARS.name)} == before


def test_later_import_adds_days_and_the_order_of_imports_does_not_matter(tmp_path: Path) -> None:
    bytes_of = []
    for order in ((0, 1), (1, 0)):
        lake = Lake(tmp_path / f"lake{order[0]}")
        for number in order:
            folder = tmp_path / f"part{number}"
            day = DAY + timedelta(days=number)
            at = pl.Series(clocks(day, "13:30"), dtype=pl.Datetime("us", "UTC"))
            save(table(at), folder, "AEMD", day)
            run(folder, lake)
        file = lake.cell(BARS.name, "AEMD", "2025")
        assert instants(lake, "AEMD") == ["10-07 13:30", "10-08 13:30"]
        assert read_metadata(file) is not None
        bytes_of.append(file.read_bytes())
    assert bytes_of[0] == bytes_of[1]


def test_file_says_what_it_holds(source: Path, lake: Lake) -> None:
    at = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    save(table(at), source, "AEMD")
    run(source, lake)
    found = read_metadata(lake.cell(BARS.name, "AEMD", "2025")) or {}
    assert (found["rows"], found["complete_to"], found["source"]) == (1, "2025-10-07", IMPORTED)


@pytest.mark.parametrize(
    ("cadence", "expected"),
    [
        ("year", ["2025"]),
        ("quarter", ["2025-07", "2025-10"]),
        ("month", ["2025-09", "2025-10"]),
        ("week", ["2025-09-29"]),
        ("day", ["2025-09-30", "2025-10-01"]),
    ],
)
def test_night_bar_belongs_to_its_new_york_day(
    source: Path, lake: Lake, cadence: Cadence, expected: list[str]
) -> None:
    """2025-10-01 01:00 UTC is 21:00 of September 30 in New York."""
    times = clocks(date(2025, 10, 1), "01:00", "13:30")
    save(table(times), source, "AEMD")
    done = run(source, lake, "UTC", cadence)
    assert sorted(key for _, key in done.cells) == expected


def test_folder_without_bar_files_fails(source: Path, lake: Lake) -> None:
    (source / "notes.txt").write_text("no bars")
    with pytest.raises(FileNotFoundError, match="no bar files"):
        run(source, lake)


def test_import_into_a_cell_of_the_provider_leaves_its_next_days_to_be_asked_for(
    source: Path, lake: Lake
) -> None:
    period = period_of(DAY, "year")
    file = lake.cell("bars_1m", "AEMD", period.key)
    at = pl.Series(clocks(DAY, "14:00"), dtype=pl.Datetime("us", "UTC"))
    theirs, _ = clean_bars(table(at).with_columns(symbol=pl.lit("AEMD")))
    write_bars(lake, theirs, "AEMD", period, complete_to=DAY, source_name="provider")
    ours = pl.Series(clocks(DAY, "13:30"), dtype=pl.Datetime("us", "UTC"))
    save(table(ours), source, "AEMD")
    run(source, lake)
    assert stored_bars(file) == StoredBars("provider", DAY)
    assert instants(lake, "AEMD") == ["10-07 13:30", "10-07 14:00"]
