"""The simulated market: the same for everybody, and every figure from the same trades."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import SimulatedMarket
from smallcaps_pipeline.emulator.daily_path import DayKind, draw_path
from smallcaps_pipeline.emulator.prints import PrintKind, draw_day
from smallcaps_pipeline.emulator.seeding import stable_rng
from smallcaps_pipeline.schemas import BARS, DAILY_BARS
from smallcaps_pipeline.sessions import Session
from smallcaps_pipeline_tests.emulator.conftest import FIRST, LAST

DAY = date(2025, 10, 15)
EARLY_CLOSE = date(2025, 11, 28)  # the day after Thanksgiving
CHRISTMAS = date(2025, 12, 25)


def test_stream_of_a_generator_is_the_same_in_every_process() -> None:
    """A baseline against change: the hash and numpy's PCG64 are the same on every platform."""
    drawn = stable_rng(7, "ALDR", "2025-10-15", "prints").integers(0, 10**6, 4)
    assert drawn.tolist() == [295407, 853087, 7591, 394028]


def test_order_of_asking_changes_nothing(market: SimulatedMarket) -> None:
    fresh = SimulatedMarket(seed=7, symbols=6, first=FIRST, last=LAST)
    quotes = fresh.quotes("BRCH", DAY)
    fresh.bars("ALDR", date(2025, 10, 20))
    assert_frame_equal(fresh.trades("BRCH", DAY), market.trades("BRCH", DAY))
    assert_frame_equal(quotes, market.quotes("BRCH", DAY))


def test_dates_of_the_market_only_cut_it(market: SimulatedMarket) -> None:
    longer = SimulatedMarket(seed=7, symbols=3, first=date(2020, 1, 2), last=LAST)
    assert_frame_equal(longer.bars("ALDR", DAY), market.bars("ALDR", DAY))


def test_another_seed_is_another_market(market: SimulatedMarket) -> None:
    other = SimulatedMarket(seed=8, symbols=6, first=FIRST, last=LAST)
    assert not other.bars("ALDR", DAY).equals(market.bars("ALDR", DAY))


def test_tables_have_their_schemas(market: SimulatedMarket) -> None:
    assert market.bars("ALDR", DAY).schema == BARS.schema
    assert market.daily_bars(DAY, DAY).schema == DAILY_BARS.schema
    assert market.bars("NONE", DAY).schema == BARS.schema
    assert market.trades("NONE", DAY).is_empty()


@pytest.mark.parametrize("day", [CHRISTMAS, date(2025, 10, 18), date(2019, 1, 2)])
def test_closed_days_and_days_outside_are_empty(market: SimulatedMarket, day: date) -> None:
    assert market.bars("ALDR", day).is_empty()
    assert market.quotes("ALDR", day).is_empty()
    assert market.daily_bars(day, day).is_empty()
    assert market.days("ALDR", day, day) == []


def test_daily_bar_is_the_aggregate_of_the_minutes_where_both_see_the_same(
    market: SimulatedMarket,
) -> None:
    """Prices of regular hours and the closing cross; the cross sits in the minute of the close."""
    for symbol in ("ALDR", "BRCH", "CDRX"):
        bars = sessions.add_sessions(market.bars(symbol, DAY).lazy()).collect()
        regular = bars.filter(pl.col("session") == Session.RTH.value)
        daily = market.daily_bars(DAY, DAY, symbol).row(0, named=True)
        closing = bars.filter(pl.col("minute") == 16 * 60).row(0, named=True)
        assert daily["open"] == regular["open"][0]
        assert daily["close"] == closing["open"]  # the cross is the first print after the close
        low, high = regular["low"].min(), regular["high"].max()
        assert daily["low"] == min(low, daily["close"])
        assert daily["high"] == max(high, daily["close"])


def test_day_ends_on_the_daily_path_and_the_next_joins_on(market: SimulatedMarket) -> None:
    daily = market.daily_bars(FIRST, date(2025, 10, 31), "BRCH")
    for day, close in daily.select("date", "close").iter_rows():
        assert market.last_close("BRCH", day) == close
    for one, following in pairwise(market.days("BRCH", FIRST, date(2025, 10, 14))):
        close = market.last_close("BRCH", one)
        first = market.bars("BRCH", following)["open"][0]
        assert close is not None
        assert abs(first / close - 1) < 0.05


