"""The figures of an event read a second time from the specification: one trade after the other.

Lists, loops and fractions only; nothing here is the package's own but the calendar. It is slow and
says each rule once, so that the fast code can be held against it column by column.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import polars as pl

from smallcaps_pipeline.sessions import NEW_YORK_TZ, Session, is_trading_day, session_bounds

MINUTE = 60 * 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NO_PRICE = {2, 7, 13, 20, 21, 29, 37, 52, 53, 5, 10, 17, 22, 32, 33, 15, 16}  # and 12 in RTH
NO_VOLUME = {15, 16, 38}
REOPENING = {18, 28}
HALT_MARKS = {17, 18}


@dataclass
class Trade:
    at: int  # ns
    price: int | None  # $0.000001
    size: Fraction
    for_price: bool
    for_volume: bool
    reopening: bool
    in_rth: bool
    side: int | None = None
    rule: str | None = None
    mid: Fraction | None = None  # $0.000001


@dataclass
class Quote:
    at: int
    bid: int | None
    ask: int | None
    marked: bool

    @property
    def valid(self) -> bool:
        return bool(self.bid and self.ask and self.bid > 0 and self.ask >= self.bid)

    @property
    def mid(self) -> Fraction:
        assert self.bid is not None
        assert self.ask is not None
        return Fraction(self.bid + self.ask, 2)


def tape_of(frame: pl.DataFrame) -> list[Trade]:
    """Read the trades that exist, by time, then sequence number; the same row once."""
    rows = {
        (r["at"], r["sequence_number"], r["exchange"], r["trade_id"]): r
        for r in reversed(_rows(frame))
    }
    return [_trade(row) for _, row in sorted(rows.items()) if row["correction"] in (None, 0, 1)]


def book_of(frame: pl.DataFrame) -> list[Quote]:
    rows = {(r["at"], r["sequence_number"]): r for r in reversed(_rows(frame))}
    return [
        Quote(
            at,
            _micro(row["bid_price"]),
            _micro(row["ask_price"]),
            bool(HALT_MARKS & set(row["indicators"] or [])),
        )
        for (at, _), row in sorted(rows.items())
    ]


def give_sides(
    tape: list[Trade], book: list[Quote] | None, lag: int = 0, method: str = "lee_ready"
) -> None:
    """The quote in force, where the method listens to it, else the last different price."""
    history: list[int] = []  # prices of trades that count for price, in order
    for trade in tape:
        if trade.price is None:
            continue
        trade.side = trade.rule = None
        quote = None if book is None else quote_in_force(book, trade.at - lag)
        said = None if quote is None else _of_quote(method, trade.price, quote)
        if said is not None:
            trade.side, trade.rule = said, "quote"
        elif method != "quote":
            for earlier in reversed(history):
                if earlier != trade.price:
                    trade.side, trade.rule = (1 if trade.price > earlier else -1), "tick"
                    break
        if trade.for_price:
            history.append(trade.price)


def _of_quote(method: str, price: int, quote: Quote) -> int | None:
    bid, ask = quote.bid, quote.ask
    assert bid is not None
    assert ask is not None
    if method == "tick" or (bid == ask and method in ("emo", "clnv")):
        return None
    if method == "emo":
        return {ask: 1, bid: -1}.get(price)
    if method == "clnv":
        depth = Fraction(price - bid, ask - bid)  # 0 at the bid, 1 at the ask
        if Fraction(7, 10) <= depth <= 1:
            return 1
        return -1 if 0 <= depth <= Fraction(3, 10) else None
    return None if price == quote.mid else (1 if price > quote.mid else -1)


def in_force(book: Iterable[Quote], at: int) -> Fraction | None:
    quote = quote_in_force(book, at)
    return None if quote is None else quote.mid


def quote_in_force(book: Iterable[Quote], at: int) -> Quote | None:
    found = None
    for quote in book:
        if quote.at >= at:
            break
        if quote.valid:
            found = quote
    return found


def features(
    event: dict[str, Any],
    trades: pl.DataFrame,
    quotes: pl.DataFrame,
    *,
    previous_close: float | None = None,
    news: list[datetime] | None = None,
    lag: int = 0,
) -> dict[str, Any]:
    """Return every column of the features of one manifest row, by the defaults of the settings."""
    start, end, bar = (_ns(event[k]) for k in ("window_start", "window_end", "timestamp"))
    bar_end = bar + MINUTE
    tape = [t for t in tape_of(trades) if start <= t.at < end]
    book = book_of(quotes)
    before, inside = [q for q in book if q.at < start], [q for q in book if start <= q.at < end]
    book = before[-1:] + inside
    give_sides(tape, book, lag)
    for trade in tape:
        trade.mid = in_force(book, trade.at - lag)
    real = [t for t in tape if t.for_volume]
    known = [t for t in real if t.at < bar_end]
    halts = find_halts(tape, book, end)
    spreads = times_in_force(book, start, end, halts)
    halts_known = find_halts([t for t in tape if t.at < bar_end], book, bar_end)
    spread_known = times_in_force(book, start, bar_end, halts_known)
    early = times_in_force(book, start, min(start + 2 * MINUTE, bar_end), halts_known)
    bar_mids = in_force(book, bar - lag), in_force(book, bar_end - lag)
    bar_shares = volume(t for t in real if bar <= t.at < bar_end)
    return {
        "label_trades": len(real),
        "label_quotes": len(inside),
        "label_dollar_volume_per_minute": per_minute(
            sum((t.size * (t.price or 0) for t in real), Fraction()) / 10**6, start, end
        ),
        "label_spread_mean_bps": mean(spreads),
        "label_spread_p95_bps": p95(spreads),
        "label_trade_imbalance": imbalance(real),
        "label_buy_share": ratio(volume(t for t in real if t.side == 1), volume(real)),
        "label_tape_speed": per_minute(len(real), start, end),
        "label_tape_speed_max": 6 * most_in_ten_seconds(real),
        "label_tape_acceleration": acceleration(real, start, bar),
        "tape_speed_before": per_minute(len(known), start, bar_end),
        "imbalance_before": imbalance(known),
        "spread_before_bps": mean(spread_known),
        "spread_start_bps": mean(early),
        "label_block_prints": sum(t.size >= 1000 for t in real),
        "label_block_volume_share": ratio(volume(t for t in real if t.size >= 1000), volume(real)),
        "label_slippage_proxy_bps": slippage(real),
        "absorption": absorption(bar_shares, *bar_mids),
        "label_continuation": continuation(tape, bar_end, event),
        "label_halts": [
            (begin, stop, in_force(book, begin - lag), in_force(book, stop - lag), confirmed)
            for begin, stop, confirmed in halts
        ],
        **restriction(tape, previous_close, event["date"], bar_end),
        "news_latency_s": latency(news, bar_end),
    }


def find_halts(tape: list[Trade], book: list[Quote], end: int) -> list[tuple[int, int, bool]]:
    """Silences of 300 s in RTH after five active minutes that ranged 5 % or end by an auction."""
    real, found = [t for t in tape if t.for_volume], []
    for number, trade in enumerate(real):
        later = real[number + 1] if number + 1 < len(real) else None
        bounds = rth_of(trade.at)
        if bounds is None:
            continue
        begin = max(trade.at, bounds[0])
        stop = min(later.at if later else end, bounds[1], end)
        if stop - begin < 300 * 10**9:
            continue
        minutes = [(begin - (k + 1) * MINUTE, begin - k * MINUTE) for k in range(5)]
        active = all(any(a < t.at <= b for t in real) for a, b in minutes)
        prices = [
            t.price
            for t in tape
            if minutes[4][0] < t.at <= begin and t.for_price and t.price is not None
        ]
        moved = bool(prices) and 100 * (max(prices) - min(prices)) >= 5 * min(prices)
        reopened = any(t.at == stop and t.reopening for t in real)
        marked = any(q.marked and begin < q.at <= stop for q in book)
        if active and (moved or reopened):
            found.append((begin, stop, reopened or marked))
    return found


def times_in_force(
    book: list[Quote], start: int, end: int, halts: list[tuple[int, int, bool]]
) -> list[tuple[Fraction, int]]:
    """Return (spread in bps, ns in force without halts) of each valid quote in [start, end)."""
    book = [q for q in book if q.at < end]
    held = []
    for number, quote in enumerate(book):
        begin = max(quote.at, start)
        until = book[number + 1].at if number + 1 < len(book) else end
        if quote.valid and until > begin:
            silent = sum(max(0, min(until, b) - max(begin, a)) for a, b, _ in halts)
            assert quote.bid is not None
            assert quote.ask is not None
            spread = Fraction(quote.ask - quote.bid) / quote.mid * 10_000
            held.append((spread, until - begin - silent))
    return [(spread, ns) for spread, ns in held if ns > 0]


def mean(held: list[tuple[Fraction, int]]) -> Fraction | None:
    return ratio(sum((s * ns for s, ns in held), Fraction()), sum(ns for _, ns in held))


def p95(held: list[tuple[Fraction, int]]) -> Fraction | None:
    total, so_far = sum(ns for _, ns in held), 0
    for spread, ns in sorted(held):
        so_far += ns
        if Fraction(so_far, total) >= Fraction(95, 100):
            return spread
    return None


def volume(trades: Iterable[Trade]) -> Fraction:
    return sum((t.size for t in trades), Fraction())


def imbalance(trades: list[Trade]) -> Fraction | None:
    bought, sold = (volume(t for t in trades if t.side == side) for side in (1, -1))
    return ratio(bought - sold, bought + sold)


def most_in_ten_seconds(trades: list[Trade]) -> int:
    return max((sum(a.at <= t.at < a.at + 10**10 for t in trades) for a in trades), default=0)


def acceleration(trades: list[Trade], start: int, bar: int) -> Fraction | None:
    after = sum(bar + MINUTE <= t.at < bar + 2 * MINUTE for t in trades)
    speed = per_minute(sum(t.at < bar for t in trades), start, bar)
    return None if speed is None else ratio(after, speed)


def slippage(trades: list[Trade]) -> Fraction | None:
    cost = shares = Fraction()
    for t in trades:
        if t.side is not None and t.mid is not None and t.price is not None:
            cost += t.size * t.side * (t.price - t.mid) / t.mid
            shares += t.size
    found = ratio(cost, shares)
    return None if found is None else found * 10_000


def absorption(shares: Fraction, first: Fraction | None, last: Fraction | None) -> Fraction | None:
    if first is None or last is None or first == last:
        return None
    return shares / (abs(last / first - 1) * 10_000)


def continuation(tape: list[Trade], bar_end: int, event: dict[str, Any]) -> Fraction | None:
    priced = [t for t in tape if t.for_price and t.price is not None and t.at >= bar_end]
    if not priced:
        return None
    assert priced[-1].price is not None
    close = Fraction(str(event["close"])) * 10**6
    return (priced[-1].price / close - 1) * (1 if event["direction"] == "up" else -1)


def restriction(tape: list[Trade], close: float | None, day: str, bar_end: int) -> dict[str, Any]:
    if close is None:
        return {"ssr_active": None, "label_ssr_from": None}
    previous = _micro(close)
    assert previous is not None
    for t in tape:
        of_the_day = str((EPOCH + timedelta(microseconds=t.at // 1000)).astimezone(NEW_YORK_TZ))
        eligible = t.in_rth and t.for_price and of_the_day.startswith(day)
        if eligible and t.price is not None and 10 * t.price <= 9 * previous:
            return {"ssr_active": t.at < bar_end, "label_ssr_from": t.at}
    return {"ssr_active": False, "label_ssr_from": None}


def latency(news: list[datetime] | None, bar_end: int) -> Fraction | None:
    ages = [bar_end - _ns(item) for item in news or [] if _ns(item) < bar_end]
    young = [age for age in ages if age <= 24 * 60 * MINUTE]
    return Fraction(min(young), 10**9) if young else None


def per_minute(amount: Fraction | int, start: int, end: int) -> Fraction | None:
    return ratio(amount, Fraction(end - start, MINUTE))


def ratio(over: Fraction | int, under: Fraction | int) -> Fraction | None:
    return Fraction(over) / under if under else None


def rth_of(at: int) -> tuple[int, int] | None:
    local = (EPOCH + timedelta(microseconds=at // 1000)).astimezone(NEW_YORK_TZ)
    return _rth_of_day(local.date())


def _rth_of_day(day: date) -> tuple[int, int] | None:
    if not is_trading_day(day):
        return None
    opening, closing = session_bounds(day)[Session.RTH]
    return _ns(opening), _ns(closing)


def _trade(row: dict[str, Any]) -> Trade:
    codes, bounds = set(row["conditions"] or []), rth_of(row["at"])
    in_rth = bounds is not None and bounds[0] <= row["at"] < bounds[1]
    return Trade(
        at=row["at"],
        price=_micro(row["price"]),
        size=Fraction(str(row["size"])),
        for_price=not (codes & NO_PRICE) and not (12 in codes and in_rth),
        for_volume=not (codes & NO_VOLUME),
        reopening=bool(codes & REOPENING),
        in_rth=in_rth,
    )


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    return frame.with_columns(at=pl.col("timestamp").dt.epoch("ns")).to_dicts()


def _micro(price: float | None) -> int | None:
    """Return a price in $0.000001 by way of its shortest decimal text."""
    return None if price is None else round(Fraction(str(price)) * 10**6)


def _ns(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1) * 1000
