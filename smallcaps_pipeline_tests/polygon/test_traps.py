"""The provider's known traps (its fact sheet, section 0), each with a test by name.

Most are met where an answer becomes rows; 4 and 6 also by what is computed of the rows.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal, assert_series_equal

from smallcaps_pipeline import schemas
from smallcaps_pipeline.emulator import Fault, FaultRule, running
from smallcaps_pipeline.micro.conditions import counts_for_price, has_form_t
from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.sessions import new_york_time
from smallcaps_pipeline.windows.stored import size_unit
from smallcaps_pipeline_tests.polygon.real import DAY as DAY_OF_TICKS
from smallcaps_pipeline_tests.polygon.real import connected, market
from smallcaps_pipeline_tests.polygon.server import (
    BASE_URL,
    Server,
    aggregates,
    bar,
    client,
    page,
    quote,
    trade,
)

DAY = date(2025, 10, 7)
NEXT_DAY = date(2025, 10, 8)
START = datetime(2025, 10, 7, 13, 30, tzinfo=UTC)
END = START + timedelta(minutes=1)
OPEN_MS = 1_759_843_800_000
NS = OPEN_MS * 1_000_000
MARKET = market()


def test_trap_01_t_is_the_minutes_start_in_bars_and_16_00_in_grouped_daily() -> None:
    minute = client(Server([aggregates([bar(OPEN_MS)])])).bars(symbol="A", start=DAY, end=NEXT_DAY)
    assert minute["timestamp"].item() == START
    at_16_00 = 1_759_867_200_000  # 2025-10-07 20:00 UTC
    daily = client(Server([aggregates([bar(at_16_00, T="A")])])).grouped_daily(day=DAY)
    assert daily["date"].item() == DAY


def test_trap_02_ticks_are_asked_oldest_first_in_full_pages() -> None:
    server = Server([page([])])
    client(server).trades(symbol="A", start=START, end=END)
    assert "order=asc" in server.targets[0]
    assert "limit=50000" in server.targets[0]


def test_trap_03_minutes_without_a_trade_have_no_row_and_an_empty_range_no_results() -> None:
    holes = Server([aggregates([bar(OPEN_MS), bar(OPEN_MS + 7 * 60_000)])])
    assert client(holes).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 2
    nothing = Server([aggregates([])])
    assert client(nothing).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 0


def test_trap_04_quote_sizes_stay_raw_and_their_unit_changes_on_2025_11_03() -> None:
    frame = client(Server([page([quote(1, NS, bid_size=3)])])).quotes(
        symbol="A", start=START, end=END
    )
    assert frame.frame["bid_size"].item() == 3.0
    units = [size_unit(day) for day in (date(2025, 10, 31), date(2025, 11, 3))]
    assert units == ["round_lots", "shares"]


def test_trap_06_form_t_sets_the_prices_of_premarket_minutes_and_of_no_others(
    tmp_path: Path,
) -> None:
    """Minute bars rebuilt from the fetched trades by our rule are the bars that the provider has.

    Every print before 09:30 is Form T there: by the conditions endpoint they would set no price.
    """
    with running(MARKET) as emulator, connected(emulator, tmp_path) as under_test:
        start = new_york_time(DAY_OF_TICKS, time(4))
        trades = under_test.trades(symbol="ALDR", start=start, end=start + timedelta(hours=7))
        bars = under_test.bars(
            symbol="ALDR", start=DAY_OF_TICKS, end=DAY_OF_TICKS + timedelta(days=1)
        )
    opens = new_york_time(DAY_OF_TICKS, time(9, 30))
    regular = pl.col("timestamp") >= opens
    priced = trades.frame.filter(counts_for_price(pl.col("conditions"), regular))
    rebuilt = (
        priced.group_by(pl.col("timestamp").dt.truncate("1m").cast(schemas.UTC_US))
        .agg(
            open=pl.col("price").first(),
            close=pl.col("price").last(),
            form_t=has_form_t(pl.col("conditions")).any(),
        )
        .sort("timestamp")
    )
    given = bars.filter(pl.col("timestamp") < start + timedelta(hours=7))
    columns = ["timestamp", "open", "close"]
    assert_frame_equal(rebuilt.select(columns), given.select(columns))
    early = rebuilt.filter(~regular)
    assert early["form_t"].all()
    assert early.height >= 3
    assert not rebuilt.filter(regular)["form_t"].any()


def test_trap_05_volume_and_size_are_fractional() -> None:
    bars = Server([aggregates([bar(OPEN_MS, v=9099.618093)])])
    assert client(bars).bars(symbol="A", start=DAY, end=NEXT_DAY)["volume"].item() == 9099.618093
    trades = Server([page([trade(1, NS, size=1, decimal_size="0.618093")])])
    ticks = client(trades).trades(symbol="A", start=START, end=END)
    assert ticks.frame["size"].item() == 0.618093


def test_trap_07_bars_are_asked_unadjusted_and_adjusted_ones_refused() -> None:
    server = Server([aggregates([bar(OPEN_MS)], adjusted=True)])
    with pytest.raises(errors.WrongAdjustment):
        client(server).bars(symbol="A", start=DAY, end=NEXT_DAY)
    assert "adjusted=false" in server.targets[0]


def test_trap_08_point_in_time_dates_are_sent_and_kept() -> None:
    server = Server([{**page([]), "results": {"ticker": "A"}}])
    frame = client(server).ticker_details(symbol="A", as_of=DAY)
    assert server.targets == ["/v3/reference/tickers/A?date=2025-10-07"]
    assert frame["as_of"].item() == DAY


def test_trap_08_float_has_no_date_to_be_asked_for_and_keeps_its_own() -> None:
    row = {"ticker": "A", "effective_date": "2025-11-01", "free_float": 5_000_000}
    server = Server([page([row])])
    frame = client(server).float_shares(symbol="A")
    assert server.targets == ["/stocks/vX/float?ticker=A&limit=5000"]
    assert frame["effective_date"].item() == date(2025, 11, 1)


def test_trap_08_short_interest_is_asked_and_kept_by_settlement_date() -> None:
    row = {"ticker": "A", "settlement_date": "2025-10-15", "short_interest": 3}
    server = Server([page([row])])
    frame = client(server).short_interest(start=DAY, end=date(2025, 11, 1))
    assert "settlement_date.gte=2025-10-07&settlement_date.lt=2025-11-01" in server.targets[0]
    assert frame["settlement_date"].item() == date(2025, 10, 15)


def test_trap_07_every_page_is_asked_unadjusted_whatever_its_cursor_forgot(
    tmp_path: Path,
) -> None:
    start, end = date(2025, 8, 18), date(2025, 8, 21)  # before a split of 10 for 1
    with running(MARKET) as emulator:
        with connected(emulator, tmp_path, adjusted=True) as adjusting:
            adjusted = adjusting.bars(symbol="ALDR", start=start, end=end)
        with connected(emulator, tmp_path, page_limit=50) as under_test:
            right = under_test.bars(symbol="ALDR", start=start, end=end)
            emulator.play(FaultRule(Fault.LOST_ADJUSTED))
            assert_frame_equal(under_test.bars(symbol="ALDR", start=start, end=end), right)
    assert_series_equal(adjusted["close"], right["close"] * 10)


def test_trap_09_overnight_bars_are_kept_as_they_are() -> None:
    overnight = OPEN_MS - 7 * 3_600_000  # 02:30 New York
    server = Server([aggregates([bar(overnight)])])
    assert client(server).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 1


def test_trap_10_next_url_without_key_on_the_vendors_host_is_fetched_from_ours_with_key() -> None:
    next_url = "https://api.massive.com/v3/trades/A?cursor=YXA9MTI"
    server = Server([page([trade(1, NS)], next_url=next_url), page([trade(2, NS + 1)])])
    assert client(server).trades(symbol="A", start=START, end=END).pages == 2
    assert str(server.requests[1].url) == f"{BASE_URL}/v3/trades/A?cursor=YXA9MTI"
    assert "Authorization" in server.requests[1].headers