@pytest.mark.parametrize(
    ("day", "first_hour", "close"),
    [
        (date(2025, 10, 31), 8, time(20)),  # daylight-saving time, UTC-4
        (date(2025, 11, 3), 9, time(21)),  # the Monday after it ended, UTC-5
        (date(2026, 3, 6), 9, time(21)),
        (date(2026, 3, 9), 8, time(20)),  # the Monday after it began
        (EARLY_CLOSE, 9, time(18)),
    ],
)
def test_clock_changes_and_early_closes(
    market: SimulatedMarket, day: date, first_hour: int, close: time
) -> None:
    trades = pl.concat([market.trades(one.symbol, day) for one in market.companies[:4]])
    start = datetime.combine(day, time(first_hour), tzinfo=UTC)
    assert trades["timestamp"].min() >= start  # type: ignore[operator]
    end = datetime.combine(day, close, tzinfo=UTC) + timedelta(hours=4)
    assert trades["timestamp"].max() < end  # type: ignore[operator]
    cross = trades.filter(pl.col("conditions").list.contains(8))
    assert (cross["timestamp"].dt.truncate("1m").dt.time() == close).all()
    form_t = trades.filter(pl.col("conditions").list.contains(12))["timestamp"]
    opening = sessions.session_bounds(day)[Session.RTH][0]
    closing = datetime.combine(day, close, tzinfo=UTC)
    assert not form_t.is_between(opening, closing, closed="left").any()


def test_ticks_are_in_tape_order_with_real_nanoseconds(market: SimulatedMarket) -> None:
    for rows in (market.trades("ALDR", DAY), market.quotes("ALDR", DAY)):
        ns = rows["timestamp"].to_physical()
        assert rows.equals(rows.sort("timestamp", "sequence_number"))
        assert rows["sequence_number"].is_unique().all()
        assert ns.min() > 2**53  # type: ignore[operator]
        assert (ns % 1000 != 0).mean() > 0.9  # type: ignore[operator]
        assert (rows["participant_timestamp"] < rows["timestamp"]).all()
    assert market.trades("ALDR", DAY)["timestamp"].is_duplicated().any()  # sweeps


def test_ordinary_trades_lie_within_the_quote_in_force(market: SimulatedMarket) -> None:
    """In force: the last valid quote strictly before the trade."""
    quotes = market.quotes("BRCH", DAY).filter(pl.col("bid_price") > 0, pl.col("ask_price") > 0)
    trades = market.trades("BRCH", DAY).filter(
        ~pl.col("conditions").list.eval(pl.element().is_in([8, 15, 16, 17, 28, 32])).list.any(),
        pl.col("correction").fill_null(0) == 0,
    )
    joined = trades.join_asof(
        quotes.select("timestamp", bid="bid_price", ask="ask_price"),
        on="timestamp",
        allow_exact_matches=False,
    ).filter(pl.col("bid").is_not_null())
    inside = joined.select(pl.col("price").is_between("bid", "ask"))
    touch = joined.select((pl.col("price") == pl.col("bid")) | (pl.col("price") == pl.col("ask")))
    assert inside.to_series().mean() > 0.95  # type: ignore[operator]
    assert touch.to_series().mean() > 0.7  # type: ignore[operator]


def test_quote_sizes_change_unit_on_the_third_of_november(market: SimulatedMarket) -> None:
    before = market.quotes("BRCH", date(2025, 10, 31))["bid_size"]
    after = market.quotes("BRCH", date(2025, 11, 3))["bid_size"]
    assert before.max() < 100  # type: ignore[operator]
    assert (after % 100 == 0).all()
    assert after.max() >= 100  # type: ignore[operator]


def test_fractions_of_shares_come_in_february_2026(market: SimulatedMarket) -> None:
    before = market.trades("BRCH", date(2026, 2, 20))
    after = pl.concat(market.trades(one.symbol, date(2026, 2, 23)) for one in market.companies[:6])
    assert before["decimal_size"].null_count() == before.height
    exact = after["decimal_size"].cast(pl.Float64)
    fractional = exact % 1 != 0
    assert fractional.any()
    assert (after["size"] % 1 == 0).all()
    assert (after["exchange"].filter(fractional) == 4).all()
    assert market.daily_bars(date(2026, 2, 23), date(2026, 2, 23))["volume"].sum() % 1 != 0


def test_off_exchange_prints_name_their_facility(market: SimulatedMarket) -> None:
    trades = market.trades("BRCH", DAY)
    off = trades["exchange"] == 4
    assert 0.1 < off.mean() < 0.6  # type: ignore[operator]
    assert trades["trf_id"].is_not_null().equals(off)
    assert trades["trf_id"].drop_nulls().is_in([201, 202, 203]).all()


