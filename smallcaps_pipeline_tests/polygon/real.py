"""The client as the project connects it, over real HTTP to an emulator on loopback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.emulator import Running, SimulatedMarket
from smallcaps_pipeline.polygon.client import PolygonClient
from smallcaps_pipeline.polygon.connect import connect
from smallcaps_pipeline.sessions import Session, session_bounds
from smallcaps_pipeline.settings import Provider, load_settings

KEY: Final = "k3y+of/a-customer="  # it reads otherwise in a URL
DAY: Final = date(2025, 10, 13)
SYMBOL: Final = "ALDR"  # it has splits, and much happens to it on that day
OPEN: Final = session_bounds(DAY)[Session.RTH][0]
NEXT_DAY: Final = DAY + timedelta(days=1)

Call = Callable[[PolygonClient], pl.DataFrame]


def market() -> SimulatedMarket:
    return SimulatedMarket(seed=7, symbols=4, first=date(2025, 8, 1), last=date(2025, 10, 31))


def provider(**changes: Any) -> Provider:
    """Return settings without limits, which try again at once."""
    quick = {
        "calls_per_minute": None,
        "calls_per_second": None,
        "retry_wait_s": 0.01,
        "retry_wait_max_s": 0.05,
        "timeout_s": 20.0,
        "page_limit": 400,
    }
    return load_settings().provider.model_copy(update={**quick, **changes})


def connected(emulator: Running, folder: Path, **changes: Any) -> PolygonClient:
    return connected_to(emulator.base_url, folder, **changes)


def connected_to(base_url: str, folder: Path, **changes: Any) -> PolygonClient:
    return connect(provider(**changes), base_url=base_url, api_key=KEY, budget_address=folder)


# What the chain asks, each with the path that an error must name.
CALLS: Final[Mapping[str, tuple[str, Call]]] = {
    "trades": (
        f"/v3/trades/{SYMBOL}",
        lambda c: c.trades(symbol=SYMBOL, start=OPEN, end=OPEN + timedelta(hours=6)).frame,
    ),
    "quotes": (
        f"/v3/quotes/{SYMBOL}",
        lambda c: c.quotes(symbol=SYMBOL, start=OPEN, end=OPEN + timedelta(minutes=20)).frame,
    ),
    "last quote": (
        f"/v3/quotes/{SYMBOL}",
        lambda c: c.last_quote_before(symbol=SYMBOL, before=OPEN),
    ),
    "bars": (
        f"/v2/aggs/ticker/{SYMBOL}/",
        lambda c: c.bars(symbol=SYMBOL, start=DAY, end=DAY + timedelta(days=3)),
    ),
    "grouped daily": ("/v2/aggs/grouped/", lambda c: c.grouped_daily(day=DAY)),
    "tickers": ("/v3/reference/tickers", lambda c: c.tickers(as_of=DAY)),
    "splits": (
        "/stocks/v1/splits",
        lambda c: c.splits(start=date(2000, 1, 1), end=date(2026, 1, 1)),
    ),
    "short interest": (
        "/stocks/v1/short-interest",
        lambda c: c.short_interest(start=date(2025, 9, 1), end=NEXT_DAY),
    ),
}
