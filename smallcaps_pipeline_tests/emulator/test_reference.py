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
    delisted = {row["ticker"]: row["delisted_utc"] for row in inactive}
    assert delisted.keys() == {gone.symbol, "SLRO"}  # the second one's company was renamed
    assert delisted[gone.symbol] == f"{gone.delisted_date}T00:00:00Z"
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


def test_renamed_company_goes_on_under_its_new_symbol(
    client: httpx.Client, market: SimulatedMarket
) -> None:
    renamed = next(one for one in market.companies if one.former_symbol)
    at = renamed.renamed_date
    assert at is not None
    path = f"/vX/reference/tickers/{renamed.symbol}/events"
    events = client.get(path, params={"types": "ticker_change"}).json()["results"]["events"]
    assert [(one["date"], one["ticker_change"]["ticker"]) for one in events] == [
        (at.isoformat(), "SLRG"),
        (renamed.list_date.isoformat(), "SLRO"),
    ]
    before, after = at - timedelta(days=7), at + timedelta(days=7)
    assert market.days("SLRO", before, after)[-1] < at == market.days("SLRG", before, after)[0]
    for day, symbol in ((at - timedelta(days=1), "SLRO"), (at, "SLRG")):
        listed = {row["ticker"] for row in rows(client, "/v3/reference/tickers", date=day)}
        assert listed & {"SLRO", "SLRG"} == {symbol}
    grouped = {row["T"] for row in rows(client, f"/v2/aggs/grouped/locale/us/market/stocks/{at}")}
    assert grouped & {"SLRO", "SLRG"} == {"SLRG"}
    # The price goes on: what was the last close under the old symbol opens the new one's first day.
    close = market.last_close("SLRO", at)
    first = market.daily_bars(at, at, "SLRG")["open"].item()
    assert close is not None
    assert abs(first / close - 1) < 0.05


def test_company_never_renamed_has_one_event_and_an_unknown_one_is_404(
    client: httpx.Client,
) -> None:
    events = client.get("/vX/reference/tickers/BRCH/events").json()["results"]["events"]
    assert [one["ticker_change"]["ticker"] for one in events] == ["BRCH"]
    assert client.get("/vX/reference/tickers/NONE/events").status_code == 404


def test_dividends_come_quarterly_from_two_names(client: httpx.Client) -> None:
    found = rows(client, "/stocks/v1/dividends", limit=5)
    assert {row["ticker"] for row in found} == {"SFND", "SLRG", "SLRO"}
    assert all(row["declaration_date"] < row["ex_dividend_date"] < row["pay_date"] for row in found)
    since = {"ticker": "SFND", "ex_dividend_date.gte": "2025-11-01"}
    assert len(rows(client, "/stocks/v1/dividends", **since)) == 2


def test_short_interest_is_there_once_it_was_published(client: httpx.Client) -> None:
    found = rows(client, "/stocks/v1/short-interest", limit=50_000)
    assert max(row["settlement_date"] for row in found) == "2026-03-13"  # and not LAST, 03-31


def test_snapshot_is_how_the_last_day_ended(client: httpx.Client, market: SimulatedMarket) -> None:
    path = "/v2/snapshot/locale/us/markets/stocks/tickers"
    answer = client.get(path, params={"tickers": "BRCH,NONE"}).json()
    (row,) = answer["tickers"]  # an unknown symbol is dropped without a word
    daily = market.daily_bars(LAST, LAST, "BRCH").row(0, named=True)
    assert (row["day"]["c"], row["day"]["v"]) == (daily["close"], daily["volume"])
    bars = market.bars("BRCH", LAST)
    assert row["min"]["c"] == bars["close"][-1]
    assert row["min"]["av"] == pytest.approx(bars["volume"].sum())
    trades, quotes = market.trades("BRCH", LAST), market.quotes("BRCH", LAST)
    assert row["lastTrade"]["t"] == trades["timestamp"].to_physical()[-1]
    assert row["lastQuote"]["P"] == quotes["ask_price"][-1]
    everyone = client.get(path).json()["tickers"]
    listed = [one for one in market.companies if one.delisted_date is None]
    assert {one["ticker"] for one in everyone} == {one.symbol for one in listed}
