"""The side of each trade."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.micro import classify_aggressor
from smallcaps_pipeline.schemas import SchemaError
from smallcaps_pipeline.sessions import NaiveTimestampError
from smallcaps_pipeline_tests.micro.tables import quotes, trades


def sides(*args: pl.DataFrame, **options: object) -> list[int | None]:
    return classify_aggressor(*args, **options)["aggressor"].to_list()  # type: ignore[arg-type]


def test_tick_rule_carries_over_equal_prices() -> None:
    tape = trades(*((f"10:00:0{i}", p) for i, p in enumerate([10.0, 10.0, 10.1, 10.1, 10.0, 10.0])))
    # Nothing to compare the first two with; up, carried; down, carried.
    assert sides(tape, method="tick") == [None, None, 1, 1, -1, -1]


def test_odd_lot_gets_a_side_but_moves_no_reference() -> None:
    tape = trades(
        ("10:00:00", 10.0),
        ("10:00:01", 10.2, 5, [37]),  # above 10.0: +1
        ("10:00:02", 10.1),  # against 10.0, not against the odd lot: +1
        ("10:00:03", 10.1, 5, [37]),  # equal to the reference, carried: +1
        ("10:00:04", 10.0, 5, [37]),  # below: -1
        ("10:00:05", 10.1),  # equal to the reference 10.1 still, carried: +1
    )
    assert sides(tape, method="tick") == [None, 1, 1, 1, -1, 1]


@pytest.mark.parametrize(
    ("clock", "expected", "why"),
    [
        ("09:29:59", -1, "premarket: Form T moved the reference to 10.2"),
        ("09:30:00", 1, "regular hours: it did not, 10.1 is above 10.0"),
        ("15:59:59", 1, "regular hours end at the close"),
        ("16:00:00", -1, "after-hours again"),
    ],
)
def test_form_t_sets_the_price_outside_regular_hours(clock: str, expected: int, why: str) -> None:
    tape = trades((clock, 10.0), (clock, 10.2, 100, [12]), (clock, 10.1))
    assert sides(tape, method="tick")[2] == expected, why


def test_form_t_after_an_early_close_sets_the_price() -> None:
    # 2025-11-28, the day after Thanksgiving: the exchange closes at 13:00.
    rows = [("14:00:00", 10.0), ("14:00:01", 10.2, 100, [12]), ("14:00:02", 10.1)]
    assert sides(trades(*rows, day="2025-11-28"), method="tick") == [None, 1, -1]
    assert sides(trades(*rows, day="2025-11-26"), method="tick") == [None, 1, 1]


def test_regular_hours_follow_the_daylight_saving_switch() -> None:
    # 14:00 UTC is 10:00 in New York on Friday 2025-10-31, and 09:00 on Monday 2025-11-03.
    rows = [("10:00:00", 10.0), ("10:00:01", 10.2, 100, [12]), ("10:00:02", 10.1)]
    friday = trades(*rows, day="2025-10-31")
    monday = friday.with_columns(pl.col("timestamp") + pl.duration(days=3))
    assert sides(friday, method="tick") == [None, 1, 1]
    assert sides(monday, method="tick") == [None, 1, -1]


def test_cancelled_trade_has_no_side_and_moves_nothing() -> None:
    tape = trades(("10:00:00", 10.0), ("10:00:01", 10.2, 100, [], 8), ("10:00:02", 10.1))
    assert sides(tape, method="tick") == [None, None, 1]


def test_lee_ready_in_all_its_branches() -> None:
    book = quotes(("10:00:01", 10.00, 10.02))
    tape = trades(
        ("10:00:00", 10.01),  # no quote, no tick
        ("10:00:01", 10.02),  # the quote of the same instant is not in force: tick +1
        ("10:00:02", 10.01),  # at the midpoint: tick -1
        ("10:00:03", 10.02),  # above: +1
        ("10:00:04", 10.00),  # below: -1
        ("10:00:05", 10.01),  # at the midpoint, above 10.00: tick +1
    )
    result = classify_aggressor(tape, book)
    assert result["aggressor"].to_list() == [None, 1, -1, 1, -1, 1]
    rules = [None, "tick", "tick", "quote", "quote", "tick"]
    assert result["aggressor_rule"].to_list() == rules
    assert result.schema["aggressor"] == pl.Int8


def test_midpoint_is_compared_as_an_integer() -> None:
    """In double precision (4.35 + 4.36) / 2 is not 4.355: a trade there got a side it has not."""
    cents = range(100, 400)
    book = quotes(*(("10:00:00", c / 100, (c + 1) / 100) for c in cents))
    mids = [(2 * c + 1) / 200 for c in cents]
    for index, mid in enumerate(mids):
        tape = trades(("10:00:01", mid))
        assert sides(tape, book.slice(index, 1)) == [None]


@pytest.mark.parametrize("bad", [(0.0, 10.0), (10.0, 0.0), (10.1, 10.0), (None, 10.0)])
def test_invalid_quote_leaves_the_valid_one_before_it_in_force(
    bad: tuple[float | None, float],
) -> None:
    book = quotes(("10:00:00", 9.98, 10.0), ("10:00:01", *bad))
    assert sides(trades(("10:00:02", 10.0)), book) == [1]


def test_locked_quote_is_valid() -> None:
    assert sides(trades(("10:00:02", 10.01)), quotes(("10:00:00", 10.0, 10.0))) == [1]


def test_last_of_several_quotes_of_one_instant_is_in_force() -> None:
    book = quotes(("10:00:00", 9.0, 9.1), ("10:00:00", 11.0, 11.1))
    tape = trades(("10:00:01", 10.0))
    assert sides(tape, book) == [-1]
    assert sides(tape, book.reverse()) == [-1]  # sequence numbers, not rows, give the order
    assert sides(tape, book.drop("sequence_number").reverse()) == [1]  # without them rows do


@pytest.mark.parametrize(("lag_ns", "expected"), [(0, 1), (999_999_999, 1), (10**9, -1)])
def test_quote_lag_asks_for_older_quotes(lag_ns: int, expected: int) -> None:
    # The quote one second before the trade is strictly older than a lag of less than a second.
    book = quotes(("10:00:00", 11.0, 11.1), ("10:00:01", 9.0, 9.1))
    assert sides(trades(("10:00:02", 10.0)), book, quote_lag_ns=lag_ns) == [expected]


def test_rows_come_back_in_the_order_given() -> None:
    tape = trades(("10:00:00", 10.0), ("10:00:00", 10.1), ("10:00:01", 10.0)).reverse()
    assert sides(tape, method="tick") == [-1, 1, None]
    assert_frame_equal(classify_aggressor(tape).select(tape.columns), tape)


def test_symbols_do_not_meet() -> None:
    one, two = trades(("10:00:00", 10.0)), trades(("10:00:01", 11.0), symbol="NERV")
    book = quotes(("09:59:00", 5.0, 5.1), symbol="NERV")
    assert sides(pl.concat([one, two]), book) == [None, 1]


def test_only_timestamp_and_price_are_needed() -> None:
    tape = trades(("10:00:00", 10.0), ("10:00:01", 10.1)).select("timestamp", "price")
    assert sides(tape) == [None, 1]


def test_empty_tape() -> None:
    result = classify_aggressor(trades(), quotes())
    assert result.height == 0
    assert result.schema["aggressor"] == pl.Int8
    assert result.schema["aggressor_rule"] == pl.String


def test_bad_input_is_named() -> None:
    tape = trades(("10:00:00", 10.0))
    with pytest.raises(ValueError, match="one of lee_ready, tick, quote, emo, clnv, got 'bvc'"):
        classify_aggressor(tape, method="bvc")
    with pytest.raises(ValueError, match="quote_lag_ns must be 0 or more"):
        classify_aggressor(tape, quote_lag_ns=-1)
    with pytest.raises(SchemaError, match="lacks the columns \\['price'\\]"):
        classify_aggressor(tape.drop("price"))
    with pytest.raises(SchemaError, match="both have the column 'symbol'"):
        classify_aggressor(tape, quotes(("10:00:00", 9.0, 9.1), symbol=None))
    naive = pl.DataFrame({"timestamp": [datetime(2025, 10, 7)], "price": [1.0]})  # noqa: DTZ001
    with pytest.raises(NaiveTimestampError, match="'timestamp'"):
        classify_aggressor(naive)


def test_timestamps_of_another_precision_and_zone_mean_the_same() -> None:
    book = quotes(("10:00:00", 9.0, 9.1))
    coarse = book.with_columns(
        pl.col("timestamp").cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo")
    )
    tape = trades(("10:00:00.000001", 10.0))
    assert sides(tape, coarse) == [1]


rows = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(998, 1002),
        st.sampled_from([[], [37], [12], None]),
        st.sampled_from([0, 0, 0, 1, 8]),
    ),
    max_size=12,
)
books = st.lists(
    st.tuples(st.integers(0, 5), st.integers(997, 1002), st.integers(998, 1003)), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(rows, books)
def test_sides_are_those_of_a_plain_loop(
    given_rows: list[tuple[int, int, list[int] | None, int]], given_book: list[tuple[int, int, int]]
) -> None:
    """An independent reading of the rules, one trade after the other."""
    ordered, book = sorted(given_rows, key=lambda r: r[0]), sorted(given_book, key=lambda r: r[0])
    tape = trades(*((f"10:00:0{t}", p / 100, 100, c, k) for t, p, c, k in ordered))
    frame = quotes(*((f"10:00:0{t}", b / 100, a / 100) for t, b, a in book))
    assert sides(tape, frame) == _plain_sides(ordered, book)
    mixed = tape.sample(fraction=1, shuffle=True, seed=len(ordered))
    shuffled = classify_aggressor(mixed, frame.reverse()).sort("sequence_number")
    assert shuffled["aggressor"].to_list() == _plain_sides(ordered, book)


def _plain_sides(
    tape: list[tuple[int, int, list[int] | None, int]], book: list[tuple[int, int, int]]
) -> list[int | None]:
    found: list[int | None] = []
    prices: list[int] = []  # of trades that count for price, in order
    for t, price, codes, correction in tape:
        if correction == 8:
            found.append(None)
            continue
        valid = [b + a for when, b, a in book if when < t and a >= b]
        side = 0
        if valid:
            side = (2 * price > valid[-1]) - (2 * price < valid[-1])
        if not side:
            different = [p for p in prices if p != price]
            side = (price > different[-1]) - (price < different[-1]) if different else 0
        found.append(side or None)
        if codes in ([], None):  # 12 and 37 set no price at ten in the morning
            prices.append(price)
    return found


@pytest.mark.parametrize("instant", [datetime(2025, 10, 4, 15, tzinfo=UTC)])
def test_a_saturday_has_no_regular_hours(instant: datetime) -> None:
    tape = pl.DataFrame(
        {"timestamp": [instant] * 3, "price": [10.0, 10.2, 10.1], "conditions": [[], [12], []]},
        schema_overrides={"conditions": pl.List(pl.Int32)},
    )
    assert sides(tape) == [None, 1, -1]
