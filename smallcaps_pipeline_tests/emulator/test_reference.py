"""Endpoints of reference data."""

from __future__ import annotations

from datetime import date, timedelta

import httpx
import pytest

from smallcaps_pipeline.emulator import SimulatedMarket
from smallcaps_pipeline_tests.emulator.conftest import LAST
from smallcaps_pipeline_tests.emulator.test_wire import pages, rows


def test_root_page_says_that_all_is_simulated(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.json()["simulated"] is True
    assert "made-up" in answer.json()["source"]
    assert answer.headers["x-simulated"] == "true"
    assert len(answer.headers["x-request-id"]) == 32


def test_tickers_page_in_order(client: httpx.Client, market: SimulatedMarket) -> None:
    found = list(pages(client, "/v3/reference/tickers", limit=3))
    tickers = [row["ticker"] for page in found for row in page["results"]]
    listed = [one.symbol for one in market.companies if one.delisted_date is None]
    assert tickers == sorted(listed)
    assert len(found) == -(-len(listed) // 3)


def test_delisted_name_is_listed_as_of_its_days(
    client: httpx.Client, market: SimulatedMarket
) -> None:
    gone = next(one for one in market.companies if one.delisted_date)
    assert gone.delisted_date is not None
    last_day = gone.delisted_date - timedelta(days=1)
    inactive = rows(client, "/v3/reference/tickers", active="false")
    assert [row["ticker"] for row in inactive] == [gone.symbol]
    assert inactive[0]["delisted_utc"] == f"{gone.delisted_date}T00:00:00Z"
    then = rows(client, "/v3/reference/tickers", date=last_day, limit=1000)
    assert gone.symbol in [row["ticker"] for row in then]
    path = f"/v3/reference/tickers/{gone.symbol}"
    assert client.get(path).status_code == 404
    assert client.get(path, params={"date": last_day.isoformat()}).status_code == 200


def test_unknown_ticker_details_are_404(client: httpx.Client) -> None:
    answer = client.get("/v3/reference/tickers/NONE")
    assert answer.status_code == 404
    assert answer.json()["status"] == "NOT_FOUND"
    assert answer.json()["message"] == "Ticker not found."


def test_market_cap_is_last_close_times_shares(
    client: httpx.Client, market: SimulatedMarket
) -> None:
    details = client.get("/v3/reference/tickers/BRCH").json()["results"]
    close = market.last_close("BRCH", LAST)
    assert close is not None
    expected = close * details["weighted_shares_outstanding"]
    assert details["market_cap"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"ticker": "BRCH"}, {"BRCH"}),
        ({"ticker.gte": "BRCH", "ticker.lt": "DOGW"}, {"BRCH", "CDRX"}),
        ({"type": "ETF"}, {"SFND"}),
        ({"search": "large cap"}, {"SLRG"}),
        ({"exchange": "ARCX"}, {"SFND"}),
    ],
)
def test_tickers_can_be_filtered(
    client: httpx.Client, query: dict[str, str], expected: set[str]
) -> None:
    found = rows(client, "/v3/reference/tickers", **query)
    assert {row["ticker"] for row in found} == expected


def test_short_interest_pages_and_filters(client: httpx.Client) -> None:
    whole = rows(client, "/stocks/v1/short-interest", limit=50_000)
    assert rows(client, "/stocks/v1/short-interest", limit=37) == whole
    since = rows(
        client,
        "/stocks/v1/short-interest",
        limit=100,
        **{"ticker.any_of": "ALDR,BRCH", "settlement_date.gte": "2026-01-01"},
    )
    expected = [
        row
        for row in whole
        if row["ticker"] in ("ALDR", "BRCH") and row["settlement_date"] >= "2026-01-01"
    ]
    assert since == expected
    assert expected


def test_floats_are_one_row_a_ticker(client: httpx.Client) -> None:
    found = rows(client, "/stocks/vX/float", limit=5)
    assert len({row["ticker"] for row in found}) == len(found) > 5
    assert all(0 < row["free_float_percent"] <= 100 for row in found)


def test_both_splits_endpoints_agree(client: httpx.Client) -> None:
    new = rows(client, "/stocks/v1/splits", sort="execution_date.asc", limit=7)
    old = rows(client, "/v3/reference/splits", order="asc", reverse_split="true")
    facts = [{name: row[name] for name in old[0]} for row in new]
    assert facts == old
    assert new[-1]["historical_adjustment_factor"] == 10.0  # prices before the last split: x 10
    assert new[-2]["historical_adjustment_factor"] == 100.0
    assert rows(client, "/v3/reference/splits", reverse_split="false") == []


def test_news_newest_first_and_by_time(client: httpx.Client) -> None:
    found = rows(client, "/v2/reference/news", limit=50)
    times = [row["published_utc"] for row in found]
    assert times == sorted(times, reverse=True)
    cut = times[len(times) // 2]
    later = rows(client, "/v2/reference/news", limit=1000, **{"published_utc.gt": cut})
    assert [row["published_utc"] for row in later] == [at for at in times if at > cut]
    one = found[0]["tickers"][0]
    assert all(row["tickers"] == [one] for row in rows(client, "/v2/reference/news", ticker=one))


def test_code_tables(client: httpx.Client) -> None:
    exchanges = rows(client, "/v3/reference/exchanges")
    assert {row["id"]: row.get("mic") for row in exchanges}[12] == "XNAS"
    conditions = {
        row["id"]: row.get("update_rules", {}).get("consolidated")
        for row in rows(client, "/v3/reference/conditions", limit=1000)
    }
    assert conditions[37] == {
        "updates_high_low": False,
        "updates_open_close": False,
        "updates_volume": True,
    }
    assert not any(conditions[15].values())
    assert conditions[41] is None
    assert "CS" in [row["code"] for row in rows(client, "/v3/reference/tickers/types")]
    assert rows(client, "/stocks/v1/dividends") == []


def test_holidays_are_a_bare_array_of_what_comes(client: httpx.Client) -> None:
    upcoming = client.get("/v1/marketstatus/upcoming").json()
    assert isinstance(upcoming, list)
    assert all(date.fromisoformat(row["date"]) > LAST for row in upcoming)
    early = [row for row in upcoming if row["status"] == "early-close"]
    assert early[0]["date"] == "2026-11-27"  # the day after Thanksgiving
    assert early[0]["close"] == "2026-11-27T18:00:00.000Z"
    assert {
        "exchange": "NYSE",
        "name": "Good Friday",
        "date": "2026-04-03",
        "status": "closed",
    } in (upcoming)
    assert client.get("/v1/marketstatus/now").json()["market"] == "closed"
