"""The provider's known traps (its fact sheet, section 0), one test by name for each that meets us.

Traps 6 (Form T sets premarket prices) and 9 (overnight sessions) concern what is computed of the
rows; 4 is met here as far as raw sizes are kept raw.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from smallcaps_pipeline.polygon import errors
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


def test_trap_1_t_is_the_minutes_start_in_bars_and_16_00_in_grouped_daily() -> None:
    minute = client(Server([aggregates([bar(OPEN_MS)])])).bars(symbol="A", start=DAY, end=NEXT_DAY)
    assert minute["timestamp"].item() == START
    at_16_00 = 1_759_867_200_000  # 2025-10-07 20:00 UTC
    daily = client(Server([aggregates([bar(at_16_00, T="A")])])).grouped_daily(day=DAY)
    assert daily["date"].item() == DAY


def test_trap_2_ticks_are_asked_oldest_first_in_full_pages() -> None:
    server = Server([page([])])
    client(server).trades(symbol="A", start=START, end=END)
    assert "order=asc" in server.targets[0]
    assert "limit=50000" in server.targets[0]


def test_trap_3_minutes_without_a_trade_have_no_row_and_an_empty_range_no_results() -> None:
    holes = Server([aggregates([bar(OPEN_MS), bar(OPEN_MS + 7 * 60_000)])])
    assert client(holes).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 2
    nothing = Server([aggregates([])])
    assert client(nothing).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 0


def test_trap_4_quote_sizes_stay_the_raw_number() -> None:
    frame = client(Server([page([quote(1, NS, bid_size=3)])])).quotes(
        symbol="A", start=START, end=END
    )
    assert frame.frame["bid_size"].item() == 3.0


def test_trap_5_volume_and_size_are_fractional() -> None:
    bars = Server([aggregates([bar(OPEN_MS, v=9099.618093)])])
    assert client(bars).bars(symbol="A", start=DAY, end=NEXT_DAY)["volume"].item() == 9099.618093
    trades = Server([page([trade(1, NS, size=1, decimal_size="0.618093")])])
    ticks = client(trades).trades(symbol="A", start=START, end=END)
    assert ticks.frame["size"].item() == 0.618093


def test_trap_7_bars_are_asked_unadjusted_and_adjusted_ones_refused() -> None:
    server = Server([aggregates([bar(OPEN_MS)], adjusted=True)])
    with pytest.raises(errors.WrongAdjustment):
        client(server).bars(symbol="A", start=DAY, end=NEXT_DAY)
    assert "adjusted=false" in server.targets[0]


def test_trap_8_point_in_time_dates_are_sent_and_kept() -> None:
    server = Server([{**page([]), "results": {"ticker": "A"}}])
    frame = client(server).ticker_details(symbol="A", as_of=DAY)
    assert server.targets == ["/v3/reference/tickers/A?date=2025-10-07"]
    assert frame["as_of"].item() == DAY


def test_trap_9_overnight_bars_are_kept_as_they_are() -> None:
    overnight = OPEN_MS - 7 * 3_600_000  # 02:30 New York
    server = Server([aggregates([bar(overnight)])])
    assert client(server).bars(symbol="A", start=DAY, end=NEXT_DAY).height == 1


def test_trap_10_next_url_without_key_on_the_vendors_host_is_fetched_from_ours_with_key() -> None:
    next_url = "https://api.massive.com/v3/trades/A?cursor=YXA9MTI"
    server = Server([page([trade(1, NS)], next_url=next_url), page([trade(2, NS + 1)])])
    assert client(server).trades(symbol="A", start=START, end=END).pages == 2
    assert str(server.requests[1].url) == f"{BASE_URL}/v3/trades/A?cursor=YXA9MTI"
    assert "Authorization" in server.requests[1].headers
