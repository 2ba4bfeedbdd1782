"""The ticks of an event: trades by side on the NBBO, trades per second, quoted spread.

Belongs here: which rows of trades and quotes a chart shows, and how.
Keep out: the minutes (`minute_chart`), which side a trade has (`micro.classify_aggressor`).

Time runs over the manifest row's own window. Trades are drawn per step (a second in a window of
ten minutes), side and size, at their volume-weighted price; quotes at the end of each step.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from smallcaps_pipeline.micro import classify_aggressor
from smallcaps_pipeline.micro.quotes_in_force import is_valid
from smallcaps_pipeline.micro.tape import instant, prepare_book
from smallcaps_pipeline.report import svg
from smallcaps_pipeline.report.minute_chart import Row
from smallcaps_pipeline.report.svg import Scale
from smallcaps_pipeline.report.text import clock, money, short, words
from smallcaps_pipeline.sessions import NEW_YORK_TZ

STEPS: Final = 600  # most steps of a window
BARS: Final = 120  # of the panel of trades per second
EDGE: Final = 0.004  # share of prices at each end that may lie beyond the picture
SIDES: Final = ((1, "buy"), (-1, "sell"), (None, "unknown"))
SIZES: Final = ((0, 100, "odd"), (100, 1_000, "round"), (1_000, None, "block"))  # shares
WIDTH, LEFT, RIGHT, TOP, GAP, BOTTOM = 480, 6, 58, 42, 12, 24
PRICE_HEIGHT, SPEED_HEIGHT, SPREAD_HEIGHT = 214, 96, 96
PRICE_BOTTOM: Final = TOP + PRICE_HEIGHT
SPEED_BOTTOM: Final = PRICE_BOTTOM + GAP + SPEED_HEIGHT
SPREAD_BOTTOM: Final = SPEED_BOTTOM + GAP + SPREAD_HEIGHT
HEIGHT: Final = SPREAD_BOTTOM + BOTTOM


def tape_chart(event: Row, trades: pl.DataFrame, quotes: pl.DataFrame | None = None) -> str:
    """Draw an event's ticks as SVG.

    Args:
        event: A row of `schemas.MANIFEST`.
        trades: Rows of `schemas.TRADES` with `symbol`; those outside the event's own window are
            left out.
        quotes: Rows of `schemas.QUOTES` with `symbol`, possibly with the one before the window;
            None = not fetched.

    Returns:
        An SVG; the empty string where there is no trade in the window.
    """
    length = (event["window_end"] - event["window_start"]).total_seconds()
    tape = _tape(event, trades, quotes)
    if tape.is_empty():
        return ""
    book = _book(event, quotes, max(1, round(length / STEPS)))
    time = Scale(0, length, LEFT, WIDTH - RIGHT)
    price = Scale(*_price_range(tape, book), PRICE_BOTTOM, TOP)
    parts = [
        _event_band(event, time),
        *_time_axis(event, time),
        *_prices(tape, book, time, price, max(1, round(length / STEPS))),
        *_speed(tape, time, length),
        *_spread(book, time),
        *_legend(),
    ]
    title = f"{event['symbol']} {words(event['event_type'])} {event['direction']}, {event['date']}"
    return svg.drawing(parts, WIDTH, HEIGHT, f"Tape of {title}")


def _tape(event: Row, trades: pl.DataFrame, quotes: pl.DataFrame | None) -> pl.DataFrame:
    """Return the window's trades with `at` (s since its start), `price`, `size`, `aggressor`."""
    inside = _of_window(event, trades)
    if inside.is_empty():
        return inside
    known = None if quotes is None or quotes.is_empty() else _of_symbol(event, quotes)
    sided = classify_aggressor(inside, known)
    return sided.select(
        at=_seconds(event, pl.col("timestamp")), price="price", size="size", side="aggressor"
    ).filter(pl.col("price") > 0)


