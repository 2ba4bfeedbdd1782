"""The endpoint of snapshots: how stocks stand on the evening of the source's last day.

Belongs here: rows of the source → the provider's nested rows.
Keep out: other market data (`market_routes`), keys, limits and faults (`gateway`).

As at the provider, `day` is all zeros for a stock that has not traded, what the plan lacks is left
out, a trade without conditions has `c` null, and a symbol that is not known has no row.
"""

from __future__ import annotations

import json
from datetime import date
from functools import partial
from typing import Any, Final

import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator.options import Options, Plan
from smallcaps_pipeline.emulator.replies import NotEntitledError, rows_under
from smallcaps_pipeline.emulator.source import MarketSource

Row = dict[str, Any]
_PATH: Final = "/v2/snapshot/locale/us/markets/stocks/tickers"
_BAR: Final = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "vw": "vwap"}
_LOOK_BACK: Final = 10  # trading days in which the close before today's is looked for


def snapshot_routes(source: MarketSource, options: Options) -> list[Route]:
    """Return the routes of a source."""
    return [Route(_PATH, partial(_snapshots, source, options))]


def _snapshots(source: MarketSource, options: Options, request: Request) -> Response:
    plan = options.plan or Plan.ADVANCED
    if plan is Plan.BASIC:
        raise NotEntitledError
    asked = request.query_params.get("tickers")
    listed = source.tickers().filter(
        (pl.col("list_date").fill_null(source.last) <= source.last)
        & (pl.col("delisted_date").is_null() | (pl.col("delisted_date") > source.last))
    )
    symbols = listed["symbol"].to_list()
    if asked:
        symbols = [symbol for symbol in symbols if symbol in asked.split(",")]
    rows = [_row(source, symbol, source.last, plan) for symbol in symbols]
    return rows_under("tickers", request, json.dumps(rows), count=len(rows))


def _row(source: MarketSource, symbol: str, day: date, plan: Plan) -> Row:
    since = sessions.shift_trading_day(day, -_LOOK_BACK)
    daily = source.daily_bars(since, day, symbol)
    today = daily.filter(pl.col("date") == day)
    before = daily.filter(pl.col("date") < day).tail(1)
    row: Row = {"ticker": symbol, "day": _bar(today), "prevDay": _bar(before)}
    row["min"] = _minute(source.bars(symbol, day))
    change = row["day"]["c"] - row["prevDay"]["c"] if today.height and before.height else 0.0
    row["todaysChange"] = round(change, 4)
    row["todaysChangePerc"] = round(100 * change / row["prevDay"]["c"], 4) if change else 0
    row["updated"] = row["min"]["t"] * 1_000_000
    if plan.trades and (trades := source.trades(symbol, day)).height:
        row["lastTrade"] = _last_trade(trades)
        row["updated"] = row["lastTrade"]["t"]
    if plan.quotes and (quotes := source.quotes(symbol, day)).height:
        row["lastQuote"] = _last_quote(quotes)
    return row


def _bar(bars: pl.DataFrame) -> Row:
    if bars.is_empty():
        return dict.fromkeys(_BAR, 0)
    last = bars.row(-1, named=True)
    return {wire: last[name] for wire, name in _BAR.items() if last[name] is not None}


def _minute(bars: pl.DataFrame) -> Row:
    if bars.is_empty():
        return {**_bar(bars), "av": 0, "n": 0, "t": 0}
    start = bars["timestamp"].dt.epoch("ms")[-1]
    counts = {"av": bars["volume"].sum(), "n": bars["transactions"][-1] or 0, "t": start}
    return _bar(bars) | counts


def _last_trade(trades: pl.DataFrame) -> Row:
    trade = trades.tail(1).with_columns(t=pl.col("timestamp").to_physical()).row(0, named=True)
    size = {"ds": trade["decimal_size"]} if trade["decimal_size"] is not None else {}
    return {
        "c": trade["conditions"] or None,
        "i": trade["trade_id"],
        "p": trade["price"],
        "s": trade["size"],
        "t": trade["t"],
        "x": trade["exchange"],
        **size,
    }


def _last_quote(quotes: pl.DataFrame) -> Row:
    last = quotes.tail(1).with_columns(t=pl.col("timestamp").to_physical()).row(0, named=True)
    names = {"p": "bid_price", "s": "bid_size", "P": "ask_price", "S": "ask_size", "t": "t"}
    return {wire: last[name] for wire, name in names.items()}
