"""A recorded folder on the wire: its rows, nothing added."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from smallcaps_pipeline.emulator import RecordedMarket, Running, running
from smallcaps_pipeline.schemas import BARS
from smallcaps_pipeline_tests.emulator.conftest import client_of
from smallcaps_pipeline_tests.emulator.test_wire import minutes, rows, ticks

DAY = date(2013, 10, 8)
OPEN = datetime(2013, 10, 8, 13, 30, tzinfo=UTC)
NS = 1_381_239_000_000_000_000  # 09:30 in New York
REAL = Path(__file__).resolve().parents[3] / "shared" / "realdata"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a day of one symbol: three minutes, three trades, two quotes."""
    minute = pl.Series([-1, 0, 5]) * 60_000_000
    bars = pl.DataFrame(
        {
            "symbol": ["ABC"] * 3,
            "timestamp": (minute + NS // 1000).cast(BARS.schema["timestamp"]),
            "open": [1.0, 2.0, 3.0],
            "high": [9.0, 2.5, 3.5],
            "low": [0.5, 1.5, 2.5],
            "close": [1.5, 2.25, 3.25],
            "volume": [100, 200, 300],
            "vwap": pl.Series([None] * 3, dtype=pl.Float64),
            "transactions": pl.Series([None] * 3, dtype=pl.Int64),
        }
    )
    trades = pl.DataFrame(
        {
            "sip_timestamp": [NS, NS, NS + 1_000_000],
            "price": [2.0, 2.01, 2.02],
            "size": [100, 200, 300],
            "exchange": ["Q", "D", "?"],
            "conditions": ["20002020", "0", "0"],
        }
    )
    quotes = pl.DataFrame(
        {
            "sip_timestamp": [NS, NS + 5],
            "bid_price": [None, 2.0],
            "bid_size": [None, 300],
            "bid_exchange": [None, "P"],
            "ask_price": [2.1, 2.05],
            "ask_size": [100, 500],
            "ask_exchange": ["Z", "N"],
            "conditions": ["1", "1"],
        }
    )
    for kind, frame in (("bars", bars), ("trades", trades), ("quotes", quotes)):
        path = tmp_path / kind / "symbol=ABC" / f"date={DAY}.parquet"
        path.parent.mkdir(parents=True)
        frame.write_parquet(path)
    return tmp_path


@pytest.fixture
def server(folder: Path):  # type: ignore[no-untyped-def]  # noqa: ANN201  a generator of Running
    with running(RecordedMarket(folder)) as one:
        yield one


def test_row_order_is_tape_order_and_unknown_is_absent(server: Running) -> None:
    """Masks of another vendor are no conditions; a letter that is in no table is no venue."""
    with client_of(server) as client:
        trades = ticks(client, "trades", "ABC", str(DAY), limit=1)
    assert trades == [
        {"exchange": 12, "id": "1", "price": 2, "sequence_number": 1, "sip_timestamp": NS}
        | {"size": 100},
        {"exchange": 4, "id": "2", "price": 2.01, "sequence_number": 2, "sip_timestamp": NS}
        | {"size": 200},
        {"id": "3", "price": 2.02, "sequence_number": 3, "sip_timestamp": NS + 1_000_000}
        | {"size": 300},
    ]


def test_quotes_have_round_lots_and_a_missing_side_is_zero(server: Running) -> None:
    with client_of(server) as client:
        quotes = ticks(client, "quotes", "ABC", str(DAY))
    assert quotes == [
        {"ask_exchange": 19, "ask_price": 2.1, "ask_size": 1, "bid_price": 0, "bid_size": 0}
        | {"sequence_number": 1, "sip_timestamp": NS},
        {"ask_exchange": 10, "ask_price": 2.05, "ask_size": 5}
        | {"bid_exchange": 11, "bid_price": 2, "bid_size": 3}
        | {"sequence_number": 2, "sip_timestamp": NS + 5},
    ]


def test_bars_without_vwap_and_the_day_made_of_regular_hours(server: Running) -> None:
    with client_of(server) as client:
        bars = minutes(client, "ABC", str(DAY))
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{DAY}"
        daily = rows(client, path)
    assert [sorted(bar) for bar in bars] == [["c", "h", "l", "o", "t", "v"]] * 3
    assert bars[0]["t"] == NS // 10**6 - 60_000
    # premarket sets no price (its high of 9 and low of 0.5), but counts for volume
    assert daily == [
        {"T": "ABC", "v": 600, "o": 2, "c": 3.25, "h": 3.5, "l": 1.5, "t": 1_381_262_400_000}
    ]


def test_symbol_is_known_and_company_facts_are_not(server: Running) -> None:
    with client_of(server) as client:
        tickers = rows(client, "/v3/reference/tickers")
        details = client.get("/v3/reference/tickers/ABC").json()["results"]
        assert client.get("/v3/reference/tickers/XYZ").status_code == 404
        about = client.get("/").json()
        for path in ("/stocks/v1/splits", "/stocks/v1/short-interest", "/stocks/vX/float"):
            assert rows(client, path) == []
        assert rows(client, "/v2/reference/news") == []
    assert [row["ticker"] for row in tickers] == ["ABC"]
    assert not {"type", "primary_exchange", "market_cap"} & {*tickers[0], *details}
    assert "not known" in about["source"]


def test_days_without_a_file_are_empty(folder: Path) -> None:
    market = RecordedMarket(folder)
    other = date(2013, 10, 9)
    assert market.bars("ABC", other).is_empty()
    assert market.trades("ABC", other).is_empty()
    assert market.quotes("XYZ", DAY).is_empty()
    assert market.daily_bars(other, other).is_empty()
    assert market.last_close("ABC", date(2013, 10, 7)) is None
    assert market.last_close("ABC", other) == 3.25


def test_folder_without_bars_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected bars/symbol"):
        RecordedMarket(tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="recorded data lie beside the project, not in it")
def test_real_ticks_page_as_a_whole() -> None:
    """63 quotes share one millisecond in this vendor's files; a page edge may fall among them."""
    day = date(2013, 10, 7)
    market = RecordedMarket(REAL)
    start, end = (
        datetime(2013, 10, 7, 13, 30, tzinfo=UTC),
        datetime(2013, 10, 7, 13, 32, tzinfo=UTC),
    )
    for kind, frame in (
        ("trades", market.trades("AIG", day)),
        ("quotes", market.quotes("IBM", day)),
    ):
        window = frame.filter(pl.col("timestamp").is_between(start, end, closed="left"))
        symbol = "AIG" if kind == "trades" else "IBM"
        with running(market) as server, client_of(server) as client:
            found = rows(
                client,
                f"/v3/{kind}/{symbol}",
                order="asc",
                limit=97,
                **{
                    "timestamp.gte": int(start.timestamp()) * 10**9,
                    "timestamp.lt": int(end.timestamp()) * 10**9,
                },
            )
        assert window.height > 97
        sequence = window["sequence_number"].to_list()
        assert [row["sequence_number"] for row in found] == sequence
