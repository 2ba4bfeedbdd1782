"""Adjusted bars: by hand, and nothing of the future."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.bars.adjusted import adjusted_bars
from smallcaps_pipeline.sessions import trading_days
from smallcaps_pipeline.universe.splits import SplitError
from smallcaps_pipeline_tests.events.builders import bar, frame
from smallcaps_pipeline_tests.universe.tables import splits

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = trading_days(date(2025, 10, 6), date(2025, 10, 9))
REVERSE = ("AEMD", WEDNESDAY, 10.0, 1.0)  # 1-for-10: 0.50 becomes 5.00
FORWARD = ("NERV", THURSDAY, 1.0, 2.0)  # 2-for-1: 20 becomes 10


def week() -> pl.DataFrame:
    """Return a bar a day: AEMD at 0.50, from Wednesday 5.00; NERV at 20, on Thursday 10."""
    rows = []
    for day in (MONDAY, TUESDAY, WEDNESDAY, THURSDAY):
        low, shares = (0.5, 1_000) if day < WEDNESDAY else (5.0, 100)
        rows.append(bar("10:00", low, shares, vwap=low, transactions=5, day=day))
        rows.append(bar("10:00", 10.0 if day == THURSDAY else 20.0, 50, symbol="NERV", day=day))
    return frame(rows)


def closes(as_of: date, *known: tuple[str, date, float, float]) -> dict[str, list[float]]:
    found = adjusted_bars(week(), splits(*known), as_of=as_of).collect()
    return {name: found.filter(symbol=name)["close"].to_list() for name in ("AEMD", "NERV")}


@pytest.mark.parametrize(
    ("as_of", "aemd", "nerv"),
    [
        (TUESDAY, [0.5, 0.5], [20.0, 20.0]),  # neither split has been
        (WEDNESDAY, [5.0, 5.0, 5.0], [20.0, 20.0, 20.0]),
        (THURSDAY, [5.0, 5.0, 5.0, 5.0], [10.0, 10.0, 10.0, 10.0]),
        (date(2025, 10, 12), [5.0] * 4, [10.0] * 4),  # a Sunday
    ],
)
def test_prices_stand_on_the_basis_of_the_day(
    as_of: date, aemd: list[float], nerv: list[float]
) -> None:
    assert closes(as_of, REVERSE, FORWARD) == {"AEMD": aemd, "NERV": nerv}


def test_volume_goes_the_other_way_and_dollars_stay() -> None:
    raw, found = week(), adjusted_bars(week(), splits(REVERSE, FORWARD), as_of=THURSDAY).collect()
    assert found.filter(symbol="AEMD")["volume"].to_list() == [100.0] * 4
    assert found.filter(symbol="NERV")["volume"].to_list() == [100.0, 100.0, 100.0, 50.0]
    dollars = pl.col("close") * pl.col("volume")
    assert_frame_equal(found.select(dollars), raw.select(dollars))
    assert found["transactions"].to_list() == raw["transactions"].to_list()
    assert found.filter(symbol="AEMD")["vwap"].to_list() == [5.0] * 4


def test_split_of_later_changes_nothing_and_none_known_is_the_raw_bars() -> None:
    assert closes(THURSDAY, ("AEMD", date(2025, 10, 10), 10.0, 1.0)) == closes(THURSDAY)
    assert_frame_equal(adjusted_bars(week(), None, as_of=THURSDAY).collect(), week())


def test_scan_of_files_stays_lazy_and_in_order(tmp_path: Path) -> None:
    file = tmp_path / "bars.parquet"
    week().reverse().write_parquet(file)
    found = adjusted_bars(pl.scan_parquet(file), splits(REVERSE), as_of=THURSDAY)
    assert isinstance(found, pl.LazyFrame)
    rows = found.collect()
    assert rows["timestamp"].to_list() == week().reverse()["timestamp"].to_list()


def test_split_without_a_ratio_is_an_error() -> None:
    with pytest.raises(SplitError):
        adjusted_bars(week(), splits(("AEMD", MONDAY, 0.0, 1.0)), as_of=THURSDAY)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([MONDAY, TUESDAY, WEDNESDAY, THURSDAY]),
            st.sampled_from([1.0, 2.0, 5.0, 10.0]),
            st.sampled_from([1.0, 3.0, 10.0]),
        ),
        max_size=4,
        unique_by=lambda split: split[0],
    ),
    st.sampled_from([MONDAY, TUESDAY, WEDNESDAY, THURSDAY]),
)
def test_agrees_with_a_plain_loop_over_the_splits(
    events: list[tuple[date, float, float]], as_of: date
) -> None:
    """Every split after a bar's day and on or before as_of multiplies its price, one by one."""
    known = splits(*(("AEMD", *event) for event in events))
    bars = week().filter(symbol="AEMD")
    found = adjusted_bars(bars, known, as_of=as_of).collect()
    expected = []
    for close, at in bars.select("close", "timestamp").iter_rows():
        if at.date() > as_of:
            continue
        for day, old, new in events:
            if at.date() < day <= as_of:
                close *= old / new
        expected.append(close)
    assert found["close"].to_list() == pytest.approx(expected, rel=1e-12)
