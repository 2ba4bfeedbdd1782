"""What holds for every event, whatever its tape."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline.micro import classify_aggressor, event_features
from smallcaps_pipeline.micro.prices import NS_PER_MINUTE
from smallcaps_pipeline.settings import load_settings
from smallcaps_pipeline_tests.micro.tables import event, ns, quotes, trades

CODES = [[], [], None, [37], [12], [14], [15], [18]]
trade_rows = st.lists(
    st.tuples(
        st.integers(-120, 1500),  # seconds from 09:30
        st.integers(880, 1100),  # cents
        st.sampled_from([1, 50, 100, 1000, 2500]),
        st.sampled_from(CODES),
        st.sampled_from([0, 0, 0, 0, 1, 7]),
    ),
    max_size=40,
)
quote_rows = st.lists(
    st.tuples(st.integers(-120, 1500), st.integers(880, 1100), st.integers(-1, 30)), max_size=15
)
EVENTS = pl.concat([event("09:35", after=15), event("09:38"), event("09:45", direction="down")])
SETTINGS = load_settings()
BAR_ENDS = [ns("09:36:00"), ns("09:39:00"), ns("09:46:00")]


def tape_of(rows: list[Any]) -> pl.DataFrame:
    made = trades(*(("09:30:00", cents / 100, *rest) for _, cents, *rest in rows))
    return _moved(made, [second for second, *_ in rows])


def book_of(rows: list[Any]) -> pl.DataFrame:
    made = quotes(*(("09:30:00", bid / 100, (bid + gap) / 100) for _, bid, gap in rows))
    return _moved(made, [second for second, *_ in rows])


def features(tape: pl.DataFrame, book: pl.DataFrame, events: pl.DataFrame = EVENTS) -> pl.DataFrame:
    return event_features(events, tape, book, previous_close=10.0, settings=SETTINGS)


@settings(max_examples=8, deadline=None)
@given(trade_rows, quote_rows, st.integers(0, 100))
def test_row_order_means_nothing(rows: list[Any], book_rows: list[Any], seed: int) -> None:
    tape, book = tape_of(rows), book_of(book_rows)
    shuffled = features(
        tape.sample(fraction=1, shuffle=True, seed=seed),
        book.sample(fraction=1, shuffle=True, seed=seed),
    )
    assert_frame_equal(features(tape, book), shuffled)


@settings(max_examples=8, deadline=None)
@given(trade_rows, quote_rows)
def test_rows_of_merged_and_extended_windows_change_nothing(
    rows: list[Any], book_rows: list[Any]
) -> None:
    tape, book = tape_of(rows), book_of(book_rows)
    together = features(tape, book)
    at = pl.col("timestamp").dt.epoch("ns")
    for number, bar_end in enumerate(BAR_ENDS):
        start = bar_end - 4 * NS_PER_MINUTE
        end = bar_end + (14 if number == 0 else 6) * NS_PER_MINUTE
        inside = (at >= start) & (at < end)
        before = book.filter(at < start).sort("timestamp", "sequence_number").tail(1)
        alone = features(
            tape.filter(inside),
            pl.concat([before, book.filter(inside)]),
            EVENTS.slice(number, 1),
        )
        assert_frame_equal(together.slice(number, 1), alone)


@settings(max_examples=8, deadline=None)
@given(trade_rows, quote_rows)
def test_stored_copies_of_a_row_count_once(rows: list[Any], book_rows: list[Any]) -> None:
    tape, book = tape_of(rows), book_of(book_rows)
    twice = features(pl.concat([tape, tape.head(9)]), pl.concat([book.tail(5), book]))
    assert_frame_equal(features(tape, book), twice)


@settings(max_examples=8, deadline=None)
@given(trade_rows, quote_rows)
def test_other_symbols_change_nothing(rows: list[Any], book_rows: list[Any]) -> None:
    tape, book = tape_of(rows), book_of(book_rows)
    other = pl.lit("NERV")
    both = features(
        pl.concat([tape.with_columns(symbol=other, price=pl.lit(1.0)), tape]),
        pl.concat([book, book.with_columns(symbol=other, bid_price=pl.lit(1.0))]),
        pl.concat([EVENTS, event("09:40", symbol="NERV")]),
    )
    assert_frame_equal(features(tape, book), both.head(EVENTS.height), check_exact=True)


@settings(max_examples=15, deadline=None)
@given(trade_rows, quote_rows)
def test_volumes_by_side_add_up(rows: list[Any], book_rows: list[Any]) -> None:
    sided = classify_aggressor(tape_of(rows), book_of(book_rows))
    by_side = sided.group_by("aggressor").agg(pl.col("size").sum())
    assert by_side["size"].sum() == sided["size"].sum()
    assert set(by_side["aggressor"]) <= {1, -1, None}
    assert sided["aggressor"].is_null().equals(sided["aggressor_rule"].is_null())


@settings(max_examples=8, deadline=None)
@given(trade_rows, quote_rows)
def test_shares_stay_in_their_range_and_nan_is_never_stored(
    rows: list[Any], book_rows: list[Any]
) -> None:
    row_values = features(tape_of(rows), book_of(book_rows))
    numbers = row_values.select(pl.selectors.float())
    assert (
        not numbers.select(pl.any_horizontal(~pl.all().fill_null(0).is_finite())).to_series().any()
    )
    for name, low in (
        ("label_buy_share", 0),
        ("label_block_volume_share", 0),
        ("label_trade_imbalance", -1),
        ("imbalance_before", -1),
    ):
        assert row_values[name].drop_nulls().is_between(low, 1).all(), name


def _moved(frame: pl.DataFrame, seconds: list[int]) -> pl.DataFrame:
    shift = pl.Series(seconds, dtype=pl.Int64) * 1_000_000_000
    moved = (pl.col("timestamp").dt.epoch("ns") + shift).cast(pl.Datetime("ns"))
    return frame.with_columns(timestamp=moved.dt.replace_time_zone("UTC"))