def _book(event: Row, quotes: pl.DataFrame | None, step: int) -> pl.DataFrame:
    """Return the last quote of each step: `at` (s), `bid`, `ask`, `bps`; null where not valid."""
    empty = pl.DataFrame(schema=dict.fromkeys(("at", "bid", "ask", "bps"), pl.Float64))
    if quotes is None or quotes.is_empty():
        return empty
    bid, ask = pl.col("bid_micro"), pl.col("ask_micro")
    until = (event["window_end"] - event["window_start"]).total_seconds()
    rows = (
        prepare_book(_of_symbol(event, quotes))
        .with_columns(at=_seconds(event, instant(pl.col("at_ns"))), valid=is_valid())
        .filter(pl.col("at") < until)
        .select(
            at=pl.col("at").clip(lower_bound=0),
            bid=pl.when("valid").then(bid / 1e6),
            ask=pl.when("valid").then(ask / 1e6),
            bps=pl.when("valid").then((ask - bid) / (ask + bid) * 20_000),
        )
    )
    of_step = (pl.col("at") / step).floor()
    return rows.group_by(of_step.alias("step"), maintain_order=True).last().drop("step")


def _of_symbol(event: Row, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("symbol") == event["symbol"])


def _of_window(event: Row, rows: pl.DataFrame) -> pl.DataFrame:
    timestamp = pl.col("timestamp")
    inside = (timestamp >= event["window_start"]) & (timestamp < event["window_end"])
    return _of_symbol(event, rows).filter(inside)


def _seconds(event: Row, timestamp: pl.Expr) -> pl.Expr:
    """Return seconds since the window's start: for pictures only, they pass through a float."""
    start = pl.lit(event["window_start"]).cast(pl.Datetime("ns", "UTC"))
    return (timestamp - start).dt.total_nanoseconds() / 1e9


def _price_range(tape: pl.DataFrame, book: pl.DataFrame) -> tuple[float, float]:
    """Return the range of prices but for the outermost few, widened by the usual quotes."""
    ends = [tape["price"].quantile(q, interpolation="nearest") for q in (EDGE, 1 - EDGE)]
    ends += [book["bid"].quantile(0.05), book["ask"].quantile(0.95)]
    return svg.padded(float(end) for end in ends if end is not None)


def _event_band(event: Row, time: Scale) -> str:
    start = (event["timestamp"] - event["window_start"]).total_seconds()
    left, right = time.clamp(start), time.clamp(start + 60)
    return svg.box(left, TOP, right - left, SPREAD_BOTTOM - TOP, "eventband")


