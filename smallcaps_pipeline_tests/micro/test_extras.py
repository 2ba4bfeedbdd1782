"""Figures on request: each worked by hand, on the golden event of `test_features`.

quotes   09:59:59  10.00 / 10.02   3 x 5    the one before the window
         10:02:00  10.00 / 10.04   4 x 2
         10:03:30  10.01 / 10.05   5 x 2
trades   10:00:01  10.00   100   seller, mid 10.01, a minute later 10.01
         10:00:02  10.02   300   buyer,  mid 10.01, a minute later 10.01
         10:03:10  10.01  2000   seller, mid 10.02, a minute later 10.03
         10:04:30  10.05   100   buyer,  mid 10.03, a minute later 10.03
         10:05:00  10.06   100   buyer,  mid 10.03, a minute later 10.03 (sets no price)
"""

from __future__ import annotations

import math
from typing import Any, get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as trials
from pydantic import ValidationError

from smallcaps_pipeline.micro import event_features
from smallcaps_pipeline.schemas import MICRO_FEATURES, micro_features_table
from smallcaps_pipeline.settings import ExtraFeatures, Micro, Settings, load_settings
from smallcaps_pipeline_tests.micro.strategies import books, tapes
from smallcaps_pipeline_tests.micro.tables import event, quotes, trades

ALL: tuple[ExtraFeatures, ...] = get_args(ExtraFeatures)
TAPE = trades(
    ("10:00:01", 10.00),
    ("10:00:02", 10.02, 300),
    ("10:03:10", 10.01, 2000),
    ("10:04:30", 10.05),
    ("10:05:00", 10.06, 100, [37]),
)
BOOK = quotes(
    ("09:59:59", 10.00, 10.02), ("10:02:00", 10.00, 10.04), ("10:03:30", 10.01, 10.05)
).with_columns(bid_size=pl.Series([3.0, 4.0, 5.0]), ask_size=pl.Series([5.0, 2.0, 2.0]))

BASE = load_settings()
LATE = pl.lit(99, dtype=pl.Int64)


def asking(*groups: ExtraFeatures, **changed: Any) -> Settings:
    micro = {**BASE.micro.model_dump(), "extra_features": groups or ALL, **changed}
    return BASE.model_copy(update={"micro": Micro.model_validate(micro)})


def figures(
    tape: pl.DataFrame = TAPE,
    book: pl.DataFrame | None = BOOK,
    window: pl.DataFrame | None = None,
    **changed: Any,
) -> dict[str, Any]:
    manifest = event() if window is None else window
    return event_features(manifest, tape, book, settings=asking(**changed)).row(0, named=True)


def same(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-12)


def barrier(continuation: float, reversal: float, minutes: int = 5) -> dict[str, float]:
    return {"continuation_pct": continuation, "reversal_pct": reversal, "minutes": minutes}


SMALL, LARGE = 0.02 / 10.01, 0.02 / 10.02  # twice the distance from the mid
GOLDEN = {
    "effective_spread_before_bps": (400 * SMALL + 2000 * LARGE) / 2400 * 1e4,
    "quoted_spread_at_trades_before_bps": (400 * SMALL + 2000 * 2 * LARGE) / 2400 * 1e4,
    # The seller of 10:03:10 is judged at 10:04:10, after the bar: not before, but in the window.
    "realized_spread_before_bps": SMALL * 1e4,
    "price_impact_before_bps": 0.0,
    "label_effective_spread_bps": (400 * SMALL + 2000 * LARGE + 4 / 10.03 + 6 / 10.03) / 2600 * 1e4,
    "label_quoted_spread_at_trades_bps": (400 * SMALL + 4000 * LARGE + 8 / 10.03) / 2600 * 1e4,
    "label_realized_spread_bps": (400 * SMALL + 4000 * LARGE + 10 / 10.03) / 2600 * 1e4,
    "label_price_impact_bps": -2000 * LARGE / 2600 * 1e4,
    # 10:02: one more at the bid, the ask of 5 is gone. 10:03:30: a bid of 5, the ask of 2 is gone.
    "ofi_before": (4 - 3 + 5) + (5 + 2),
    "ofi_depths_before": 13 / ((3 + 3.5) / 2),
    "label_ofi": 13.0,
    "label_ofi_depths": 4.0,
    "label_vwap_slippage_bps": (10.05 / 10.03 - 1) * 1e4,
    "odd_lot_share_before": 0.0,
    "odd_lot_volume_before": 0.0,
    "round_lot_share_before": 2 / 3,
    "round_lot_volume_before": 400 / 2400,
    "block_share_before": 1 / 3,
    "block_volume_before": 2000 / 2400,
    "median_size_before": 300.0,
    "label_odd_lot_share": 0.0,
    "label_odd_lot_volume": 0.0,
    "label_round_lot_share": 4 / 5,
    "label_round_lot_volume": 600 / 2600,
    "label_block_share": 1 / 5,
    "label_block_volume": 2000 / 2600,
    "label_median_size": 100.0,
    "label_barrier": 0,  # the last price is 0.5 % up, neither 2 % nor -1 %
    "label_barrier_s": None,
    "label_barrier_return": 0.005,
}


