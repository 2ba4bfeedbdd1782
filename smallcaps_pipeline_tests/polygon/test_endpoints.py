"""Every endpoint over real HTTP: the emulator gives what the client asks, in its schema."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from smallcaps_pipeline import schemas
from smallcaps_pipeline.emulator import Options, Plan, Running, running
from smallcaps_pipeline.polygon import errors, wire
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.reference import ReferenceEndpoints
from smallcaps_pipeline.schemas import Table
from smallcaps_pipeline_tests.polygon.real import DAY, NEXT_DAY, OPEN, SYMBOL, connected, market
from smallcaps_pipeline_tests.polygon.server import Server, client

MARKET = market()
HOUR = OPEN + timedelta(hours=1)
YEAR, NEXT_YEAR = date(2025, 1, 1), date(2026, 1, 1)

ENDPOINTS: dict[str, tuple[Callable[[PolygonClient], pl.DataFrame], Table]] = {
    "bars": (lambda c: c.bars(symbol=SYMBOL, start=DAY, end=NEXT_DAY), schemas.BARS),
    "grouped_daily": (lambda c: c.grouped_daily(day=DAY), schemas.DAILY_BARS),
    "trades": (lambda c: c.trades(symbol=SYMBOL, start=OPEN, end=HOUR).frame, schemas.TRADES),
    "quotes": (lambda c: c.quotes(symbol=SYMBOL, start=OPEN, end=HOUR).frame, schemas.QUOTES),
    "last_quote_before": (
        lambda c: c.last_quote_before(symbol=SYMBOL, before=OPEN),
        schemas.QUOTES,
    ),
    "snapshots": (lambda c: c.snapshots(), schemas.SNAPSHOTS),
    "tickers": (lambda c: c.tickers(as_of=DAY), schemas.TICKER_DETAILS),
    "ticker_details": (
        lambda c: c.ticker_details(symbol=SYMBOL, as_of=DAY),
        schemas.TICKER_DETAILS,
    ),
    "ticker_events": (lambda c: c.ticker_events(symbol="SLRG"), schemas.TICKER_EVENTS),
    "short_interest": (
        lambda c: c.short_interest(start=YEAR, end=NEXT_YEAR),
        schemas.SHORT_INTEREST,
    ),
    "float_shares": (lambda c: c.float_shares(), schemas.FLOAT_SHARES),
    "splits": (lambda c: c.splits(start=YEAR, end=NEXT_YEAR), schemas.SPLITS),
    "dividends": (lambda c: c.dividends(start=YEAR, end=NEXT_YEAR), schemas.DIVIDENDS),
    "news": (
        lambda c: c.news(
            symbol=SYMBOL,
            start=datetime(2025, 8, 1, tzinfo=UTC),
            end=datetime(2025, 11, 1, tzinfo=UTC),
        ),
        schemas.NEWS,
    ),
    "conditions": (lambda c: c.conditions(), schemas.CONDITIONS),
    "exchanges": (lambda c: c.exchanges(), schemas.EXCHANGES),
    "market_status": (lambda c: c.market_status(), wire.MARKET_STATUS.table),
    "upcoming_holidays": (lambda c: c.upcoming_holidays(), schemas.HOLIDAYS),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolygonClient]:
    with (
        running(MARKET) as emulator,
        connected(emulator, tmp_path_factory.mktemp("limiter")) as one,
    ):
        yield one


def methods() -> list[str]:
    public = vars(PolygonClient) | vars(ReferenceEndpoints)
    return [name for name in public if not name.startswith("_") and name != "close"]


def test_every_method_is_tried_and_takes_keywords_only() -> None:
    assert sorted(ENDPOINTS) == sorted(methods())
    for name in methods():
        parameters = list(inspect.signature(getattr(PolygonClient, name)).parameters.values())
        kinds = {parameter.kind for parameter in parameters[1:]}
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint_gives_rows_of_its_table_in_its_schema(real: PolygonClient, name: str) -> None:
    call, table = ENDPOINTS[name]
    frame = call(real)
    assert frame.schema == table.schema
    assert frame.height
    if table.key:
        assert not frame.select(table.key).is_duplicated().any()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("trades", {"start": OPEN, "end": HOUR}),
        ("quotes", {"start": OPEN, "end": HOUR}),
        ("bars", {"start": DAY, "end": NEXT_DAY}),
    ],
)
def test_intervals_are_half_open(
    real: PolygonClient, method: str, arguments: dict[str, Any]
) -> None:
    """Two intervals that meet hold every row of the one over both, and none of them twice."""
    call = getattr(real, method)
    start, end = arguments["start"], arguments["end"]
    middle = start + (end - start) / 2 if method != "bars" else end
    far = end if method != "bars" else end + timedelta(days=1)

    def rows(start: Any, end: Any) -> pl.DataFrame:
        answer = call(symbol=SYMBOL, start=start, end=end)
        return answer if isinstance(answer, pl.DataFrame) else answer.frame

    parts = pl.concat([rows(start, middle), rows(middle, far)])
    assert parts.equals(rows(start, far))


def test_renamed_company_is_found_by_each_of_its_symbols_in_turn(real: PolygonClient) -> None:
    events = real.ticker_events(symbol="SLRG")
    assert events["ticker"].to_list() == ["SLRO", "SLRG"]
    renamed = events["date"][1]
    for symbol, first, days in (("SLRO", renamed, -5), ("SLRG", renamed, 5)):
        start, end = sorted((first, first + timedelta(days=days)))
        assert real.bars(symbol=symbol, start=start, end=end).height
    assert real.bars(symbol="SLRG", start=date(2025, 8, 1), end=renamed).is_empty()


def test_threads_share_a_client_and_its_connections(tmp_path: Path) -> None:
    """Eight threads, four connections: every answer is the caller's own, and lines are kept."""
    names = [name for name in ENDPOINTS for _ in range(3)]
    with running(MARKET) as emulator, connected(emulator, tmp_path, connections=4) as one:
        alone = {name: call(one) for name, (call, _) in ENDPOINTS.items()}
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda name: ENDPOINTS[name][0](one), names))
        lines = {request.connection for request in emulator.requests}
    assert all(frame.equals(alone[name]) for name, frame in zip(names, together, strict=True))
    assert 1 <= len(lines) <= 4


