"""A JSON page becomes a frame of the declared schema, exactly, or an error naming the request."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.polygon import errors, wire
from smallcaps_pipeline.polygon.frames import Page, read_page
from smallcaps_pipeline.polygon.transport import Answer, Request
from smallcaps_pipeline.polygon.wire import Wire
from smallcaps_pipeline_tests.polygon.server import aggregates, bar, page, quote, trade

REQUEST = Request.of("/v3/trades/AEMD", limit=50_000)
TS = 1_759_843_800_123_456_789  # ns; a float would make it ...456_768


def read(answer: Any, rows: Wire = wire.TRADES, **facts: object) -> Page:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return read_page(Answer(REQUEST, body, {}), rows, facts)


def without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def test_trade_becomes_a_row_of_the_trades_table() -> None:
    sent = trade(7, TS, conditions=[14, 37], correction=1, trf_id=202, trf_timestamp=TS + 5)
    frame = read(page([sent])).frame
    assert frame.schema == schemas.TRADES.schema
    assert frame["timestamp"].dt.timestamp("ns").item() == TS
    assert frame.drop("timestamp", "participant_timestamp").row(0) == (
        5.01,
        100.0,
        12,
        [14, 37],
        1,
        "7",
        7,
        3,
    )


@pytest.mark.parametrize("ns", [TS, 2**53 + 1, 1_600_000_000_000_000_001, 2**62 + 1])
def test_integers_above_2_to_53_stay_exact(ns: int) -> None:
    row = read(page([trade(2**53 + 1, ns, participant_timestamp=ns - 1)])).frame
    assert row["timestamp"].to_physical().item() == ns
    assert row["participant_timestamp"].to_physical().item() == ns - 1
    assert row["sequence_number"].item() == 2**53 + 1


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"size": 100}, 100.0),
        ({"size": 0.5}, 0.5),
        ({"size": 1, "decimal_size": "0.25"}, 0.25),
        ({"size": 100, "decimal_size": "100.0"}, 100.0),
        ({"size": 9_100, "decimal_size": "9099.618093"}, 9099.618093),
    ],
)
def test_decimal_size_wins_where_present(fields: dict[str, Any], size: float) -> None:
    assert read(page([trade(1, TS, **fields)])).frame["size"].item() == size


def test_absent_optional_fields_of_a_trade() -> None:
    row = read(page([without(trade(1, TS), "tape", "participant_timestamp")])).frame.row(
        0, named=True
    )
    assert row["conditions"] == []  # regular
    assert row["correction"] == 0
    assert row["tape"] is None
    assert row["participant_timestamp"] is None


def test_optional_field_absent_in_some_rows_only() -> None:
    rows = [trade(1, TS, conditions=[12]), trade(2, TS), trade(3, TS, conditions=None)]
    assert read(page(rows)).frame["conditions"].to_list() == [[12], [], []]


def test_unknown_fields_are_left_aside() -> None:
    sent = trade(1, TS, brand_new={"a": [1, "x", None]}, another=[{"deep": True}])
    assert read(page([sent], brand_new=5)).frame.height == 1


def test_quote_without_sides_and_conditions_is_null_there() -> None:
    bare = without(quote(1, TS), "bid_price", "bid_size", "bid_exchange", "tape")
    frame = read(page([bare, quote(2, TS, ask_price=0, ask_size=0, indicators=[604])]), wire.QUOTES)
    assert frame.frame.schema == schemas.QUOTES.schema
    first, second = frame.frame.rows(named=True)
    assert (first["bid_price"], first["bid_exchange"], first["conditions"]) == (None, None, None)
    assert (second["ask_price"], second["ask_size"], second["indicators"]) == (0.0, 0.0, [604])


def test_bar_becomes_a_row_of_the_bars_table() -> None:
    frame = read(aggregates([bar(1_759_843_800_000, v=9099.618093)]), wire.MINUTE_BARS, symbol="A")
    assert frame.frame.schema == schemas.BARS.schema
    assert frame.frame.row(0) == (
        "A",
        datetime(2025, 10, 7, 13, 30, tzinfo=UTC),
        *(5.0, 5.2, 4.9, 5.1, 9099.618093, 5.05, 12),
    )


def test_bar_without_vwap_and_count_is_null_there() -> None:
    sent = aggregates([without(bar(1_759_843_800_000), "vw", "n")])
    row = read(sent, wire.MINUTE_BARS, symbol="A").frame.row(0, named=True)
    assert (row["vwap"], row["transactions"]) == (None, None)


REQUIRED = [
    (wire.TRADES, trade(1, TS), ["sip_timestamp", "price", "size", "exchange", "id"]),
    (wire.TRADES, trade(1, TS), ["sequence_number"]),
    (wire.QUOTES, quote(1, TS), ["sip_timestamp", "sequence_number"]),
]


@pytest.mark.parametrize(
    ("rows", "whole", "name"),
    [(rows, whole, name) for rows, whole, names in REQUIRED for name in names],
)
@pytest.mark.parametrize("how", ["absent", "null"])
def test_row_without_a_required_field_is_an_error(
    rows: Wire, whole: dict[str, Any], name: str, how: str
) -> None:
    broken = without(whole, name) if how == "absent" else {**whole, name: None}
    with pytest.raises(errors.BrokenAnswer, match=name) as caught:
        read(page([whole, broken]), rows)
    assert "/v3/trades/AEMD?limit=50000" in str(caught.value)


@pytest.mark.parametrize("name", ["t", "o", "h", "l", "c", "v"])
def test_bar_without_a_required_field_is_an_error(name: str) -> None:
    with pytest.raises(errors.BrokenAnswer, match=f"'{name}'"):
        read(aggregates([without(bar(1_759_843_800_000), name)]), wire.MINUTE_BARS, symbol="A")


@pytest.mark.parametrize(
    "fields",
    [
        {"price": "5.01"},
        {"price": True},
        {"price": [5.01]},
        {"sip_timestamp": 1.5},
        {"sip_timestamp": 1.759843800123456789e18},  # a float has lost the last digits
        {"sip_timestamp": str(TS)},
        {"sip_timestamp": 2**64},
        {"sequence_number": 2.0},
        {"exchange": 2**31},
        {"id": 183_276},
        {"conditions": 12},
        {"conditions": ["12"]},
        {"conditions": [1.5]},
        {"decimal_size": "many"},
        {"decimal_size": "nan"},
        {"decimal_size": 100.0},
        {"tape": "C"},
    ],
)
def test_field_of_another_type_is_an_error_and_never_coerced(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.BrokenAnswer) as caught:
        read(page([trade(1, TS), {**trade(2, TS), **fields}]))
    assert "/v3/trades/AEMD" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b"<html>502</html>",
        b'{"results":[',
        b'{"results":[{"id":"1"}',
        b'{"results":[]}x',
        b'{"results":[]}{"results":[]}',
        b'{"results":[5]}',
        b'{"results":[null]}',
        b'{"results":"none"}',
        b'{"results":[],"next_url":5}',
        b'{"results":[{"price":NaN}]}',
    ],
)
def test_body_that_is_no_page_is_an_error(body: bytes) -> None:
    with pytest.raises(errors.BrokenAnswer):
        read(body)


@pytest.mark.parametrize("price", ["NaN", "Infinity", "1e999"])
def test_number_that_is_none_is_an_error(price: str) -> None:
    body = json.dumps(page([trade(1, TS)])).replace("5.01", price).encode()
    with pytest.raises(errors.BrokenAnswer):
        read(body)


def test_text_that_is_not_utf_8_is_an_error() -> None:
    body = json.dumps(page([trade(1, TS, id="xx")])).encode().replace(b'"xx"', b'"\xff\xfe"')
    with pytest.raises(errors.BrokenAnswer):
        read(body)


@pytest.mark.parametrize("status", ["OK", "DELAYED"])
def test_ok_and_delayed_are_success(status: str) -> None:
    assert read(page([trade(1, TS)], status=status)).frame.height == 1


def test_other_status_in_a_200_is_an_error() -> None:
    with pytest.raises(errors.BrokenAnswer, match="NOT_AUTHORIZED"):
        read(page([trade(1, TS)], status="NOT_AUTHORIZED"))


@pytest.mark.parametrize("rows", [wire.TRADES, wire.QUOTES, wire.SPLITS, wire.TICKERS, wire.NEWS])
def test_page_without_results_is_incomplete_where_the_key_is_required(rows: Wire) -> None:
    for answer in ({"status": "OK", "request_id": "r"}, {"status": "OK", "results": None}):
        with pytest.raises(errors.IncompleteAnswer, match="results"):
            read(answer, rows)


def test_empty_results_are_an_empty_frame_with_the_full_schema() -> None:
    frame = read(page([]), wire.QUOTES).frame
    assert frame.height == 0
    assert frame.schema == schemas.QUOTES.schema


@pytest.mark.parametrize(
    "counts", [{"resultsCount": 0}, {"count": 0}, {"resultsCount": 0, "count": 0}]
)
@pytest.mark.parametrize("rows", [wire.MINUTE_BARS, wire.GROUPED_DAILY])
def test_aggregates_without_results_are_empty_where_none_are_stated(
    rows: Wire, counts: dict[str, int]
) -> None:
    facts = {"symbol": "A"} if rows is wire.MINUTE_BARS else {}
    frame = read({"status": "OK", "adjusted": False, **counts}, rows, **facts).frame
    assert frame.height == 0
    assert frame.schema == rows.table.schema


@pytest.mark.parametrize("counts", [{"resultsCount": 2}, {"count": 1}, {}])
def test_aggregates_without_results_are_incomplete_unless_zero_rows_are_stated(
    counts: dict[str, int],
) -> None:
    """An envelope that lost its counts with its results must not pass for an empty range."""
    with pytest.raises(errors.IncompleteAnswer):
        read({"status": "OK", "adjusted": False, **counts}, wire.MINUTE_BARS, symbol="A")


def test_fewer_bars_than_stated_are_incomplete() -> None:
    with pytest.raises(errors.IncompleteAnswer, match="expected 3 rows"):
        read(aggregates([bar(0)], resultsCount=3), wire.MINUTE_BARS, symbol="A")


def test_listing_and_details_share_a_table() -> None:
    sent = {
        "ticker": "AEMD",
        "name": "Aethlon Medical",
        "type": "CS",
        "primary_exchange": "XNAS",
        "active": False,
        "delisted_utc": "2025-11-03T00:00:00Z",
    }
    listed = read(page([sent]), wire.TICKERS, as_of=date(2025, 10, 7)).frame
    answer = {**page([]), "results": {**sent, "list_date": "1999-01-04", "market_cap": 3_000_000}}
    details = read(answer, wire.TICKER_DETAILS, as_of=date(2025, 10, 7)).frame
    for frame in (listed, details):
        assert frame.schema == schemas.TICKER_DETAILS.schema
        assert frame["delisted_at"].item() == datetime(2025, 11, 3, tzinfo=UTC)
        assert frame["as_of"].item() == date(2025, 10, 7)
    assert listed["market_cap"].item() is None
    assert (details["market_cap"].item(), details["list_date"].item()) == (3e6, date(1999, 1, 4))


@pytest.mark.parametrize("value", ["2025-13-01", "07/10/2025", ""])
def test_date_that_is_none_is_an_error(value: str) -> None:
    sent = {"ticker": "A", "execution_date": value, "split_from": 10, "split_to": 1}
    with pytest.raises(errors.BrokenAnswer):
        read(page([sent]), wire.SPLITS)


def test_news_is_one_row_per_symbol_that_it_names() -> None:
    sent = {"id": "n", "published_utc": "2025-10-07T09:30:00-04:00", "tickers": ["A", "B"]}
    frame = read(page([sent, {**sent, "id": "m", "tickers": []}]), wire.NEWS).frame
    instant = datetime(2025, 10, 7, 13, 30, tzinfo=UTC)
    assert frame.rows() == [("A", instant, "n", None), ("B", instant, "n", None)]


def test_condition_without_a_rule_has_null_rules() -> None:
    rule = {"updates_high_low": False, "updates_open_close": False, "updates_volume": True}
    sent = [
        {"id": 12, "type": "sale_condition", "name": "Form T", "data_types": ["trade"]},
        {"id": 41, "type": "trade_thru_exempt", "name": "Trade Thru Exempt"},
    ]
    sent[0]["update_rules"] = {"consolidated": rule, "market_center": rule}
    frame = read(page(sent), wire.CONDITIONS).frame
    rules = frame.select("updates_high_low", "updates_open_close", "updates_volume")
    assert rules.rows() == [(False, False, True), (None, None, None)]


def test_bare_answers_have_no_envelope() -> None:
    holiday = {"date": "2025-11-28", "exchange": "NYSE", "name": "x", "status": "early-close"}
    times = {"open": "2025-11-28T14:30:00.000Z", "close": "2025-11-28T18:00:00.000Z"}
    body = json.dumps([{**holiday, **times}, {**holiday, "status": "closed"}]).encode()
    frame = read(body, wire.HOLIDAYS).frame
    assert frame["closes_at"].to_list() == [datetime(2025, 11, 28, 18, tzinfo=UTC), None]
    now = {"market": "open", "earlyHours": False, "afterHours": False}
    sent = {**now, "serverTime": "2025-10-07T12:00:00-04:00", "exchanges": {"nyse": "open"}}
    status = read(sent, wire.MARKET_STATUS).frame.row(0)
    assert status == ("open", datetime(2025, 10, 7, 16, tzinfo=UTC), False, False)


def test_no_frame_holds_a_nan() -> None:
    frame = read(page([trade(1, TS)])).frame
    assert not frame.select(pl.col(pl.Float64).is_nan().any()).row(0).count(True)
