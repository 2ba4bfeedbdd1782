"""Endpoints of reference data: tickers, splits, short interest, float, news, codes, holidays.

Belongs here: parameters → rows of the source → envelope.
Keep out: market data (`market_routes`), keys, limits and faults (`gateway`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import wire
from smallcaps_pipeline.emulator.codes import condition_rows, exchange_rows, ticker_type_rows
from smallcaps_pipeline.emulator.options import Options
from smallcaps_pipeline.emulator.paging import decode_cursor, row_page
from smallcaps_pipeline.emulator.params import BadParameterError, matching, read_choice, read_date
from smallcaps_pipeline.emulator.replies import UnknownTickerError, bare, next_link, results
from smallcaps_pipeline.emulator.source import MarketSource

Row = dict[str, Any]
_YEAR: Final = timedelta(days=365)
_HOLIDAYS: Final = {
    2: "Washington's Birthday",
    3: "Good Friday",
    4: "Good Friday",
    5: "Memorial Day",
    6: "Juneteenth",
    7: "Independence Day",
    9: "Labor Day",
    11: "Thanksgiving",
    12: "Christmas",
}


def reference_routes(source: MarketSource, options: Options) -> list[Route]:
    """Return the routes of a source."""

    def route(path: str, handler: Callable[[MarketSource, Options, Request], Response]) -> Route:
        return Route(path, partial(handler, source, options))

    return [
        route("/v3/reference/tickers", _tickers),
        route("/v3/reference/tickers/types", _types),
        route("/v3/reference/tickers/{ticker}", _details),
        route("/vX/reference/tickers/{ticker}/events", _events),
        route("/stocks/v1/short-interest", _short_interest),
        route("/stocks/vX/float", _floats),
        route("/stocks/v1/splits", _splits_v1),
        route("/v3/reference/splits", _splits_v3),
        route("/stocks/v1/dividends", _dividends),
        route("/v2/reference/news", _news),
        route("/v3/reference/conditions", _conditions),
        route("/v3/reference/exchanges", _exchanges),
        route("/v1/marketstatus/now", _status_now),
        route("/v1/marketstatus/upcoming", _status_upcoming),
    ]


def _query(request: Request) -> dict[str, str]:
    """Return what a request asks; a cursor holds all of it."""
    query = dict(request.query_params)
    return decode_cursor(query["cursor"]) if "cursor" in query else query


def _page(
    request: Request,
    options: Options,
    query: dict[str, str],
    rows: Sequence[Row],
    limits: tuple[int, int],
) -> Response:
    page, cursor = row_page(rows, query, *limits)
    link = next_link(request, options, cursor)
    return results(request, wire.dumped(page), count=len(page), next_url=link)


def _sorted(rows: list[Row], query: dict[str, str], default: str) -> list[Row]:
    """Sort by `column.asc,column2.desc`, the last column first since sorting is stable."""
    for part in reversed(query.get("sort", default).split(",")):
        column, _, order = part.partition(".")
        if order not in ("", "asc", "desc") or (rows and column not in rows[0]):
            raise BadParameterError(f"sort {part!r} is not known")
        rows = sorted(rows, key=lambda row: row[column], reverse=order == "desc")
    return rows


def _listed(on: date) -> pl.Expr:
    """Say whether a name was listed on a day; unknown dates do not speak against it."""
    return (pl.col("list_date").fill_null(on) <= on) & (
        pl.col("delisted_date").is_null() | (pl.col("delisted_date") > on)
    )


def _ticker_rows(source: MarketSource, on: date) -> list[Row]:
    names = source.tickers().filter(pl.col("list_date").fill_null(on) <= on)
    midnight = f"{source.last}T00:00:00Z"
    return [
        {
            "ticker": row["symbol"],
            "name": row["name"],
            "market": "stocks",
            "locale": "us",
            "primary_exchange": row["primary_exchange"],
            "type": row["type"],
            "active": row["active"],
            "currency_name": "usd",
            "cik": row["cik"],
            "last_updated_utc": midnight,
            "delisted_utc": None if row["active"] else f"{row['delisted_date']}T00:00:00Z",
        }
        for row in names.with_columns(active=_listed(on)).to_dicts()
    ]


def _tickers(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    on = read_date(query["date"]) if "date" in query else source.last
    active = read_choice(query, "active", "true", "true", "false") == "true"
    rows = [row for row in _ticker_rows(source, on) if row["active"] == active]
    renamed = query | ({"primary_exchange": query["exchange"]} if "exchange" in query else {})
    rows = matching(rows, renamed, "ticker", "type", "market", "primary_exchange", "cik")
    if wanted := query.get("search"):
        rows = [row for row in rows if wanted.lower() in f"{row['ticker']} {row['name']}".lower()]
    order = read_choice(query, "order", "asc", "asc", "desc")
    rows.sort(key=lambda row: str(row["ticker"]), reverse=order == "desc")
    return _page(request, options, _from_marker(query, rows), rows, (100, 1000))


def _from_marker(query: dict[str, str], rows: list[Row]) -> dict[str, str]:
    """Turn the provider's marker (last ticker, a hash) into the place after that ticker."""
    marker = query.get("page_marker", "")
    if not marker or marker.isdigit():
        return query
    last = marker.partition("|")[0]
    tickers = [row["ticker"] for row in rows]
    return query | {"page_marker": str(tickers.index(last) + 1 if last in tickers else len(rows))}