def test_golden_event() -> None:
    row = figures(slippage_shares=100)
    assert set(row) == set(MICRO_FEATURES.columns) | set(GOLDEN)
    for name, expected in GOLDEN.items():
        assert same(row[name], expected), name


def test_nothing_is_added_unless_asked_for() -> None:
    assert event_features(event(), TAPE, BOOK).columns == list(MICRO_FEATURES.columns)
    assert load_settings().micro.extra_features == ()


@pytest.mark.parametrize("group", ALL)
def test_each_group_comes_by_itself(group: ExtraFeatures) -> None:
    frame = event_features(event(), TAPE, BOOK, settings=asking(group))
    assert frame.schema == micro_features_table([group]).schema
    assert len(frame.columns) > len(MICRO_FEATURES.columns)


def test_window_without_trades_and_quotes_has_nulls() -> None:
    row = figures(trades(), quotes())
    values = {name: row[name] for name in GOLDEN if name != "label_barrier"}
    assert set(values.values()) == {None}
    assert row["label_barrier"] == 0  # a price that did not move touched nothing


def test_without_quotes_there_is_no_cost_and_no_flow() -> None:
    row = figures(book=None)
    assert row["label_effective_spread_bps"] is None
    assert row["label_ofi"] is None
    assert row["label_vwap_slippage_bps"] is None
    assert row["label_block_share"] == 0.2


def test_group_named_twice_or_unknown_is_an_error() -> None:
    with pytest.raises(ValidationError, match="names a group twice"):
        asking("sizes", "sizes")
    with pytest.raises(ValidationError, match="extra_features"):
        asking("size")  # type: ignore[arg-type]


# costs --------------------------------------------------------------------------------------------


@trials(max_examples=15, deadline=None, derandomize=True)
@given(tapes("2025-10-07", "09:59:00", 600), books("2025-10-07", "09:59:00", 600))
def test_effective_is_realized_plus_impact_where_the_later_mid_is_known(
    tape: pl.DataFrame, book: pl.DataFrame
) -> None:
    early = tape.filter(pl.col("timestamp") < event()["timestamp"].item())
    row = figures(early, book)
    costs = [row[f"label_{name}_bps"] for name in ("effective_spread", "realized_spread")]
    if None not in costs:
        assert costs[0] == pytest.approx(costs[1] + row["label_price_impact_bps"], abs=1e-6)
        assert costs[0] == pytest.approx(2 * row["label_slippage_proxy_bps"], abs=1e-6)


@pytest.mark.parametrize(
    ("shares", "cost", "why"),
    [
        (50, 10.05 / 10.03 - 1, "half of the first print"),
        (250, (100 * 10.05 + 150 * 10.09) / 250 / 10.03 - 1, "one and a half prints"),
        (300, (100 * 10.05 + 200 * 10.09) / 300 / 10.03 - 1, "all that there is"),
        (301, None, "the window prints no more: the odd lot's price is none to trade at"),
    ],
)
def test_slippage_of_a_size(shares: float, cost: float | None, why: str) -> None:
    tape = pl.concat([TAPE, trades(("10:06:00", 10.09, 200)).with_columns(sequence_number=LATE)])
    row = figures(tape, slippage_shares=shares)
    expected = None if cost is None else cost * 1e4
    assert same(row["label_vwap_slippage_bps"], expected), why


