"""Each endpoint: what is asked, what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.sessions import NEW_YORK_TZ
from smallcaps_pipeline_tests.polygon.server import (
    Server,
    aggregates,
    asked,
    bar,
    client,
    page,
    quote,
    trade,
)

START = datetime(2025, 10, 7, 13, 32, tzinfo=UTC)
END = START + timedelta(minutes=10)
NS = 1_759_843_920_000_000_000  # START; 2025-10-07 13:32 UTC
DAY = date(2025, 10, 7)
OPEN_MS = 1_759_843_800_000  # 09:30 New York on that day


# bars -------------------------------------------------------------------------------------------


def test_bars_of_a_range_are_one_request_without_adjustment() -> None:
    server = Server([aggregates([bar(OPEN_MS), bar(OPEN_MS + 60_000)])])
    frame = client(server).bars(symbol="AEMD", start=date(2025, 1, 1), end=date(2026, 1, 1))
    assert asked(server) == (
        "/v2/aggs/ticker/AEMD/range/1/minute/2025-01-01/2025-12-31",  # the provider's end is in
        {"adjusted": "false", "sort": "asc", "limit": "50000"},
    )
    assert frame.schema == schemas.BARS.schema
    assert frame["symbol"].unique().to_list() == ["AEMD"]


def test_bars_go_on_from_the_minute_after_the_last_and_ask_for_everything_again() -> None:
    """A bars cursor forgets `adjusted`, and the default is true: the cursor is never used."""
    next_url = "https://api.massive.com/v2/aggs/ticker/AEMD/range/1/minute/1/2?cursor=bGlt"
    server = Server(
        [
            aggregates([bar(OPEN_MS), bar(OPEN_MS + 120_000)], next_url=next_url),
            aggregates([bar(OPEN_MS + 180_000)]),
        ]
    )
    frame = client(server, page_limit=2).bars(symbol="AEMD", start=DAY, end=date(2025, 10, 9))
    assert frame.height == 3
    assert asked(server, 1) == (
        f"/v2/aggs/ticker/AEMD/range/1/minute/{OPEN_MS + 180_000}/2025-10-08",
        {"adjusted": "false", "sort": "asc", "limit": "2"},
    )


def test_full_last_page_of_bars_ends_at_the_last_minute() -> None:
    """23:59 New York is the last minute of the range: nothing can follow it."""
    last_minute = OPEN_MS + ((23 * 60 + 59) - (9 * 60 + 30)) * 60_000
    server = Server([aggregates([bar(last_minute)], next_url="https://x/y?cursor=1")])
    assert client(server).bars(symbol="A", start=DAY, end=date(2025, 10, 8)).height == 1
    assert len(server.requests) == 1


def test_bars_page_without_bars_but_with_a_next_one_is_incomplete() -> None:
    server = Server([aggregates([], next_url="https://x/y?cursor=1")])
    with pytest.raises(errors.IncompleteAnswer):
        client(server).bars(symbol="A", start=DAY, end=date(2025, 10, 8))


def test_bars_page_that_comes_again_raises_instead_of_going_round() -> None:
    same = aggregates([bar(OPEN_MS)], next_url="https://x/y?cursor=1")
    server = Server([same, same])
    with pytest.raises(errors.RepeatedCursor):
        client(server).bars(symbol="A", start=DAY, end=date(2025, 10, 8))


def test_bars_that_do_not_ascend_cannot_be_continued() -> None:
    rows = [bar(OPEN_MS + 60_000), bar(OPEN_MS)]
    server = Server([aggregates(rows, next_url="https://x/y?cursor=1")])
    with pytest.raises(errors.OutsideRequest, match="ascending"):
        client(server).bars(symbol="A", start=DAY, end=date(2025, 10, 8))


@pytest.mark.parametrize(
    ("wanted", "stated"), [(False, True), (True, False), (False, None)], ids=str
)
def test_bars_adjusted_otherwise_than_asked_are_refused(wanted: bool, stated: bool | None) -> None:
    answer = aggregates([bar(OPEN_MS)])
    answer["adjusted"] = stated
    with pytest.raises(errors.WrongAdjustment, match=f"adjusted={wanted}"):
        client(Server([answer]), adjusted=wanted).bars(symbol="A", start=DAY, end=date(2025, 10, 8))


def test_adjustment_is_checked_on_every_page() -> None:
    server = Server(
        [
            aggregates([bar(OPEN_MS)], next_url="https://x/y?cursor=1"),
            aggregates([bar(OPEN_MS + 60_000)], adjusted=True),
        ]
    )
    with pytest.raises(errors.WrongAdjustment):
        client(server).bars(symbol="A", start=DAY, end=date(2025, 10, 8))


@pytest.mark.parametrize(
    ("day", "midnight_utc"),
    [
        (date(2025, 3, 9), datetime(2025, 3, 9, 5, tzinfo=UTC)),  # clocks go forward: 23 hours
        (date(2025, 11, 2), datetime(2025, 11, 2, 4, tzinfo=UTC)),  # clocks go back: 25 hours
        (date(2025, 7, 1), datetime(2025, 7, 1, 4, tzinfo=UTC)),
    ],
)
def test_bars_keep_to_new_york_days_however_the_provider_cuts_them(
    day: date, midnight_utc: datetime
) -> None:
    next_midnight = {3: timedelta(hours=23), 11: timedelta(hours=25), 7: timedelta(hours=24)}
    first = int(midnight_utc.timestamp() * 1000)
    beyond = first + int(next_midnight[day.month].total_seconds() * 1000)
    minutes = [first - 60_000, first, beyond - 60_000, beyond]
    server = Server([aggregates([bar(t) for t in minutes])])
    frame = client(server).bars(symbol="A", start=day, end=day + timedelta(days=1))
    assert [int(t.timestamp() * 1000) for t in frame["timestamp"]] == minutes[1:3]


def test_grouped_daily_is_one_call_for_the_market() -> None:
    close = OPEN_MS + int(6.5 * 3_600_000)  # t is 16:00 New York here
    server = Server([aggregates([bar(close, T="BRK.A"), bar(close, T="AEMD", v=1.5)])])
    frame = client(server).grouped_daily(day=DAY)
    assert asked(server) == (
        "/v2/aggs/grouped/locale/us/market/stocks/2025-10-07",
        {"adjusted": "false", "include_otc": "false"},
    )
    assert frame.schema == schemas.DAILY_BARS.schema
    assert frame.select("symbol", "date", "volume").rows() == [
        ("AEMD", DAY, 1.5),
        ("BRK.A", DAY, 1000.0),
    ]


def test_grouped_daily_of_another_day_is_refused() -> None:
    server = Server([aggregates([bar(OPEN_MS - 86_400_000, T="A")])])
    with pytest.raises(errors.OutsideRequest):
        client(server).grouped_daily(day=DAY)


# ticks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_ticks_are_asked_half_open_in_ns_ascending_in_full_pages(kind: str) -> None:
    server = Server([page([])])
    ticks = getattr(client(server), kind)(symbol="AEMD", start=START, end=END)
    assert asked(server) == (
        f"/v3/{kind}/AEMD",
        {
            "timestamp.gte": str(NS),
            "timestamp.lt": str(NS + 600 * 10**9),
            "order": "asc",
            "sort": "timestamp",
            "limit": "50000",
        },
    )
    table = schemas.TRADES if kind == "trades" else schemas.QUOTES
    assert_frame_equal(ticks.frame, table.empty())
    assert ticks.pages == 1


def test_instants_of_another_zone_are_the_same_instants() -> None:
    new_york = START.astimezone(NEW_YORK_TZ)
    server = Server([page([trade(1, NS)])])
    later = END + timedelta(microseconds=1)
    assert client(server).trades(symbol="A", start=new_york, end=later).frame.height == 1
    assert asked(server)[1]["timestamp.gte"] == str(NS)
    assert asked(server)[1]["timestamp.lt"] == str(NS + 600 * 10**9 + 1_000)


def test_rows_that_share_a_timestamp_over_a_page_edge_are_each_kept_once() -> None:
    """The second page repeats the last row of the first and goes on within its nanosecond."""
    next_url = "https://api.massive.com/v3/trades/AEMD?cursor=a"
    server = Server(
        [
            page([trade(1, NS), trade(2, NS + 1), trade(3, NS + 1)], next_url=next_url),
            page([trade(3, NS + 1), trade(5, NS + 1), trade(4, NS + 1), trade(6, NS + 2)]),
        ]
    )
    ticks = client(server).trades(symbol="AEMD", start=START, end=END)
    assert ticks.frame["sequence_number"].to_list() == [1, 2, 3, 4, 5, 6]
    assert ticks.pages == 2


def test_trades_of_one_sequence_number_on_two_venues_are_two_trades() -> None:
    rows = [trade(1, NS, exchange=12), trade(1, NS, exchange=4), trade(1, NS, exchange=4, id="b")]
    frame = client(Server([page(rows)])).trades(symbol="A", start=START, end=END).frame
    assert frame.select("exchange", "trade_id").rows() == [(4, "1"), (4, "b"), (12, "1")]


def test_quotes_are_told_apart_by_both_exchanges() -> None:
    rows = [quote(1, NS), quote(1, NS, bid_exchange=19), quote(1, NS)]
    frame = client(Server([page(rows)])).quotes(symbol="A", start=START, end=END).frame
    assert frame["bid_exchange"].to_list() == [11, 19]


@pytest.mark.parametrize("outside", [NS - 1, NS + 600 * 10**9])
def test_row_outside_the_window_is_refused_not_dropped(outside: int) -> None:
    """A filter that got lost on the way may have cost rows, too."""
    server = Server([page([trade(1, NS), trade(2, outside)])])
    with pytest.raises(errors.OutsideRequest):
        client(server).trades(symbol="A", start=START, end=END)


def test_rows_at_both_edges_of_the_window() -> None:
    server = Server([page([trade(1, NS), trade(2, NS + 600 * 10**9 - 1)])])
    assert client(server).trades(symbol="A", start=START, end=END).frame.height == 2


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(5, 6), st.integers(11, 14)),
        min_size=1,
        max_size=12,
    ),
    cuts=st.sets(st.integers(1, 11), max_size=3),
    swap=st.randoms(use_true_random=False),
)
def test_neither_page_size_nor_row_order_changes_anything(
    rows: list[tuple[int, int, int, int]], cuts: set[int], swap: Any
) -> None:
    # Copies of one identity may differ in price and conditions, as in a sample of the vendor's.
    sent = [trade(n, NS + ns, price=usd, conditions=[code]) for n, ns, usd, code in rows]
    whole = client(Server([page(sent)])).trades(symbol="A", start=START, end=END).frame
    swap.shuffle(sent)
    edges = [0, *sorted(c for c in cuts if c < len(sent)), len(sent)]
    answers = [page(sent[a:b]) for a, b in pairwise(edges)]
    for number, answer in enumerate(answers[:-1]):
        answer["next_url"] = f"https://api.massive.com/v3/trades/A?cursor={number}"
    ticks = client(Server(list(answers))).trades(symbol="A", start=START, end=END)
    assert ticks.pages == len(answers)
    assert_frame_equal(ticks.frame, whole)


def test_last_quote_before_is_one_request_whatever_follows() -> None:
    next_url = "https://api.massive.com/v3/quotes/A?cursor=a"
    server = Server([page([quote(9, NS - 1)], next_url=next_url)])
    frame = client(server).last_quote_before(symbol="AEMD", before=START)
    assert frame["sequence_number"].to_list() == [9]
    assert asked(server) == (
        "/v3/quotes/AEMD",
        {"timestamp.lt": str(NS), "order": "desc", "sort": "timestamp", "limit": "1"},
    )


def test_no_quote_before_is_an_empty_frame() -> None:
    frame = client(Server([page([])])).last_quote_before(symbol="A", before=START)
    assert_frame_equal(frame, schemas.QUOTES.empty())


def test_quote_at_the_instant_itself_is_not_before_it() -> None:
    with pytest.raises(errors.OutsideRequest):
        client(Server([page([quote(1, NS)])])).last_quote_before(symbol="A", before=START)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.trades(symbol="A", start=START.replace(tzinfo=None), end=END),
        lambda c: c.quotes(symbol="A", start=START, end=END.replace(tzinfo=None)),
        lambda c: c.last_quote_before(symbol="A", before=START.replace(tzinfo=None)),
        lambda c: c.trades(symbol="A", start=END, end=START),
        lambda c: c.trades(symbol="A", start=START, end=START),
        lambda c: c.bars(symbol="A", start=DAY, end=DAY),
        lambda c: c.splits(start=DAY, end=DAY),
        lambda c: c.bars(symbol="", start=DAY, end=date(2025, 10, 8)),
        lambda c: c.trades(symbol=" AEMD", start=START, end=END),
    ],
)
def test_impossible_question_is_refused_before_it_is_asked(
    call: Callable[[PolygonClient], object],
) -> None:
    server = Server([])
    with pytest.raises(ValueError):
        call(client(server))
    assert server.requests == []
