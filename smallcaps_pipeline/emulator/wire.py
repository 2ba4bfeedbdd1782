"""Frames → the provider's JSON, byte for byte in its habits.

Belongs here: rows, envelopes, what is left out.
Keep out: which rows (`paging`), HTTP.

The provider leaves an unknown field out instead of writing null, and `results` of an empty bars
answer too. Rows are put together by polars as text: building 50,000 dictionaries first takes about
ten times as long. Text columns hold tickers and numbers only, so nothing needs escaping.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from smallcaps_pipeline.schemas import STR

Json = dict[str, Any]


def _integer(column: str) -> pl.Expr:
    return pl.col(column).to_physical().cast(STR)


def _number(column: str) -> pl.Expr:
    """Write whole numbers without a point, others with their shortest digits."""
    value = pl.col(column)
    whole = value == value.floor()
    return (
        pl.when(whole).then(value.cast(pl.Int64, strict=False).cast(STR)).otherwise(value.cast(STR))
    )


def _text(column: str) -> pl.Expr:
    return '"' + pl.col(column) + '"'


def _codes(column: str) -> pl.Expr:
    """Write a list of codes; an empty one is left out, as the provider does."""
    codes = pl.col(column)
    joined = "[" + codes.cast(pl.List(STR)).list.join(",") + "]"
    return pl.when(codes.list.len() > 0).then(joined)


_TRADE_FIELDS: Final = {
    "conditions": _codes("conditions"),
    "correction": _integer("correction"),
    "decimal_size": _text("decimal_size"),
    "exchange": _integer("exchange"),
    "id": _text("trade_id"),
    "participant_timestamp": _integer("participant_timestamp"),
    "price": _number("price"),
    "sequence_number": _integer("sequence_number"),
    "sip_timestamp": _integer("timestamp"),
    "size": _number("size"),
    "tape": _integer("tape"),
    "trf_id": _integer("trf_id"),
    "trf_timestamp": _integer("trf_timestamp"),
}
_QUOTE_FIELDS: Final = {
    "ask_exchange": _integer("ask_exchange"),
    "ask_price": _number("ask_price"),
    "ask_size": _number("ask_size"),
    "bid_exchange": _integer("bid_exchange"),
    "bid_price": _number("bid_price"),
    "bid_size": _number("bid_size"),
    "conditions": _codes("conditions"),
    "indicators": _codes("indicators"),
    "participant_timestamp": _integer("participant_timestamp"),
    "sequence_number": _integer("sequence_number"),
    "sip_timestamp": _integer("timestamp"),
    "tape": _integer("tape"),
}
_BAR_FIELDS: Final = {
    "v": _number("volume"),
    "vw": _number("vwap"),
    "o": _number("open"),
    "c": _number("close"),
    "h": _number("high"),
    "l": _number("low"),
    "t": _integer("t"),
    "n": _integer("transactions"),
}
_GROUPED_FIELDS: Final = {"T": _text("symbol"), **_BAR_FIELDS}


def trade_rows(trades: pl.DataFrame) -> str:
    """Write rows of `source.WIRE_TRADES` as a JSON array."""
    return _rows(trades, _TRADE_FIELDS)


def quote_rows(quotes: pl.DataFrame) -> str:
    """Write rows of `source.WIRE_QUOTES` as a JSON array."""
    return _rows(quotes, _QUOTE_FIELDS)


def bar_rows(bars: pl.DataFrame) -> str:
    """Write bars with their label `t` (Int64, Unix ms) as a JSON array."""
    return _rows(bars, _BAR_FIELDS)


def grouped_rows(bars: pl.DataFrame) -> str:
    """Write daily bars of many symbols with their label `t` (Int64, Unix ms)."""
    return _rows(bars, _GROUPED_FIELDS)


def envelope(head: Mapping[str, Any], rows: str | None, name: str = "results") -> bytes:
    """Put rows (JSON text) into an envelope under a name; None leaves it out."""
    text = json.dumps(head)
    if rows is None:
        return text.encode()
    return f'{text[:-1]}, "{name}":{rows}}}'.encode()


def dumped(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write few rows as a JSON array; a key whose value is None is left out."""
    return json.dumps([{k: v for k, v in row.items() if v is not None} for row in rows])


def _rows(frame: pl.DataFrame, fields: Mapping[str, pl.Expr]) -> str:
    if frame.is_empty():
        return "[]"
    parts = [pl.lit(f'"{name}":') + value for name, value in fields.items()]
    row = "{" + pl.concat_str(parts, separator=",", ignore_nulls=True) + "}"
    text: str = frame.select(row.str.join(",")).item()
    return f"[{text}]"