@pytest.fixture
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, PolygonClient]]:
    with (
        running(MARKET, options=Options(plan=Plan.STARTER)) as emulator,
        connected(emulator, tmp_path_factory.mktemp("limiter")) as one,
    ):
        yield emulator, one


def test_snapshot_of_a_plan_without_trades_has_null_for_them(
    starter: tuple[Running, PolygonClient],
) -> None:
    emulator, one = starter
    frame = one.snapshots(symbols=[SYMBOL, "NONE", SYMBOL])
    assert frame["symbol"].to_list() == [SYMBOL]
    row = frame.row(0, named=True)
    assert row["last_price"] is row["bid_price"] is row["last_trade_at"] is None
    assert row["day_close"] > 0
    assert emulator.requests[-1].target.endswith("?tickers=ALDR%2CNONE&include_otc=false")
    with pytest.raises(errors.EndpointNotEntitled):
        one.trades(symbol=SYMBOL, start=OPEN, end=HOUR)


def test_snapshot_before_the_open_has_no_bar_of_today() -> None:
    """`day` is all zeros then: a price of 0 would be a fall of 100 %."""
    zeros = dict.fromkeys(("o", "h", "l", "c", "v", "vw"), 0)
    minute = {"o": 5, "h": 6, "l": 5, "c": 5.5, "v": 100.5, "vw": 5.2, "av": 300, "n": 3}
    at = 1_759_838_400_123_456_789
    sent = {
        "ticker": "A",
        "updated": at,
        "day": zeros,
        "min": {**minute, "t": 1_759_838_400_000},
        "prevDay": {**minute, "c": 4.75},
        "lastTrade": {"c": None, "i": "1", "p": 5.5, "s": 1, "ds": "0.25", "t": at, "x": 4},
    }
    server = Server([{"status": "OK", "count": 1, "tickers": [sent]}])
    row = client(server).snapshots(symbols=["A"]).row(0, named=True)
    assert row["day_close"] is row["day_volume"] is None
    assert (row["minute_close"], row["volume_so_far"], row["previous_close"]) == (5.5, 300, 4.75)
    assert (row["last_size"], row["last_conditions"]) == (0.25, None)
    server = Server([{"status": "OK", "count": 1, "tickers": [sent]}])
    exact = client(server).snapshots()["last_trade_at"].to_physical().item()
    assert exact == at


def test_snapshots_of_many_are_asked_in_groups() -> None:
    server = Server([{"status": "OK", "tickers": []}] * 3)
    symbols = [f"S{i:03}" for i in range(600)]
    assert client(server).snapshots(symbols=symbols).is_empty()
    asked = [target.count("%2C") + 1 for target in server.targets]
    assert asked == [250, 250, 100]


def test_snapshots_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="None asks for all"):
        client(Server([])).snapshots(symbols=[])


def test_answer_of_snapshots_without_tickers_is_incomplete() -> None:
    with pytest.raises(errors.IncompleteAnswer, match="tickers"):
        client(Server([{"status": "OK"}] * 4)).snapshots()
