"""NBBO reduction: golden tables, a slow reading of the rule, and recorded days."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.schemas import QUOTES
from smallcaps_pipeline.windows import reduce_nbbo
from smallcaps_pipeline.windows.nbbo import in_force_positions, mids, nanoseconds
from smallcaps_pipeline_tests.windows.make import at, ns, quotes

S = 1_000_000_000
MS = 1_000_000


def kept(frame: pl.DataFrame) -> list[int]:
    """Return the sequence numbers that stay."""
    return frame["sequence_number"].to_list()


# by_change ------------------------------------------------------------------------------------


def test_a_row_that_repeats_prices_and_sizes_is_dropped() -> None:
    rows = quotes([1, 2, 3, 4], [9.9, 9.9, 9.8, 9.9], [10.0, 10.0, 10.0, 10.0])
    assert kept(reduce_nbbo(rows, by_change=True)) == [0, 2, 3]  # 3 differs from 2, equals 0


@pytest.mark.parametrize("column", ["bid_price", "bid_size", "ask_price", "ask_size"])
def test_any_of_the_four_makes_a_change(column: str) -> None:
    rows = quotes([1, 2], [9.9, 9.9], [10.0, 10.0], **{column: pl.Series([1.0, 2.0])})
    assert kept(reduce_nbbo(rows, by_change=True)) == [0, 1]


def test_other_columns_make_no_change() -> None:
    rows = quotes([1, 2], [9.9, 9.9], [10.0, 10.0], bid_exchange=pl.Series([1, 2]))
    assert kept(reduce_nbbo(rows, by_change=True)) == [0]


def test_null_equals_null_and_differs_from_zero() -> None:
    rows = quotes([1, 2, 3, 4], [None, None, 0.0, None], [10.0] * 4)
    assert kept(reduce_nbbo(rows, by_change=True)) == [0, 2, 3]


def test_the_first_row_stays_even_if_all_of_it_is_null() -> None:
    rows = quotes([1, 2], [None, None], [None, None], bid_size=None, ask_size=None)
    assert kept(reduce_nbbo(rows, by_change=True)) == [0]


# max_hz ---------------------------------------------------------------------------------------


def test_the_last_row_of_each_bucket_stays_with_its_own_time() -> None:
    """5 Hz are buckets of 200 ms: 0-199, 200-399, ..."""
    times = [0, 10 * MS, 199 * MS, 200 * MS, 399 * MS, 1000 * MS]
    rows = quotes(times, [9.0, 9.1, 9.2, 9.3, 9.4, 9.5], [10.0] * 6)
    thin = reduce_nbbo(rows, by_change=False, max_hz=5)
    assert kept(thin) == [0, 2, 4, 5]  # row 0 is the first
    assert nanoseconds(thin["timestamp"]).tolist() == [0, 199 * MS, 399 * MS, 1000 * MS]


def test_buckets_are_exact_at_todays_nanoseconds() -> None:
    """3 Hz from 2025-10-07 14:00: the first bucket ends between 333,333,333 and ...,334 ns.

    ns x 3 is beyond the 53 bits of a float, and ns x 20 is beyond 64 bits.
    """
    base = ns(at("14:00"))
    assert base * 20 > 2**63
    rows = quotes([base, base + 333_333_333, base + 333_333_334], [9.0, 9.1, 9.2], [10.0] * 3)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=3)) == [0, 1, 2]
    rows = quotes([base, base + 333_333_332, base + 333_333_333], [9.0, 9.1, 9.2], [10.0] * 3)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=3)) == [0, 2]


@pytest.mark.parametrize("max_hz", [S, 10**12])
def test_a_rate_beyond_the_clock_keeps_one_row_per_nanosecond(max_hz: int) -> None:
    base = ns(at("14:00"))
    rows = quotes([base, base, base + 1], [9.0, 9.1, 9.2], [10.0] * 3)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=max_hz)) == [0, 1, 2]
    rows = quotes([base - 1, base, base, base + 1], [9.0, 9.1, 9.2, 9.3], [10.0] * 4)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=max_hz)) == [0, 2, 3]


def test_thinning_looks_at_what_by_change_left() -> None:
    """Row 2 is the last of the second, but repeats row 1: row 1 is the last that is left."""
    rows = quotes([0, 100 * MS, 900 * MS, 1500 * MS], [9.0, 9.1, 9.1, 9.2], [10.0] * 4)
    assert kept(reduce_nbbo(rows, by_change=True, max_hz=1)) == [0, 1, 3]


# trades ---------------------------------------------------------------------------------------


def test_the_quote_in_force_is_strictly_before_the_trade() -> None:
    times = [0, 100 * MS, 200 * MS, 900 * MS]
    rows = quotes(times, [9.0, 9.1, 9.2, 9.3], [10.0] * 4)
    for trade, expected in [
        (200 * MS, [0, 1, 3]),  # row 2 has the trade's own time: row 1 is in force
        (200 * MS + 1, [0, 2, 3]),
        (0, [0, 3]),  # nothing before it
        (5 * S, [0, 3]),
    ]:
        thin = reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=[trade])
        assert kept(thin) == expected, trade


@pytest.mark.parametrize(
    ("bid", "ask", "why"),
    [
        (10.1, 10.0, "crossed"),
        (0.0, 10.0, "no bid"),
        (9.0, 0.0, "no ask"),
        (None, 10.0, "bid unknown"),
        (9.0, None, "ask unknown"),
    ],
)
def test_an_invalid_quote_is_never_in_force(bid: float | None, ask: float | None, why: str) -> None:
    rows = quotes([0, 100 * MS, 200 * MS, 900 * MS], [9.0, 9.1, bid, 9.3], [10.0, 10.0, ask, 10.0])
    thin = reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=[300 * MS])
    assert kept(thin) == [0, 1, 3], why


def test_a_locked_quote_is_in_force() -> None:
    rows = quotes([0, 100 * MS, 900 * MS], [9.0, 10.0, 9.3], [10.0, 10.0, 10.0])
    thin = reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=[300 * MS])
    assert kept(thin) == [0, 1, 2]


def test_of_quotes_of_one_instant_the_last_is_in_force() -> None:
    rows = quotes([0, 100 * MS, 100 * MS, 900 * MS], [9.0, 9.1, 9.2, 9.3], [10.0] * 4)
    thin = reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=[300 * MS])
    assert kept(thin) == [0, 2, 3]


@pytest.mark.parametrize(
    "times",
    [
        [300 * MS],
        pl.Series([300 * MS, None]),
        np.array([300 * MS]),
        pl.Series([300 * MS]).cast(pl.Datetime("ns", "UTC")),
        pl.Series([300 * 1000]).cast(pl.Datetime("us", "UTC")),
        pl.Series([300 * 1000]).cast(pl.Datetime("us", "UTC")).to_list(),
    ],
)
def test_trade_times_come_as_instants_or_nanoseconds(times: Any) -> None:
    rows = quotes([0, 200 * MS, 900 * MS], [9.0, 9.1, 9.2], [10.0] * 3)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=times)) == [0, 1, 2]


@pytest.mark.parametrize("none", [None, [], pl.Series([], dtype=pl.Datetime("ns", "UTC"))])
def test_no_trades_keep_no_quote(none: Any) -> None:
    rows = quotes([0, 200 * MS, 900 * MS], [9.0, 9.1, 9.2], [10.0] * 3)
    assert kept(reduce_nbbo(rows, by_change=False, max_hz=1, trade_times=none)) == [0, 2]


# form -----------------------------------------------------------------------------------------


def test_rows_are_put_in_tape_order_first() -> None:
    rows = quotes([5, 5, 3], [9.0, 9.1, 9.2], [10.0] * 3, sequence_number=pl.Series([8, 7, 9]))
    assert kept(reduce_nbbo(rows, by_change=False)) == [9, 7, 8]


def test_without_sequence_numbers_rows_of_one_instant_keep_their_order() -> None:
    rows = quotes([5, 3, 5], [9.0, 9.1, 9.2], [10.0] * 3).drop("sequence_number")
    assert reduce_nbbo(rows, by_change=False)["bid_price"].to_list() == [9.1, 9.0, 9.2]


def test_no_quotes_are_no_quotes() -> None:
    empty = reduce_nbbo(QUOTES.empty(), by_change=True, max_hz=5, trade_times=[1])
    assert_frame_equal(empty, QUOTES.empty())


@pytest.mark.parametrize("max_hz", [0, -1, 0.5, 2.5])
def test_a_rate_that_is_no_whole_number_from_one_on_is_an_error(max_hz: Any) -> None:
    """A fraction would make the bucket a float, which is not exact at today's nanoseconds."""
    with pytest.raises(ValueError, match="at least 1"):
        reduce_nbbo(QUOTES.empty(), by_change=True, max_hz=max_hz)