def _types(source: MarketSource, options: Options, request: Request) -> Response:
    rows = ticker_type_rows()
    return results(request, wire.dumped(rows), count=len(rows))


def _details(source: MarketSource, options: Options, request: Request) -> Response:
    text = request.query_params.get("date")
    on = read_date(text) if text else source.last
    symbol = request.path_params["ticker"]
    known = source.tickers().filter(pl.col("symbol") == symbol, _listed(on))
    if known.is_empty():
        raise UnknownTickerError(symbol)
    row = next(one for one in _ticker_rows(source, on) if one["ticker"] == symbol)
    shares, close = known["shares_outstanding"].item(), source.last_close(symbol, on)
    if shares is not None:
        row |= {name: int(shares) for name in _SHARE_FIELDS} | {"round_lot": 100}
    if shares is not None and close is not None:
        row["market_cap"] = round(shares * close, 2)
    row |= {"ticker_root": symbol, "list_date": _text(known["list_date"].item())}
    return results(request, wire.dumped([row])[1:-1])


_SHARE_FIELDS: Final = ("share_class_shares_outstanding", "weighted_shares_outstanding")


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _wire_rows(frame: pl.DataFrame) -> list[Row]:
    """Return rows with `ticker` for our `symbol`, and dates as text."""
    return (
        frame.rename({"symbol": "ticker"}).with_columns(pl.col(pl.Date).cast(pl.String)).to_dicts()
    )


