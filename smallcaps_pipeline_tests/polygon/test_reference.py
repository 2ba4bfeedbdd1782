"""Reference endpoints: what is asked, what comes back, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import polars as pl
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon import errors
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline_tests.polygon.server import Server, asked, client, page

START = datetime(2025, 10, 7, 13, 32, tzinfo=UTC)
END = START + timedelta(minutes=10)
DAY = date(2025, 10, 7)


def test_tickers_of_a_date_are_paged_and_unfiltered() -> None:
    next_url = "https://api.massive.com/v3/reference/tickers?cursor=c"
    server = Server([page([{"ticker": "B"}], next_url=next_url), page([{"ticker": "A"}])])
    frame = client(server).tickers(as_of=DAY, active=False)
    assert asked(server) == (
        "/v3/reference/tickers",
        {
            "market": "stocks",
            "date": "2025-10-07",
            "active": "false",
            "sort": "ticker",
            "order": "asc",
            "limit": "1000",
        },
    )
    assert frame["symbol"].to_list() == ["A", "B"]
    assert frame.schema == schemas.TICKER_DETAILS.schema


def test_details_of_an_unknown_ticker_are_not_found() -> None:
    server = Server([httpx.Response(404, json={"message": "Ticker not found."})])
    with pytest.raises(errors.NotFound, match="/v3/reference/tickers/ZZZZ"):
        client(server).ticker_details(symbol="ZZZZ", as_of=DAY)


def _short(c: PolygonClient) -> pl.DataFrame:
    return c.short_interest(start=DAY, end=date(2025, 11, 1), symbol="A")


def _float(c: PolygonClient) -> pl.DataFrame:
    return c.float_shares(symbol="A")


def _splits(c: PolygonClient) -> pl.DataFrame:
    return c.splits(start=DAY, end=date(2025, 11, 1))


def _dividends(c: PolygonClient) -> pl.DataFrame:
    return c.dividends(start=DAY, end=date(2025, 11, 1), symbol="A")


@pytest.mark.parametrize(
    ("call", "row", "target", "table"),
    [
        (
            _short,
            {"ticker": "A", "settlement_date": "2025-10-15", "short_interest": 3},
            "/stocks/v1/short-interest?ticker=A&settlement_date.gte=2025-10-07"
            "&settlement_date.lt=2025-11-01&limit=50000",
            schemas.SHORT_INTEREST,
        ),
        (
            _float,
            {"ticker": "A", "effective_date": "2025-10-15", "free_float": 5_000_000},
            "/stocks/vX/float?ticker=A&limit=5000",
            schemas.FLOAT_SHARES,
        ),
        (
            _splits,
            {"ticker": "A", "execution_date": "2025-10-31", "split_from": 10, "split_to": 1},
            "/stocks/v1/splits?execution_date.gte=2025-10-07&execution_date.lt=2025-11-01"
            "&sort=execution_date.asc&limit=5000",
            schemas.SPLITS,
        ),
        (
            _dividends,
            {"ticker": "A", "ex_dividend_date": "2025-10-07", "cash_amount": 0.26, "id": "E"},
            "/stocks/v1/dividends?ticker=A&ex_dividend_date.gte=2025-10-07"
            "&ex_dividend_date.lt=2025-11-01&limit=5000",
            schemas.DIVIDENDS,
        ),
    ],
)
def test_reference_endpoint(
    call: Callable[[PolygonClient], pl.DataFrame],
    row: dict[str, Any],
    target: str,
    table: schemas.Table,
) -> None:
    server = Server([page([row, row])])
    frame = call(client(server))
    assert server.targets == [target]
    assert frame.schema == table.schema
    assert frame.height == 1  # a row that is sent twice is one row


def test_split_on_the_end_date_is_refused() -> None:
    row = {"ticker": "A", "execution_date": "2025-11-01", "split_from": 10, "split_to": 1}
    with pytest.raises(errors.OutsideRequest):
        _splits(client(Server([page([row])])))


def test_news_are_of_the_asked_symbol_only() -> None:
    row = {"id": "n", "published_utc": "2025-10-07T13:33:00Z", "title": "T", "tickers": ["B", "A"]}
    server = Server([page([row, row])])
    frame = client(server).news(symbol="A", start=START, end=END)
    assert frame.rows() == [("A", datetime(2025, 10, 7, 13, 33, tzinfo=UTC), "n", "T")]
    assert asked(server) == (
        "/v2/reference/news",
        {
            "ticker": "A",
            "published_utc.gte": "2025-10-07T13:32:00.000000Z",
            "published_utc.lt": "2025-10-07T13:42:00.000000Z",
            "order": "asc",
            "sort": "published_utc",
            "limit": "1000",
        },
    )


def test_codes_and_venues() -> None:
    venues = [{"id": 4, "type": "TRF", "name": "B"}, {"id": 4, "type": "TRF", "name": "A"}]
    server = Server([page([{"id": 12, "type": "sale_condition"}]), page(venues)])
    under_test = client(server)
    assert under_test.conditions()["condition_id"].to_list() == [12]
    assert under_test.exchanges()["name"].to_list() == ["A", "B"]  # the id alone is no key
    assert server.targets == [
        "/v3/reference/conditions?asset_class=stocks&limit=1000",
        "/v3/reference/exchanges?asset_class=stocks&locale=us",
    ]


def test_market_status_and_holidays_are_bare() -> None:
    now = {"market": "closed", "serverTime": "2025-10-07T12:00:00-04:00"}
    day = {"date": "2025-11-27", "exchange": "NYSE", "name": "Thanksgiving", "status": "closed"}
    server = Server([now, [day]])
    under_test = client(server)
    assert under_test.market_status()["market"].item() == "closed"
    assert under_test.upcoming_holidays()["date"].to_list() == [date(2025, 11, 27)]
    assert server.targets == ["/v1/marketstatus/now", "/v1/marketstatus/upcoming"]
