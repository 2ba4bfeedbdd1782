"""Each row once, the same one whatever the order of its copies, and said when copies differ."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.polygon.once import each_once, without_copies
from smallcaps_pipeline.polygon.transport import Request
from smallcaps_pipeline.schemas import CONDITIONS, TRADES

REQUEST = Request("/v3/trades/A")
BY = ("timestamp", "sequence_number")
START = datetime(2025, 10, 7, 13, 30, tzinfo=UTC)


def trades(*rows: tuple[int, int, int, float, list[int]]) -> pl.DataFrame:
    """Return trades of (ns after the start, sequence number, exchange, price, conditions)."""
    ns = pl.DataFrame(rows, orient="row", schema=["ns", "number", "venue", "price", "codes"])
    start = int(START.timestamp()) * 10**9
    return TRADES.conform(
        ns.select(
            timestamp=(start + pl.col("ns").cast(pl.Int64)).cast(TRADES.schema["timestamp"]),
            participant_timestamp=pl.lit(None, TRADES.schema["timestamp"]),
            price="price",
            size=100.0,
            exchange="venue",
            conditions=pl.col("codes").cast(pl.List(pl.Int32)),
            correction=0,
            trade_id=pl.lit("1"),
            sequence_number="number",
            tape=3,
        )
    )


FIRST, SECOND = (0, 1, 12, 5.0, [12, 37]), (0, 2, 12, 5.0, [37])


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([FIRST, SECOND], [1, 2]),
        ([SECOND, FIRST], [1, 2]),
        ([FIRST, SECOND, FIRST], [1, 2]),
        ([FIRST, FIRST], [1]),
        ([(5, 1, 12, 5.0, []), (4, 2, 12, 5.0, [])], [2, 1]),  # by time, then number
        ([FIRST], [1]),
    ],
)
def test_copies_are_one_row_in_tape_order(rows: list[Any], kept: list[int]) -> None:
    assert each_once(trades(*rows), TRADES, REQUEST, by=BY)["sequence_number"].to_list() == kept


def test_nothing_stays_nothing() -> None:
    assert_frame_equal(each_once(TRADES.empty(), TRADES, REQUEST, by=BY), TRADES.empty())


def test_one_number_on_two_venues_is_two_rows_by_venue() -> None:
    rows: list[Any] = [(0, 1, 12, 5.0, []), (0, 1, 4, 5.0, [])]
    assert each_once(trades(*rows), TRADES, REQUEST, by=BY)["exchange"].to_list() == [4, 12]


def test_copies_that_differ_leave_the_same_row_in_either_order_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    one, other = (0, 1, 12, 5.01, [12]), (0, 1, 12, 5.0, [12])
    kept = [
        each_once(trades(*rows), TRADES, REQUEST, by=BY)["price"].to_list()
        for rows in ([one, other], [other, one, other])
    ]
    assert kept == [[5.0], [5.0]]
    assert caplog.text.count("1 rows of trades differ") == 2
    assert "/v3/trades/A" in caplog.text


def test_equal_copies_are_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    each_once(trades(FIRST, FIRST, SECOND), TRADES, REQUEST, by=BY)
    assert caplog.text == ""


def test_rows_of_one_minute_that_differ_stay_and_their_copies_do_not() -> None:
    rows = [(5, 2, 12, 5.0, [37]), FIRST, (0, 1, 12, 5.5, [12]), FIRST]
    kept = without_copies(trades(*rows), "timestamp")
    assert kept["price"].to_list() == [5.0, 5.5, 5.0]
    assert_frame_equal(without_copies(kept, "timestamp"), kept)


def test_table_without_a_key_loses_equal_copies_only() -> None:
    codes = CONDITIONS.conform(
        pl.DataFrame(
            {
                "condition_id": [1, 1, 1],
                "type": ["a", "a", "a"],
                "name": ["x", "x", "y"],
                "data_types": [["trade"], ["trade"], ["trade"]],
                **dict.fromkeys(
                    ("updates_high_low", "updates_open_close", "updates_volume"), [None] * 3
                ),
            }
        )
    )
    assert each_once(codes, CONDITIONS, REQUEST)["name"].to_list() == ["x", "y"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(11, 12)), max_size=8),
    st.randoms(use_true_random=False),
)
def test_order_and_copies_change_nothing(rows: list[tuple[int, int, int]], chance: Any) -> None:
    whole: list[Any] = [(*row, 5.0, [37]) for row in rows]
    once = each_once(trades(*whole), TRADES, REQUEST, by=BY) if whole else TRADES.empty()
    assert once.height == len(set(rows))
    shuffled = whole * 2
    chance.shuffle(shuffled)
    if whole:
        assert_frame_equal(each_once(trades(*shuffled), TRADES, REQUEST, by=BY), once)