def test_mid_in_force_is_null_before_the_first_valid_quote() -> None:
    rows = quotes([10, 20, 30], [0.0, 9.0, 10.5], [10.0, 11.0, 10.0])
    assert mids(rows, np.array([15, 20, 21, 40])).to_list() == [None, None, 10.0, 10.0]


def test_in_force_positions_are_strict() -> None:
    positions = in_force_positions(np.array([10, 20]), np.array([5, 10, 11, 20, 21]))
    assert positions.tolist() == [-1, -1, 0, 0, 1]


# properties -----------------------------------------------------------------------------------


def read_slowly(
    rows: list[dict[str, Any]], by_change: bool, max_hz: int | None, trade_times: list[int]
) -> list[int]:
    """Apply the rule row by row, in Python's exact integers."""

    def state(row: dict[str, Any]) -> tuple[Any, ...]:
        return row["bid_price"], row["bid_size"], row["ask_price"], row["ask_size"]

    left: list[dict[str, Any]] = []
    for row in rows:
        if not (by_change and left and state(left[-1]) == state(row)):
            left.append(row)
    if max_hz is None or not left:
        return [row["sequence_number"] for row in left]
    last = {row["ns"] * max_hz // S: row["sequence_number"] for row in left}
    stay = {left[0]["sequence_number"], *last.values()}
    for trade in trade_times:
        before = [
            row["sequence_number"]
            for row in left
            if row["ns"] < trade
            and (row["bid_price"] or 0) > 0
            and (row["ask_price"] or 0) >= row["bid_price"]
        ]
        stay.update(before[-1:])
    return sorted(stay)


PRICE = st.sampled_from([None, 0.0, 9.99, 10.0, 10.01])
ROW = st.tuples(st.integers(0, 3_000), PRICE, PRICE, st.sampled_from([1.0, 2.0]))


@given(
    st.lists(ROW, max_size=25),
    st.booleans(),
    st.sampled_from([None, 1, 3, 5, 20, 7919]),
    st.lists(st.integers(0, 3_100), max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_the_reduction_is_the_rule_read_row_by_row(
    rows: list[tuple[int, float | None, float | None, float]],
    by_change: bool,
    max_hz: int | None,
    trade_ms: list[int],
) -> None:
    base = ns(at("14:00"))
    rows = sorted(rows, key=lambda row: row[0])
    frame = quotes(
        [base + ms * MS for ms, *_ in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        bid_size=pl.Series([row[3] for row in rows], dtype=pl.Float64),
    )
    trade_times = [base + ms * MS for ms in trade_ms]
    thin = reduce_nbbo(frame, by_change=by_change, max_hz=max_hz, trade_times=trade_times)
    dicts = frame.with_columns(ns=pl.col("timestamp").to_physical()).to_dicts()
    assert kept(thin) == read_slowly(dicts, by_change, max_hz, trade_times)
    again = reduce_nbbo(thin, by_change=False, max_hz=max_hz, trade_times=trade_times)
    assert_frame_equal(again, thin)


# recorded days --------------------------------------------------------------------------------

REALDATA = Path(__file__).resolve().parents[3] / "shared" / "realdata"
RECORDED = ["AIG/date=2013-10-10", "BAC/date=2013-10-10", "IBM/date=2013-10-08"]


def recorded(name: str) -> tuple[pl.DataFrame, pl.Series]:
    """Return a whole day of quotes and the times of its trades; rows in the order recorded."""
    file = REALDATA / "quotes" / f"symbol={name}.parquet"
    if not file.exists():
        pytest.skip(f"recorded data is not beside the project: {REALDATA}")
    rows = pl.read_parquet(file).with_columns(
        timestamp=pl.from_epoch("sip_timestamp", "ns").dt.replace_time_zone("UTC"),
        sequence_number=pl.col("source_row"),
    )
    trades = pl.read_parquet(REALDATA / "trades" / f"symbol={name}.parquet")
    return rows, trades["sip_timestamp"]


@pytest.mark.parametrize("name", RECORDED)
def test_every_quote_in_force_at_a_recorded_trade_is_kept(name: str) -> None:
    rows, trade_times = recorded(name)
    thin = reduce_nbbo(rows, by_change=True, max_hz=5, trade_times=trade_times)
    instants = nanoseconds(trade_times)
    assert mids(thin, instants).equals(mids(rows, instants))
    assert thin.height < rows.height / 2


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_day_reduces_to_a_subset_in_order_and_thinning_twice_is_once(name: str) -> None:
    """By change, twice is not once: thinning takes B out of A B A, and leaves a repeat."""
    rows, trade_times = recorded(name)
    for by_change, max_hz in [(True, None), (True, 5), (False, 20)]:
        thin = reduce_nbbo(rows, by_change=by_change, max_hz=max_hz, trade_times=trade_times)
        assert thin["sequence_number"].is_sorted()
        stayed = pl.col("sequence_number").is_in(thin["sequence_number"].implode())
        assert_frame_equal(thin, rows.filter(stayed))
        again = reduce_nbbo(thin, by_change=False, max_hz=max_hz, trade_times=trade_times)
        assert_frame_equal(again, thin)


def test_thinning_without_trades_would_lose_quotes_in_force() -> None:
    """The reason for keep_at_trades: at 5 Hz alone, most mids at trades of AIG are others."""
    rows, trade_times = recorded(RECORDED[0])
    instants = nanoseconds(trade_times)
    bare = reduce_nbbo(rows, by_change=True, max_hz=5)
    assert (mids(bare, instants) != mids(rows, instants)).sum() > 100