def test_seller_pays_by_selling_below_the_mid() -> None:
    row = figures(window=event(direction="down"), slippage_shares=100)
    assert row["label_vwap_slippage_bps"] == pytest.approx((1 - 10.05 / 10.03) * 1e4)


# order flow ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bid", "bid_size", "ask", "ask_size", "flow", "why"),
    [
        (10.00, 7.0, 10.10, 5.0, 3.0, "more at the same bid"),
        (10.00, 1.0, 10.10, 5.0, -3.0, "less at the same bid"),
        (10.01, 6.0, 10.10, 5.0, 6.0, "a better bid counts whole"),
        (9.99, 6.0, 10.10, 5.0, -4.0, "a bid that is gone counts whole"),
        (10.00, 4.0, 10.10, 8.0, -3.0, "more at the same ask"),
        (10.00, 4.0, 10.09, 8.0, -8.0, "a better ask counts whole"),
        (10.00, 4.0, 10.11, 8.0, 5.0, "an ask that is gone counts whole"),
        (10.00, 4.0, 10.10, 5.0, 0.0, "nothing changed"),
    ],
)
def test_order_flow_of_one_change(
    bid: float, bid_size: float, ask: float, ask_size: float, flow: float, why: str
) -> None:
    book = quotes(("10:00:00", 10.0, 10.1), ("10:01:00", bid, ask)).with_columns(
        bid_size=pl.Series([4.0, bid_size]), ask_size=pl.Series([5.0, ask_size])
    )
    row = figures(book=book)
    assert row["label_ofi"] == flow, why
    assert row["label_ofi_depths"] == pytest.approx(flow / ((bid_size + ask_size) / 2))


def test_invalid_quotes_are_passed_over() -> None:
    middle = quotes(("10:02:30", 10.5, 10.4)).with_columns(
        bid_size=pl.lit(900.0), ask_size=pl.lit(900.0), sequence_number=LATE
    )
    assert figures(book=pl.concat([BOOK, middle]))["label_ofi"] == 13.0


def test_unknown_sizes_leave_the_flow_unknown() -> None:
    row = figures(book=BOOK.drop("bid_size"))
    assert row["label_ofi"] is None
    assert row["label_ofi_depths"] is None


# barriers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected", "why"),
    [
        (barrier(0.5, 1.0), (1, 30.0, 0.005), "10.05 is exactly 0.5 % up"),
        (barrier(0.81, 1.0), (0, None, 0.008), "nothing is touched in five minutes"),
        (barrier(0.8, 1.0), (1, 240.0, 0.008), "10.08 at 10:08"),
        (barrier(0.8, 1.0, 4), (0, None, 0.005), "10:08:00 is not within four minutes"),
        (barrier(0.8, 1.0, 7), (1, 240.0, 0.008), "touched, though the window ends at 10:10"),
        (barrier(0.9, 1.0, 7), (None, None, None), "the window ends before seven minutes"),
    ],
)
def test_barriers(limits: dict[str, float], expected: tuple[Any, ...], why: str) -> None:
    tape = pl.concat([TAPE, trades(("10:08:00", 10.08)).with_columns(sequence_number=LATE)])
    row = figures(tape, triple_barrier=limits)
    found = tuple(row[f"label_barrier{suffix}"] for suffix in ("", "_s", "_return"))
    assert all(map(same, found, expected)), why


def test_reversal_of_a_fall_is_a_rise() -> None:
    window = event(direction="down")
    row = figures(window=window, triple_barrier=barrier(2.0, 0.5))
    assert (row["label_barrier"], row["label_barrier_s"]) == (-1, 30.0)


def test_prints_that_set_no_price_touch_nothing() -> None:
    # 10.06 at 10:05 is an odd lot; a bar's own prints come before the race.
    row = figures(triple_barrier=barrier(0.6, 5.0))
    assert row["label_barrier"] == 0
    inside = trades(("10:03:59.999999999", 11.0), ("10:04:00", 10.0))
    assert figures(inside, triple_barrier=barrier(2.0, 5.0))["label_barrier"] == 0
