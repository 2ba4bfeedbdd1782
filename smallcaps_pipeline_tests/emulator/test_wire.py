"""Endpoints as a client sees them: bars are the aggregate of the trades on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import Plan, SimulatedMarket, running
from smallcaps_pipeline.emulator.options import Links, Options
from smallcaps_pipeline.emulator.paging import decode_cursor
from smallcaps_pipeline_tests.emulator.conftest import LAST, client_of

DAY = "2025-10-15"
Row = dict[str, Any]


def pages(client: httpx.Client, path: str, **query: Any) -> Iterator[dict[str, Any]]:
    """Follow next links as our client has to: only path and query, on our own host."""
    answer = client.get(path, params=query).raise_for_status().json()
    yield answer
    while link := answer.get("next_url"):
        assert "apiKey" not in link
        split = urlsplit(link)
        answer = client.get(f"{split.path}?{split.query}").raise_for_status().json()
        yield answer


def rows(client: httpx.Client, path: str, **query: Any) -> list[Row]:
    return [row for page in pages(client, path, **query) for row in page.get("results", [])]


def ticks(client: httpx.Client, kind: str, symbol: str, day: str, **query: Any) -> list[Row]:
    asked = {"timestamp": day, "order": "asc", "limit": 50_000} | query
    return rows(client, f"/v3/{kind}/{symbol}", **asked)


def minutes(client: httpx.Client, symbol: str, day: str, **query: Any) -> list[Row]:
    asked = {"adjusted": "false", "sort": "asc", "limit": 50_000} | query
    return rows(client, f"/v2/aggs/ticker/{symbol}/range/1/minute/{day}/{day}", **asked)


def _rules(client: httpx.Client) -> dict[int, dict[str, bool]]:
    found = rows(client, "/v3/reference/conditions", asset_class="stocks", limit=1000)
    return {
        row["id"]: row["update_rules"]["consolidated"] for row in found if "update_rules" in row
    }


def _is_regular(ns: int, day: date) -> bool:
    start, end = sessions.session_bounds(day)[sessions.Session.RTH]
    return start.timestamp() <= ns / 1e9 < end.timestamp()


def _updates(trade: Row, rule: str, rules: dict[int, dict[str, bool]], *, form_t: bool) -> bool:
    """Apply the provider's rule: every condition must allow it; corrections 0 and 1 exist."""
    if trade.get("correction", 0) not in (0, 1):
        return False
    codes = trade.get("conditions", [])
    return all(rules[code][rule] for code in codes if not (form_t and code == 12))


def _size(trade: Row) -> float:
    return float(trade["decimal_size"] if "decimal_size" in trade else trade["size"])


