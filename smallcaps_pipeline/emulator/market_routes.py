"""Endpoints of market data: bars, grouped daily, trades, quotes.

Belongs here: parameters → rows of the source → envelope.
Keep out: keys, limits and faults (`gateway`), reference data (`reference_routes`).

Bars of other widths than one minute and one day are not emulated and answer 400: nothing in this
project reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Final

import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smallcaps_pipeline import sessions
from smallcaps_pipeline.emulator import wire
from smallcaps_pipeline.emulator.options import Options
from smallcaps_pipeline.emulator.paging import (
    TickQuery,
    decode_cursor,
    encode_cursor,
    tick_page,
)
from smallcaps_pipeline.emulator.params import (
    NS,
    BadParameterError,
    Span,
    day_span,
    read_choice,
    read_date,
    read_limit,
)
from smallcaps_pipeline.emulator.replies import (
    NotEntitledError,
    OutsideHistoryError,
    next_link,
    results,
)
from smallcaps_pipeline.emulator.source import MarketSource
from smallcaps_pipeline.schemas import BARS

_MINUTE_NS: Final = 60 * NS
_BAR_LIMIT, _BAR_MOST = 5000, 50_000
_GROUPED_AT: Final = time(16)  # label of a grouped daily bar, New York


def market_routes(source: MarketSource, options: Options) -> list[Route]:
    """Return the routes of a source."""

    def route(path: str, handler: Callable[[MarketSource, Options, Request], Response]) -> Route:
        return Route(path, partial(handler, source, options))

    return [
        route("/v2/aggs/ticker/{ticker}/range/{multiplier}/{timespan}/{start}/{end}", _bars),
        route("/v2/aggs/grouped/locale/us/market/stocks/{day}", _grouped),
        route("/v3/trades/{ticker}", _trades),
        route("/v3/quotes/{ticker}", _quotes),
    ]


def check_history(source: MarketSource, options: Options, day: date) -> None:
    """Raise `OutsideHistoryError` for a day before the plan's history or after today."""
    if options.plan is None:
        return
    years = options.plan.years
    oldest = source.last - timedelta(days=round(365.25 * years)) if years else sessions.FIRST_DATE
    if not oldest <= day <= source.last:
        raise OutsideHistoryError


def _bars(source: MarketSource, options: Options, request: Request) -> Response:
    path, query = request.path_params, dict(request.query_params)
    fields = query | (decode_cursor(query["cursor"]) if "cursor" in query else {})
    span = Span(day_span(path["start"]).start, day_span(path["end"]).end)
    limit = read_limit(fields, _BAR_LIMIT, _BAR_MOST)
    ascending = read_choice(fields, "sort", "asc", "asc", "desc") == "asc"
    adjusted = _is_adjusted(fields)
    check_history(source, options, _day(span.start))
    daily = _is_daily(path["multiplier"], path["timespan"])
    read = _daily_parts if daily else _minute_parts
    found = _first_rows(read(source, path["ticker"], span, ascending), limit + 1)
    page = found.head(limit)
    link = None
    if found.height > limit:
        kept = {"limit": str(limit), "sort": "asc" if ascending else "desc"}
        cursor = encode_cursor({"adjusted": str(adjusted).lower(), **kept})
        link = next_link(request, options, cursor, _moved_path(request, page, ascending, daily))
    if adjusted:
        page = _adjusted(page, source)
    return results(
        request,
        wire.bar_rows(page) if page.height else None,
        ticker=path["ticker"],
        adjusted=adjusted,
        queryCount=page.height,
        resultsCount=page.height,
        count=page.height,
        next_url=link,
    )


def _grouped(source: MarketSource, options: Options, request: Request) -> Response:
    day = read_date(request.path_params["day"])
    adjusted = _is_adjusted(dict(request.query_params))
    check_history(source, options, day)
    label = sessions.new_york_time(day, _GROUPED_AT)
    bars = source.daily_bars(day, day).with_columns(t=pl.lit(int(label.timestamp()) * 1000))
    if adjusted:
        bars = _adjusted(bars, source)
    return results(
        request,
        wire.grouped_rows(bars) if bars.height else None,
        adjusted=adjusted,
        queryCount=bars.height,
        resultsCount=bars.height,
        count=bars.height,
    )


def _trades(source: MarketSource, options: Options, request: Request) -> Response:
    if options.plan is not None and not options.plan.trades:
        raise NotEntitledError
    return _ticks(source, options, request, source.trades, wire.trade_rows)