def test_prices_are_on_the_tick_except_midpoints(market: SimulatedMarket) -> None:
    trades = market.trades("BRCH", DAY).with_columns(cents=(pl.col("price") * 100).round(6))
    on_exchange = trades.filter(pl.col("exchange") != 4, pl.col("correction").is_null())
    assert (on_exchange["cents"] % 1 == 0).all()
    assert ((trades["cents"] * 2) % 1 == 0).mean() > 0.99  # type: ignore[operator]


def test_a_halt_is_silent_and_reopens_with_a_reopening_print() -> None:
    market = SimulatedMarket(seed=7, symbols=6, first=date(2025, 1, 2), last=LAST)
    plans = (
        (company, draw_path(7, company).plan(day), day)
        for company in market.companies
        for day in market.days(company.symbol, FIRST, LAST)
    )
    halted = next(
        tick
        for company, plan, day in plans
        if plan.kind is DayKind.HALT and (tick := draw_day(7, company, plan, day)).curve.halts
    )
    prints = halted.prints
    reopened = np.flatnonzero(prints.kind == PrintKind.REOPENING)
    assert len(reopened) == len(halted.curve.halts)
    for at in reopened:
        assert prints.time[at] - prints.time[at - 1] >= 300 * 10**9
        before = prints.minute[:at]
        halt = before[-1] + 1
        assert set(range(halt - 5, halt)) <= set(before.tolist())


def test_reverse_split_multiplies_the_price(market: SimulatedMarket) -> None:
    longer = SimulatedMarket(seed=7, symbols=1, first=date(2025, 1, 2), last=date(2025, 12, 31))
    splits = longer.splits()
    assert splits["symbol"].unique().to_list() == [longer.companies[0].symbol]
    on = splits.filter(pl.col("execution_date").dt.year() == 2025)["execution_date"].item()
    before = longer.last_close("ALDR", sessions.previous_trading_day(on))
    first = longer.bars("ALDR", on)["open"][0]
    assert before is not None
    assert first == pytest.approx(10 * before, rel=0.1)


def test_delisted_name_ends_and_outsiders_are_there(market: SimulatedMarket) -> None:
    names = market.tickers()
    gone = names.filter(pl.col("delisted_date").is_not_null()).row(0, named=True)
    days = market.days(gone["symbol"], FIRST, LAST)
    assert days[-1] == sessions.previous_trading_day(gone["delisted_date"])
    assert "ETF" in names["type"].to_list()
    capital = [
        (market.last_close(one.symbol, LAST) or 0.0) * one.shares_outstanding
        for one in market.companies
    ]
    assert max(capital) > 2e9
    assert min(market.last_close(one.symbol, LAST) or 9.0 for one in market.companies) < 0.5


def test_news_comes_before_the_move(market: SimulatedMarket) -> None:
    first = datetime.combine(FIRST, time(), tzinfo=UTC)
    news = market.news(first, first + timedelta(days=60))
    assert news.height > 0
    row = news.row(0, named=True)
    day = sessions.trading_day_of(row["published_at"])
    bars = market.bars(row["symbol"], day)
    before = bars.filter(pl.col("timestamp") < row["published_at"])["volume"].sum()
    after = bars.filter(
        pl.col("timestamp").is_between(
            row["published_at"], row["published_at"] + timedelta(minutes=15)
        )
    )["volume"].sum()
    assert after > before
    narrow = market.news(row["published_at"], row["published_at"], row["symbol"])
    assert narrow.rows() == [news.row(0)]


def test_thin_names_miss_minutes_and_every_kind_of_day_occurs(market: SimulatedMarket) -> None:
    kinds = {kind for one in market.companies for kind in draw_path(7, one).kind.tolist()}
    assert kinds == set(range(len(DayKind)))
    assert market.bars("CDRX", DAY).height < 900


@pytest.mark.parametrize("symbols", [0, 10**6])
def test_impossible_number_of_symbols_is_refused(symbols: int) -> None:
    with pytest.raises(ValueError, match="symbols is"):
        SimulatedMarket(symbols=symbols)


def test_range_without_a_trading_day_is_refused() -> None:
    with pytest.raises(ValueError, match="no trading day"):
        SimulatedMarket(first=CHRISTMAS, last=CHRISTMAS)


def test_more_symbols_than_names_still_differ() -> None:
    market = SimulatedMarket(symbols=60, first=DAY, last=DAY)
    assert market.tickers()["symbol"].is_unique().all()