def _short_interest(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    fields = ("ticker", "settlement_date", "days_to_cover", "avg_daily_volume")
    rows = matching(_wire_rows(source.short_interest()), query, *fields)
    return _page(request, options, query, _sorted(rows, query, "ticker.asc"), (10, 50_000))


def _floats(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    rows = matching(_wire_rows(source.floats()), query, "ticker", "free_float_percent")
    return _page(request, options, query, _sorted(rows, query, "ticker.asc"), (100, 5000))


def _split_rows(source: MarketSource) -> list[Row]:
    rows = _wire_rows(source.splits())
    for row in rows:
        key = f"{row['ticker']}{row['execution_date']}".encode()
        row["id"] = "E" + blake2b(key, digest_size=32).hexdigest()
        row["split_from"], row["split_to"] = _whole(row["split_from"]), _whole(row["split_to"])
    return rows


def _whole(shares: float) -> float:
    return int(shares) if shares.is_integer() else shares


def _splits_v1(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    rows = _split_rows(source)
    later: dict[str, float] = {}  # per ticker, the factor of the splits after the one at hand
    for row in reversed(rows):
        factor = later.get(row["ticker"], 1.0) * row["split_from"] / row["split_to"]
        later[row["ticker"]] = factor
        row["historical_adjustment_factor"] = round(factor, 6)
        reverse = row["split_from"] > row["split_to"]
        row["adjustment_type"] = "reverse_split" if reverse else "forward_split"
    rows = matching(rows, query, "ticker", "execution_date", "adjustment_type")
    ordered = _sorted(rows, query, "execution_date.desc")
    return _page(request, options, query, ordered, (100, 5000))


def _splits_v3(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    rows = matching(_split_rows(source), query, "ticker", "execution_date")
    if "reverse_split" in query:
        wanted = read_choice(query, "reverse_split", "true", "true", "false") == "true"
        rows = [row for row in rows if (row["split_from"] > row["split_to"]) == wanted]
    column = read_choice(query, "sort", "execution_date", "execution_date", "ticker")
    order = read_choice(query, "order", "desc", "asc", "desc")
    rows.sort(key=lambda row: str(row[column]), reverse=order == "desc")
    return _page(request, options, query, rows, (10, 1000))


def _dividends(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    rows = [
        {
            **row,
            "id": row.pop("dividend_id"),
            "record_date": row["ex_dividend_date"],
            "split_adjusted_cash_amount": row["cash_amount"],
            "distribution_type": "recurring",
            "frequency": 4,
        }
        for row in _wire_rows(source.dividends())
    ]
    rows = matching(rows, query, "ticker", "ex_dividend_date", "frequency", "distribution_type")
    return _page(request, options, query, _sorted(rows, query, "ticker.asc"), (100, 5000))


def _events(source: MarketSource, options: Options, request: Request) -> Response:
    """Answer with the symbols of a company, newest first, asked by its present or last one."""
    symbol = request.path_params["ticker"]
    read_choice(_query(request), "types", "ticker_change", "ticker_change")
    known = source.tickers().filter(pl.col("symbol") == symbol)
    if known.is_empty():
        raise UnknownTickerError(symbol)
    changes = source.ticker_changes().filter(pl.col("symbol") == symbol)
    listed = _text(known["list_date"].item())
    events = [(_text(day), ticker) for _, day, ticker in changes.iter_rows()]
    row = {
        "name": known["name"].item(),
        "cik": known["cik"].item(),
        "events": [
            {"ticker_change": {"ticker": ticker}, "type": "ticker_change", "date": day}
            for day, ticker in reversed(events or [(listed, symbol)])
        ],
    }
    return results(request, wire.dumped([row])[1:-1])


def _news(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    first = datetime.combine(source.first - _YEAR, time(), tzinfo=UTC)
    last = datetime.combine(source.last + timedelta(days=1), time(), tzinfo=UTC)
    items = source.news(first, last, query.get("ticker")).to_dicts()
    rows = matching([_news_row(item) for item in items], query, "published_utc")
    order = read_choice(query, "order", "desc", "asc", "desc")
    rows.sort(key=lambda row: str(row["published_utc"]), reverse=order == "desc")
    return _page(request, options, query, rows, (10, 1000))


def _news_row(item: Row) -> Row:
    link = f"http://127.0.0.1/simulated/{item['news_id']}"
    return {
        "id": item["news_id"],
        "publisher": {"name": "Simulated Newswire", "homepage_url": "http://127.0.0.1/"},
        "title": item["title"],
        "author": "Simulated Newswire",
        "published_utc": f"{item['published_at']:%Y-%m-%dT%H:%M:%SZ}",
        "article_url": link,
        "tickers": [item["symbol"]],
        "description": "Simulated news.",
    }


def _conditions(source: MarketSource, options: Options, request: Request) -> Response:
    query = _query(request)
    rows = matching(condition_rows(), query, "asset_class", "id")
    if "data_type" in query:
        rows = [row for row in rows if query["data_type"] in row["data_types"]]
    return _page(request, options, query, rows, (10, 1000))


def _exchanges(source: MarketSource, options: Options, request: Request) -> Response:
    rows = matching(exchange_rows(), dict(request.query_params), "asset_class", "locale")
    return results(request, wire.dumped(rows), count=len(rows))


def _status_now(source: MarketSource, options: Options, request: Request) -> Response:
    """Answer as on the evening of the source's last day: the emulator has no other now."""
    now = sessions.new_york_time(source.last, time(20, 30)).astimezone(sessions.NEW_YORK_TZ)
    return bare(
        {
            "market": "closed",
            "earlyHours": False,
            "afterHours": False,
            "serverTime": now.isoformat(),
            "exchanges": {"nyse": "closed", "nasdaq": "closed", "otc": "closed"},
            "currencies": {"fx": "open", "crypto": "open"},
        }
    )


def _status_upcoming(source: MarketSource, options: Options, request: Request) -> Response:
    last = min(source.last + _YEAR, sessions.LAST_DATE)
    days = [source.last + timedelta(days=n) for n in range(1, (last - source.last).days + 1)]
    rows = [row for day in days for row in _special_day(day)]
    return bare([{"exchange": name, **row} for row in rows for name in ("NYSE", "NASDAQ")])


def _special_day(day: date) -> list[Row]:
    """Return the holiday or early close of a day; none on others."""
    if day.month == 1:
        name = "New Years Day" if day.day < 10 else "Martin Luther King, Jr. Day"
    else:
        name = _HOLIDAYS.get(day.month, "Market Holiday")
    head = {"name": name, "date": day.isoformat()}
    if not sessions.is_trading_day(day):
        return [] if day.weekday() >= 5 else [{**head, "status": "closed"}]
    opened, closed = sessions.session_bounds(day)[sessions.Session.RTH]
    if closed.astimezone(sessions.NEW_YORK_TZ).hour >= 16:
        return []
    hours = {"open": _utc(opened), "close": _utc(closed)}
    return [{**head, "status": "early-close", **hours}]


def _utc(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.000Z"