def _time_axis(event: Row, time: Scale) -> list[str]:
    minutes = time.high / 60
    every = next(m for m in (1, 2, 5, 10, 15, 30, 60, 240) if minutes / m <= 8 or m == 240)
    local = event["window_start"].astimezone(NEW_YORK_TZ)
    opening = local.hour * 60 + local.minute + local.second / 60
    first = -(-opening // every) * every
    parts = []
    at = first
    while at <= opening + minutes:
        x = time((at - opening) * 60)
        parts.append(svg.strokes([(x, TOP, SPREAD_BOTTOM)], "grid"))
        if x <= WIDTH - RIGHT - 10:
            parts.append(svg.words(clock(int(at)), max(x, 18), HEIGHT - 7, "t", "middle"))
        at += every
    return parts


def _axis(scale: Scale, about: int, write: str, *, skip_first: bool = False) -> list[str]:
    right, parts = WIDTH - RIGHT, []
    for value in scale.ticks(about)[1 if skip_first else 0 :]:
        y = scale(value)
        text = money(value) if write == "money" else short(abs(value))
        parts += [svg.rule(y, LEFT, right), svg.words(text, right + 6, y + 4)]
    return parts


def _prices(
    tape: pl.DataFrame, book: pl.DataFrame, time: Scale, price: Scale, step: int
) -> list[str]:
    """Draw bid and ask, and trades by side and size; the largest on top."""
    parts = _axis(price, 5, "money")
    for name in ("bid", "ask"):
        quoted = book.select("at", name).rows()
        held = [None if p is None else (time(at), price.clamp(p)) for at, p in quoted]
        end = [] if not held or held[-1] is None else [(time(time.high), held[-1][1])]
        parts.append(svg.line([*held, *end], f"quote {name}", stepped=True))
    for low, high, size in SIZES:
        shares = pl.col("size")
        large = shares >= low if high is None else (shares >= low) & (shares < high)
        for side, kind in SIDES:
            of_side = pl.col("side").eq_missing(pl.lit(side, dtype=pl.Int8))
            points = (
                tape.filter(large & of_side)
                .group_by((pl.col("at") / step).floor().alias("step"), maintain_order=True)
                .agg(at=pl.col("at").mean(), price=(pl.col("price") * shares).sum() / shares.sum())
                .filter(pl.col("price").is_finite())
                .sort("at")
            )
            drawn = ((time(at), price.clamp(p)) for at, p in points.select("at", "price").rows())
            parts.append(svg.dots(drawn, f"dot {kind} {size}"))
    return [part for part in parts if part]


def _speed(tape: pl.DataFrame, time: Scale, length: float) -> list[str]:
    """Draw trades per second: buyers above the line, sellers below, unknown sides on top."""
    step = max(1, round(length / BARS))
    side = pl.col("side")
    per_step = (
        tape.group_by((pl.col("at") / step).floor().alias("step"))
        .agg(
            buy=(side == 1).sum() / step,
            sell=(side == -1).sum() / step,
            unknown=side.is_null().sum() / step,
        )
        .sort("step")
    )
    rows = per_step.rows()
    highest = max(buy + unknown for _, buy, _, unknown in rows)
    lowest = max(sell for _, _, sell, _ in rows)
    scale = Scale(-lowest * 1.1, highest * 1.1 or 1, SPEED_BOTTOM, PRICE_BOTTOM + GAP)
    width = max(time(step) - time(0) - 0.6, 0.6)
    drawn: dict[str, list[tuple[float, float, float, float]]] = {k: [] for _, k in SIDES}
    for at, buy, sell, unknown in rows:
        x = time(at * step)
        for kind, low, high in (
            ("buy", 0, buy),
            ("sell", -sell, 0),
            ("unknown", buy, buy + unknown),
        ):
            if high > low:
                drawn[kind].append((x, scale(high), width, scale(low) - scale(high)))
    return [
        *_axis(scale, 3, "short"),
        *(svg.boxes(found, f"bar {kind}") for kind, found in drawn.items()),
        svg.rule(scale(0), LEFT, WIDTH - RIGHT, "axis"),
        svg.words("trades per second", LEFT + 2, PRICE_BOTTOM + GAP + 11, "t faint"),
    ]


def _spread(book: pl.DataFrame, time: Scale) -> list[str]:
    bottom, top = SPREAD_BOTTOM, SPEED_BOTTOM + GAP
    caption = svg.words("quoted spread, bps", LEFT + 2, top + 11, "t faint")
    known = book["bps"].drop_nulls()
    if known.is_empty():
        nothing = svg.words("no quotes", WIDTH / 2, (top + bottom) / 2, "t faint", "middle")
        return [svg.rule(bottom, LEFT, WIDTH - RIGHT, "axis"), caption, nothing]
    usual = known.quantile(0.98, interpolation="nearest") or 0.0
    scale = Scale(0, usual * 1.25 or 1, bottom, top)
    held = [
        None if bps is None else (time(at), scale.clamp(bps))
        for at, bps in book.select("at", "bps").rows()
    ]
    end = [] if held[-1] is None else [(time(time.high), held[-1][1])]
    return [
        *_axis(scale, 3, "short", skip_first=True),
        svg.rule(bottom, LEFT, WIDTH - RIGHT, "axis"),
        svg.line([*held, *end], "spread", stepped=True),
        caption,
    ]


def _legend() -> list[str]:
    parts, x = [], float(LEFT) + 5
    for kind, label in (("buy", "buyers"), ("sell", "sellers"), ("unknown", "side unknown")):
        parts += [svg.dots([(x, 9)], f"dot {kind} block"), svg.words(label, x + 8, 13)]
        x += 22 + 6.4 * len(label)
    for kind, label in (("bid", "bid"), ("ask", "ask")):
        parts += [svg.rule(9, x, x + 14, f"quote {kind}"), svg.words(label, x + 19, 13)]
        x += 32 + 6.4 * len(label)
    return [*parts, svg.words("dots: odd lots, round lots, blocks", LEFT, TOP - 7, "t faint")]