def _quotes(source: MarketSource, options: Options, request: Request) -> Response:
    if options.plan is not None and not options.plan.quotes:
        raise NotEntitledError
    return _ticks(source, options, request, source.quotes, wire.quote_rows)


def _ticks(
    source: MarketSource,
    options: Options,
    request: Request,
    rows: Callable[[str, date], pl.DataFrame],
    encode: Callable[[pl.DataFrame], str],
) -> Response:
    query = TickQuery.read(dict(request.query_params))
    if query.span.start > 0:
        check_history(source, options, _day(query.span.start))
    page = tick_page(source, rows, request.path_params["ticker"], query)
    link = next_link(request, options, page.cursor)
    return results(request, encode(page.rows), next_url=link)


def _is_adjusted(fields: dict[str, str]) -> bool:
    return read_choice(fields, "adjusted", "true", "true", "false") == "true"


def _is_daily(multiplier: str, timespan: str) -> bool:
    if multiplier != "1" or timespan not in ("minute", "day"):
        raise BadParameterError(f"{multiplier} {timespan} is not emulated; 1 minute and 1 day are")
    return timespan == "day"


def _day(ns: int) -> date:
    """Return the New York day of an instant."""
    return sessions.trading_day_of(datetime.fromtimestamp(ns // NS, tz=sessions.NEW_YORK_TZ))


def _minute_parts(
    source: MarketSource, symbol: str, span: Span, ascending: bool
) -> Iterable[pl.DataFrame]:
    """Yield the minute bars of a stretch, day by day; its start is snapped to the minute."""
    first = span.start // _MINUTE_NS * _MINUTE_NS // 10**6
    last = (span.end - 1) // 10**6  # included
    days = source.days(symbol, _day(span.start), _day(span.end - 1))
    for day in days if ascending else reversed(days):
        bars = source.bars(symbol, day)
        labelled = bars.with_columns(t=pl.col("timestamp").dt.epoch("ms"))
        part = labelled.filter(pl.col("t") >= first, pl.col("t") <= last)
        yield part if ascending else part.reverse()


def _daily_parts(
    source: MarketSource, symbol: str, span: Span, ascending: bool
) -> Iterable[pl.DataFrame]:
    """Yield the daily bars of a stretch, labelled with 00:00 New York time."""
    bars = source.daily_bars(_day(span.start), _day(span.end - 1), symbol)
    label = pl.col("date").cast(pl.Datetime("ms")).dt.replace_time_zone(sessions.NEW_YORK)
    labelled = bars.with_columns(t=label.dt.epoch("ms"))
    yield labelled if ascending else labelled.reverse()


def _first_rows(parts: Iterable[pl.DataFrame], count: int) -> pl.DataFrame:
    found, missing = [BARS.empty().with_columns(t=pl.lit(0, pl.Int64)).clear()], count
    for part in parts:
        found.append(part.head(missing))
        missing -= found[-1].height
        if missing <= 0:
            break
    return pl.concat([part for part in found if part.height] or found[:1])


def _moved_path(request: Request, page: pl.DataFrame, ascending: bool, daily: bool) -> str:
    """Return the path of the next page: its near end is the Unix ms after the last row."""
    last: int = page["t"][-1]
    path = request.path_params
    width = 24 * 3600 * 1000 if daily else 60_000
    start, end = (last + width, path["end"]) if ascending else (path["start"], last - 1)
    head = f"/v2/aggs/ticker/{path['ticker']}/range/{path['multiplier']}/{path['timespan']}"
    return f"{head}/{start}/{end}"


def _adjusted(bars: pl.DataFrame, source: MarketSource) -> pl.DataFrame:
    """Rescale price and volume for the splits after each bar, as the provider does by default."""
    later = source.splits().filter(pl.col("execution_date") <= source.last)
    if later.is_empty() or bars.is_empty():
        return bars
    day = sessions.trading_day(pl.from_epoch("t", "ms").dt.replace_time_zone("UTC"))
    ratio = (
        bars.select("symbol", "t", day=day)
        .join(later, on="symbol")
        .filter(pl.col("execution_date") > pl.col("day"))
        .group_by("symbol", "t")
        .agg(ratio=(pl.col("split_from") / pl.col("split_to")).product())
    )
    prices = [name for name in ("open", "high", "low", "close", "vwap") if name in bars.columns]
    factor = pl.col("ratio").fill_null(1.0)
    return bars.join(ratio, on=["symbol", "t"], how="left", maintain_order="left").with_columns(
        (pl.col(prices) * factor).round(6), volume=(pl.col("volume") / factor).round(6)
    )
