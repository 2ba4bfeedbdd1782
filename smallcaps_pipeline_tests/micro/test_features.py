"""Figures of one event, each worked by hand.

The golden event: bar 10:03-10:04, window 10:00-10:10 (core), close 10.00, up.

    quotes   09:59:59  10.00 / 10.02   the one before the window
             10:02:00  10.00 / 10.04
             10:03:30  10.01 / 10.05
    trades   10:00:01  10.00  100      below mid 10.01          seller
             10:00:02  10.02  300      above mid 10.01          buyer
             10:03:10  10.01  2000     below mid 10.02          seller, a block
             10:04:30  10.05  100      above mid 10.03          buyer
             10:05:00  10.06  100 odd  above mid 10.03          buyer, sets no price
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.schemas import MICRO_FEATURES, NEWS, SchemaError
from smallcaps_pipeline.settings import Settings, load_settings
from smallcaps_pipeline_tests.micro.tables import DAY, at, event, quotes, trades

TAPE = trades(
    ("10:00:01", 10.00),
    ("10:00:02", 10.02, 300),
    ("10:03:10", 10.01, 2000),
    ("10:04:30", 10.05),
    ("10:05:00", 10.06, 100, [37]),
)
BOOK = quotes(("09:59:59", 10.00, 10.02), ("10:02:00", 10.00, 10.04), ("10:03:30", 10.01, 10.05))


def figures(*args: Any, **options: Any) -> dict[str, Any]:
    frame = event_features(*args, **options)
    assert frame.schema == MICRO_FEATURES.schema
    return frame.row(0, named=True)


def bps(spread: float, mid: float) -> float:
    return spread / mid * 10_000


GOLDEN = {
    "label_trades": 5,
    "label_quotes": 2,  # the one before the window is not in it
    # 1,000 + 3,006 + 20,020 + 1,005 + 1,006 dollars in 10 minutes
    "label_dollar_volume_per_minute": 26_037 / 10,
    # 120 s, 90 s, and 390 s until the window's end
    "label_spread_mean_bps": (
        120 * bps(0.02, 10.01) + 90 * bps(0.04, 10.02) + 390 * bps(0.04, 10.03)
    )
    / 600,
    # Sorted: 19.98 (120 s), 39.88 (510 s), 39.92 (600 s); 95 % of 600 s = 570 s
    "label_spread_p95_bps": bps(0.04, 10.02),
    "label_trade_imbalance": (500 - 2100) / 2600,
    "label_buy_share": 500 / 2600,
    "label_tape_speed": 0.5,
    "label_tape_speed_max": 12.0,  # two trades in [10:00:01, 10:00:11)
    # 1 trade in [10:04, 10:05); before the bar 2 trades in 3 minutes
    "label_tape_acceleration": 1 / (2 / 3),
    "tape_speed_before": 3 / 4,
    "imbalance_before": (300 - 2100) / 2400,
    "spread_before_bps": (120 * bps(0.02, 10.01) + 90 * bps(0.04, 10.02) + 30 * bps(0.04, 10.03))
    / 240,
    "spread_start_bps": bps(0.02, 10.01),  # 10:00-10:02, all of one quote
    "label_block_prints": 1,
    "label_block_volume_share": 2000 / 2600,
    # Half-spreads paid: 0.01/10.01 x 100, 0.01/10.01 x 300, 0.01/10.02 x 2000, 0.02/10.03 x 100,
    # 0.03/10.03 x 100
    "label_slippage_proxy_bps": (4 / 10.01 + 20 / 10.02 + 2 / 10.03 + 3 / 10.03) / 2600 * 10_000,
    # 2,000 shares for a move of the mid from 10.02 to 10.03
    "absorption": 2000 / bps(0.01, 10.02),
    "label_continuation": 10.05 / 10.00 - 1,  # the odd lot at 10.06 sets no price
    "label_halts": [],
    "ssr_active": None,
    "label_ssr_from": None,
    "news_latency_s": None,
}


def test_golden_event() -> None:
    row = figures(event(), TAPE, BOOK)
    assert set(row) - set(GOLDEN) == {
        *("event_id", "symbol", "date", "timestamp", "event_type", "direction", "session"),
        *("profile", "window_start", "window_end"),
    }
    for name, expected in GOLDEN.items():
        if isinstance(expected, float):
            assert row[name] == pytest.approx(expected, rel=1e-12), name
        else:
            assert row[name] == expected, name


NOTHING = {
    "label_trades": 0,
    "label_quotes": 0,
    "label_dollar_volume_per_minute": 0.0,
    "label_tape_speed": 0.0,
    "label_tape_speed_max": 0.0,
    "tape_speed_before": 0.0,
    "label_block_prints": 0,
    "label_halts": [],
}


def test_empty_window_has_speed_zero_and_no_ratios() -> None:
    row = figures(event(), trades(), quotes())
    for name in GOLDEN:
        assert row[name] == NOTHING.get(name), name


def test_one_trade_without_quotes() -> None:
    row = figures(event(), trades(("10:04:00", 10.5, 50)), None)
    assert row["label_trades"] == 1
    assert row["label_quotes"] is None  # not fetched, which is not the same as none
    assert row["label_buy_share"] == 0.0  # its side is unknown; it is in the total all the same
    assert row["label_trade_imbalance"] is None
    assert row["label_tape_acceleration"] is None  # nothing before the bar to compare with
    assert row["label_continuation"] == pytest.approx(0.05)


def test_continuation_of_a_fall_is_positive() -> None:
    row = figures(event(direction="down"), trades(("10:04:00", 9.0)), BOOK)
    assert row["label_continuation"] == pytest.approx(0.1)


def test_continuation_needs_a_trade_after_the_bar() -> None:
    tape = trades(("10:03:59.999999999", 11.0), ("10:04:10", 12.0, 5, [37]))
    assert figures(event(), tape, BOOK)["label_continuation"] is None


def test_window_is_half_open_and_only_one_quote_before_it_counts() -> None:
    tape = trades(("09:59:59.999999999", 9.0), ("10:00:00", 9.1), ("10:10:00", 9.2))
    row = figures(event(), tape, BOOK)
    assert row["label_trades"] == 1
    # The one before the window is crossed: no quote is in force until 10:02.
    book = quotes(("09:59:58", 9.9, 10.0), ("09:59:59", 10.1, 10.0), ("10:02:00", 10.0, 10.1))
    row = figures(event(), tape, book)
    assert row["label_spread_mean_bps"] == pytest.approx(bps(0.1, 10.05))
    assert row["label_buy_share"] == 0.0
    assert row["label_trade_imbalance"] is None  # no quote, and no tick within the window


def test_invalid_quote_ends_the_time_of_the_one_before() -> None:
    # 10:00-10:01 at 0.10, crossed 10:01-10:09, 10:09-10:10 at 0.30: the mean of two minutes.
    book = quotes(
        ("10:00:00", 10.0, 10.1),
        ("10:01:00", 10.2, 10.1),
        ("10:09:00", 10.0, 10.3),
    )
    row = figures(event(), TAPE, book)
    mean = (bps(0.1, 10.05) + bps(0.3, 10.15)) / 2
    assert row["label_spread_mean_bps"] == pytest.approx(mean)
    assert row["label_quotes"] == 3
    # The last valid quote stays in force for trades: 10.01 at 10:03:10 is below 10.05.
    assert row["imbalance_before"] < 0


def test_p95_is_the_smallest_spread_that_reaches_95_percent_of_the_time() -> None:
    # 570 of 600 s at 0.02 are exactly 95 %; one nanosecond less is not.
    exact = quotes(("10:00:00", 10.0, 10.02), ("10:09:30", 10.0, 10.04))
    assert figures(event(), TAPE, exact)["label_spread_p95_bps"] == pytest.approx(bps(0.02, 10.01))
    less = quotes(("10:00:00", 10.0, 10.02), ("10:09:29.999999999", 10.0, 10.04))
    assert figures(event(), TAPE, less)["label_spread_p95_bps"] == pytest.approx(bps(0.04, 10.02))


def test_no_move_no_absorption() -> None:
    assert figures(event(), TAPE, BOOK.head(2))["absorption"] is None
    # A quote at the very end of the bar is not yet in force.
    late = quotes(("10:02:00", 10.0, 10.04), ("10:04:00", 10.01, 10.05))
    assert figures(event(), TAPE, late)["absorption"] is None


def test_official_prices_are_no_trades() -> None:
    message = trades(("10:03:20", 10.0, 50_000, [16]), ("10:03:21", 10.0, 50_000, [15, 41]))
    row = figures(event(), message, BOOK)
    assert (row["label_trades"], row["label_block_prints"], row["label_tape_speed"]) == (0, 0, 0.0)
    assert row["label_dollar_volume_per_minute"] == 0.0


def test_cancelled_trades_do_not_exist() -> None:
    cancelled = trades(("10:03:20", 99.0, 50_000, [], 8))
    both = pl.concat([TAPE, cancelled.with_columns(sequence_number=pl.lit(99, dtype=pl.Int64))])
    assert_frame_equal(event_features(event(), both, BOOK), event_features(event(), TAPE, BOOK))


def test_block_and_unknown_conditions() -> None:
    tape = trades(("10:00:01", 10.0, 999.9, None), ("10:00:02", 10.0, 1000, None))
    row = figures(event(), tape, BOOK)
    assert row["label_block_prints"] == 1
    assert row["label_block_volume_share"] == pytest.approx(1000 / 1999.9)


@pytest.mark.parametrize(
    ("clocks", "most"),
    [
        (("10:00:00", "10:00:09.999999999"), 2),
        (("10:00:00", "10:00:10"), 1),  # [t, t + 10 s) does not hold both
        (("10:00:05", "10:00:12", "10:00:14", "10:00:16"), 3),
    ],
)
def test_fullest_ten_seconds(clocks: tuple[str, ...], most: int) -> None:
    tape = trades(*((clock, 10.0) for clock in clocks))
    assert figures(event(), tape, BOOK)["label_tape_speed_max"] == most * 6


def test_acceleration_is_unknown_where_the_window_ends_within_the_minute_after() -> None:
    assert figures(event(after=1), TAPE, BOOK)["label_tape_acceleration"] is None


def test_tick_method_needs_no_quotes_for_the_side(settings: Settings) -> None:
    tick = settings.model_copy(
        update={"micro": settings.micro.model_copy(update={"aggressor": "tick"})}
    )
    row = figures(event(), TAPE, BOOK, settings=tick)
    # Sides by tick: unknown, buyer 300, seller 2000, buyer 100, buyer 100.
    assert row["label_trade_imbalance"] == pytest.approx((500 - 2000) / 2500)
    cost = (3 / 10.01 + 20 / 10.02 + 2 / 10.03 + 3 / 10.03) / 2500 * 10_000
    assert row["label_slippage_proxy_bps"] == pytest.approx(cost)


@pytest.fixture
def settings() -> Settings:
    return load_settings()


# short-sale restriction ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "price", "codes", "active", "why"),
    [
        ("10:03:59", 9.0, [], True, "10 x 9.00 <= 9 x 10.00, before the bar's end"),
        ("10:03:59", 9.01, [], False, "not yet 10 % down"),
        ("10:04:00", 9.0, [], False, "after the bar's end"),
        ("10:03:59", 9.0, [37], False, "an odd lot sets no price"),
    ],
)
def test_short_sale_restriction(
    clock: str, price: float, codes: list[int], active: bool, why: str
) -> None:
    tape = trades((clock, price, 100, codes))
    row = figures(event(), tape, BOOK, previous_close=10.0)
    assert row["ssr_active"] is active, why
    starts = price <= 9.0 and not codes
    assert row["label_ssr_from"] == (at(clock) if starts else None)


def test_short_sale_restriction_starts_in_regular_hours_only() -> None:
    tape = trades(("09:29:00", 8.0), ("09:30:00", 9.5))
    row = figures(event("09:30"), tape, BOOK, previous_close=10.0)
    assert row["ssr_active"] is False


def test_short_sale_restriction_is_compared_as_integers() -> None:
    # 0.9 x 3.33 = 2.997; the float product is 2.9970000000000003 or just below, by luck.
    cases = [(2.997, 3.33, True), (4.41, 4.9, True), (0.63, 0.7, True), (6.03, 6.7, True)]
    for price, previous, active in cases:
        row = figures(event(), trades(("10:03:00", price)), BOOK, previous_close=previous)
        assert row["ssr_active"] is active


def test_previous_close_by_frame_mapping_and_number() -> None:
    tape = trades(("10:03:00", 9.0))
    frame = pl.DataFrame({"symbol": ["AEMD"], "date": [DAY], "previous_close": [10.0]})
    dated = frame.with_columns(pl.col("date").str.to_date())
    for given in (frame, dated, {"AEMD": 10.0}, {("AEMD", DAY): 10.0}, 10.0):
        assert figures(event(), tape, BOOK, previous_close=given)["ssr_active"] is True
    for unknown in (None, {"NERV": 10.0}, {("AEMD", "2025-10-08"): 10.0}, frame.clear()):
        assert figures(event(), tape, BOOK, previous_close=unknown)["ssr_active"] is None


# news ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "day", "latency"),
    [
        ("10:03:30", DAY, 30.0),
        ("10:04:00", DAY, None),  # at the bar's end is not before it
        ("10:04:00", "2025-10-06", 86_400.0),  # exactly 24 h
        ("10:03:59", "2025-10-06", None),  # more
    ],
)
def test_news_latency(clock: str, day: str, latency: float | None) -> None:
    values = {"symbol": ["AEMD"], "published_at": [at(clock, day)], "news_id": ["1"], "title": [""]}
    news = pl.DataFrame(values, schema=NEWS.schema)
    assert figures(event(), TAPE, BOOK, news=news)["news_latency_s"] == latency
    other = news.with_columns(symbol=pl.lit("NERV"))
    assert figures(event(), TAPE, BOOK, news=other)["news_latency_s"] is None


def test_bad_input_is_named() -> None:
    two = pl.concat([event(), event(symbol="NERV")])
    with pytest.raises(SchemaError, match="trades: needs the column 'symbol'"):
        event_features(two, TAPE.drop("symbol"), BOOK)
    with pytest.raises(SchemaError, match="manifest_rows: lacks the columns"):
        event_features(event().drop("close"), TAPE, BOOK)
    with pytest.raises(SchemaError, match="quotes: lacks the columns \\['ask_price'\\]"):
        event_features(event(), TAPE, BOOK.drop("ask_price"))
    with pytest.raises(SchemaError, match="news: lacks the columns"):
        event_features(event(), TAPE, BOOK, news=pl.DataFrame({"symbol": ["A"]}))


def test_no_events_no_rows() -> None:
    assert_frame_equal(event_features(event().clear(), TAPE, BOOK), MICRO_FEATURES.empty())