@pytest.mark.parametrize("symbol", ["ALDR", "BRCH", "SPNY"])
@pytest.mark.parametrize("day", [DAY, "2025-11-28", "2026-02-25"])
def test_minute_bars_are_the_aggregate_of_the_trades(
    client: httpx.Client, symbol: str, day: str
) -> None:
    rules, on = _rules(client), date.fromisoformat(day)
    by_minute: dict[int, list[Row]] = {}
    for trade in ticks(client, "trades", symbol, day):
        by_minute.setdefault(trade["sip_timestamp"] // 60_000_000_000 * 60_000, []).append(trade)
    expected = {}
    for minute, trades in by_minute.items():
        form_t = not _is_regular(minute * 10**6, on)

        def picked(rule: str, trades: list[Row] = trades, form_t: bool = form_t) -> list[Row]:
            return [t for t in trades if _updates(t, f"updates_{rule}", rules, form_t=form_t)]

        ends, ranged, counted = picked("open_close"), picked("high_low"), picked("volume")
        if ends:
            volume = sum(_size(t) for t in counted)
            expected[minute] = {
                "o": ends[0]["price"],
                "c": ends[-1]["price"],
                "h": max(t["price"] for t in ranged),
                "l": min(t["price"] for t in ranged),
                "v": pytest.approx(volume, rel=1e-9),
                "vw": pytest.approx(sum(_size(t) * t["price"] for t in counted) / volume, abs=1e-4),
                "n": len(counted),
            }
    bars = minutes(client, symbol, day)
    assert {bar.pop("t"): bar for bar in bars} == expected


@pytest.mark.parametrize("symbol", ["ALDR", "BRCH", "SPNY"])
@pytest.mark.parametrize("day", [DAY, "2025-11-28", "2026-02-25"])
def test_daily_bars_are_the_aggregate_of_the_trades(
    client: httpx.Client, symbol: str, day: str
) -> None:
    rules, on = _rules(client), date.fromisoformat(day)
    trades = ticks(client, "trades", symbol, day)

    def picked(rule: str) -> list[Row]:
        return [t for t in trades if _updates(t, f"updates_{rule}", rules, form_t=False)]

    ends, ranged, counted = picked("open_close"), picked("high_low"), picked("volume")
    grouped = rows(client, f"/v2/aggs/grouped/locale/us/market/stocks/{day}", adjusted="false")
    bar = next(row for row in grouped if row["T"] == symbol)
    assert (bar["o"], bar["c"]) == (ends[0]["price"], ends[-1]["price"])
    assert bar["h"] == max(t["price"] for t in ranged)
    assert bar["l"] == min(t["price"] for t in ranged)
    assert bar["v"] == pytest.approx(sum(_size(t) for t in counted), rel=1e-9)
    assert bar["n"] == len(counted)
    path = f"/v2/aggs/ticker/{symbol}/range/1/day/{day}/{day}"
    ranged_bar = rows(client, path, adjusted="false")[0]
    four, midnight = (
        int(sessions.new_york_time(on, at).timestamp()) * 1000 for at in (time(16), time())
    )
    assert (bar.pop("t"), ranged_bar.pop("t")) == (four, midnight)  # the labels differ
    assert bar.pop("T") == symbol
    assert ranged_bar == bar


@pytest.mark.parametrize("kind", ["trades", "quotes"])
@pytest.mark.parametrize("limit", [7, 50])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_page_size_changes_nothing(client: httpx.Client, kind: str, limit: int, order: str) -> None:
    whole = ticks(client, kind, "ALDR", DAY)[:400]
    end = whole[-1]["sip_timestamp"]
    paged = rows(
        client,
        f"/v3/{kind}/ALDR",
        order=order,
        limit=limit,
        **{"timestamp.gte": DAY, "timestamp.lte": end},
    )
    whole = [row for row in ticks(client, kind, "ALDR", DAY) if row["sip_timestamp"] <= end]
    assert paged == (whole if order == "asc" else whole[::-1])


def test_rows_of_one_nanosecond_survive_a_page_edge(client: httpx.Client) -> None:
    """A sweep's prints share a timestamp; every edge that can fall between them is tried."""
    whole = ticks(client, "trades", "BRCH", DAY)
    at = next(i for i in range(1, len(whole)) if _same_time(whole[i - 1], whole[i]))
    start, stop = whole[at - 1]["sip_timestamp"], whole[at + 3]["sip_timestamp"]
    bounds = {"timestamp.gte": start, "timestamp.lte": stop}
    asked = rows(client, "/v3/trades/BRCH", order="asc", limit=50_000, **bounds)
    assert len(asked) >= 4
    for order, expected in (("asc", asked), ("desc", asked[::-1])):
        assert rows(client, "/v3/trades/BRCH", order=order, limit=1, **bounds) == expected


def _same_time(one: Row, other: Row) -> bool:
    return bool(one["sip_timestamp"] == other["sip_timestamp"])


def test_ticks_come_newest_first_and_a_thousand_at_a_time(client: httpx.Client) -> None:
    page = client.get("/v3/quotes/BRCH").json()
    times = [row["sip_timestamp"] for row in page["results"]]
    assert len(times) == 1000
    assert times == sorted(times, reverse=True)
    day = sessions.trading_day_of(datetime.fromtimestamp(times[0] // 10**9, sessions.NEW_YORK_TZ))
    assert day == LAST


def test_cursor_reads_like_the_providers(client: httpx.Client) -> None:
    asked: dict[str, str | int] = {
        "order": "asc",
        "limit": 3,
        "timestamp.gte": DAY,
        "timestamp.lt": "2025-10-16",
    }
    page = client.get("/v3/trades/ALDR", params=asked).json()
    link = urlsplit(page["next_url"])
    assert link.netloc == "api.massive.com"
    fields = decode_cursor(link.query.removeprefix("cursor="))
    last = page["results"][-1]
    assert list(fields)[:5] == ["ap", "as", "limit", "order", "sort"]
    assert fields["ap"] == str(last["sequence_number"])
    assert fields["timestamp.lt"] == "2025-10-16T04:00:00Z"
    seconds, ns = divmod(last["sip_timestamp"], 10**9)
    assert fields["timestamp.gte"].endswith(f".{ns:09d}".rstrip("0") + "Z")
    assert fields["timestamp.gte"].startswith(f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}")


@pytest.mark.parametrize("sort", ["asc", "desc"])
@pytest.mark.parametrize("width", ["minute", "day"])
def test_bars_page_without_loss_and_keep_their_basis(
    client: httpx.Client, sort: str, width: str
) -> None:
    path = f"/v2/aggs/ticker/ALDR/range/1/{width}/2025-10-30/2025-11-04"
    whole = rows(client, path, adjusted="false", sort=sort, limit=50_000)
    limit = 2 if width == "day" else 97
    found = list(pages(client, path, adjusted="false", sort=sort, limit=limit))
    assert [row for page in found for row in page["results"]] == whole
    assert {page["adjusted"] for page in found} == {False}
    assert all(page["resultsCount"] == page["queryCount"] <= limit for page in found)
    assert len({row["t"] for row in whole}) == len(whole)


def test_from_and_to_in_milliseconds_are_both_included(client: httpx.Client) -> None:
    whole = minutes(client, "BRCH", DAY)
    first, last = whole[10]["t"], whole[20]["t"]
    path = f"/v2/aggs/ticker/BRCH/range/1/minute/{first}/{last}"
    assert rows(client, path, adjusted="false") == whole[10:21]
    inside = f"/v2/aggs/ticker/BRCH/range/1/minute/{first + 30_000}/{last}"
    assert rows(client, inside, adjusted="false") == whole[10:21]  # snapped down to the minute


def test_adjusted_bars_are_rescaled_for_later_splits_only() -> None:
    market = SimulatedMarket(seed=7, symbols=1, first=date(2025, 1, 2), last=date(2025, 12, 31))
    splits = [day for day in market.splits()["execution_date"] if day.year == 2025]
    before = sessions.previous_trading_day(splits[0])
    with running(market) as server, client_of(server) as client:
        path = f"/v2/aggs/ticker/ALDR/range/1/day/{before}/{splits[0]}"
        raw, raw_after = rows(client, path, adjusted="false")
        adjusted, after = rows(client, path)
    assert after == raw_after
    assert adjusted["c"] == pytest.approx(10 * raw["c"])
    assert adjusted["v"] == pytest.approx(raw["v"] / 10)


@pytest.mark.parametrize(
    ("path", "results"),
    [
        ("/v2/aggs/ticker/ALDR/range/1/minute/2025-12-25/2025-12-25", None),
        ("/v2/aggs/ticker/NONE/range/1/minute/2025-10-15/2025-10-15", None),
        ("/v2/aggs/grouped/locale/us/market/stocks/2025-12-25", None),
        ("/v3/trades/NONE", []),
        ("/v3/quotes/ALDR?timestamp=2025-12-25", []),
    ],
)
def test_nothing_there_is_an_empty_answer_not_an_error(
    client: httpx.Client, path: str, results: list[Row] | None
) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.json().get("results") == results
    assert ("results" in answer.json()) == (results is not None)


def test_unknown_fields_are_left_out_and_integers_are_integers(client: httpx.Client) -> None:
    text = client.get("/v3/trades/BRCH", params={"timestamp": DAY, "limit": 1000}).text
    assert "null" not in text
    trades = json.loads(text)["results"]
    assert any("conditions" not in row for row in trades)
    assert any("trf_id" not in row for row in trades)
    whole = ("size", "sip_timestamp", "participant_timestamp", "sequence_number", "exchange")
    assert all(type(row[name]) is int for row in trades for name in whole)
    assert all(type(row["id"]) is str for row in trades)


def test_one_sided_quotes_have_a_price_of_zero(client: httpx.Client) -> None:
    quotes = ticks(client, "quotes", "BRCH", DAY)
    missing = [row for row in quotes if row["bid_price"] == 0]
    assert missing
    assert {(row["bid_size"], row["bid_exchange"]) for row in missing} == {(0, 0)}


@pytest.mark.parametrize(
    "path",
    [
        "/v2/aggs/ticker/ALDR/range/1/minute/yesterday/2025-10-15",
        "/v2/aggs/ticker/ALDR/range/1/minute/2025-13-01/2025-10-15",
        "/v2/aggs/ticker/ALDR/range/1/week/2025-10-15/2025-10-15",
        "/v3/trades/ALDR?limit=50001",
        "/v3/trades/ALDR?order=up",
        "/v3/trades/ALDR?cursor=%21%21",
        "/v3/trades/ALDR?cursor=YXA9NQ",  # ap without the time it belongs to
        "/stocks/vX/float?page_marker=x",
        "/v3/trades/ALDR?timestamp.gte=noon",
        "/stocks/v1/splits?sort=nothing.asc",
    ],
)
def test_bad_parameters_are_refused(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.json()["status"] == "ERROR"
    assert answer.json()["error"]


def test_links_can_name_the_own_host(market: SimulatedMarket) -> None:
    with running(market, options=Options(links=Links.OWN)) as server, client_of(server) as client:
        link = client.get("/v3/trades/ALDR", params={"limit": 5}).json()["next_url"]
        assert link.startswith(server.base_url + "/v3/trades/ALDR?cursor=")
        assert client.get(link).status_code == 200


@pytest.mark.parametrize(
    ("path", "plan", "text"),
    [
        ("/v3/quotes/ALDR", Plan.DEVELOPER, "not entitled"),
        ("/v3/trades/ALDR", Plan.STARTER, "not entitled"),
        ("/v2/aggs/grouped/locale/us/market/stocks/2019-01-02", Plan.STARTER, "timeframe"),
        ("/v2/aggs/grouped/locale/us/market/stocks/2027-01-04", Plan.ADVANCED, "timeframe"),
    ],
)
def test_plan_gates_answer_403(market: SimulatedMarket, path: str, plan: Plan, text: str) -> None:
    with running(market, options=Options(plan=plan)) as server, client_of(server) as client:
        refused = client.get(path)
        granted = client.get("/v2/aggs/grouped/locale/us/market/stocks/2025-12-01")
    assert refused.status_code == 403
    assert refused.json()["status"] == "NOT_AUTHORIZED"
    assert text in refused.json()["message"]
    assert granted.status_code == 200
